"""The actor system: the root of the tree, and the door between actors and everybody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from random import Random
from typing import Any, Self
from urllib.parse import quote

from .actor import Actor, Clock
from .cell import Cell
from .errors import ActorStopped, NoSuchActor
from .mailbox import Ref
from .messages import DeadLetter, DeadLetterSink, MessageCodec, RecentDeadLetters
from .spec import ActorSnapshot, ChildSpec, Health, MailboxPolicy, Restart, State, StopReport, Supervision
from .supervisor import Region, Supervisor

# The share of a stop's deadline that draining may take; the rest is for stopping hooks.
DRAIN_SHARE = 0.8
# Seconds between two looks at whether everything has been handled.
SHORTEST_POLL, LONGEST_POLL = 0.001, 0.05


class ActorSystem:
    """Owns every actor and every task of theirs; made inside a running event loop.

    A group at the root that exceeds ``supervision`` is failed, see ``health``; ``observer`` is told (path, event).
    """

    def __init__(
        self,
        *,
        dead_letters: DeadLetterSink | None = None,
        supervision: Supervision | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        observer: Callable[[str, str], None] | None = None,
    ) -> None:
        self.clock = clock or Clock(asyncio.get_running_loop().time)
        self.random = random or Random()
        self.codec = MessageCodec()
        self.log = logging.getLogger(__package__)
        self.observe = observer or (lambda _path, _event: None)
        self.closing = False
        self.sink = dead_letters or RecentDeadLetters()
        self.buried = 0
        self.stuck: list[str] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._regions: dict[type[Actor], Supervisor] = {}
        self._stop: asyncio.Task[StopReport] | None = None
        self._root = Cell(self, None, ChildSpec("root", Actor, supervision=supervision or Supervision()), Supervisor)
        self._root.enter(State.RUNNING)
        self._root.supervisor.reopen()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(deadline=5.0)

    def spawn(self, spec: ChildSpec) -> Ref:
        """Start an actor at the root; raises NameTaken, or ActorStopped when the system is closing."""
        if self.closing:
            raise ActorStopped("the system is closing")
        return self._root.supervisor.spawn(spec).ref

    def register(
        self,
        actor_class: type[Actor],
        factory: Callable[[str], Actor],
        *,
        name: str | None = None,
        idle_after: float = 300.0,
        max_live: int = 10_000,
        mailbox: MailboxPolicy | None = None,
        supervision: Supervision | None = None,
        stop_timeout: float = 5.0,
    ) -> None:
        """Make a class available by key, below ``/name`` (by default that of the class); raises NameTaken.

        ``supervision`` holds for each key by itself. A key is passivated after ``idle_after`` seconds
        without a message, or earlier when ``max_live`` is reached.
        """
        mailbox = mailbox or MailboxPolicy()
        key = ChildSpec("key", Actor, restart=Restart.TRANSIENT, mailbox=mailbox, stop_timeout=stop_timeout)
        spec = ChildSpec(name or actor_class.__name__, Actor, supervision=supervision or Supervision())
        cell = self._root.supervisor.spawn(spec, lambda cell: Region(cell, key, factory, idle_after, max_live))
        self._regions[actor_class] = cell.supervisor
        self.codec.register(*actor_class.handlers)

    def at(self, actor_class: type[Actor], key: str) -> Ref:
        """The actor of this class that holds the key; raises NoSuchActor for a class never registered."""
        if actor_class not in self._regions:
            raise NoSuchActor(f"{actor_class.__name__} is not registered by key")
        return self._regions[actor_class].ref(quote(key, safe=""))

    def ref(self, path: str) -> Ref:
        """The actor at a path, or the one that will hold a key, live or not; raises NoSuchActor."""
        parent, _, name = path.strip("/").rpartition("/")
        return self._find(parent).supervisor.ref(name)

    async def settled(self, timeout: float) -> bool:
        """Wait until every actor, and so every child it starts, is past its start; False after ``timeout`` seconds."""
        return await self._reached(lambda cell: cell.state is not State.STARTING, self.clock.now() + timeout)

    async def _reached(self, condition: Callable[[Cell], bool], until: float) -> bool:
        pause = SHORTEST_POLL
        while not all(map(condition, self._root.family())):
            if self.clock.now() >= until:
                return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)
        return True

    def _find(self, path: str) -> Cell:
        cell = self._root
        for name in filter(None, path.split("/")):
            cell = cell.supervisor.child(name)
        return cell

    async def redeliver(self, letter: DeadLetter) -> bool:
        """Tell the message of a dead letter again to whoever lives at its path now; see Ref.tell."""
        return await self.ref(letter.path).tell(letter.message)

    def pause(self, path: str, *, paused: bool = True) -> None:
        """Let the actor handle nothing until resumed; its mailbox keeps to its policy. Raises NoSuchActor."""
        cell = self._find(path)
        cell.paused = paused
        cell.mailbox.interrupt()

    def resume(self, path: str) -> None:
        self.pause(path, paused=False)

    async def restart(self, path: str) -> None:
        """Start the actor and all below it afresh, failed or not; raises NoSuchActor, ActorStopped."""
        await self._operate(path, restart=True)

    async def stop_actor(self, path: str) -> None:
        """Stop the actor for good, after its message in hand; raises NoSuchActor, ActorStopped."""
        await self._operate(path, restart=False)

    async def _operate(self, path: str, *, restart: bool) -> None:
        cell = self._find(path)
        if self.closing or cell.parent is None:
            raise ActorStopped("the system is closing")
        await cell.parent.supervisor.operate(cell, restart=restart)

    def tree(self) -> ActorSnapshot:
        return self._root.snapshot()

    def health(self) -> Health:
        """Readiness; a group counts as failed when anything in it has been given up."""
        groups = []
        for group in self._root.supervisor.children.values():
            worst = next((cell for cell in group.family() if cell.state is State.FAILED), group)
            groups.append(replace(group.meter, state=worst.state, last_error=worst.meter.last_error))
        return Health(not self.closing and all(group.state is not State.FAILED for group in groups), tuple(groups))

    async def stop(self, deadline: float) -> StopReport:
        """Refuse intake, drain, stop in reverse order of start; all within ``deadline`` seconds.

        Actors may send one another messages while draining. What is left becomes dead letters; asks raise ActorStopped.
        """
        if self._stop is None:
            self._stop = asyncio.get_running_loop().create_task(self._stop_within(deadline), name="actors stop")
        return await asyncio.shield(self._stop)

    async def _stop_within(self, deadline: float) -> StopReport:
        began, buried = self.clock.now(), self.buried
        self.closing = True
        for cell in self._root.family():
            cell.context.cancel_timers()
        drained = await self._reached(lambda cell: cell.quiet or cell is self._root, began + DRAIN_SHARE * deadline)
        self.observe(self._root.path, "drained" if drained else "drain deadline")
        # From here on nothing is restarted anywhere, so that everything stops once and in order.
        await asyncio.gather(*(cell.supervisor.freeze() for cell in self._root.family()))
        await self._root.supervisor.shut(began + deadline)
        self._root.retire()
        # Those who still waited in line for room now bury their messages.
        await asyncio.sleep(0)
        return StopReport(self.clock.now() - began, drained, self.buried - buried, tuple(self.stuck))

    def own_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
