"""Telling, asking, and what a full mailbox does."""

import asyncio
from dataclasses import dataclass

import pytest

from actors.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    Ask,
    AskFailed,
    AskTimeout,
    ChildSpec,
    MailboxFull,
    MailboxPolicy,
    Overflow,
    Reason,
    RecentDeadLetters,
    Ref,
    Terminated,
    Unhandled,
    handles,
)


@dataclass(frozen=True, slots=True)
class Note:
    text: str
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Slow:
    seconds: float


@dataclass(frozen=True, slots=True)
class Read(Ask[list[str]]):
    pass


@dataclass(frozen=True, slots=True)
class SlowRead(Ask[list[str]]):
    seconds: float


@dataclass(frozen=True, slots=True)
class Broken(Ask[int]):
    pass


@dataclass(frozen=True, slots=True)
class Strange(Ask[int]):
    pass


class Notebook(Actor):
    def __init__(self) -> None:
        self.notes: list[str] = []

    @handles(Note)
    async def on_note(self, note: Note) -> None:
        self.notes.append(note.text)

    @handles(Slow)
    async def on_slow(self, slow: Slow) -> None:
        await asyncio.sleep(slow.seconds)

    @handles(Read)
    async def on_read(self, _: Read) -> list[str]:
        return list(self.notes)

    @handles(SlowRead)
    async def on_slow_read(self, read: SlowRead) -> list[str]:
        await asyncio.sleep(read.seconds)
        return list(self.notes)

    @handles(Broken)
    async def on_broken(self, _: Broken) -> int:
        raise ValueError("out of ink")

    @handles(Terminated)
    async def on_terminated(self, notice: Terminated) -> None:
        self.notes.append(f"farewell {notice.path}")


def notebook(system: ActorSystem, capacity: int = 2, overflow: Overflow = Overflow.BLOCK) -> Ref:
    key = (lambda note: getattr(note, "topic", "") or None) if overflow is Overflow.COALESCE else None
    policy = MailboxPolicy(capacity=capacity, overflow=overflow, key=key)
    return system.spawn(ChildSpec("notebook", Notebook, mailbox=policy))


async def busy(ref: Ref, seconds: float = 10.0) -> None:
    """Put the actor to work, so that its mailbox begins to fill."""
    await ref.tell(Slow(seconds))
    await asyncio.sleep(0.1)


async def test_messages_are_handled_in_order(system: ActorSystem) -> None:
    ref = notebook(system)
    for text in "abcdef":
        assert await ref.tell(Note(text))
    assert await ref.ask(Read(), timeout=1) == list("abcdef")


async def test_a_handler_must_be_async() -> None:
    with pytest.raises(TypeError):

        @handles(Note)
        def on_note(self: Actor, note: Note) -> None: ...


async def test_a_subclass_overrides_a_handler_by_name(system: ActorSystem) -> None:
    class Loud(Notebook):
        async def on_note(self, note: Note) -> None:
            self.notes.append(note.text.upper())

    ref = system.spawn(ChildSpec("loud", Loud))
    await ref.tell(Note("a"))
    assert await ref.ask(Read(), timeout=1) == ["A"]


async def test_tell_waits_while_the_mailbox_is_full(system: ActorSystem) -> None:
    ref = notebook(system)
    await busy(ref)
    began = asyncio.get_running_loop().time()
    for text in "abc":
        await ref.tell(Note(text))
    assert asyncio.get_running_loop().time() - began == pytest.approx(9.9, abs=0.1)


async def test_waiting_tells_are_admitted_in_order_of_arrival(system: ActorSystem) -> None:
    ref = notebook(system, capacity=1)
    await busy(ref)
    telling = []
    for text in "abcd":
        telling.append(asyncio.create_task(ref.tell(Note(text))))
        await asyncio.sleep(0.01)
    telling[1].cancel()
    assert await asyncio.gather(*telling, return_exceptions=True)
    assert await ref.ask(Read(), timeout=1) == ["a", "c", "d"]


async def test_tell_nowait_raises_when_full(system: ActorSystem) -> None:
    ref = notebook(system)
    await busy(ref)
    ref.tell_nowait(Note("a"))
    ref.tell_nowait(Note("b"))
    with pytest.raises(MailboxFull):
        ref.tell_nowait(Note("c"))


async def test_fail_fast_refuses_tells_and_asks(system: ActorSystem) -> None:
    ref = notebook(system, overflow=Overflow.FAIL_FAST)
    await busy(ref)
    await ref.tell(Note("a"))
    await ref.tell(Note("b"))
    with pytest.raises(MailboxFull):
        await ref.tell(Note("c"))
    with pytest.raises(MailboxFull):
        await ref.ask(Read(), timeout=100)


