"""The one way into the catalogue: what is stored, what stays, what is reported, what is never touched."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gifty.catalog import ingestion as module
from gifty.catalog.feeds.items import FeedOptions, NotAFeed, RawItem
from gifty.catalog.feeds.yml import yml_feed
from gifty.catalog.import_session import CHANNEL, ImportSession
from gifty.catalog.ingestion import ImportReport, IngestionService, Items, Origin
from gifty.catalog.ingestion_repository import IngestionRepository, StorageFull
from gifty.catalog.models import RunStatus
from gifty.core.database import Database
from gifty.core.errors import Conflict
from tests.fixtures.feeds import yml_chunks

SHOP = Origin("shop", "jsonl")


@pytest.fixture
def service(database: Database) -> IngestionService:
    return IngestionService(IngestionRepository(database))


def item(number: int | str, **changes: Any) -> RawItem:
    given: dict[str, Any] = {
        "external_id": str(number),
        "url": f"https://shop.example/{number}",
        "title": f"Чашка {number}",
        "price": "100.50",
        "currency": "RUB",
        "description": "Тонкий фарфор",
        "image_url": f"https://shop.example/{number}.jpg",
        "merchant": "Лавка",
        "brand": "Дулёво",
        "category": ("Дом", "Кухня"),
        "attributes": {"Цвет": "белый"},
    }
    return RawItem(**given | changes)


async def take(service: IngestionService, *items: RawItem, origin: Origin = SHOP) -> ImportReport:
    return await service.ingest(origin, Items(items))


async def gifts(database: Database) -> dict[str, Any]:
    rows = await database.fetch(
        """SELECT g.*, o.price, o.old_price, o.currency, o.available, o.active, c.name AS category
           FROM gifts g JOIN offers o ON o.gift_id = g.id LEFT JOIN categories c ON c.id = g.category_id"""
    )
    return {row["external_id"]: row for row in rows}


async def versions(database: Database) -> list[tuple[Any, ...]]:
    """Where every row of the catalogue physically is: any write shows."""
    rows = await database.fetch(
        """SELECT tableoid::regclass::text, ctid::text, xmin::text FROM gifts
           UNION ALL SELECT tableoid::regclass::text, ctid::text, xmin::text FROM offers
           UNION ALL SELECT tableoid::regclass::text, ctid::text, xmin::text FROM categories
           UNION ALL SELECT tableoid::regclass::text, ctid::text, xmin::text FROM price_history ORDER BY 1, 2"""
    )
    return [tuple(row) for row in rows]


async def test_an_item_is_stored_whole(service: IngestionService, database: Database) -> None:
    report = await take(
        service, item(1, url="HTTPS://Shop.Example/1?utm_source=x#y", price="1 999,50 ₽", old_price="2 500")
    )
    assert report.run.status is RunStatus.COMPLETE
    assert (report.run.counts.received, report.run.counts.created) == (1, 1)
    gift = (await gifts(database))["1"]
    assert gift["id"].startswith("gft_")
    assert (gift["url"], gift["title"], gift["lang"]) == ("https://shop.example/1", "Чашка 1", "ru")
    assert (gift["price"], gift["old_price"], gift["currency"]) == (Decimal("1999.50"), Decimal("2500.00"), "RUB")
    assert (gift["category"], gift["attributes"], gift["is_idea"]) == ("Кухня", {"Цвет": "белый"}, False)
    assert (
        await database.fetchval(
            "SELECT p.name FROM categories c JOIN categories p ON p.id = c.parent_id WHERE c.name = 'Кухня'"
        )
        == "Дом"
    )


async def test_the_same_again_writes_nothing(service: IngestionService, database: Database) -> None:
    items = [item(number) for number in range(50)]
    await take(service, *items)
    before = await versions(database)
    report = await take(service, *items)
    assert (report.run.counts.unchanged, report.run.counts.created, report.run.counts.changed) == (50, 0, 0)
    assert await versions(database) == before


async def test_what_means_the_same_changes_nothing_to_be_seen(service: IngestionService, database: Database) -> None:
    await take(service, item(1))
    before = (await gifts(database))["1"]
    report = await take(
        service, item(1, url="https://shop.example/1?utm_source=other", title=" Чашка  1 ", price="100,50 руб.")
    )
    assert report.run.counts.unchanged == 1
    assert dict((await gifts(database))["1"]) == dict(before)


async def test_nothing_is_wiped_that_was_not_given(service: IngestionService, database: Database) -> None:
    await take(service, item(1, available=False))
    bare = RawItem(external_id="1", url="https://shop.example/1", title="Чашка 1")
    report = await take(service, bare)
    assert report.run.counts.unchanged == 1
    gift = (await gifts(database))["1"]
    assert (gift["description"], gift["brand"], gift["merchant"], gift["category"]) == (
        "Тонкий фарфор",
        "Дулёво",
        "Лавка",
        "Кухня",
    )
    assert (gift["price"], gift["available"], gift["attributes"]) == (Decimal("100.50"), False, {"Цвет": "белый"})
    assert gift["image_url"] == "https://shop.example/1.jpg"


async def test_a_price_without_an_old_price_ends_the_sale(service: IngestionService, database: Database) -> None:
    await take(service, item(1, old_price="150"))
    await take(service, item(1))
    gift = (await gifts(database))["1"]
    assert (gift["price"], gift["old_price"]) == (Decimal("100.50"), None)


async def test_prices_are_remembered_only_when_they_change(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2))
    await take(service, item(1, price="90"), item(2, title="Другая чашка"))
    await take(service, item(1, price="95"), item(2))
    rows = await database.fetch(
        "SELECT g.external_id, h.price FROM price_history h JOIN gifts g ON g.id = h.gift_id ORDER BY observed_at"
    )
    assert [tuple(row) for row in rows] == [("1", Decimal("100.50")), ("1", Decimal("90.00")), ("1", Decimal("95.00"))]


async def test_only_content_moves_the_content_hash(service: IngestionService, database: Database) -> None:
    await take(service, item(1))
    before = (await gifts(database))["1"]
    await take(service, item(1, price="90", image_url="https://shop.example/new.jpg", available=False))
    repriced = (await gifts(database))["1"]
    assert repriced["content_hash"] == before["content_hash"]
    await take(service, item(1, price="90", title="Кружка 1"))
    assert (await gifts(database))["1"]["content_hash"] != before["content_hash"]


async def test_bad_items_are_reported_and_the_others_stored(service: IngestionService, database: Database) -> None:
    report = await take(
        service,
        item(1),
        item(2, price="free"),
        item(3, url=None),
        item(4, title="<b> </b>"),
        item(5, price="-5"),
        item(6, price="NaN"),
        item(7, currency="рублей за штуку"),
        item(8, url="javascript:alert(1)"),
        item("9" * 300),
        item(10, price=None),
        item(11, image_url="not a link", old_price="free"),
        item(12, title="\ud800\0Чай"),
    )
    assert set(await gifts(database)) == {"1", "10", "11", "12"}
    assert [(reject.external_id, reject.field) for reject in report.rejects] == [
        ("2", "price"),
        ("3", "url"),
        ("4", "title"),
        ("5", "price"),
        ("6", "price"),
        ("7", "currency"),
        ("8", "url"),
        ("9" * 200, "external_id"),
    ]
    assert (report.rejects[0].line, report.rejects[0].reason, report.rejects[0].excerpt) == (
        2,
        "is not a price",
        "free",
    )
    assert (report.run.counts.rejected, report.run.counts.created) == (8, 4)
    assert report.run.status is RunStatus.COMPLETE
    kept = await IngestionRepository(database).rejects(report.run.id)
    assert kept == list(report.rejects)


async def test_two_items_with_one_link_or_one_id(service: IngestionService, database: Database) -> None:
    report = await take(
        service,
        item(1),
        item(2, url="https://shop.example/1?utm_source=b"),
        item(1, url="https://shop.example/9"),
        item(3),
    )
    assert set(await gifts(database)) == {"1", "3"}
    assert [(reject.external_id, reject.field, reject.reason) for reject in report.rejects] == [
        ("1", "repeated", "has the same id as an earlier item"),
        ("2", "repeated", "has the same link as item 1"),
    ]


async def test_repeats_are_found_across_batches(
    service: IngestionService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    items = [item(1), item(2), item(3), item(1), item(4, url="https://shop.example/2"), item(5), item(3, title="Иная")]
    for _ in range(2):
        report = await take(service, *items)
        assert report.run.counts.rejected == 3
        assert set(await gifts(database)) == {"1", "2", "3", "5"}
    assert report.run.counts.unchanged == 4


async def test_a_renumbered_item_keeps_its_gift(service: IngestionService, database: Database) -> None:
    await take(service, item(1))
    before = (await gifts(database))["1"]["id"]
    report = await take(service, item("new-1", url="https://shop.example/1"))
    assert report.run.counts.created == 0
    assert {key: gift["id"] for key, gift in (await gifts(database)).items()} == {"new-1": before}


async def test_items_may_swap_their_links(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2), item(3))
    before = {key: gift["id"] for key, gift in (await gifts(database)).items()}
    await take(service, item(1, url="https://shop.example/2"), item(2, url="https://shop.example/1"), item(3))
    after = await gifts(database)
    assert {key: gift["id"] for key, gift in after.items()} == before
    assert (after["1"]["url"], after["2"]["url"]) == ("https://shop.example/2", "https://shop.example/1")


async def test_a_link_taken_over_leaves_the_other_gift_a_link_of_its_own(
    service: IngestionService, database: Database
) -> None:
    await take(service, item(1), item(2))
    await take(service, item(1, url="https://shop.example/2"))
    after = await gifts(database)
    assert after["1"]["url"] == "https://shop.example/2"
    assert after["2"]["url"] == f"https://shop.example/2#{after['2']['id']}"
    assert not after["2"]["active"]


async def test_missing_items_are_retired_and_come_back(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2), item(3))
    report = await take(service, item(1))
    assert report.run.counts.retired == 2
    assert {key: gift["active"] for key, gift in (await gifts(database)).items()} == {"1": True, "2": False, "3": False}
    report = await take(service, item(1), item(2))
    assert (report.run.counts.changed, report.run.counts.unchanged, report.run.counts.retired) == (1, 1, 0)
    assert (await gifts(database))["2"]["active"]


async def test_an_item_that_could_not_be_read_is_not_missing(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2))
    await take(service, item(1), item(2, price="free"))
    assert (await gifts(database))["2"]["active"]


async def test_an_incomplete_feed_retires_nothing(service: IngestionService, database: Database) -> None:
    text = b"".join(yml_chunks(20))
    await service.ingest(SHOP, yml_feed(BytesIO(text), FeedOptions()))
    cut = text[: text.index(b'<offer id="10"')]
    report = await service.ingest(SHOP, yml_feed(BytesIO(cut), FeedOptions()))
    assert report.run.status is RunStatus.PARTIAL
    assert report.run.error == "incomplete: the feed ends in the middle"
    assert (report.run.counts.unchanged, report.run.counts.retired) == (10, 0)
    assert all(gift["active"] for gift in (await gifts(database)).values())


async def test_an_item_without_a_readable_id_keeps_all_others(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2))
    report = await take(service, item(1), RawItem(title="Чашка 2"))
    assert (report.run.status, report.run.counts.retired) == (RunStatus.PARTIAL, 0)


async def test_an_empty_feed_retires_nothing(service: IngestionService, database: Database) -> None:
    await take(service, item(1))
    report = await take(service)
    assert (report.run.status, report.run.counts.retired) == (RunStatus.FAILED, 0)
    assert (await gifts(database))["1"]["active"]


async def test_some_items_of_a_source_retire_nothing(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2))
    report = await take(service, item(1), origin=Origin("shop", "jsonl", is_whole=False))
    assert report.run.counts.retired == 0


async def test_other_sources_are_never_touched(service: IngestionService, database: Database) -> None:
    await take(service, item(1), item(2))
    await take(service, item(1, title="Другая"), origin=Origin("other", "jsonl"))
    rows = await database.fetch(
        """SELECT s.site_key, g.title, o.active
           FROM gifts g JOIN sources s ON s.id = g.source_id JOIN offers o ON o.gift_id = g.id ORDER BY 1, 2"""
    )
    assert [tuple(row) for row in rows] == [
        ("other", "Другая", True),
        ("shop", "Чашка 1", True),
        ("shop", "Чашка 2", True),
    ]


async def test_who_waits_for_the_catalogue_is_told(service: IngestionService, database: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(*notice: Any) -> None:
        heard.put_nowait(notice[3])

    async with database.acquire() as connection:
        await connection.add_listener(CHANNEL, hear)
        report = await take(service, item(1))
        assert await asyncio.wait_for(heard.get(), 5) == f'{{"source":{report.source.id}}}'
        await take(service, item(1))
        await connection.execute("SELECT 1")
        assert heard.empty()
        await connection.remove_listener(CHANNEL, hear)


async def test_one_source_is_imported_once_at_a_time(service: IngestionService, database: Database) -> None:
    repository = IngestionRepository(database)
    source = await repository.put_source("shop", "shop", "jsonl", None)
    async with repository.session(source):
        with pytest.raises(Conflict, match="imported already"):
            await take(service, item(1))
    assert (await take(service, item(1))).run.status is RunStatus.COMPLETE


async def test_a_refused_feed_is_on_record(service: IngestionService, database: Database) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><yml_catalog/>'
    with pytest.raises(NotAFeed):
        await service.ingest(SHOP, yml_feed(BytesIO(bomb), FeedOptions()))
    row = await database.fetchrow("SELECT status, error FROM import_runs")
    assert row is not None
    assert (row["status"], "DTD" in row["error"]) == ("failed", True)


async def test_an_interrupted_import_keeps_whole_batches_and_says_so(
    service: IngestionService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 10)
    stored = asyncio.Event()
    merges = 0
    merge = ImportSession.merge

    async def third_time_waits(session: ImportSession, items: Sequence[Any], *, are_ideas: bool) -> tuple[int, int]:
        nonlocal merges
        merges += 1
        counts = await merge(session, items, are_ideas=are_ideas)
        if merges == 3:
            stored.set()
            await asyncio.Event().wait()
        return counts

    monkeypatch.setattr(ImportSession, "merge", third_time_waits)
    task = asyncio.create_task(take(service, *(item(number) for number in range(100))))
    await stored.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await gifts(database)) == 20
    row = await database.fetchrow("SELECT status, error, created FROM import_runs")
    assert row is not None
    assert tuple(row) == ("failed", "interrupted", 20)
    monkeypatch.setattr(ImportSession, "merge", merge)
    assert (await take(service, *(item(number) for number in range(100)))).run.counts.created == 80


async def test_a_full_disk_stores_no_half_batch(
    service: IngestionService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = ImportSession.merge

    async def full(session: ImportSession, items: Sequence[Any], *, are_ideas: bool) -> tuple[int, int]:
        await merge(session, items, are_ideas=are_ideas)
        raise asyncpg.DiskFullError("could not extend file")

    monkeypatch.setattr(ImportSession, "merge", full)
    with pytest.raises(StorageFull, match="disk of the database is full"):
        await take(service, item(1))
    assert not await gifts(database)
    assert await database.fetchval("SELECT status FROM import_runs") == "failed"
    monkeypatch.setattr(ImportSession, "merge", merge)
    assert (await take(service, item(1))).run.counts.created == 1


@pytest.fixture
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on a disk of 4 MB that every user may enter."""
    folder = tmp_path_factory.mktemp("small", numbered=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    for parent in folder.parents:
        with contextlib.suppress(PermissionError):
            parent.chmod(parent.stat().st_mode | 0o011)
    yield folder
    subprocess.run(["umount", folder], check=False)


@pytest.fixture
async def small_disk(database: Database, small_folder: Path) -> AsyncIterator[str]:
    """A tablespace on that disk."""
    server = await asyncio.to_thread(os.stat, await database.fetchval("SHOW data_directory"))
    os.chown(small_folder, server.st_uid, server.st_gid)
    name = f"small_{small_folder.name}"
    await database.execute(f"CREATE TABLESPACE {name} LOCATION '{small_folder}'")
    yield name
    await database.execute("ALTER TABLE gifts SET TABLESPACE pg_default")
    await database.execute(f"DROP TABLESPACE {name}")


async def test_a_disk_that_is_really_full(service: IngestionService, database: Database, small_disk: str) -> None:
    await database.execute(f"ALTER TABLE gifts SET TABLESPACE {small_disk}")
    with pytest.raises(StorageFull, match="disk of the database is full"):
        await service.ingest(SHOP, yml_feed(BytesIO(b"".join(yml_chunks(6_000))), FeedOptions()))
    row = await database.fetchrow(
        """SELECT status, created, (SELECT count(*) FROM gifts) AS gifts, (SELECT count(*) FROM offers) AS offers
           FROM import_runs"""
    )
    assert row is not None
    assert row["status"] == "failed"
    assert row["created"] == row["gifts"] == row["offers"]
    assert row["gifts"] < 6_000


ITEMS = st.lists(
    st.builds(
        item,
        st.integers(1, 6),
        url=st.none() | st.integers(1, 6).map(lambda n: f"https://shop.example/{n}"),
        price=st.sampled_from(["1", "2", "free", "", None]),
        title=st.sampled_from(["Чай", "Кофе", ""]) | st.text(max_size=5),
        category=st.sampled_from([(), ("Дом",), ("Дом", "Кухня"), ("Кухня", "Дом")]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(earlier=ITEMS, items=ITEMS)
async def test_taking_the_same_in_twice_changes_nothing(
    service: IngestionService, database: Database, earlier: list[RawItem], items: list[RawItem]
) -> None:
    await take(service, *earlier)
    first = await take(service, *items)
    before = await versions(database)
    again = await take(service, *items)
    assert await versions(database) == before
    assert (again.run.counts.created, again.run.counts.changed, again.run.counts.retired) == (0, 0, 0)
    assert again.run.counts.rejected == first.run.counts.rejected


async def test_the_loop_goes_on_while_a_feed_is_read(service: IngestionService) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    beating = asyncio.create_task(beat())
    await service.ingest(SHOP, yml_feed(BytesIO(b"".join(yml_chunks(3_000))), FeedOptions()))
    beating.cancel()
    assert beats > 20
