"""How much an actor costs over a bare queue: tell, ask and restart, measured in one run on one loop."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from actors.runtime import Actor, ActorSystem, Ask, Backoff, ChildSpec, Ref, Supervision, handles

MESSAGES = 100_000
QUESTIONS = 10_000
RESTARTS = 200
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Count:
    """One message more."""


@dataclass(frozen=True, slots=True)
class Counted(Ask[int]):
    """How many messages so far?"""


@dataclass(frozen=True, slots=True)
class Crash:
    """Fail."""


class Counter(Actor):
    """Counts, answers, and fails on request."""

    def __init__(self) -> None:
        self.count = 0

    @handles(Count)
    async def on_count(self, _: Count) -> None:
        self.count += 1

    @handles(Counted)
    async def on_counted(self, _: Counted) -> int:
        return self.count

    @handles(Crash)
    async def on_crash(self, _: Crash) -> None:
        raise RuntimeError


async def seconds_of(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def queue_throughput() -> None:
    queue: asyncio.Queue[Count] = asyncio.Queue(1024)
    message = Count()

    async def produce() -> None:
        for _ in range(MESSAGES):
            await queue.put(message)

    async def consume() -> None:
        for _ in range(MESSAGES):
            await queue.get()

    await asyncio.gather(produce(), consume())


async def queue_round_trips() -> None:
    questions: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue(1024)

    async def reply() -> None:
        for _ in range(QUESTIONS):
            (await questions.get()).set_result(1)

    async def ask() -> None:
        for _ in range(QUESTIONS):
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            await questions.put(answer)
            await answer

    await asyncio.gather(reply(), ask())


async def tell_throughput(counter: Ref) -> None:
    message = Count()
    for _ in range(MESSAGES):
        await counter.tell(message)
    await counter.ask(Counted(), timeout=60)


async def ask_round_trips(counter: Ref) -> None:
    message = Counted()
    for _ in range(QUESTIONS):
        await counter.ask(message, timeout=60)


async def restarts(counter: Ref) -> None:
    for _ in range(RESTARTS):
        await counter.tell(Crash())
        await counter.ask(Counted(), timeout=60)


async def measure() -> list[dict[str, Any]]:
    patient = Supervision(max_restarts=ROUNDS * RESTARTS + 1, backoff=Backoff(base=0.0))
    async with ActorSystem(supervision=patient) as system:
        system.log.disabled = True
        counter = system.spawn(ChildSpec("counter", Counter))
        figures: dict[str, list[float]] = {"queue": [], "tell": [], "trip": [], "ask": [], "restart": []}
        for _ in range(ROUNDS):
            figures["queue"].append(MESSAGES / await seconds_of(queue_throughput))
            figures["tell"].append(MESSAGES / await seconds_of(lambda: tell_throughput(counter)))
            figures["trip"].append(1e6 * await seconds_of(queue_round_trips) / QUESTIONS)
            figures["ask"].append(1e6 * await seconds_of(lambda: ask_round_trips(counter)) / QUESTIONS)
            figures["restart"].append(1e3 * await seconds_of(lambda: restarts(counter)) / RESTARTS)
        system.log.disabled = False
    median = {name: statistics.median(values) for name, values in figures.items()}
    return [
        row("actor tell", median["tell"], "messages/s", median["queue"], "asyncio.Queue(1024) put and get", ">= 0.40"),
        row("actor ask round trip", median["ask"], "µs", median["trip"], "future through asyncio.Queue", "<= 25 µs"),
        row("actor restart, crash to first reply", median["restart"], "ms", 5.0, "published target", "<= 5 ms"),
    ]


def row(name: str, value: float, unit: str, baseline: float, baseline_name: str, goal: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": round(baseline, 3),
        "baseline_name": baseline_name,
        "ratio": round(value / baseline, 3),
        "goal": goal,
    }


def run() -> list[dict[str, Any]]:
    """The rows of the actor benchmark: medians of five rounds."""
    return asyncio.run(measure())


if __name__ == "__main__":
    for figure in run():
        print(figure)
