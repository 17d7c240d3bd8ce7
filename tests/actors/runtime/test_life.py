"""Timers, the view from outside, operators, and the way a system stops."""

import asyncio
import gc
import json
from dataclasses import asdict, dataclass

import pytest

from actors.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    Ask,
    ChildSpec,
    MailboxPolicy,
    NoSuchActor,
    Reason,
    RecentDeadLetters,
    State,
    group,
    handles,
)


@dataclass(frozen=True, slots=True)
class Tick:
    pass


@dataclass(frozen=True, slots=True)
class Work:
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Forward:
    to: str


@dataclass(frozen=True, slots=True)
class Ticks(Ask[list[float]]):
    pass


class Clerk(Actor):
    def __init__(self, every: float | None = None, jitter: float = 0.0) -> None:
        self.every = every
        self.jitter = jitter
        self.ticks: list[float] = []

    async def started(self) -> None:
        if self.every is None:
            self.context.after(2.5, Tick())
            self.context.after(3.5, Tick()).cancel()
        else:
            self.context.every(self.every, Tick(), jitter=self.jitter)

    @handles(Tick)
    async def on_tick(self, _: Tick) -> None:
        self.ticks.append(self.context.clock.now())

    @handles(Work)
    async def on_work(self, work: Work) -> None:
        await asyncio.sleep(work.seconds)

    @handles(Forward)
    async def on_forward(self, forward: Forward) -> None:
        await asyncio.sleep(0.1)
        await self.context.cell.system.ref(forward.to).tell(Work())

    @handles(Ticks)
    async def on_ticks(self, _: Ticks) -> list[float]:
        return self.ticks


def ended(events: list[tuple[str, str]]) -> list[str]:
    return [path for path, event in events if event == "ended"]


async def test_after_rings_once_and_can_be_cancelled(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("clerk", Clerk))
    await asyncio.sleep(60)
    assert await ref.ask(Ticks(), timeout=1) == pytest.approx([2.5])


async def test_every_does_not_drift(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("clerk", lambda: Clerk(every=10.0, jitter=2.0)))
    await asyncio.sleep(3605)
    ticks = await ref.ask(Ticks(), timeout=1)
    assert len(ticks) == 360
    assert all(0 <= tick - 10 * number <= 2 for number, tick in enumerate(ticks, 1))
    assert len({tick % 10 for tick in ticks}) > 300


async def test_a_tick_is_left_out_while_the_last_one_waits(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("clerk", lambda: Clerk(every=1.0)))
    await ref.tell(Work(10.5))
    await asyncio.sleep(10.8)
    assert len(await ref.ask(Ticks(), timeout=1)) == 1


async def test_a_due_message_without_room_is_a_dead_letter(system: ActorSystem, letters: RecentDeadLetters) -> None:
    ref = system.spawn(ChildSpec("clerk", Clerk, mailbox=MailboxPolicy(capacity=1)))
    await ref.tell(Work(10))
    await asyncio.sleep(0.1)
    await ref.tell(Work())
    await asyncio.sleep(10)
    assert [(letter.message, letter.reason) for letter in letters.letters()] == [(Tick(), Reason.MAILBOX_FULL)]


async def test_timers_die_with_their_incarnation(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("clerk", lambda: Clerk(every=10.0)))
    await asyncio.sleep(5)
    await system.restart("/clerk")
    await asyncio.sleep(12)
    assert await ref.ask(Ticks(), timeout=1) == pytest.approx([15.0])


async def test_a_period_is_positive(system: ActorSystem) -> None:
    system.spawn(ChildSpec("clerk", lambda: Clerk(every=0.0)))
    await asyncio.sleep(0.01)
    assert system.tree().children[0].failed == 1


async def test_the_tree_shows_how_everything_is(system: ActorSystem) -> None:
    system.spawn(group("office", ChildSpec("clerk", Clerk), ChildSpec("other", Clerk)))
    await asyncio.sleep(1)
    clerk = system.ref("/office/clerk")
    for seconds in [0.01] * 90 + [1.0] * 10:
        await clerk.tell(Work(seconds))
    await clerk.ask(Ticks(), timeout=60)
    await clerk.tell(Work(5))
    await clerk.tell(Work(5))
    await asyncio.sleep(0.1)
    tree = system.tree()
    office = tree.children[0]
    assert [child.path for child in office.children] == ["/office/clerk", "/office/other"]
    shown = office.children[0]
    assert (shown.actor, shown.state, shown.mailbox_depth, shown.mailbox_capacity) == ("Clerk", "running", 1, 1024)
    assert (shown.handled, shown.p50_ms, shown.p95_ms) == (102, pytest.approx(10), pytest.approx(1000))
    assert json.loads(json.dumps(asdict(tree)))["children"][0]["path"] == "/office"
    json.dumps(asdict(system.health()))


async def test_a_paused_actor_waits_and_a_resumed_one_goes_on(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("clerk", Clerk))
    system.pause("/clerk")
    asking = asyncio.create_task(ref.ask(Ticks(), timeout=60))
    await asyncio.sleep(10)
    assert not asking.done()
    assert system.tree().children[0].state is State.PAUSED
    system.resume("/clerk")
    await asking


