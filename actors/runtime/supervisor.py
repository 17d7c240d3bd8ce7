"""The supervisor half of an actor: who its children are, and what becomes of them when they fail."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from .errors import ActorStopped, NameTaken, NoSuchActor, OperatorRestart, RestartIntensityExceeded
from .snapshot import State
from .spec import ChildSpec, Restart, Strategy

if TYPE_CHECKING:
    from .cell import Cell
    from .ref import Ref


class Supervisor:
    """Takes one decision at a time, each in a task of its own, and none while it is not open.

    A back-off holds nobody up: other children are looked after meanwhile, and the mailbox of the one that
    waits keeps to its policy.
    """

    # Whether each child has a record of restarts of its own; otherwise siblings share one.
    isolates = False

    def __init__(self, cell: Cell) -> None:
        self.children: dict[str, Cell] = {}
        self.open = False
        self._cell = cell
        self._orphans: set[str] = set()
        self._restarts: dict[Cell | None, deque[float]] = {}
        self._deciding = asyncio.Lock()
        self._decisions: set[asyncio.Task[None]] = set()

    # -- children ---------------------------------------------------------------------------------

    def child(self, name: str) -> Cell:
        """The child of this name; raises NoSuchActor."""
        try:
            return self.children[name]
        except KeyError:
            raise NoSuchActor(f"{self._cell.path} has no child {name!r}") from None

    def ref(self, name: str) -> Ref:
        """A reference to the child of this name; raises NoSuchActor."""
        return self.child(name).ref

    def reopen(self) -> None:
        """Accept children again, with a clean record of restarts; those left over wait to be taken over."""
        self.open = True
        self._restarts.clear()
        self._orphans = set(self.children)

    def spawn(self, spec: ChildSpec, supervise: Callable[[Cell], Supervisor] | None = None) -> Cell:
        """Start a child, in the cell left by one of the same name if there is one."""
        cell = self._cell
        if not self.open:
            raise ActorStopped(f"{cell.path} is stopping and starts no children")
        if spec.name in self.children and spec.name not in self._orphans:
            raise NameTaken(self.children[spec.name].path)
        child = self.children.pop(spec.name, None) or type(cell)(cell.system, cell, spec, supervise or Supervisor)
        self._orphans.discard(spec.name)
        child.spec = spec
        self.children[spec.name] = child
        child.begin()
        return child

    def orphans(self) -> list[Cell]:
        """The children of the previous incarnation that the present one has not started again."""
        return [child for name, child in self.children.items() if name in self._orphans]

    def retire_orphans(self) -> None:
        """Stop the orphans for good."""
        for child in reversed(self.orphans()):
            self._remove(child)
        self._orphans.clear()

    def retire(self, error: BaseException | None) -> None:
        """Stop all children for good, once halted."""
        for child in reversed(self.children.values()):
            child.retire(error)

    async def stop(self, child: Cell) -> None:
        """Stop a child for good; raises NoSuchActor, or ActorStopped if the supervisor ends first."""
        await self._operate(child, lambda: self._remove(child))

    async def restart(self, child: Cell) -> None:
        """Start a child afresh, failed or not, its record forgotten; raises as ``stop``."""

        def start_afresh() -> None:
            self._restarts.pop(child, None)
            child.failures_in_a_row = 0
            child.paused = False
            child.begin(OperatorRestart(child.path))

        await self._operate(child, start_afresh)

    async def _operate(self, child: Cell, then: Callable[[], None]) -> None:
        async def operate() -> None:
            async with self._deciding:
                if self.children.get(child.spec.name) is not child:
                    raise NoSuchActor(child.path)
                await child.halt()
                then()

        if not self.open:
            raise ActorStopped(self._cell.path)
        task = self._decide(operate())
        # Whoever asked for it may be gone when it fails.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait({task})
        if task.cancelled():
            raise ActorStopped(self._cell.path)
        task.result()

    def _remove(self, child: Cell, error: BaseException | None = None) -> None:
        child.retire(error)
        self._restarts.pop(child, None)
        del self.children[child.spec.name]

    # -- failures ---------------------------------------------------------------------------------

    def attend(self, child: Cell, error: BaseException | None) -> None:
        """Decide what follows the end of an incarnation, or a failure among its children that it could not mend."""
        if self.open:
            self._decide(self._attend(child, child.epoch, error))

    async def _attend(self, child: Cell, epoch: int, error: BaseException | None) -> None:
        async with self._deciding:
            if epoch != child.epoch:
                return
            await child.halt()
            if not self._starts_again(child, error):
                return
            delay = self._delay(child)
            group = self._restarted_with(child)
            for member in reversed(group):
                await member.halt()
                if member.spec.restart is Restart.TEMPORARY:
                    self._remove(member)
                else:
                    member.enter(State.BACKOFF)
            waiting = [(member, member.epoch) for member in group if member.state is State.BACKOFF]
        await asyncio.sleep(delay)
        async with self._deciding:
            for member, halted in waiting:
                if halted == member.epoch:
                    member.begin(error or ActorStopped(f"{child.path} ended of its own accord"))

    def _starts_again(self, child: Cell, error: BaseException | None) -> bool:
        """Whether the child is to be started again; it is removed or given up if not."""
        restart = child.spec.restart
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and error is None):
            self._remove(child, error)
        elif self._tolerates(child):
            return True
        else:
            policy = self._cell.spec.supervision
            exceeded = RestartIntensityExceeded(
                f"{child.path} failed more than {policy.max_restarts} times in {policy.window:g} s"
            )
            exceeded.__cause__ = error
            self._give_up(child, exceeded)
        return False

    def _tolerates(self, child: Cell) -> bool:
        """Count one restart more, unless that would be one too many within the window."""
        policy, now = self._cell.spec.supervision, self._cell.clock.now()
        record = self._restarts.setdefault(child if self.isolates else None, deque())
        while record and record[0] <= now - policy.window:
            record.popleft()
        if len(record) >= policy.max_restarts:
            return False
        record.append(now)
        return True

    def _give_up(self, child: Cell, error: BaseException) -> None:  # noqa: ARG002 - other supervisors part with the child
        self._cell.report(error)

    def _delay(self, child: Cell) -> float:
        backoff = self._cell.spec.supervision.backoff
        if self._cell.clock.now() - child.began_at >= backoff.healthy_after:
            child.failures_in_a_row = 0
        child.failures_in_a_row += 1
        return backoff.delay(child.failures_in_a_row, self._cell.system.random)

    def _restarted_with(self, child: Cell) -> list[Cell]:
        everyone = list(self.children.values())
        match self._cell.spec.supervision.strategy:
            case Strategy.ONE_FOR_ONE:
                return [child]
            case Strategy.ONE_FOR_ALL:
                return everyone
            case Strategy.REST_FOR_ONE:
                return everyone[everyone.index(child) :]

    # -- decisions --------------------------------------------------------------------------------

    def _decide(self, decision: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._cell.system.own_task(decision, f"{self._cell.path} supervisor")
        self._decisions.add(task)
        task.add_done_callback(self._decisions.discard)
        return task

    async def freeze(self) -> None:
        """Take no further decision: start no child, restart none."""
        self.open = False
        if self._decisions:
            for task in self._decisions:
                task.cancel()
            await asyncio.wait(self._decisions)

    async def shut(self, until: float = math.inf) -> None:
        """Freeze, and halt the children, last started first; ``until`` as for Cell.halt."""
        await self.freeze()
        for child in reversed(list(self.children.values())):
            await child.halt(until)


class Root(Supervisor):
    """Supervises the groups of a system: one that fails too often stays where it is, failed, for all to see."""

    isolates = True

    def _give_up(self, child: Cell, error: BaseException) -> None:
        child.retire(error)
