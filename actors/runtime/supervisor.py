"""The supervisor half of an actor: who its children are, and what becomes of them when they fail."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from .errors import ActorStopped, NameTaken, NoSuchActor, OperatorRestart, RestartIntensityExceeded
from .snapshot import State
from .spec import Beyond, ChildSpec, Restart, Strategy

if TYPE_CHECKING:
    from .cell import Cell
    from .clock import Cancellable

Step = Callable[[], Awaitable[None]]


class Supervisor:
    """Takes one step at a time, in a task of its own that exists only while there are children.

    It never sleeps through a back-off: a restart that is due later is a timer, so other children are
    looked after meanwhile and the mailbox of the one that waits keeps to its policy.
    """

    def __init__(self, cell: Cell, beyond: Beyond) -> None:
        self.children: dict[str, Cell] = {}
        self._cell = cell
        self._beyond = beyond
        self.removed: Callable[[], None] | None = None
        self._open = False
        self._orphans: set[str] = set()
        self._restarts: dict[Cell | None, deque[float]] = {}
        self._due: set[Cancellable] = set()
        self._steps: deque[tuple[Step, asyncio.Future[None] | None]] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Whether children can be started."""
        return self._open

    # -- children ---------------------------------------------------------------------------------

    def reopen(self) -> None:
        """Accept children again, with a clean record of restarts; those left over wait to be taken over."""
        self._open = True
        self._restarts.clear()
        self._orphans = set(self.children)

    def spawn(self, spec: ChildSpec, beyond: Beyond = Beyond.ESCALATE) -> Cell:
        """Start a child, in the cell left by one of the same name if there is one."""
        cell = self._cell
        if not self._open:
            raise ActorStopped(f"{cell.path} is stopping and starts no children")
        if spec.name not in self._orphans and spec.name in self.children:
            raise NameTaken(self.children[spec.name].path)
        child = self.children.pop(spec.name, None) or type(cell)(cell.system, cell, spec, beyond)
        self._orphans.discard(spec.name)
        child.spec = spec
        self.children[spec.name] = child
        self._ensure_running()
        child.begin()
        return child

    def retire_orphans(self) -> None:
        """Retire the children of the previous incarnation that the present one did not start again."""
        for name in reversed([name for name in self.children if name in self._orphans]):
            self._remove(self.children[name])
        self._orphans.clear()

    async def stop_child(self, name: str) -> None:
        """Stop a child for good; raises NoSuchActor, or ActorStopped if the supervisor ends first."""

        async def step() -> None:
            child = self._child(name)
            await child.halt()
            self._remove(child)

        await self._call(step)

    async def restart_child(self, name: str) -> None:
        """Start a child afresh, failed or not, its record forgotten; raises as ``stop_child``."""

        async def step() -> None:
            child = self._child(name)
            await child.halt()
            self._restarts.pop(child, None)
            child.failures_in_a_row = 0
            child.resume()
            self._begin_again(child, OperatorRestart(child.path))

        await self._call(step)

    def _child(self, name: str) -> Cell:
        try:
            return self.children[name]
        except KeyError:
            raise NoSuchActor(f"{self._cell.path} has no child {name!r}") from None

    def _remove(self, child: Cell, error: BaseException | None = None) -> None:
        child.retire(error=error)
        self._restarts.pop(child, None)
        if self.children.get(child.spec.name) is child:
            del self.children[child.spec.name]
        if self.removed is not None:
            self.removed()

    # -- failures ---------------------------------------------------------------------------------

    async def child_ended(self, child: Cell, epoch: int, error: BaseException | None) -> None:
        """See to a child whose incarnation ended without having been told to by this supervisor."""
        if epoch != child.epoch:
            return
        await child.supervisor.shut()
        if child.passivating and error is None:
            if child.mailbox.data:
                child.begin()
            else:
                self._remove(child)
        else:
            await self._decide(child, error)

    async def child_escalated(self, child: Cell, epoch: int, error: BaseException) -> None:
        """Fail a child that could not keep its own children in order."""
        if epoch != child.epoch:
            return
        await child.halt()
        child.note_failure(error)
        await self._decide(child, error)

    async def _decide(self, child: Cell, error: BaseException | None) -> None:
        restart = child.spec.restart
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and error is None):
            self._remove(child, error)
        elif self._tolerates(child):
            await self._recover(child, error or ActorStopped(f"{child.path} ended of its own accord"))
        else:
            self._give_up(child, error)

    def _tolerates(self, child: Cell) -> bool:
        """Count one restart more, unless that would be one too many within the window."""
        policy, now = self._cell.spec.supervision, self._cell.clock.now()
        # Below an ordinary supervisor siblings share one record; groups at the root and keys do not.
        record = self._restarts.setdefault(None if self._beyond is Beyond.ESCALATE else child, deque())
        while record and record[0] <= now - policy.window:
            record.popleft()
        if len(record) >= policy.max_restarts:
            return False
        record.append(now)
        return True

    async def _recover(self, child: Cell, cause: BaseException) -> None:
        backoff = self._cell.spec.supervision.backoff
        if self._cell.clock.now() - child.began_at >= backoff.healthy_after:
            child.failures_in_a_row = 0
        child.failures_in_a_row += 1
        group = self._restarted_with(child)
        for sibling in reversed(group):
            if sibling is not child:
                await sibling.halt()
            if sibling.spec.restart is Restart.TEMPORARY:
                self._remove(sibling)
            else:
                sibling.enter(State.BACKOFF)
        epochs = [(member, member.epoch) for member in group if member.state is State.BACKOFF]

        async def restart() -> None:
            for member, epoch in epochs:
                if member.epoch == epoch:
                    self._begin_again(member, cause)

        self._later(backoff.delay(child.failures_in_a_row, self._cell.system.random), restart)

    def _restarted_with(self, child: Cell) -> list[Cell]:
        everyone = list(self.children.values())
        match self._cell.spec.supervision.strategy:
            case Strategy.ONE_FOR_ONE:
                return [child]
            case Strategy.ONE_FOR_ALL:
                return everyone
            case Strategy.REST_FOR_ONE:
                return everyone[everyone.index(child) :]

    @staticmethod
    def _begin_again(child: Cell, cause: BaseException) -> None:
        child.meter.restarts += 1
        child.begin(cause)

    def _give_up(self, child: Cell, error: BaseException | None) -> None:
        policy = self._cell.spec.supervision
        exceeded = RestartIntensityExceeded(
            f"{child.path} failed more than {policy.max_restarts} times in {policy.window:g} s"
        )
        exceeded.__cause__ = error
        cell = self._cell
        if self._beyond is Beyond.STOP:
            self._remove(child, exceeded)
        elif self._beyond is Beyond.FAIL or cell.parent is None:
            child.retire(error=exceeded)
        else:
            above, epoch = cell.parent.supervisor, cell.epoch
            above.post(lambda: above.child_escalated(cell, epoch, exceeded))

    # -- steps ------------------------------------------------------------------------------------

    def post(self, step: Step, done: asyncio.Future[None] | None = None) -> None:
        """Take the step when those before it are taken; a supervisor that is shut takes none."""
        if self._open:
            self._steps.append((step, done))
            self._ensure_running()
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)

    async def _call(self, step: Step) -> None:
        if not self._open:
            raise ActorStopped(self._cell.path)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.post(step, done)
        await done

    def _later(self, delay: float, step: Step) -> None:
        def ring() -> None:
            self._due.discard(call)
            self.post(step)

        call = self._cell.clock.call_later(delay, ring)
        self._due.add(call)

    def _ensure_running(self) -> None:
        if self._task is None:
            self._task = self._cell.system.own_task(self._run(), f"{self._cell.path} supervisor")

    async def _run(self) -> None:
        while True:
            while self._steps:
                await self._take(*self._steps.popleft())
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    async def _take(self, step: Step, done: asyncio.Future[None] | None) -> None:
        try:
            await step()
        except asyncio.CancelledError:
            if done is not None and not done.done():
                done.set_exception(ActorStopped(self._cell.path))
            raise
        except Exception as error:
            if done is None:
                self._cell.system.log.exception("the supervisor of %s stumbled", self._cell.path)
            elif not done.done():
                done.set_exception(error)
        else:
            if done is not None and not done.done():
                done.set_result(None)

    async def freeze(self) -> None:
        """Take no further step: start no child, restart none."""
        self._open = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        for call in self._due:
            call.cancel()
        self._due.clear()
        for _, done in self._steps:
            if done is not None and not done.done():
                done.set_exception(ActorStopped(self._cell.path))
        self._steps.clear()

    async def shut(self, until: float = math.inf) -> None:
        """Take no further step and halt the children, last started first; ``until`` as for Cell.halt."""
        await self.freeze()
        children = reversed(list(self.children.values()))
        if self._beyond is Beyond.STOP:
            # Keys do not depend on one another, and there may be thousands of them.
            await asyncio.gather(*(child.halt(until) for child in children))
        else:
            for child in children:
                await child.halt(until)
