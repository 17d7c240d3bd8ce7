"""What becomes of actors that fail, and of those around them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from actors.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    Ask,
    Backoff,
    ChildSpec,
    NameTaken,
    OperatorRestart,
    Reason,
    RecentDeadLetters,
    Restart,
    State,
    Strategy,
    Supervision,
    Terminated,
    group,
    handles,
)

PROMPT = Backoff(base=0.0)


@dataclass(frozen=True, slots=True)
class Add:
    number: int


@dataclass(frozen=True, slots=True)
class Total(Ask[int]):
    pass


@dataclass(frozen=True, slots=True)
class Crash:
    pass


@dataclass(frozen=True, slots=True)
class Hang:
    pass


@dataclass(frozen=True, slots=True)
class Leave:
    pass


class Adder(Actor):
    def __init__(self, log: list[str] | None = None) -> None:
        self.total = 0
        self.log = log if log is not None else []

    async def started(self) -> None:
        self.log.append(f"start {self.context.path}")

    async def stopping(self) -> None:
        self.log.append(f"stop {self.context.path}")

    @handles(Add)
    async def on_add(self, add: Add) -> None:
        self.total += add.number

    @handles(Total)
    async def on_total(self, _: Total) -> int:
        return self.total

    @handles(Crash)
    async def on_crash(self, _: Crash) -> None:
        raise ValueError("poison")

    @handles(Hang)
    async def on_hang(self, _: Hang) -> None:
        await asyncio.sleep(1e6)

    @handles(Leave)
    async def on_leave(self, _: Leave) -> None:
        self.context.stop()


def adders(log: list[str], strategy: Strategy, **options: Restart) -> ChildSpec:
    children = [ChildSpec(name, lambda: Adder(log), **options) for name in "abc"]
    return group("g", *children, supervision=Supervision(strategy=strategy, backoff=PROMPT))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, ["stop /g/b", "start /g/b"]),
        (Strategy.ONE_FOR_ALL, ["stop /g/b", "stop /g/c", "stop /g/a", "start /g/a", "start /g/b", "start /g/c"]),
        (Strategy.REST_FOR_ONE, ["stop /g/b", "stop /g/c", "start /g/b", "start /g/c"]),
    ],
)
async def test_each_strategy_restarts_its_children(
    system: ActorSystem, strategy: Strategy, expected: list[str]
) -> None:
    log: list[str] = []
    system.spawn(adders(log, strategy))
    await asyncio.sleep(1)
    log.clear()
    await system.ref("/g/b").tell(Crash())
    await asyncio.sleep(1)
    assert log[: len(expected) // 2] == expected[: len(expected) // 2]
    assert sorted(log) == sorted(expected)


async def test_a_restart_loses_only_the_message_in_hand(system: ActorSystem, letters: RecentDeadLetters) -> None:
    ref = system.spawn(ChildSpec("adder", Adder))
    for message in (Add(1), Crash(), Add(2), Add(3)):
        await ref.tell(message)
    assert await ref.ask(Total(), timeout=10) == 5
    (letter,) = letters.letters()
    assert (letter.path, letter.message, letter.reason) == ("/adder", Crash(), Reason.FAILED)
    assert letter.cause == "ValueError: poison"
    assert "on_crash" in (letter.traceback or "")


@pytest.mark.parametrize(
    ("restart", "after_crash", "after_leaving"),
    [(Restart.PERMANENT, 1, 1), (Restart.TRANSIENT, 1, 0), (Restart.TEMPORARY, 0, 0)],
)
async def test_restart_types(system: ActorSystem, restart: Restart, after_crash: int, after_leaving: int) -> None:
    for name, message, alive in (("x", Crash(), after_crash), ("y", Leave(), after_leaving)):
        ref = system.spawn(ChildSpec(name, Adder, restart=restart))
        await ref.tell(message)
        await asyncio.sleep(5)
        assert await ref.tell(Add(1)) is bool(alive)


async def test_a_failed_start_is_a_failure_like_another(system: ActorSystem) -> None:
    attempts: list[int] = []

    def factory() -> Adder:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("not yet")
        return Adder()

    ref = system.spawn(ChildSpec("late", factory))
    await ref.tell(Add(7))
    assert await ref.ask(Total(), timeout=60) == 7
    assert system.tree().children[0].restarts == 2


async def test_the_cause_reaches_the_next_incarnation(system: ActorSystem) -> None:
    causes: list[str] = []

    class Curious(Adder):
        async def restarted(self, cause: BaseException) -> None:
            causes.append(type(cause).__name__)

    ref = system.spawn(ChildSpec("curious", Curious))
    await ref.tell(Crash())
    await asyncio.sleep(1)
    await system.restart("/curious")
    await ref.ask(Total(), timeout=1)
    assert causes == ["ValueError", OperatorRestart.__name__]


async def test_beyond_the_intensity_the_failure_escalates_and_readiness_says_so(system: ActorSystem) -> None:
    child = ChildSpec("adder", Adder)
    strict = Supervision(max_restarts=2, window=100, backoff=PROMPT)
    system.spawn(group("g", child, supervision=strict))
    system.spawn(ChildSpec("bystander", Adder))
    await asyncio.sleep(1)
    ref = system.ref("/g/adder")
    while system.health().ready:
        await ref.tell(Crash())
        await asyncio.sleep(1)
    # The group is restarted five times by the root, each with a clean record of three crashes.
    health = {group.path: group for group in system.health().groups}
    assert health["/g"].state is State.FAILED
    assert "more than 5 times" in (health["/g"].last_error or "")
    assert health["/bystander"].state is State.RUNNING
    with pytest.raises(ActorStopped):
        await ref.ask(Total(), timeout=100)
    await system.restart("/g")
    assert await ref.ask(Total(), timeout=1) == 0
    assert system.health().ready


async def test_at_most_max_restarts_within_the_window(system: ActorSystem) -> None:
    strict = Supervision(max_restarts=2, window=10, backoff=PROMPT)
    system.spawn(group("g", ChildSpec("adder", Adder), supervision=strict))
    await asyncio.sleep(1)
    ref = system.ref("/g/adder")
    for _ in range(6):
        await ref.tell(Crash())
        await asyncio.sleep(6)
    assert system.tree().children[0].restarts == 0
    assert system.tree().children[0].children[0].restarts == 6


def test_backoff_grows_to_its_cap_with_full_jitter() -> None:
    backoff = Backoff(base=1.0, cap=8.0, factor=2.0)
    for failures, highest in ((1, 1.0), (2, 2.0), (4, 8.0), (500, 8.0)):
        delays = [backoff.delay(failures, Random(seed)) for seed in range(500)]
        assert 0.0 <= min(delays) < 0.1 * highest
        assert 0.9 * highest < max(delays) <= highest


async def test_a_healthy_run_resets_the_backoff(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("adder", Adder))
    for _ in range(3):
        await ref.tell(Crash())
        await asyncio.sleep(5)
    assert ref._cell.failures_in_a_row == 3
    await asyncio.sleep(100)
    await ref.tell(Crash())
    await asyncio.sleep(5)
    assert ref._cell.failures_in_a_row == 1


async def test_children_die_with_their_parent_and_are_taken_over_by_name(
    system: ActorSystem, letters: RecentDeadLetters
) -> None:
    class Parent(Adder):
        async def started(self) -> None:
            self.kept = self.context.spawn(ChildSpec("kept", Adder))
            with pytest.raises(NameTaken):
                self.context.spawn(ChildSpec("kept", Adder))

        @handles(Leave)
        async def on_leave(self, _: Leave) -> None:
            extra = self.context.spawn(ChildSpec("extra", Adder))
            extra.tell_nowait(Hang())
            extra.tell_nowait(Add(1))
            self.kept.tell_nowait(Hang())
            self.kept.tell_nowait(Add(1))
            await asyncio.sleep(0.1)
            raise ValueError

    parent = system.spawn(ChildSpec("parent", Parent))
    await asyncio.sleep(0.1)
    kept = system.ref("/parent/kept")
    await parent.tell(Leave())
    await asyncio.sleep(0.05)
    assert await kept.ask(Total(), timeout=60) == 1
    assert [child.path for child in system.tree().children[0].children] == ["/parent/kept"]
    lost = [(letter.path, letter.message, letter.reason) for letter in letters.letters()]
    assert ("/parent/extra", Add(1), Reason.STOPPED) in lost
    assert ("/parent/kept", Hang(), Reason.CANCELLED) in lost
    assert ("/parent/kept", Add(1), Reason.STOPPED) not in lost


async def test_a_parent_escalates_a_childs_failures_to_its_own_supervisor(system: ActorSystem) -> None:
    inner = group("inner", ChildSpec("adder", Adder), supervision=Supervision(max_restarts=0))
    system.spawn(group("outer", inner, supervision=Supervision(backoff=PROMPT)))
    await asyncio.sleep(1)
    await system.ref("/outer/inner/adder").tell(Crash())
    await asyncio.sleep(1)
    outer = system.tree().children[0]
    assert (outer.restarts, outer.children[0].restarts) == (0, 1)
    assert "RestartIntensityExceeded" in (outer.children[0].last_error or "")
    assert await system.ref("/outer/inner/adder").ask(Total(), timeout=1) == 0


async def test_cancellation_is_never_swallowed(system: ActorSystem) -> None:
    seen: list[str] = []

    class Careful(Adder):
        @handles(Hang)
        async def on_hang(self, _: Hang) -> None:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    ref = system.spawn(ChildSpec("careful", Careful, stop_timeout=2.0))
    await ref.tell(Hang())
    await asyncio.sleep(0.1)
    task = ref._cell._task
    await system.stop_actor("/careful")
    assert seen == ["cancelled"]
    assert task is not None
    assert task.cancelled()


async def test_a_cancelled_future_awaited_by_a_handler_is_a_failure(system: ActorSystem) -> None:
    class Waits(Adder):
        @handles(Hang)
        async def on_hang(self, _: Hang) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    ref = system.spawn(ChildSpec("waits", Waits))
    await ref.tell(Hang())
    await ref.tell(Add(2))
    assert await ref.ask(Total(), timeout=10) == 2


async def test_an_actor_that_ignores_cancellation_is_failed_not_doubled(system: ActorSystem) -> None:
    release = asyncio.Event()

    class Stubborn(Adder):
        @handles(Hang)
        async def on_hang(self, _: Hang) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    ref = system.spawn(ChildSpec("stubborn", Stubborn, stop_timeout=1.0))
    await ref.tell(Hang())
    await asyncio.sleep(0.1)
    await system.restart("/stubborn")
    assert system.health().groups[0].state is State.FAILED
    with pytest.raises(ActorStopped):
        await ref.ask(Total(), timeout=100)
    release.set()
    await asyncio.sleep(0.1)
    await system.restart("/stubborn")
    assert await ref.ask(Total(), timeout=1) == 0


async def test_watchers_learn_of_a_death_but_not_of_a_restart(system: ActorSystem) -> None:
    notices: list[Terminated] = []

    class Mourner(Adder):
        @handles(Terminated)
        async def on_terminated(self, notice: Terminated) -> None:
            notices.append(notice)

    watched: dict[str, Callable[[], Adder]] = {"calm": Adder, "wild": Adder}
    refs = [system.spawn(ChildSpec(name, make, restart=Restart.TRANSIENT)) for name, make in watched.items()]
    brief = system.spawn(ChildSpec("brief", Adder, restart=Restart.TEMPORARY))

    class Watching(Mourner):
        async def started(self) -> None:
            for ref in (*refs, brief):
                self.context.watch(ref)
            self.context.unwatch(refs[1])

    system.spawn(ChildSpec("mourner", Watching))
    await asyncio.sleep(0.1)
    await refs[0].tell(Crash())
    await asyncio.sleep(5)
    assert notices == []
    await refs[0].tell(Leave())
    await refs[1].tell(Leave())
    await brief.tell(Crash())
    await asyncio.sleep(5)
    assert sorted(notices, key=str) == [Terminated("/brief", failed=True), Terminated("/calm", failed=False)]
    await system.restart("/mourner")
    await asyncio.sleep(1)
    assert len(notices) == 5
