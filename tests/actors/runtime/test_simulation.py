"""Ten thousand interleavings of a small, hostile world, and what must hold in each of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from actors.runtime import (
    Actor,
    ActorError,
    ActorStopped,
    ActorSystem,
    Ask,
    AskTimeout,
    Backoff,
    ChildSpec,
    MailboxFull,
    MailboxPolicy,
    NoSuchActor,
    Overflow,
    RecentDeadLetters,
    Restart,
    StopReport,
    Strategy,
    Supervision,
    Terminated,
    group,
    handles,
)
from tests.actors.simulation import Simulation, SimulationDeadlock

SEEDS = 10_000
# Seeds that once broke an invariant, and what was wrong.
FOUND = {
    11: "a caller waiting for a live key was forgotten when the system stopped",
    1187: "a caller waiting for a live key was forgotten when its region was given up during back-off",
    2193: "a recovery begun before the stop went on during it, out of order",
    5651: "a restart asked for together with a stop brought the stopped actor back, beside its successor",
}


@dataclass(frozen=True, slots=True)
class Job:
    sender: int
    number: int
    mood: str


@dataclass(frozen=True, slots=True)
class Question(Ask[int]):
    sender: int
    number: int
    mood: str


class Worker(Actor):
    """Does as the mood of the message says, and keeps a record outside itself."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.busy = False

    async def started(self) -> None:
        self.world.live[self.context.path] += 1
        if self.world.live[self.context.path] > 1:
            self.world.broken.append(f"two incarnations of {self.context.path}")
        if self.world.random.random() < 0.05:
            raise RuntimeError("a failed start")

    async def stopping(self) -> None:
        self.world.live[self.context.path] -= 1
        if self.world.random.random() < 0.2:
            await asyncio.sleep(self.world.random.uniform(0.0, 1.0))

    @handles(Job)
    async def on_job(self, job: Job) -> None:
        await self.work(job)

    @handles(Question)
    async def on_question(self, question: Question) -> int:
        await self.work(question)
        return question.number

    async def work(self, task: Job | Question) -> None:
        if self.busy:
            self.world.broken.append(f"{self.context.path} handles two messages at a time")
        self.busy = True
        path = self.context.path
        self.world.begun[path].append(task)
        self.world.simulation.record(path, f"{task.sender}.{task.number} {task.mood}")
        match task.mood:
            case "slow":
                await asyncio.sleep(self.world.random.uniform(0.1, 3.0))
            case "hang":
                await asyncio.sleep(10_000)
            case "crash":
                await asyncio.sleep(0)
                raise ValueError(f"{task.sender}.{task.number}")
        self.world.done[(task.sender, task.number)] += 1
        self.busy = False


class Session(Worker):
    """A worker that holds a key."""


class Watcher(Actor):
    """Records who has died."""

    def __init__(self, world: World) -> None:
        self.world = world

    @handles(Terminated)
    async def on_terminated(self, notice: Terminated) -> None:
        self.world.mourned[notice.path] += 1


