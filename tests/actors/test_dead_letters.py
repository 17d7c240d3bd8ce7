import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from actors.dead_letters import DeadLetterBox, Postmaster
from actors.runtime import Actor, ActorSystem, ChildSpec, handles
from gifty.core.database import Database
from gifty.operations.models import DeadLetter
from gifty.operations.service import DeadLetters


@dataclass(frozen=True, slots=True)
class Count:
    number: int


class Counter(Actor):
    """Chokes on a number until it has been cured."""

    def __init__(self, seen: list[int], cured: asyncio.Event) -> None:
        self.seen = seen
        self.cured = cured

    @handles(Count)
    async def count(self, message: Count) -> None:
        if message.number == 13 and not self.cured.is_set():
            raise ValueError("unlucky")
        self.seen.append(message.number)


@dataclass
class World:
    letters: DeadLetters
    box: DeadLetterBox
    system: ActorSystem
    seen: list[int]
    cured: asyncio.Event


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    letters = DeadLetters(database)
    box = DeadLetterBox(letters)
    carrying = asyncio.create_task(box.run())
    async with ActorSystem(dead_letters=box) as system:
        box.serve(system)
        seen: list[int] = []
        cured = asyncio.Event()
        system.spawn(ChildSpec("counter", lambda: Counter(seen, cured)))
        system.spawn(ChildSpec("postmaster", lambda: Postmaster(letters, system)))
        yield World(letters, box, system, seen, cured)
    carrying.cancel()


async def first_letter(letters: DeadLetters) -> DeadLetter:
    async with asyncio.timeout(10):
        while not (page := await letters.page()):
            await asyncio.sleep(0.01)
    return page[0]


async def test_a_poisonous_message_is_kept_with_its_traceback_and_can_be_replayed(world: World) -> None:
    counter = world.system.ref("/counter")
    for number in (1, 13, 2):
        await counter.tell(Count(number))
    letter = await first_letter(world.letters)
    assert (letter.path, letter.reason, letter.cause) == ("/counter", "failed", "ValueError: unlucky")
    assert "in count" in (letter.traceback or "")

    world.cured.set()
    assert await world.letters.request_replay([letter.id]) == [letter.id]
    async with asyncio.timeout(10):
        while 13 not in world.seen:
            await asyncio.sleep(0.01)
    assert sorted(world.seen) == [1, 2, 13]
    assert await world.letters.request_replay([letter.id]) == []


async def test_a_letter_is_claimed_by_one_process_alone(database: Database, world: World) -> None:
    await world.system.stop_actor("/postmaster")
    await world.system.ref("/counter").tell(Count(13))
    letter = await first_letter(world.letters)
    await world.letters.request_replay([letter.id])
    claims = await asyncio.gather(*(DeadLetters(database).claim_requested() for _ in range(4)))
    assert sorted(map(len, claims)) == [0, 0, 0, 1]
