"""One test for each thing that users of other libraries have had to complain about."""

import asyncio
import gc
import sys
from dataclasses import dataclass

import pytest

from actors.runtime import (
    Actor,
    ActorSystem,
    Ask,
    AskFailed,
    AskTimeout,
    Backoff,
    ChildSpec,
    MailboxFull,
    MailboxPolicy,
    Overflow,
    RecentDeadLetters,
    Restart,
    Supervision,
    Terminated,
    group,
    handles,
)


@dataclass(frozen=True, slots=True)
class Do:
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Crash:
    pass


@dataclass(frozen=True, slots=True)
class Deaths(Ask[list[str]]):
    pass


@dataclass(frozen=True, slots=True)
class Ping(Ask[str]):
    seconds: float = 0.0


class Person(Actor):
    def __init__(self) -> None:
        self.deaths: list[str] = []

    @handles(Do)
    async def on_do(self, do: Do) -> None:
        await asyncio.sleep(do.seconds)

    @handles(Crash)
    async def on_crash(self, _: Crash) -> None:
        raise ValueError

    @handles(Ping)
    async def on_ping(self, ping: Ping) -> str:
        await asyncio.sleep(ping.seconds)
        return "pong"

    @handles(Deaths)
    async def on_deaths(self, _: Deaths) -> list[str]:
        return self.deaths

    @handles(Terminated)
    async def on_terminated(self, notice: Terminated) -> None:
        self.deaths.append(notice.path)


SLOW_RETURN = Supervision(backoff=Backoff(base=1e4, cap=1e4))


async def test_pykka_42_one_learns_that_a_told_actor_died(system: ActorSystem, letters: RecentDeadLetters) -> None:
    mortal = system.spawn(ChildSpec("mortal", Person, restart=Restart.TEMPORARY))

    class Friend(Person):
        async def started(self) -> None:
            self.context.watch(mortal)

    friend = system.spawn(ChildSpec("friend", Friend))
    await asyncio.sleep(0.1)
    assert await mortal.tell(Crash())
    await asyncio.sleep(0.1)
    assert await friend.ask(Deaths(), timeout=1) == ["/mortal"]
    assert not await mortal.tell(Do())
    assert letters.total == 2


async def test_pykka_38_control_does_not_queue_behind_data(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("busy", Person, restart=Restart.TEMPORARY))
    for _ in range(500):
        await ref.tell(Do(1.0))
    began = asyncio.get_running_loop().time()
    await system.stop_actor("/busy")
    assert asyncio.get_running_loop().time() - began <= 1.0


async def test_pykka_99_waiting_for_a_reply_does_not_block_the_loop(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("slow", Person))
    asking = asyncio.create_task(ref.ask(Ping(5.0), timeout=10))
    turns = 0
    while not asking.done():
        await asyncio.sleep(0.1)
        turns += 1
    assert turns >= 49


async def test_pykka_mailboxes_are_bounded(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("slow", Person))
    for _ in range(1024):
        ref.tell_nowait(Do())
    with pytest.raises(MailboxFull):
        ref.tell_nowait(Do())
    assert system.tree().children[0].mailbox_depth == 1024
    with pytest.raises(ValueError, match="at least one"):
        MailboxPolicy(capacity=0)


async def test_ray_13594_asks_do_not_stall_while_an_actor_is_restarted(system: ActorSystem) -> None:
    child = ChildSpec("patient", Person, mailbox=MailboxPolicy(capacity=1, overflow=Overflow.FAIL_FAST))
    system.spawn(group("g", child, ChildSpec("other", Person), supervision=SLOW_RETURN))
    await asyncio.sleep(1)
    ref = system.ref("/g/patient")
    await ref.tell(Crash())
    await asyncio.sleep(0.1)
    await ref.tell(Do())
    with pytest.raises(MailboxFull):
        await ref.ask(Ping(), timeout=1e6)
    blocked = system.ref("/g/other")
    await blocked.tell(Crash())
    began = asyncio.get_running_loop().time()
    with pytest.raises(AskTimeout):
        await blocked.ask(Ping(), timeout=3)
    assert asyncio.get_running_loop().time() - began <= 3.05


async def test_ray_11990_a_restart_never_hangs_on_what_the_actor_was_doing(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("stuck", Person, stop_timeout=2.0))
    await ref.tell(Do(1e9))
    await asyncio.sleep(0.1)
    began = asyncio.get_running_loop().time()
    await system.restart("/stuck")
    assert await ref.ask(Ping(), timeout=1) == "pong"
    assert asyncio.get_running_loop().time() - began < 3


