"""Ingestion from a YML file to rows, beside a bare COPY of the same rows into the same tables; and its memory."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gifty.catalog.feeds.detect import FeedFile, open_feed
from gifty.catalog.feeds.items import FeedOptions
from gifty.catalog.ingestion import IngestionService, Origin
from gifty.catalog.ingestion_repository import IngestionRepository
from gifty.core.database import Database
from gifty.core.embedded import EmbeddedPostgres
from gifty.core.migrations import migrate
from tests.fixtures.feeds import write_yml

OFFERS: Final = 100_000
LARGE_OFFERS: Final = 180_000
ROUNDS: Final = 3
_GIFTS: Final = (
    "id", "source_id", "external_id", "url", "title", "description", "image_url", "merchant", "brand", "category_id",
    "lang", "attributes", "is_idea",
)  # fmt: skip
_OFFERS: Final = ("gift_id", "price", "currency", "old_price", "available", "active", "item_hash")


def run() -> list[dict[str, Any]]:
    """Rows of the benchmark table."""
    with tempfile.TemporaryDirectory(prefix="gifty-bench-") as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> list[dict[str, Any]]:
    async with EmbeddedPostgres(folder / "home") as server:
        await migrate(server.dsn)
        database = await Database.open(server.dsn)
        try:
            memory = await _memory(database, folder)  # first, while nothing is warm that would hide the growth
            await database.execute("TRUNCATE gifts CASCADE")
            return [*await _rates(database, folder), memory]
        finally:
            await database.close()


async def _rates(database: Database, folder: Path) -> list[dict[str, Any]]:
    path = write_yml(folder / "feed.yml", OFFERS)
    repriced = write_yml(folder / "repriced.yml", OFFERS, price_change=1)
    new = OFFERS / await _ingest(database, path, "shop")
    unchanged = statistics.median([OFFERS / await _ingest(database, path, "shop") for _ in range(ROUNDS)])
    changed = OFFERS / await _ingest(database, repriced, "shop")
    copied = OFFERS / await _copy_back(database)
    return [
        _row("offers from YML, all new", new, copied, 10_000),
        _row("offers from YML, all unchanged", unchanged, copied, 30_000),
        _row("offers from YML, all repriced", changed, copied, None),
    ]


async def _memory(database: Database, folder: Path) -> dict[str, Any]:
    path = write_yml(folder / "large.yml", LARGE_OFFERS, seed=2)
    size = path.stat().st_size / 1e6
    with _peak() as peak:
        await _ingest(database, path, "large")
    return {
        "name": f"memory growth over a feed of {size:.0f} MB",
        "value": peak[0],
        "unit": "MB",
        "baseline": size,
        "baseline_name": "size of the feed, MB",
        "ratio": peak[0] / size,
        "goal": "at most 64 MB",
    }


def _row(name: str, rate: float, copied: float, goal: int | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": rate,
        "unit": "offers/s",
        "baseline": copied,
        "baseline_name": "bare COPY of the same rows",
        "ratio": rate / copied,
        "goal": f"{goal:,} offers/s" if goal else None,
    }


async def _ingest(database: Database, path: Path, site_key: str) -> float:
    """Seconds from opening the file to the end of the run."""
    service = IngestionService(IngestionRepository(database))
    started = time.perf_counter()
    with FeedFile(path) as file:
        report = await service.ingest(Origin(site_key, "yml"), open_feed(file, "yml", FeedOptions()))
    taken = time.perf_counter() - started
    counts = report.run.counts
    if counts.rejected or counts.created + counts.changed + counts.unchanged != counts.received:
        raise RuntimeError(f"the benchmark's feed was not taken in whole: {report.run}")
    return taken


async def _copy_back(database: Database) -> float:
    """Seconds to COPY all gifts and offers, with their indexes and generated columns, into the emptied tables."""
    gifts = [tuple(row) for row in await database.fetch(f"SELECT {', '.join(_GIFTS)} FROM gifts", timeout=300)]
    offers = [tuple(row) for row in await database.fetch(f"SELECT {', '.join(_OFFERS)} FROM offers", timeout=300)]
    await database.execute("TRUNCATE gifts CASCADE")
    started = time.perf_counter()
    async with database.transaction() as connection:
        await connection.copy_records_to_table("gifts", columns=_GIFTS, records=gifts, timeout=300)
        await connection.copy_records_to_table("offers", columns=_OFFERS, records=offers, timeout=300)
    return time.perf_counter() - started


@contextmanager
def _peak() -> Iterator[list[float]]:
    """The growth of this process's resident memory, in MB, at its highest."""
    before = _resident()
    grown = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            grown[0] = max(grown[0], _resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield grown
    finally:
        done.set()
        watcher.join()


def _resident() -> float:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    for row in run():
        print(row)