class World:
    """The actors, senders, operator and ledger of one seed."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.random = simulation.random
        self.letters = RecentDeadLetters(10_000)
        self.live: Counter[str] = Counter()
        self.begun: defaultdict[str, list[Job | Question]] = defaultdict(list)
        self.done: Counter[tuple[int, int]] = Counter()
        self.told: dict[tuple[int, int], str] = {}
        self.mourned: Counter[str] = Counter()
        self.broken: list[str] = []
        self.operated: set[str] = set()
        self.window = self.random.uniform(2.0, 20.0)
        self.intensity = self.random.randint(1, 3)
        self.strategy = self.random.choice(list(Strategy))
        self.policies = {f"/work/w{index}": self.policy() for index in range(3)}

    def policy(self) -> MailboxPolicy:
        overflow = self.random.choice(list(Overflow))
        key = (lambda message: message.number % 3) if overflow is Overflow.COALESCE else None
        return MailboxPolicy(capacity=self.random.randint(1, 4), overflow=overflow, key=key)

    def supervision(self) -> Supervision:
        backoff = Backoff(base=0.2, cap=2.0, healthy_after=10.0)
        return Supervision(strategy=self.strategy, max_restarts=self.intensity, window=self.window, backoff=backoff)

    async def play(self, _: Simulation) -> StopReport:
        system = self.system = ActorSystem(
            dead_letters=self.letters,
            supervision=self.supervision(),
            clock=self.simulation.clock,
            random=self.random,
            observer=self.simulation.record,
        )
        watcher = system.spawn(ChildSpec("watcher", lambda: Watcher(self)))
        kinds = [self.random.choice(list(Restart)) for _ in range(3)]
        workers = [
            ChildSpec(
                f"w{index}",
                lambda: Worker(self),
                restart=kind,
                mailbox=self.policies[f"/work/w{index}"],
                stop_timeout=1.0,
            )
            for index, kind in enumerate(kinds)
        ]
        system.spawn(group("work", *workers, supervision=self.supervision()))
        system.register(
            Session,
            lambda _: Session(self),
            name="session",
            idle_after=2.0,
            max_live=2,
            stop_timeout=1.0,
            mailbox=MailboxPolicy(capacity=2),
            supervision=self.supervision(),
        )
        for _ in range(3):
            await asyncio.sleep(0)
        self.workers = {}
        for path in self.policies:
            try:
                ref = self.workers[path] = system.ref(path)
            except NoSuchActor:
                continue
            ref._cell.watched_by(watcher._cell)
        senders = [asyncio.create_task(self.send(sender)) for sender in range(4)]
        operator = asyncio.create_task(self.operate())
        await asyncio.sleep(self.random.uniform(0.5, 12.0))
        report = await system.stop(deadline=self.random.uniform(0.5, 8.0))
        await asyncio.wait([*senders, operator], timeout=100.0)
        for task in (*senders, operator):
            task.result()
        return report

    async def send(self, sender: int) -> None:
        for number in range(self.random.randint(3, 12)):
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.choice((0.0, 0.0, 0.3, 1.0)))
            path = self.random.choice([*self.policies, "/session/a", "/session/b", "/session/c"])
            try:
                ref = self.workers.get(path) or self.system.ref(path)
            except NoSuchActor:
                continue
            mood = self.random.choices(("quick", "slow", "crash", "hang"), (10, 4, 2, 0.3))[0]
            await self.send_one(ref, path, sender, number, mood)

    async def send_one(self, ref: Any, path: str, sender: int, number: int, mood: str) -> None:
        try:
            match self.random.randrange(4):
                case 0:
                    await self.count_told(ref.tell(Job(sender, number, mood)), path, sender, number)
                case 1:
                    ref.tell_nowait(Job(sender, number, mood))
                    self.told[sender, number] = path
                case 2:
                    await self.ask(ref, Question(sender, number, mood))
                case 3:
                    asking = asyncio.create_task(self.ask(ref, Question(sender, number, mood)))
                    await asyncio.wait([asking], timeout=self.random.uniform(0.0, 2.0))
                    asking.cancel()
                    await asyncio.wait([asking])
        except MailboxFull:
            self.simulation.record(path, "full")

    async def count_told(self, telling: Awaitable[bool], path: str, sender: int, number: int) -> None:
        await telling
        self.told[sender, number] = path

    async def ask(self, ref: Any, question: Question) -> None:
        timeout = self.random.uniform(0.05, 4.0)
        began = self.simulation.loop.time()
        try:
            answer = await ref.ask(question, timeout=timeout)
        except AskTimeout:
            pass
        except ActorError as refusal:
            self.simulation.record(ref.path, type(refusal).__name__)
        else:
            if answer != question.number:
                self.broken.append(f"{question} was answered {answer}")
        took = self.simulation.loop.time() - began
        if took > timeout + 0.05:
            self.broken.append(f"{question} took {took:.3f} s of {timeout:.3f} s")

    async def operate(self) -> None:
        for _ in range(self.random.randint(0, 3)):
            await asyncio.sleep(self.random.uniform(0.0, 4.0))
            path = self.random.choice([*self.policies, "/work", "/session", "/session/a"])
            try:
                match self.random.randrange(4):
                    case 0:
                        self.system.pause(path)
                        await asyncio.sleep(self.random.uniform(0.0, 2.0))
                        self.system.resume(path)
                    case 1:
                        self.operated.add(path)
                        await self.system.restart(path)
                    case 2:
                        await self.system.stop_actor(self.random.choice(list(self.policies)))
                    case 3:
                        json_ready = self.system.tree(), self.system.health()
                        assert json_ready
            except (NoSuchActor, ActorStopped):
                self.simulation.record(path, "not there to be operated")

    # -- what must hold ---------------------------------------------------------------------------

    def check(self, report: StopReport) -> None:
        assert not self.broken, self.broken
        assert not report.stuck
        self.check_nothing_is_lost()
        self.check_order_per_sender()
        self.check_intensity()
        self.check_stop_order()
        assert not any(self.live.values()), self.live
        assert not self.system._tasks

    def check_nothing_is_lost(self) -> None:
        dead = Counter(
            (letter.message.sender, letter.message.number)
            for letter in self.letters.letters()
            if isinstance(letter.message, Job | Question)
        )
        assert all(count == 1 for count in dead.values()), dead
        assert all(count == 1 for count in self.done.values()), self.done
        assert not dead.keys() & self.done.keys(), "handled and dead"
        missing: Counter[str] = Counter()
        for message, path in self.told.items():
            if message not in dead and message not in self.done:
                missing[path] += 1
        for path, ref in self.workers.items():
            meter = ref._cell.meter
            assert missing[path] <= meter.dropped + meter.coalesced, f"{missing} lost"
            assert not ref._cell.mailbox.data
        assert not missing.keys() - self.workers.keys(), f"{missing} lost"

    def check_order_per_sender(self) -> None:
        for path, tasks in self.begun.items():
            coalesces = path in self.policies and self.policies[path].key is not None
            numbers: defaultdict[Any, list[int]] = defaultdict(list)
            for task in tasks:
                lane = (type(task), task.number % 3) if coalesces else None
                numbers[task.sender, lane].append(task.number)
            for sender, sequence in numbers.items():
                assert sequence == sorted(sequence), f"{path} saw {sender} as {sequence}"

    def check_intensity(self) -> None:
        # A new incarnation of the group starts a new record; so does an operator's restart.
        if self.operated:
            return
        record: list[float] = []
        for at, path, event in self.simulation.trace:
            if (path, event) == ("/work", "starting"):
                record.clear()
            elif path.startswith("/work/") and event == "backoff" and self.strategy is Strategy.ONE_FOR_ONE:
                record.append(at)
                recent = [then for then in record if then > at - self.window]
                assert len(recent) <= self.intensity, f"{len(recent)} restarts within {self.window} s"

    def check_stop_order(self) -> None:
        began = max(
            index
            for index, entry in enumerate(self.simulation.trace)
            if entry[1] == "/" and entry[2].startswith("drain")
        )
        order = [path for _, path, event in self.simulation.trace[began:] if event == "stopping"]
        expected = ["/watcher", *(f"/work/w{index}" for index in range(3)), "/work", "/session"]
        place = {"/session": 0, "/work/w2": 1, "/work/w1": 2, "/work/w0": 3, "/work": 4, "/watcher": 5}
        stopped = [path for path in order if path in expected]
        assert stopped == sorted(stopped, key=place.__getitem__)


def play(seed: int) -> Simulation:
    simulation = Simulation(seed)
    world = World(simulation)
    report = simulation.run(world.play)
    try:
        world.check(report)
    except AssertionError as error:
        error.add_note(f"replay with seed {seed}")
        raise
    return simulation


@pytest.mark.timeout(600)
def test_ten_thousand_seeds_hold_every_invariant() -> None:
    began = time.process_time()
    failures = []
    for seed in range(SEEDS):
        try:
            play(seed)
        except Exception as error:  # noqa: BLE001 - every failing seed is reported
            failures.append(f"seed {seed}: {type(error).__name__} {error}")
    print(f"{SEEDS} seeds in {time.process_time() - began:.1f} s of processor time")
    assert not failures, "\n".join(failures[:20])


def test_the_same_seed_gives_the_same_trace() -> None:
    for seed in (1, 7, 4711):
        assert play(seed).digest() == play(seed).digest()


def test_another_seed_gives_another_trace() -> None:
    assert len({play(seed).digest() for seed in range(50)}) == 50


@pytest.mark.parametrize("seed", sorted(FOUND))
def test_found_bugs_stay_fixed(seed: int) -> None:
    play(seed)


def test_an_hour_passes_at_once() -> None:
    simulation = Simulation(1)

    async def wait(_: Simulation) -> float:
        await asyncio.sleep(3600)
        return simulation.loop.time()

    began = time.monotonic()
    assert simulation.run(wait) == pytest.approx(3600)
    assert time.monotonic() - began < 1


def test_a_deadlock_is_an_error_that_names_its_seed() -> None:
    async def wait_for_ever(simulation: Simulation) -> None:
        await simulation.loop.create_future()

    with pytest.raises(SimulationDeadlock) as caught:
        Simulation(99).run(wait_for_ever)
    assert "replay with seed 99" in caught.value.__notes__


def test_the_order_of_ready_tasks_follows_from_the_seed() -> None:
    async def race(_: Simulation) -> str:
        order: list[str] = []

        async def run(name: str) -> None:
            order.append(name)

        await asyncio.gather(*(run(name) for name in "abcd"))
        return "".join(order)

    runs: Callable[[], list[str]] = lambda: [Simulation(seed).run(race) for seed in range(40)]  # noqa: E731
    assert runs() == runs()
    assert len(set(runs())) > 5


def test_plain_callbacks_keep_their_order() -> None:
    async def schedule(simulation: Simulation) -> list[int]:
        order: list[int] = []
        for number in range(10):
            simulation.loop.call_soon(order.append, number)
        await asyncio.sleep(1)
        return order

    assert all(Simulation(seed).run(schedule) == list(range(10)) for seed in range(20))
