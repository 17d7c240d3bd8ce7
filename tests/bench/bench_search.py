"""Search over 100,000 gifts: latency at a steady rate, throughput beside bare SQL, recall, the embedder's speed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import random
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import uvloop
from aiohttp import web

from gifty.catalog import api
from gifty.catalog.embeddings import GiftText, LocalEmbedder, OntologyConcepts
from gifty.catalog.gifts import GiftService
from gifty.catalog.gifts_repository import GiftsRepository
from gifty.catalog.query import Planner, QueryReader, depth_for
from gifty.catalog.search_models import GiftFilter, Sort, Space
from gifty.catalog.search_repository import SEARCH_SETTINGS
from gifty.catalog.search_sql import Question, listing
from gifty.core.clock import SystemClock
from gifty.core.database import Database
from gifty.core.embedded import EmbeddedPostgres
from gifty.core.http import HttpSettings, Readiness, Runner, install
from gifty.core.logs import logging_to
from gifty.core.metrics import Metrics
from gifty.core.migrations import migrate
from gifty.core.pagination import Cursors
from gifty.ontology.loader import load_ontology
from tests.fixtures.search import LANGUAGE, Catalogue
from tests.fixtures.synthetic import THINGS, made_gifts

GIFTS: Final = 100_000
RATE: Final = 300
SECONDS: Final = 8
CONNECTIONS: Final = 8
_READY_SECONDS: Final = 30.0
_SERVER: Final = {"shared_buffers": "512MB", "maintenance_work_mem": "512MB", "max_wal_size": "4GB"}


def run() -> list[dict[str, Any]]:
    """Fills a database of its own and measures on it; about three minutes."""
    with tempfile.TemporaryDirectory(prefix="gifty-bench-") as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> list[dict[str, Any]]:
    rows = [_embedder()]
    async with EmbeddedPostgres(folder, _SERVER) as server:
        await migrate(server.dsn)
        async with _catalogue(server.dsn) as catalogue:
            await _fill(catalogue)
            rows += await _recall(catalogue)
            questions = _questions(1_500)
            with _served(server.dsn) as address:
                await _asked(address, questions, RATE / 3)
                rows.append(_latency("with price and category filters", await _asked(address, questions, RATE)))
                rows.append(await _beside_sql(server.dsn, address, catalogue, questions))
                rows.append(await _while_embedding(catalogue, address, questions))
    return rows


def _row(name: str, value: float, unit: str, goal: str, baseline: float | None = None, of: str = "") -> dict[str, Any]:
    ratio = None if baseline is None else round(value / baseline, 3)
    return {
        "name": f"Search: {name}", "value": round(value, 3), "unit": unit, "baseline": baseline, "baseline_name": of,
        "ratio": ratio, "goal": goal,
    }  # fmt: skip


def _embedder() -> dict[str, Any]:
    """New titles all the time, so that the words must be learned too."""
    ontology = load_ontology()
    embedder = LocalEmbedder(ontology.language, OntologyConcepts(ontology))
    texts = [GiftText(gift.title, gift.description, gift.category) for gift in made_gifts(6_000, seed=2)]
    began = time.process_time()
    embedder.gift_vectors(texts)
    return _row(
        "gifts embedded, computed on one core", len(texts) / (time.process_time() - began), "gifts/s", ">= 5000"
    )


@contextlib.asynccontextmanager
async def _catalogue(dsn: str) -> AsyncIterator[Catalogue]:
    database = await Database.open(dsn, server_settings=SEARCH_SETTINGS)
    ontology = load_ontology()
    embedder = LocalEmbedder(ontology.language, OntologyConcepts(ontology))
    catalogue = Catalogue(database, embedder=embedder)
    try:
        yield catalogue
    finally:
        await catalogue.search.aclose()
        await database.close()


async def _fill(catalogue: Catalogue) -> None:
    await catalogue.embedding.prepare()
    made = made_gifts(GIFTS)
    while part := list(itertools.islice(made, 5_000)):
        await catalogue.store(part)
    await catalogue.embedding.catch_up()
    await catalogue.database.execute("VACUUM ANALYZE")


def _wanted(random_: random.Random) -> tuple[str, GiftFilter]:
    """What a visitor asks: a thing with or without a quality, in a category, within a price."""
    category = random_.choice(list(THINGS))
    fitting = category if random_.random() < 0.85 else random_.choice(list(THINGS))
    words = random_.choice(THINGS[fitting])
    query = random_.choice(["", "подарок ", "деревянный ", "для мамы ", "тёплый "]) + words
    low = random_.choice([None, Decimal(random_.randrange(100, 1500, 50))])
    high = Decimal(random_.randrange(1600, 9000, 100))
    return query, GiftFilter(category=category, min_price=low, max_price=high)


def _questions(count: int) -> list[tuple[str, GiftFilter]]:
    random_ = random.Random(7)
    return [_wanted(random_) for _ in range(count)]


async def _recall(catalogue: Catalogue) -> list[dict[str, Any]]:
    space = await catalogue.embedding.serving()
    prices = sorted(gift.price for gift in made_gifts(GIFTS))
    rows = []
    for name, share in (("no filter", 1.0), ("half of the gifts", 0.5), ("a tenth of the gifts", 0.1)):
        where = GiftFilter(max_price=None if share == 1 else Decimal(str(prices[int(GIFTS * share)])))
        scan = Planner().scan(space, await catalogue.repository.census(space), where, None, depth_for(20))
        hits: list[float] = []
        for query, _ in _questions(60):
            vector = await catalogue.embedder.embed_query(query)
            exact = await catalogue.repository.nearest(space, where, None, vector, 10, None)
            found = await catalogue.repository.nearest(space, where, None, vector, depth_for(20), scan)
            # Made-up gifts are often equally near; any of those is as right as another.
            hits.append(sum(cosine >= exact[-1][1] - 1e-4 for _, cosine in found[:10]) / 10)
        rows.append(_row(f"recall@10 of HNSW, {name}", statistics.mean(hits), "", ">= 0.98"))
    return rows


def _latency(name: str, seconds: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2] * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3
    return _row(f"GET /api/gifts {name}, p99 at {RATE}/s (p50 {p50:.1f} ms)", p99, "ms", "<= 40")


def _address(address: str, question: tuple[str, GiftFilter]) -> str:
    query, where = question
    given = {"query": query, "category": where.category, "min_price": where.min_price, "max_price": where.max_price}
    return f"{address}/api/gifts?{urlencode({name: value for name, value in given.items() if value is not None})}"


async def _asked(address: str, questions: Sequence[tuple[str, GiftFilter]], rate: float) -> list[float]:
    """Seconds from when each request was due (not from when it could be sent) to its answer."""
    took: list[float] = []
    count = min(int(rate * SECONDS), 20_000)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:

        async def ask(url: str, due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            async with session.get(url) as response:
                body = await response.read()
                if response.status != 200:
                    raise RuntimeError(body.decode())
            took.append(time.monotonic() - due)

        begin = time.monotonic() + 0.1
        due = (begin + number / rate for number in range(count))
        listed = itertools.islice(itertools.cycle(questions), count)
        await asyncio.gather(*(ask(_address(address, question), at) for question, at in zip(listed, due, strict=True)))
    return took


async def _beside_sql(
    dsn: str, address: str, catalogue: Catalogue, questions: Sequence[tuple[str, GiftFilter]]
) -> dict[str, Any]:
    statements = [await _statement(catalogue, question) for question in questions]
    database = await Database.open(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=SEARCH_SETTINGS)
    api_rates, sql_rates = [], []
    async with aiohttp.ClientSession() as session:

        async def over_http(number: int) -> None:
            async with session.get(_address(address, questions[number])) as response:
                await response.read()

        async def bare(number: int) -> None:
            statement, arguments = statements[number]
            await database.fetch(statement, *arguments)

        await _rate(bare, len(questions))
        for _ in range(3):
            sql_rates.append(await _rate(bare, len(questions)))
            api_rates.append(await _rate(over_http, len(questions)))
    await database.close()
    sql, http = statistics.median(sql_rates), statistics.median(api_rates)
    return _row("GET /api/gifts, throughput", http, "requests/s", ">= 0.6", round(sql, 1), "its bare SQL")


async def _rate(ask: Any, count: int) -> float:
    numbers = itertools.cycle(range(count))
    done, until = 0, time.monotonic() + 3

    async def client() -> None:
        nonlocal done
        while time.monotonic() < until:
            await ask(next(numbers))
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return done / (time.monotonic() - began)


async def _statement(catalogue: Catalogue, question: tuple[str, GiftFilter]) -> tuple[str, list[Any]]:
    query, where = question
    space: Space = await catalogue.search._serving()
    census = await catalogue.search._counts(space)
    reader = QueryReader(LANGUAGE)
    ids = census.category_ids(where.category or "")
    return listing(
        Question(
            space=space, where=where, category_ids=ids, words=reader.words(query),
            vector=await catalogue.embedder.embed_query(query),
            scan=Planner().scan(space, census, where, ids, depth_for(20)),
            sort=Sort.RELEVANCE, depth=depth_for(20), limit=20, after=None,
        )
    )  # fmt: skip


async def _while_embedding(
    catalogue: Catalogue, address: str, questions: Sequence[tuple[str, GiftFilter]]
) -> dict[str, Any]:
    """2,000 new gifts come in: embedded, searchable at once, and moved under HNSW half of the time."""
    await catalogue.store(list(made_gifts(2_000, seed=3)))

    async def keep_up() -> None:
        while True:
            began = time.monotonic()
            more = await catalogue.embedding.advance()
            await asyncio.sleep(min(time.monotonic() - began, 1.0) if more else 1.0)

    working = asyncio.create_task(keep_up())
    took = await _asked(address, questions, RATE / 3)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    ordered = sorted(took)
    return _row(
        "GET /api/gifts, p99 at 100/s while 2,000 new gifts are embedded",
        ordered[int(len(ordered) * 0.99)] * 1e3,
        "ms",
        "",
    )


async def _start(dsn: str, port: int) -> None:
    """The catalogue's endpoints behind the whole HTTP core."""
    database = await Database.open(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=SEARCH_SETTINGS)
    ontology = load_ontology()
    catalogue = Catalogue(database, embedder=LocalEmbedder(ontology.language, OntologyConcepts(ontology)))
    clock = SystemClock()
    app = web.Application()
    settings = HttpSettings(
        secret_key=b"0" * 32, internal_token="1" * 32, production=False, public_url=f"http://127.0.0.1:{port}",
        cors_origins=(), trusted_proxies=(), rate_limit=False, rate_limit_store="memory",
    )  # fmt: skip
    install(app, routes=api.routes, settings=settings, clock=clock, metrics=Metrics(), readiness=Readiness(clock))
    app[api.SEARCH] = catalogue.search
    app[api.GIFTS] = GiftService(GiftsRepository(database), catalogue.embedding)
    app[api.CURSORS] = Cursors(b"0" * 32, api.CURSOR_PURPOSE)
    await catalogue.search.warm_up()
    runner = Runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


def _serve(dsn: str, port: int) -> None:
    async def main() -> None:
        await _start(dsn, port)
        await asyncio.Event().wait()

    with Path("/dev/null").open("w") as nowhere, logging_to(nowhere):
        uvloop.run(main())


@contextlib.contextmanager
def _served(dsn: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(dsn, port), daemon=True)
    process.start()
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    for row in run():
        print(row)
