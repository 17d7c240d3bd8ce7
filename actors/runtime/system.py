"""The actor system: the root of the tree, and the door between actors and everybody else."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from .actor import Actor
from .cell import Cell
from .clock import Clock
from .dead_letters import DeadLetter, DeadLetterSink, Reason, RecentDeadLetters, describe, trace
from .errors import ActorStopped, NoSuchActor
from .keyed import Region
from .messages import MessageCodec
from .ref import Ref
from .snapshot import ActorSnapshot, GroupHealth, Health, State, StopReport
from .spec import ChildSpec, MailboxPolicy, Restart, Supervision
from .supervisor import Root, Supervisor

_inside: contextvars.ContextVar[ActorSystem | None] = contextvars.ContextVar("actor system", default=None)

# The share of a stop's deadline that draining may take; the rest is for stopping hooks.
DRAIN_SHARE = 0.8
# Seconds between two looks at whether everything has been handled.
SHORTEST_POLL, LONGEST_POLL = 0.001, 0.05


class ActorSystem:
    """Owns every actor and every task of theirs. Made inside a running event loop.

    ``supervision`` is for the groups at the root: a group that exceeds it is failed and reported by
    ``health``, the others go on. ``observer`` is told of each change: (path, event).
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
        self.clock = clock or Clock(asyncio.get_running_loop())
        self.random = random or Random()
        self.codec = MessageCodec()
        self.closing = False
        self.log = logging.getLogger(__package__)
        self._sink = dead_letters or RecentDeadLetters()
        self._observer = observer
        self._buried = 0
        self._ended: list[str] = []
        self._stuck: list[str] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._regions: dict[type[Actor], Supervisor] = {}
        self._stop: asyncio.Task[StopReport] | None = None
        self._root = Cell(self, None, ChildSpec("root", Actor, supervision=supervision or Supervision()), Root)
        self._root.enter(State.RUNNING)
        self._root.supervisor.reopen()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.stop(deadline=5.0)

    # -- reaching actors --------------------------------------------------------------------------

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
        """Make a class available by key, below ``/name`` (by default the name of the class).

        ``supervision`` holds for each key by itself. A key is passivated after ``idle_after`` seconds
        without a message, or earlier when ``max_live`` is reached. Raises NameTaken.
        """
        mailbox = mailbox or MailboxPolicy()
        key = ChildSpec("key", Actor, restart=Restart.TRANSIENT, mailbox=mailbox, stop_timeout=stop_timeout)
        spec = ChildSpec(name or actor_class.__name__, Actor, supervision=supervision or Supervision())
        cell = self._root.supervisor.spawn(spec, lambda cell: Region(cell, key, factory, idle_after, max_live))
        self._regions[actor_class] = cell.supervisor
        self.codec.register(*actor_class.handlers)

    def at(self, actor_class: type[Actor], key: str) -> Ref:
        """The actor of this class that holds the key; raises NoSuchActor for a class never registered."""
        try:
            return self._regions[actor_class].ref(quote(key, safe=""))
        except KeyError:
            raise NoSuchActor(f"{actor_class.__name__} is not registered by key") from None

    def ref(self, path: str) -> Ref:
        """The actor at a path; for the path of a key, live or not, the actor that will hold it.

        Raises NoSuchActor.
        """
        parent, _, name = path.strip("/").rpartition("/")
        return self._find(parent).supervisor.ref(name)

    async def settled(self, timeout: float) -> bool:
        """Wait until every actor, and so every child it starts, is past its start; False after ``timeout`` seconds."""
        until = self.clock.now() + timeout
        while any(cell.state is State.STARTING for cell in self._root.family()):
            if self.clock.now() >= until:
                return False
            await asyncio.sleep(SHORTEST_POLL)
        return True

    def _find(self, path: str) -> Cell:
        cell = self._root
        for name in filter(None, path.split("/")):
            cell = cell.supervisor.child(name)
        return cell

    async def redeliver(self, letter: DeadLetter) -> bool:
        """Tell the message of a dead letter again to whoever lives at its path now; see RecipientRef.tell."""
        return await self.ref(letter.path).tell(letter.message)

    # -- operating --------------------------------------------------------------------------------

    def pause(self, path: str) -> None:
        """Let the actor handle nothing until resumed; its mailbox keeps to its policy. Raises NoSuchActor."""
        self._find(path).pause(True)

    def resume(self, path: str) -> None:
        """Undo ``pause``; raises NoSuchActor."""
        self._find(path).pause(False)

    async def restart(self, path: str) -> None:
        """Start the actor and all below it afresh, failed or not; raises NoSuchActor, ActorStopped."""
        supervisor, cell = self._supervised(path)
        await supervisor.restart(cell)

    async def stop_actor(self, path: str) -> None:
        """Stop the actor for good, after its message in hand; raises NoSuchActor, ActorStopped."""
        supervisor, cell = self._supervised(path)
        await supervisor.stop(cell)

    def _supervised(self, path: str) -> tuple[Supervisor, Cell]:
        cell = self._find(path)
        if self.closing or cell.parent is None:
            raise ActorStopped("the system is closing")
        return cell.parent.supervisor, cell

    def tree(self) -> ActorSnapshot:
        """How everything is, now."""
        return self._root.snapshot()

    def health(self) -> Health:
        """Readiness; a group counts as failed when anything in it has been given up."""
        groups = tuple(self._health_of(group) for group in self._root.supervisor.children.values())
        return Health(not self.closing and all(group.state is not State.FAILED for group in groups), groups)

    @staticmethod
    def _health_of(group: Cell) -> GroupHealth:
        failed = next((cell for cell in group.family() if cell.state is State.FAILED), None)
        if failed is None:
            return GroupHealth(group.path, group.state, None)
        return GroupHealth(group.path, State.FAILED, failed.meter.last_error)

    # -- stopping ---------------------------------------------------------------------------------

    async def stop(self, deadline: float) -> StopReport:
        """Refuse intake, drain, stop in reverse order of start; all within ``deadline`` seconds.

        Messages that actors send one another are still accepted while draining. What is left at the end
        becomes dead letters, and asks among it raise ActorStopped. A second call awaits the first.
        """
        if self._stop is None:
            self._stop = asyncio.get_running_loop().create_task(self._stop_within(deadline), name="actors stop")
        return await asyncio.shield(self._stop)

    async def _stop_within(self, deadline: float) -> StopReport:
        began, buried = self.clock.now(), self._buried
        self.closing = True
        for cell in self._root.family():
            cell.context.cancel_timers()
        drained = await self._drain(began + DRAIN_SHARE * deadline)
        self.observe(self._root.path, "drained" if drained else "drain deadline")
        # From here on nothing is restarted anywhere, so that everything stops once and in order.
        await asyncio.gather(*(cell.supervisor.freeze() for cell in self._root.family()))
        self._ended.clear()
        await self._root.supervisor.shut(began + deadline)
        self._root.retire()
        # Those who still waited in line for room now bury their messages.
        await asyncio.sleep(0)
        return StopReport(
            self.clock.now() - began, drained, self._buried - buried, tuple(self._ended), tuple(self._stuck)
        )

    async def _drain(self, until: float) -> bool:
        pause = SHORTEST_POLL
        while not all(cell.quiet for cell in self._root.family() if cell is not self._root):
            if self.clock.now() >= until:
                return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)
        return True

    # -- for the cells ----------------------------------------------------------------------------

    def own_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run the work in a task that is kept alive and knows it is inside this system."""
        context = contextvars.copy_context()
        context.run(_inside.set, self)
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def accepts(self) -> bool:
        """Whether the caller may send: while the system closes, its actors alone may."""
        return not self.closing or _inside.get() is self

    def observe(self, path: str, event: str) -> None:
        """Tell the observer, if there is one."""
        if self._observer is not None:
            self._observer(path, event)

    def note_end(self, path: str) -> None:
        """Remember in which order actors end when the system stops."""
        self.observe(path, "ended")
        if self.closing:
            self._ended.append(path)

    def leave_behind(self, path: str) -> None:
        """Give up waiting for a task that ignores its cancellation."""
        self._stuck.append(path)
        self.log.critical("%s ignores being cancelled", path)

    def bury(self, path: str, message: Any, reason: Reason, error: BaseException | None = None) -> None:
        """Hand a dead letter to the sink."""
        self._buried += 1
        cause, where = (None, None) if error is None else (describe(error), trace(error))
        try:
            self._sink.put(DeadLetter(path, message, reason, self.clock.wall(), cause, where))
        except Exception:
            self.log.exception("the dead-letter sink failed on a %s for %s", type(message).__qualname__, path)
