"""Actors by key: one at most for each, there when needed, gone when idle."""

import asyncio
from dataclasses import dataclass

import pytest

from actors.runtime import (
    Actor,
    ActorSystem,
    Ask,
    AskTimeout,
    Backoff,
    KeysExhausted,
    MailboxFull,
    NoSuchActor,
    RecentDeadLetters,
    Supervision,
    handles,
)


@dataclass(frozen=True, slots=True)
class Debit:
    amount: int


@dataclass(frozen=True, slots=True)
class Spent(Ask[int]):
    pass


class Channel(Actor):
    live = 0

    def __init__(self, key: str, log: list[str]) -> None:
        self.key = key
        self.log = log
        self.spent = 0

    async def started(self) -> None:
        self.log.append(f"+{self.key}")

    async def stopping(self) -> None:
        await asyncio.sleep(0.5)
        self.log.append(f"-{self.key}")

    @handles(Debit)
    async def on_debit(self, debit: Debit) -> None:
        if debit.amount < 0:
            raise ValueError
        before = self.spent
        await asyncio.sleep(0.1)
        self.spent = before + debit.amount

    @handles(Spent)
    async def on_spent(self, _: Spent) -> int:
        return self.spent


@pytest.fixture
async def log(system: ActorSystem) -> list[str]:
    log: list[str] = []
    patient = Supervision(max_restarts=2, window=1000, backoff=Backoff(base=0.0))
    system.register(
        Channel, lambda key: Channel(key, log), name="channel", idle_after=10, max_live=2, supervision=patient
    )
    return log


async def test_messages_to_one_key_cannot_race(system: ActorSystem, log: list[str]) -> None:
    await asyncio.gather(*(system.at(Channel, "a").tell(Debit(1)) for _ in range(20)))
    assert await system.at(Channel, "a").ask(Spent(), timeout=10) == 20
    assert log == ["+a"]


async def test_an_idle_key_is_passivated_and_activated_again(system: ActorSystem, log: list[str]) -> None:
    ref = system.at(Channel, "a")
    await ref.tell(Debit(1))
    await asyncio.sleep(9)
    await ref.tell(Debit(1))
    await asyncio.sleep(9)
    assert log == ["+a"]
    await asyncio.sleep(5)
    assert log == ["+a", "-a"]
    assert system.tree().children[0].children == ()
    assert await ref.ask(Spent(), timeout=10) == 0


async def test_a_message_that_meets_a_passivation_is_not_lost(system: ActorSystem, log: list[str]) -> None:
    ref = system.at(Channel, "a")
    await ref.tell(Debit(1))
    while system.ref("/channel/a")._region.children["a"].state != "stopping" and not ref._region.children["a"].closing:
        await asyncio.sleep(0.05)
    await ref.tell(Debit(5))
    assert await ref.ask(Spent(), timeout=10) == 5
    assert log == ["+a", "-a", "+a"]
    assert system.tree().children[0].children[0].restarts == 0


async def test_live_keys_are_bounded_and_the_longest_idle_makes_room(system: ActorSystem, log: list[str]) -> None:
    for key in "abc":
        await system.at(Channel, key).tell(Debit(1))
        await asyncio.sleep(0.2)
        assert len(system.tree().children[0].children) <= 2
    await asyncio.sleep(1)
    assert log == ["+a", "+b", "-a", "+c"]


async def test_without_room_nowait_is_refused_and_ask_times_out(system: ActorSystem, log: list[str]) -> None:
    for key in "ab":
        for _ in range(100):
            system.at(Channel, key).tell_nowait(Debit(1))
    with pytest.raises(KeysExhausted):
        system.at(Channel, "c").tell_nowait(Debit(1))
    assert issubclass(KeysExhausted, MailboxFull)
    with pytest.raises(AskTimeout):
        await system.at(Channel, "c").ask(Spent(), timeout=1)
    assert await system.at(Channel, "c").tell(Debit(1))
    assert asyncio.get_running_loop().time() >= 10


async def test_a_key_that_keeps_failing_is_given_up_alone(
    system: ActorSystem, letters: RecentDeadLetters, log: list[str]
) -> None:
    bad, good = system.at(Channel, "bad"), system.at(Channel, "good")
    await good.tell(Debit(4))
    for _ in range(4):
        await bad.tell(Debit(-1))
    await bad.tell(Debit(3))
    await asyncio.sleep(5)
    assert await good.ask(Spent(), timeout=5) == 4
    assert system.health().ready
    # Two restarts, three crashes; what was left went to the letters, and the key is free for a new start.
    assert letters.total == 5
    assert await bad.ask(Spent(), timeout=10) == 0


async def test_a_restarted_region_keeps_waiting_messages(system: ActorSystem, log: list[str]) -> None:
    ref = system.at(Channel, "a")
    for _ in range(100):
        await ref.tell(Debit(1))
    await asyncio.sleep(0.55)
    await system.restart("/channel")
    assert await ref.ask(Spent(), timeout=100) >= 90


async def test_a_class_never_registered_is_unknown(system: ActorSystem) -> None:
    with pytest.raises(NoSuchActor):
        system.at(Channel, "a")


async def test_a_stopped_system_activates_nothing(
    system: ActorSystem, letters: RecentDeadLetters, log: list[str]
) -> None:
    await system.stop(deadline=1)
    assert not await system.at(Channel, "a").tell(Debit(1))
    assert not system.at(Channel, "a").tell_nowait(Debit(1))
    assert [letter.path for letter in letters.letters()] == ["/channel/a"] * 2
    assert log == []
