"""The two main routes over 100,000 gifts, through the running process, at 300 requests a second."""

from __future__ import annotations

import asyncio
import csv
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiohttp
import psutil

from tests.fixtures.synthetic import THINGS, made_gifts

GIFTS: Final = 100_000
RATE: Final = 300
SECONDS: Final = 10.0
WARM_UP: Final = 300
INTERESTS: Final = (
    "кофе",
    "рыбалка",
    "йога",
    "игры",
    "сад",
    "кулинария",
    "путешествия",
    "музыка",
    "бег",
    "чтение",
    "уют",
    "авто",
)
RELATIONS: Final = ("partner", "friend", "parent", "colleague", "boss", "child", "relative")

Ask: TypeAlias = Callable[[aiohttp.ClientSession, int], Awaitable[int]]


def run() -> list[dict[str, Any]]:
    """Rows for the table of benchmarks."""
    return asyncio.run(_measure())


async def _measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        await _gifty(home, "import", str(_feed(home)), "--site", "bench")
        began = time.monotonic()
        async with _serving(home) as (address, process):
            ready = time.monotonic() - began
            idle = psutil.Process(process.pid).memory_info().rss / (1 << 20)
            async with aiohttp.ClientSession(address) as session:
                rows = [
                    await _paced("GET /api/gifts", session, _search),
                    await _paced("POST generate", session, _recommend),
                ]
    return [
        *rows,
        _row("ready after a warm start", ready, "s", "<= 3 s"),
        _row("memory, idle, 100,000 gifts", idle, "MB", "<= 150 MB"),
    ]


def _row(name: str, value: float, unit: str, goal: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "baseline": None,
        "baseline_name": None,
        "ratio": None,
        "goal": goal,
    }


def _feed(home: Path) -> Path:
    path = home / "bench.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "title", "description", "category", "price", "url"))
        for gift in made_gifts(GIFTS):
            link = f"https://shop.example/{gift.gift_id}"
            rows.writerow((gift.gift_id, gift.title, gift.description, gift.category, gift.price, link))
    return path


def _environ(home: Path) -> dict[str, str]:
    return {**os.environ, "GIFTY_HOME": str(home / "home"), "GIFTY_RATE_LIMIT": "off", "PYTHONUNBUFFERED": "1"}


async def _gifty(home: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gifty", *arguments, env=_environ(home), stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"gifty {arguments[0]} failed")


@asynccontextmanager
async def _serving(home: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifty", "serve", "--port", "0"),
        env=_environ(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout
    try:
        while not (match := re.search(rb"http://[^\s/]+", await process.stdout.readline())):
            pass
        yield match[0].decode(), process
    finally:
        process.terminate()
        await process.wait()


async def _search(session: aiohttp.ClientSession, number: int) -> int:
    random_ = random.Random(number)
    category = random_.choice(list(THINGS))
    low = random_.choice((0, 300, 800, 1500))
    params = {
        "category": category,
        "min_price": str(low),
        "max_price": str(low * 2 + random_.choice((900, 2500, 6000))),
    }
    if number % 4:
        params["query"] = random_.choice(THINGS[category])
    async with session.get("/api/v1/gifts", params=params) as answer:
        await answer.read()
        return answer.status


async def _recommend(session: aiohttp.ClientSession, number: int) -> int:
    random_ = random.Random(number)
    quiz = {
        "recipient_age": random_.randint(16, 75),
        "relationship": random_.choice(RELATIONS),
        "interests": ", ".join(random_.sample(INTERESTS, 2)),
        "budget": random_.choice((1000, 2500, 5000, 12000)),
        "constraints": {"min_price": 300, "exclude_categories": [random_.choice(list(THINGS))]},
    }
    async with session.post("/api/v1/recommendations/generate", json=quiz) as answer:
        await answer.read()
        return answer.status


async def _paced(name: str, session: aiohttp.ClientSession, ask: Ask) -> dict[str, Any]:
    """Sends at the rate whatever comes back, so that a slow answer delays no other request; latencies in ms."""
    for number in range(WARM_UP):
        await ask(session, number)
    latencies: list[float] = []
    failures: list[int] = []

    async def one(number: int, due: float) -> None:
        status = await ask(session, number)
        latencies.append((time.monotonic() - due) * 1000)
        if status != 200:
            failures.append(status)

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(RATE * SECONDS)):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(one(WARM_UP + number, due))
    if failures:
        raise RuntimeError(f"{name}: {len(failures)} answers failed, the first with {failures[0]}")
    cuts = statistics.quantiles(latencies, n=100)
    return _row(f"{name}, p99 at {RATE}/s (p50 {cuts[49]:.1f} ms)", cuts[98], "ms", "<= 40 ms")