async def test_operating_on_nobody_is_refused(system: ActorSystem) -> None:
    for operate in (system.pause, system.resume, system.ref):
        with pytest.raises(NoSuchActor):
            operate("/nobody")
    for operate_later in (system.restart, system.stop_actor):
        with pytest.raises(NoSuchActor):
            await operate_later("/nobody")


async def test_stop_drains_what_actors_still_send_each_other(
    system: ActorSystem, letters: RecentDeadLetters, events: list[tuple[str, str]]
) -> None:
    # The receiver was started last and would be the first to go, were it not for the drain.
    sender = system.spawn(ChildSpec("sender", Clerk))
    receiver = system.spawn(ChildSpec("receiver", Clerk))
    for _ in range(20):
        await sender.tell(Forward("/receiver"))
    report = await system.stop(deadline=10)
    assert report.drained
    assert report.dead_letters == letters.total == 0
    assert ended(events) == ["/receiver", "/sender"]
    assert receiver._cell.meter.handled == 20


async def test_stop_refuses_intake_from_outside(system: ActorSystem, letters: RecentDeadLetters) -> None:
    ref = system.spawn(ChildSpec("clerk", Clerk))
    await ref.tell(Work(1))
    stopping = asyncio.create_task(system.stop(deadline=10))
    await asyncio.sleep(0.5)
    assert not await ref.tell(Work())
    with pytest.raises(ActorStopped):
        await ref.ask(Ticks(), timeout=100)
    with pytest.raises(ActorStopped):
        system.spawn(ChildSpec("more", Clerk))
    with pytest.raises(ActorStopped):
        await system.restart("/clerk")
    assert not system.health().ready
    assert (await stopping).drained
    assert [letter.reason for letter in letters.letters()] == [Reason.STOPPED]


async def test_stop_keeps_its_deadline_and_buries_what_is_left(system: ActorSystem, letters: RecentDeadLetters) -> None:
    ref = system.spawn(ChildSpec("clerk", Clerk))
    await ref.tell(Work(1000))
    await ref.tell(Work(1))
    asking = asyncio.create_task(ref.ask(Ticks(), timeout=1e6))
    await asyncio.sleep(0.1)
    report = await system.stop(deadline=5)
    assert not report.drained
    assert report.seconds <= 5.1
    assert [letter.reason for letter in letters.letters()] == [Reason.CANCELLED, Reason.STOPPED]
    with pytest.raises(ActorStopped):
        await asking


async def test_stop_order_is_reverse_start_order_children_before_parents(
    system: ActorSystem, events: list[tuple[str, str]]
) -> None:
    inner = group("inner", ChildSpec("x", Clerk), ChildSpec("y", Clerk))
    system.spawn(group("a", ChildSpec("one", Clerk), inner))
    system.spawn(ChildSpec("b", Clerk))
    await asyncio.sleep(1)
    report = await system.stop(deadline=5)
    assert ended(events) == ["/b", "/a/inner/y", "/a/inner/x", "/a/inner", "/a/one", "/a"]
    assert await system.stop(deadline=5) == report


async def test_stop_leaves_behind_what_will_not_end(system: ActorSystem) -> None:
    release = asyncio.Event()

    class Stubborn(Clerk):
        @handles(Work)
        async def on_work(self, work: Work) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    ref = system.spawn(ChildSpec("stubborn", Stubborn))
    await ref.tell(Work())
    await asyncio.sleep(0.1)
    report = await system.stop(deadline=5)
    assert report.stuck == ("/stubborn",)
    assert report.seconds < 6
    release.set()
    await asyncio.sleep(0.1)


async def test_a_long_handler_can_see_that_it_should_end(system: ActorSystem) -> None:
    class Polite(Clerk):
        @handles(Work)
        async def on_work(self, work: Work) -> None:
            while not self.context.closing:
                await asyncio.sleep(0.1)

    ref = system.spawn(ChildSpec("polite", Polite, stop_timeout=60))
    await ref.tell(Work())
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    await system.stop_actor("/polite")
    assert asyncio.get_running_loop().time() - began < 1


async def test_no_task_is_garbage_collected(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("clerk", lambda: Clerk(every=10.0)))
    for _ in range(5):
        gc.collect()
        await asyncio.sleep(10)
    assert len(await ref.ask(Ticks(), timeout=1)) >= 4


async def test_nothing_is_left_running_after_a_stop(system: ActorSystem) -> None:
    system.spawn(group("office", ChildSpec("clerk", lambda: Clerk(every=1.0))))
    await asyncio.sleep(5)
    await system.stop(deadline=5)
    assert not system._tasks


async def test_one_can_wait_until_everything_has_started(system: ActorSystem) -> None:
    class Sleeper(Clerk):
        async def started(self) -> None:
            await asyncio.sleep(3)

    system.spawn(group("office", group("room", ChildSpec("sleeper", Sleeper))))
    assert not await system.settled(timeout=1)
    assert await system.settled(timeout=10)
    assert system.ref("/office/room/sleeper").path == "/office/room/sleeper"
    assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.1)
