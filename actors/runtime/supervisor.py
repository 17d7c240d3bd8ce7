"""The supervisor half of an actor: who its children are, and what becomes of them when they fail."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .errors import ActorStopped, KeysExhausted, NameTaken, NoSuchActor, OperatorRestart, RestartIntensityExceeded
from .mailbox import Ref
from .spec import ChildSpec, Restart, State, Strategy

if TYPE_CHECKING:
    from .actor import Actor
    from .cell import Cell

# Seconds that floating-point time may fall short of a moment that has come.
CLOCK_GRAIN = 1e-3


class Supervisor:
    """Takes one decision at a time, each in a task of its own; a back-off holds up nobody else."""

    def __init__(self, cell: Cell) -> None:
        self.children: dict[str, Cell] = {}
        self.open = False
        # Children at the root have a record of restarts each; below it siblings share one.
        self.isolates = cell.parent is None
        self._cell = cell
        self._orphans: set[str] = set()
        self._restarts: dict[Cell | None, deque[float]] = {}
        self._deciding = asyncio.Lock()
        self._decisions: set[asyncio.Task[None]] = set()
        # Set whenever there may be room for another child.
        self.changed = asyncio.Event()

    def child(self, name: str) -> Cell:
        if name not in self.children:
            raise NoSuchActor(f"{self._cell.path} has no child {name!r}")
        return self.children[name]

    def ref(self, name: str) -> Ref:
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
        return [child for name, child in self.children.items() if name in self._orphans]

    def retire_orphans(self) -> None:
        for child in reversed(self.orphans()):
            self._remove(child)
        self._orphans.clear()
        self.changed.set()

    def retire(self, error: BaseException | None) -> None:
        for child in reversed(self.children.values()):
            child.retire(error)
        self.changed.set()

    async def operate(self, child: Cell, *, restart: bool) -> None:
        """Stop a child for good, or start it afresh, its record forgotten; raises NoSuchActor, ActorStopped."""

        async def operate() -> None:
            async with self._deciding:
                if self.children.get(child.spec.name) is not child:
                    raise NoSuchActor(child.path)
                await child.halt()
                if not restart:
                    self._remove(child)
                    return
                self._restarts.pop(child, None)
                child.failures_in_a_row, child.paused = 0, False
                child.begin(OperatorRestart(child.path))

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
        self.changed.set()

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
            everyone = list(self.children.values())
            rest = everyone[everyone.index(child) :]
            groups = {Strategy.ONE_FOR_ONE: [child], Strategy.ONE_FOR_ALL: everyone, Strategy.REST_FOR_ONE: rest}
            group = groups[self._cell.spec.supervision.strategy]
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
        restart, policy = child.spec.restart, self._cell.spec.supervision
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and error is None):
            self._remove(child, error)
            return False
        # Count one restart more, unless that would be one too many within the window.
        record, now = self._restarts.setdefault(child if self.isolates else None, deque()), self._cell.clock.now()
        while record and record[0] <= now - policy.window:
            record.popleft()
        if len(record) < policy.max_restarts:
            record.append(now)
            return True
        what = f"{child.path} failed more than {policy.max_restarts} times in {policy.window:g} s"
        exceeded = RestartIntensityExceeded(what)
        exceeded.__cause__ = error
        self._give_up(child, exceeded)
        return False

    def _give_up(self, child: Cell, error: BaseException) -> None:
        if self._cell.parent is None:
            child.retire(error)
        else:
            self._cell.report(error)

    def _delay(self, child: Cell) -> float:
        backoff = self._cell.spec.supervision.backoff
        if self._cell.clock.now() - child.began_at >= backoff.healthy_after:
            child.failures_in_a_row = 0
        child.failures_in_a_row += 1
        return backoff.delay(child.failures_in_a_row, self._cell.system.random)

    def _decide(self, decision: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._cell.system.own_task(decision, f"{self._cell.path} supervisor")
        self._decisions.add(task)
        task.add_done_callback(self._decisions.discard)
        return task

    async def freeze(self) -> None:
        self.open = False
        for task in self._decisions:
            task.cancel()
        await asyncio.gather(*self._decisions, return_exceptions=True)

    async def shut(self, until: float = math.inf) -> None:
        await self.freeze()
        for child in reversed(list(self.children.values())):
            await child.halt(until)


class Region(Supervisor):
    """Supervises the actors of one keyed class; each is named by its percent-encoded key, and given up alone."""

    def __init__(self, cell: Cell, key: ChildSpec, make: Callable[[str], Actor], idle_after: float, limit: int) -> None:
        super().__init__(cell)
        self.isolates = True
        self._key, self._make, self._idle_after, self._limit = key, make, idle_after, limit
        self._entrance = asyncio.Lock()

    def ref(self, name: str) -> Ref:
        return Ref(self._cell, f"{self._cell.path}/{name}", self)

    def activate_now(self, path: str) -> Cell:
        """The cell of a key, or that of the region, which refuses for all keys once closed; raises KeysExhausted."""
        name = path.rpartition("/")[2]
        if name in self.children:
            return self.children[name]
        if self._cell.mailbox.refuses:
            return self._cell
        if not self.open or len(self.children) >= self._limit:
            idle = [cell for cell in self.children.values() if cell.idle]
            if idle:
                min(idle, key=lambda cell: cell.idle_since).request_end()
            raise KeysExhausted(self._cell.path)
        return self._activate(replace(self._key, name=name, factory=lambda: self._make(unquote(name))))

    async def activate(self, path: str) -> Cell:
        if path.rpartition("/")[2] in self.children or self._cell.mailbox.refuses:
            return self.activate_now(path)
        async with self._entrance:
            while True:
                self.changed.clear()
                with contextlib.suppress(KeysExhausted):
                    return self.activate_now(path)
                await self.changed.wait()

    def _activate(self, spec: ChildSpec) -> Cell:
        cell = self.spawn(spec)
        self._watch_idleness(cell)
        return cell

    def _watch_idleness(self, cell: Cell) -> None:
        if self.children.get(cell.spec.name) is cell:
            remaining = self._idle_after - (cell.clock.now() - cell.idle_since if cell.idle else 0.0)
            if remaining <= CLOCK_GRAIN:
                cell.request_end()
                remaining = self._idle_after
            asyncio.get_running_loop().call_later(remaining, self._watch_idleness, cell)

    def retire_orphans(self) -> None:
        """Activate again the keys whose messages are still waiting, and forget the others."""
        for child in self.orphans():
            if child.mailbox.data:
                self._activate(child.spec)
        super().retire_orphans()

    async def shut(self, until: float = math.inf) -> None:
        """Freeze, and halt all keys at once: they do not depend on one another, and there may be thousands."""
        await self.freeze()
        await asyncio.gather(*(child.halt(until) for child in self.children.values()))

    def _starts_again(self, child: Cell, error: BaseException | None) -> bool:
        if error is None and child.mailbox.data:
            # It ended because it was idle, and a message came meanwhile.
            child.begin()
            return False
        return super()._starts_again(child, error)

    def _give_up(self, child: Cell, error: BaseException) -> None:
        self._remove(child, error)