async def test_drop_oldest_keeps_the_newest_and_counts(system: ActorSystem) -> None:
    ref = notebook(system, overflow=Overflow.DROP_OLDEST)
    await busy(ref)
    asking = asyncio.create_task(ref.ask(Read(), timeout=100))
    await asyncio.sleep(0.1)
    for text in "abc":
        await ref.tell(Note(text))
    with pytest.raises(MailboxFull):
        await asking
    assert system.tree().children[0].dropped == 2
    await asyncio.sleep(10)
    assert await ref.ask(Read(), timeout=1) == ["b", "c"]


async def test_coalescing_keeps_the_newest_of_each_key(system: ActorSystem) -> None:
    ref = notebook(system, overflow=Overflow.COALESCE)
    await busy(ref)
    await ref.tell(Note("cold", topic="weather"))
    await ref.tell(Note("none", topic="news"))
    await ref.tell(Note("warm", topic="weather"))
    third = asyncio.create_task(ref.tell(Note("draw", topic="sport")))
    await asyncio.sleep(0.1)
    assert not third.done()
    assert system.tree().children[0].coalesced == 1
    await asyncio.sleep(10)
    assert await ref.ask(Read(), timeout=1) == ["warm", "none", "draw"]


async def test_ask_is_answered_by_the_handler(system: ActorSystem) -> None:
    assert await notebook(system).ask(SlowRead(1.0), timeout=2) == []


async def test_ask_times_out_at_its_deadline(system: ActorSystem) -> None:
    ref = notebook(system)
    began = asyncio.get_running_loop().time()
    with pytest.raises(AskTimeout):
        await ref.ask(SlowRead(100.0), timeout=2)
    assert asyncio.get_running_loop().time() - began == pytest.approx(2, abs=0.05)


async def test_ask_times_out_while_waiting_for_room(system: ActorSystem) -> None:
    ref = notebook(system)
    await busy(ref, 100)
    ref.tell_nowait(Note("a"))
    ref.tell_nowait(Note("b"))
    with pytest.raises(AskTimeout):
        await ref.ask(Read(), timeout=2)


async def test_a_failing_handler_fails_the_ask_with_its_cause(system: ActorSystem) -> None:
    with pytest.raises(AskFailed) as caught:
        await notebook(system).ask(Broken(), timeout=1)
    assert isinstance(caught.value.__cause__, ValueError)


async def test_an_unknown_message_is_a_dead_letter_and_no_failure(
    system: ActorSystem, letters: RecentDeadLetters
) -> None:
    ref = notebook(system)
    with pytest.raises(Unhandled):
        await ref.ask(Strange(), timeout=1)
    assert [letter.reason for letter in letters.letters()] == [Reason.UNHANDLED]
    assert system.tree().children[0].failed == 0


async def test_a_cancelled_ask_that_is_still_queued_is_skipped(system: ActorSystem) -> None:
    ref = notebook(system)
    await busy(ref)
    asking = asyncio.create_task(ref.ask(Broken(), timeout=100))
    await asyncio.sleep(0.1)
    asking.cancel()
    assert await ref.ask(Read(), timeout=100) == []
    assert (system.tree().children[0].skipped, system.tree().children[0].failed) == (1, 0)


async def test_control_overtakes_data(system: ActorSystem) -> None:
    other = system.spawn(ChildSpec("other", Notebook))
    ref = notebook(system)
    await busy(ref)
    await ref.tell(Note("data"))
    other._cell.watched_by(ref._cell)
    await system.stop_actor("/other")
    assert await ref.ask(Read(), timeout=100) == ["farewell /other", "data"]


async def test_a_stopped_actor_refuses(system: ActorSystem, letters: RecentDeadLetters) -> None:
    ref = notebook(system)
    await system.stop_actor("/notebook")
    assert not await ref.tell(Note("late"))
    assert not ref.tell_nowait(Note("later"))
    assert [letter.reason for letter in letters.letters()] == [Reason.STOPPED] * 2
    with pytest.raises(ActorStopped):
        await ref.ask(Read(), timeout=100)


async def test_an_actor_with_endless_work_lets_others_run(system: ActorSystem) -> None:
    class Echo(Actor):
        @handles(Note)
        async def on_note(self, note: Note) -> None:
            self.context.self.tell_nowait(note)

    echo = system.spawn(ChildSpec("echo", Echo))
    await echo.tell(Note("again"))
    assert await notebook(system).ask(Read(), timeout=1) == []
    await system.stop_actor("/echo")