async def test_ray_18703_a_producer_cannot_run_the_machine_out_of_memory(system: ActorSystem) -> None:
    ref = system.spawn(ChildSpec("slow", Person, mailbox=MailboxPolicy(capacity=10)))

    async def produce() -> None:
        while True:
            await ref.tell(Do(1.0))

    producer = asyncio.create_task(produce())
    for _ in range(100):
        await asyncio.sleep(1)
        assert system.tree().children[0].mailbox_depth <= 10
    producer.cancel()


async def test_trio_1521_users_of_a_service_stop_before_the_service(
    system: ActorSystem, events: list[tuple[str, str]]
) -> None:
    system.spawn(ChildSpec("service", Person))
    service = system.ref("/service")

    class User(Person):
        async def stopping(self) -> None:
            self.deaths.append(await service.ask(Ping(), timeout=1))
            said.extend(self.deaths)

    said: list[str] = []
    system.spawn(ChildSpec("user", User))
    await asyncio.sleep(0.1)
    await system.stop(deadline=5)
    assert [path for path, event in events if event == "ended"] == ["/user", "/service"]
    assert said == ["pong"]


async def test_trio_147_a_stop_is_soft_first_and_bounded_in_time(system: ActorSystem) -> None:
    soft = system.spawn(ChildSpec("soft", Person))
    asking = asyncio.create_task(soft.ask(Ping(1.0), timeout=10))
    await asyncio.sleep(0.1)
    report = await system.stop(deadline=5)
    assert await asking == "pong"
    assert report.seconds < 2


async def test_cpython_91887_tasks_are_not_lost_to_the_garbage_collector(system: ActorSystem) -> None:
    ref = system.spawn(group("g", ChildSpec("child", Person)))
    await asyncio.sleep(0.1)
    asking = asyncio.create_task(system.ref("/g/child").ask(Ping(10.0), timeout=20))
    for _ in range(10):
        gc.collect()
        await asyncio.sleep(1)
    assert await asking == "pong"
    assert ref.path == "/g"


async def test_aiojobs_98_a_full_mailbox_does_not_stall_the_others(system: ActorSystem) -> None:
    full = system.spawn(ChildSpec("full", Person, mailbox=MailboxPolicy(capacity=1)))
    other = system.spawn(ChildSpec("other", Person))
    telling = [asyncio.create_task(full.tell(Do(100.0))) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert await other.ask(Ping(), timeout=1) == "pong"
    await asyncio.gather(*telling)


async def test_aiojobs_623_a_stop_ends_even_with_shielded_work(system: ActorSystem) -> None:
    class Shielding(Person):
        @handles(Do)
        async def on_do(self, do: Do) -> None:
            await asyncio.shield(work)

    work = asyncio.create_task(asyncio.sleep(100))
    ref = system.spawn(ChildSpec("shielding", Shielding))
    await ref.tell(Do())
    await asyncio.sleep(0.1)
    report = await system.stop(deadline=5)
    assert report.seconds <= 5.1
    work.cancel()


async def test_an_actor_that_asks_itself_gets_its_deadline_not_a_deadlock(system: ActorSystem) -> None:
    class Selfish(Person):
        @handles(Ping)
        async def on_ping(self, ping: Ping) -> str:
            return await self.context.self.ask(Ping(), timeout=ping.seconds)

    ref = system.spawn(ChildSpec("selfish", Selfish))
    with pytest.raises(AskFailed) as caught:
        await ref.ask(Ping(1.0), timeout=100)
    assert isinstance(caught.value.__cause__, AskTimeout)


def test_it_works_with_another_event_loop() -> None:
    """On the loop that production would use: uvloop where it is installed."""
    uvloop = pytest.importorskip("uvloop")

    async def ask() -> str:
        async with ActorSystem() as system:
            return await system.spawn(ChildSpec("person", Person)).ask(Ping(), timeout=5)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == "pong"


def test_it_works_on_the_ordinary_loop_and_needs_the_standard_library_alone() -> None:
    async def ask() -> str:
        async with ActorSystem() as system:
            return await system.spawn(ChildSpec("person", Person)).ask(Ping(), timeout=5)

    assert asyncio.run(ask()) == "pong"
    runtime = [module for name, module in sys.modules.items() if name.startswith("actors.runtime")]
    imported = {
        value.__name__.partition(".")[0]
        for module in runtime
        for value in vars(module).values()
        if type(value) is type(sys)
    }
    assert imported - {"actors"} <= sys.stdlib_module_names
