"""Ingestion from a YML file to rows, beside a bare COPY of the same rows into the same tables; and its memory.

Reading (Python) and storing (PostgreSQL) work at the same time, so with a core for each the busier one sets the pace:
its processor time tells the rate also when the machine is busy with other things.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Cost:
    """What an import of all offers took, in seconds: by the clock, of the busier side's processor, and of a block."""

    taken: float
    busy: float
    blocked: float


def run() -> list[dict[str, Any]]:
    """Rows of the benchmark table."""
    with tempfile.TemporaryDirectory(prefix="gifty-bench-") as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> list[dict[str, Any]]:
    async with EmbeddedPostgres(folder / "home") as server:
        await migrate(server.dsn)
        database = await Database.open(server.dsn)
        # With a space of vectors every new gift also gets the row that search filters by.
        await database.execute(
            "INSERT INTO embedding_spaces (model, version, dimensions, serving) VALUES ('bench', 1, 384, true)"
        )
        try:
            memory = await _memory(database, folder)  # first, while nothing is warm that would hide the growth
            await database.execute("TRUNCATE gifts CASCADE")
            return [*await _rates(database, folder), memory]
        finally:
            await database.close()


async def _rates(database: Database, folder: Path) -> list[dict[str, Any]]:
    path = write_yml(folder / "feed.yml", OFFERS)
    repriced = write_yml(folder / "repriced.yml", OFFERS, price_change=1)
    new = await _ingest(database, path, "shop")
    rounds = [await _ingest(database, path, "shop") for _ in range(ROUNDS)]
    unchanged = sorted(rounds, key=lambda cost: cost.taken)[ROUNDS // 2]
    changed = await _ingest(database, repriced, "shop")
    copied = OFFERS / await _copy_back(database)
    return [
        *_rows("offers from YML, all new", new, copied, 10_000),
        *_rows("offers from YML, all unchanged", unchanged, copied, 30_000),
        *_rows("offers from YML, all repriced", changed, copied, None),
        _blocked(max(cost.blocked for cost in (new, *rounds, changed))),
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


def _rows(name: str, cost: Cost, copied: float, goal: int | None) -> list[dict[str, Any]]:
    return [
        _row(name, OFFERS / cost.taken, copied, goal),
        _row(f"{name}, by the processor time of the busier side", OFFERS / cost.busy, copied, goal),
    ]


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


def _blocked(seconds: float) -> dict[str, Any]:
    return {
        "name": "longest block of the loop while importing",
        "value": seconds * 1e3,
        "unit": "ms",
        "baseline": None,
        "baseline_name": None,
        "ratio": None,
        "goal": "at most 50 ms",
    }


async def _ingest(database: Database, path: Path, site_key: str) -> Cost:
    """From opening the file to the end of the run."""
    service = IngestionService(IngestionRepository(database))
    blocks: list[float] = []
    watcher = asyncio.create_task(_watch_loop(blocks))
    server, own, started = await _server_seconds(database), time.process_time(), time.perf_counter()
    with FeedFile(path) as file:
        report = await service.ingest(Origin(site_key, "yml"), open_feed(file, "yml", FeedOptions()))
    taken, own = time.perf_counter() - started, time.process_time() - own
    server = await _server_seconds(database) - server
    watcher.cancel()
    counts = report.run.counts
    if counts.rejected or counts.created + counts.changed + counts.unchanged != counts.received:
        raise RuntimeError(f"the benchmark's feed was not taken in whole: {report.run}")
    return Cost(taken, max(own, server), max(blocks))


async def _watch_loop(blocks: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        blocks.append(time.perf_counter() - before - 0.005)


async def _server_seconds(database: Database) -> float:
    """Processor time of the server and all its processes, those that ended too."""
    backend: int = await database.fetchval("SELECT pg_backend_pid()")
    return _family_seconds(int(_stat(backend)[1]))


def _family_seconds(parent: int) -> float:
    ticks = sum(map(int, _stat(parent)[11:15]))
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = _stat(int(entry.name))
            if int(stat[1]) == parent:
                ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ... and from 11 on the processor times."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


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
