"""From a path or an address to the catalogue, and the command that does it."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gifty.catalog.feeds.items import NotAFeed
from gifty.catalog.fetching import Fetcher, FetchRefused
from gifty.catalog.importing import FeedImporter, ImportRequest
from gifty.catalog.ingestion import ImportReport, IngestionService
from gifty.catalog.ingestion_repository import IngestionRepository
from gifty.catalog.models import RunStatus
from gifty.catalog.promotions import PromotionService
from gifty.catalog.promotions_repository import PromotionRepository
from gifty.catalog.starter import StarterCatalogue, shipped_ideas
from gifty.commands import import_feed
from gifty.core.clock import SystemClock
from gifty.core.database import Database
from tests.fixtures.data import shared_data
from tests.fixtures.feeds import write_yml

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass
class StillClock(SystemClock):
    """Time that stands."""

    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def promotions(database: Database) -> PromotionService:
    return PromotionService(PromotionRepository(database), IngestionRepository(database), StillClock())


@pytest.fixture
def importer(database: Database, promotions: PromotionService) -> FeedImporter:
    repository = IngestionRepository(database)
    return FeedImporter(IngestionService(repository), promotions, repository, Fetcher(allow_private=True))


async def run(importer: FeedImporter, where: Path | str, **known: Any) -> ImportReport:
    report = await importer.run(ImportRequest(str(where), **known))
    assert report is not None
    return report


async def test_the_real_products_twice(importer: FeedImporter, database: Database) -> None:
    path = shared_data("takprodam_products.csv")
    first = await run(importer, path)
    assert (first.source.site_key, first.source.kind) == ("takprodam_products", "csv")
    assert (first.run.status, first.run.counts.created, first.run.counts.rejected) == (RunStatus.COMPLETE, 4_000, 0)
    row = await database.fetchrow(
        """SELECT count(*), count(DISTINCT c.id), count(o.price), min(o.currency), bool_and(g.url LIKE '%?sku_id=%')
           FROM gifts g JOIN offers o ON o.gift_id = g.id JOIN categories c ON c.id = g.category_id"""
    )
    assert row is not None
    assert tuple(row) == (4_000, 13, 4_000, "RUB", True)
    second = await run(importer, path)
    assert (second.run.counts.unchanged, second.run.counts.created, second.run.counts.changed) == (4_000, 0, 0)


async def test_the_real_promotions(importer: FeedImporter, promotions: PromotionService) -> None:
    path = shared_data("takprodam_promotions.csv")
    first = await run(importer, path)
    assert (first.run.status, first.run.counts.created, first.run.counts.rejected) == (RunStatus.COMPLETE, 185, 0)
    assert (await run(importer, path)).run.counts.unchanged == 185
    found = await promotions.of_shops(["нАШЕ золото ", "SOLOWAYS", "nobody"])
    assert "nobody" not in found
    (sale, *_) = found["SOLOWAYS"]
    assert (sale.discount_value, sale.marketplace) == (53, "Ozon")


PROMOTIONS = """id,title,promotion_type,marketplace,store,discount_type,discount_value,start_date,end_date,coupon
1,Скидка,sale,Ozon,Лавка,percentage,10,2025-01-01T00:00:00+00:00,2026-12-31T00:00:00+00:00,
2,Купон,coupon,Ozon,Лавка,percentage,0,,,TEA5
3,Прошла,sale,Ozon,Лавка,percentage,50,2025-01-01,2025-12-31,
4,Будет,sale,Ozon,Лавка,percentage,50,2026-02-01,,
5,Пустая,sale,Ozon,Лавка,percentage,0,,,
6,Всем,sale,Ozon,,percentage,5,,,
7,Плохая,sale,Ozon,Лавка,percentage,много,,,
8,Наоборот,sale,Ozon,Лавка,percentage,5,2026-02-01,2026-01-01,
1,Снова,sale,Ozon,Лавка,percentage,5,,,
9,,sale,Ozon,Лавка,percentage,5,,,
"""


async def test_only_promotions_that_hold_and_give_something_are_shown(
    importer: FeedImporter, promotions: PromotionService, tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(PROMOTIONS)
    report = await run(importer, path)
    assert [(reject.line, reject.field) for reject in report.rejects] == [
        (8, "discount_value"), (9, "end_date"), (10, "repeated"), (11, "title")
    ]  # fmt: skip
    found = await promotions.of_shops(["ЛАВКА", "ozon"])
    assert [promotion.title for promotion in found["ЛАВКА"]] == ["Купон", "Скидка"]
    assert [promotion.title for promotion in found["ozon"]] == ["Всем"]
    assert await promotions.of_shops([]) == {}


async def test_withdrawn_promotions_go(importer: FeedImporter, database: Database, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(PROMOTIONS)
    await run(importer, path)
    path.write_text("\n".join(PROMOTIONS.splitlines()[:2]) + "\n")
    report = await run(importer, path)
    assert (report.run.counts.unchanged, report.run.counts.retired) == (1, 5)
    assert await database.fetchval("SELECT count(*) FROM promotions") == 1


async def test_the_starter_ideas_load_once(database: Database) -> None:
    starter = StarterCatalogue(IngestionService(IngestionRepository(database)))
    report = await starter.load()
    ideas = shipped_ideas()
    assert len(ideas) >= 400
    assert (report.run.status, report.run.counts.created, report.rejects) == (RunStatus.COMPLETE, len(ideas), [])
    row = await database.fetchrow(
        """SELECT bool_and(g.is_idea), bool_and(o.price > 0), bool_and(g.attributes #>> '{en,title}' <> ''),
                  bool_and(c.id > 0)
           FROM gifts g JOIN offers o ON o.gift_id = g.id JOIN categories c ON c.id = g.category_id"""
    )
    assert row is not None
    assert tuple(row) == (True, True, True, True)
    again = await starter.load()
    assert (again.run.counts.unchanged, again.run.counts.changed) == (len(ideas), 0)
    assert await database.fetchval("SELECT count(*) FROM gifts WHERE search @@ plainto_tsquery('russian', 'gift sets')")


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Callable[[web.Request], Awaitable[web.Response]]], Awaitable[str]]]:
    async with AsyncExitStack() as stack:

        async def start(handler: Callable[[web.Request], Awaitable[web.Response]]) -> str:
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            server = await stack.enter_async_context(TestServer(app))
            return str(server.make_url("/"))

        yield start


async def test_a_feed_by_address_is_taken_once(serve: Any, importer: FeedImporter, tmp_path: Path) -> None:
    body = gzip.compress(write_yml(tmp_path / "feed", 30).read_bytes())

    async def handler(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304)
        return web.Response(body=body, headers={"ETag": '"1"'})

    address = await serve(handler) + "feed.yml.gz"
    report = await run(importer, address, site_key="shop")
    assert (report.run.counts.created, report.source.url) == (30, address)
    assert await importer.run(ImportRequest(address, "shop")) is None


async def test_an_incomplete_feed_is_asked_for_again(serve: Any, importer: FeedImporter, tmp_path: Path) -> None:
    body = write_yml(tmp_path / "feed", 30).read_bytes()[:-2_000]

    async def handler(request: web.Request) -> web.Response:
        assert "If-None-Match" not in request.headers
        return web.Response(body=body, headers={"ETag": '"1"'})

    address = await serve(handler)
    for _ in range(2):
        assert (await run(importer, address)).run.status is RunStatus.PARTIAL


async def test_a_shopify_shop_is_read_page_by_page(serve: Any, importer: FeedImporter, database: Database) -> None:
    asked: list[str] = []

    def product(number: int) -> dict[str, Any]:
        return {"id": number, "title": f"Candle {number}", "handle": f"c{number}", "variants": [{"price": "5.00"}]}

    async def handler(request: web.Request) -> web.Response:
        page = int(request.query["page"])
        asked.append(request.query_string)
        products = [product(page * 10 + n) for n in range(3)] if page <= 2 else []
        return web.Response(body=json.dumps({"products": products}))

    address = await serve(handler)
    report = await run(importer, address + "products.json", currency="USD")
    assert (report.run.status, report.run.counts.created) == (RunStatus.COMPLETE, 6)
    assert asked == [f"limit=250&page={page}" for page in (1, 2, 3)]
    assert await database.fetchval("SELECT count(*) FROM gifts WHERE url LIKE $1", address + "products/c%") == 6
    assert await database.fetchval("SELECT min(currency) FROM offers") == "USD"


async def test_a_page_that_fails_leaves_the_shop_incomplete(serve: Any, importer: FeedImporter) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.query["page"] == "2":
            return web.Response(status=400)
        return web.Response(body=json.dumps({"products": [{"id": 1, "title": "A", "handle": "a", "variants": []}]}))

    report = await run(importer, await serve(handler) + "products.json")
    assert (report.run.status, report.run.counts.created) == (RunStatus.PARTIAL, 1)


async def test_private_addresses_are_refused_by_default(database: Database, promotions: PromotionService) -> None:
    repository = IngestionRepository(database)
    importer = FeedImporter(IngestionService(repository), promotions, repository, Fetcher())
    with pytest.raises(FetchRefused):
        await run(importer, "http://169.254.169.254/feed.xml")
    assert await database.fetchval("SELECT count(*) FROM sources") == 0


@pytest.mark.parametrize(
    ("where", "site", "key"),
    [
        ("/data/Мои Товары.csv.gz", None, "мои_товары"),
        ("https://Shop.Example/feeds/all.yml?key=1", None, "shop.example"),
        ("goods.xml", "Ozon Shop!", "ozon_shop_"),
    ],
)
def test_a_source_has_a_key(where: str, site: str | None, key: str) -> None:
    assert ImportRequest(where, site).key() == key


@pytest.fixture
def gifty_import(
    database: Database, importer: FeedImporter, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[tuple[int, list[ImportReport]]]]:
    """Runs the command on the test's database; returns its exit code and what the hook was called with."""

    @asynccontextmanager
    async def services(_settings: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(importer=importer, database=database)

    monkeypatch.setattr(import_feed, "open_services", services)

    async def command(*given: str) -> tuple[int, list[ImportReport]]:
        parser = argparse.ArgumentParser()
        import_feed.add_parser(parser.add_subparsers())
        hooked: list[ImportReport] = []

        async def hook(_services: Any, report: ImportReport) -> None:
            hooked.append(report)

        code = await import_feed.run(parser.parse_args(["import", *given]), SimpleNamespace(), after_import=hook)
        return code, hooked

    return command


async def test_the_command_says_what_it_did(
    gifty_import: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "goods.csv"
    path.write_text("Product,Page,Cost\nЧай,https://s.example/1,1 999.50 ₽\nСыр,https://s.example/2,free\n")
    mapping = ("--map", "title=Product,url=Page,price=Cost")
    code, hooked = await gifty_import(str(path), "--site", "deli", *mapping)
    out = capsys.readouterr().out
    assert (code, len(hooked)) == (3, 1)
    assert "deli (csv): complete" in out
    assert "2 received: 1 new, 0 changed, 0 unchanged, 1 rejected; 0 retired" in out
    assert "line 3, item https://s.example/2: price is not a price: free" in out
    path.write_text("Product,Page,Cost\nЧай,https://s.example/1,1 999.50 ₽\n")
    assert (await gifty_import(str(path), "--site", "deli", *mapping))[0] == 0


async def test_the_command_ends_with_one_when_nothing_came_in(
    gifty_import: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "goods.csv"
    path.write_text("title,url,price\nСыр,https://s.example/2,free\n")
    code, _ = await gifty_import(str(path))
    assert code == 1
    assert capsys.readouterr().err == "gifty: nothing was imported: nothing in the feed could be imported\n"


async def test_the_command_refuses_a_missing_file_at_once(gifty_import: Any, tmp_path: Path) -> None:
    with pytest.raises(NotAFeed, match="no such file"):
        await gifty_import(str(tmp_path / "nope.yml"))


def test_the_command_explains_a_wrong_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    import_feed.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["import", "x.csv", "--map", "title"])
    assert "field=column" in capsys.readouterr().err
