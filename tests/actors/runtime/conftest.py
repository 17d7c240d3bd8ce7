"""Every test here runs on virtual time: waiting costs nothing, and the interleaving is always the same."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from actors.runtime import ActorSystem, Clock, RecentDeadLetters
from tests.actors.simulation import SimulationLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], SimulationLoop]]:
    """Run every async test of this folder on a virtual-time loop."""
    return {"virtual": lambda: SimulationLoop(Random(0))}


@pytest.fixture
def letters() -> RecentDeadLetters:
    return RecentDeadLetters()


@pytest.fixture
def events() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def system(letters: RecentDeadLetters, events: list[tuple[str, str]]) -> AsyncIterator[ActorSystem]:
    logging.getLogger("actors.runtime").setLevel(logging.CRITICAL)
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time, loop.time)
    async with ActorSystem(
        dead_letters=letters, clock=clock, random=Random(0), observer=lambda *event: events.append(event)
    ) as system:
        yield system
