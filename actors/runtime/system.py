"""The actor system: the root of the tree, and the door between actors and everybody else."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from .actor import Actor
from .cell import Cell
from .clock import Clock, LoopClock
from .dead_letters import DeadLetter, DeadLetterSink, Reason, RecentDeadLetters, describe, trace
from .errors import ActorStopped, NoSuchActor
from .keyed import KeyedRef, Region
from .messages import MessageCodec
from .ref import RecipientRef, Ref
from .snapshot import ActorSnapshot, GroupHealth, Health, State, StopReport
from .spec import Beyond, ChildSpec, MailboxPolicy, Restart, Supervision
from .supervisor import Supervisor

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
        self.clock = clock or LoopClock(asyncio.get_running_loop())
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
        self._regions: dict[type[Actor], Region] = {}
        self._stop: asyncio.Task[StopReport] | None = None
        self._root = Cell(self, None, ChildSpec("root", Actor, supervision=supervision or Supervision()), Beyond.FAIL)
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
        template = ChildSpec(
            "key",
            Actor,
            restart=Restart.TRANSIENT,
            mailbox=mailbox or MailboxPolicy(),
            stop_timeout=stop_timeout,
        )
        region = Region(template, factory, idle_after, max_live)
        spec = ChildSpec(name or actor_class.__name__, lambda: region, supervision=supervision or Supervision())
        region.settle_in(self._root.supervisor.spawn(spec, Beyond.STOP))
        self._regions[actor_class] = region
        self.codec.register(*actor_class.handlers)

    def at(self, actor_class: type[Actor], key: str) -> KeyedRef:
        """The actor of this class that holds the key; raises NoSuchActor for a class never registered."""
        try:
            return KeyedRef(self._regions[actor_class], key)
        except KeyError:
            raise NoSuchActor(f"{actor_class.__name__} is not registered by key") from None

    def ref(self, path: str) -> RecipientRef:
        """The actor at a path; for the path of a key, live or not, the actor that will hold it.

        Raises NoSuchActor.
        """
        head, _, rest = path.strip("/").partition("/")
        for region in self._regions.values():
            if rest and "/" not in rest and region.cell.spec.name == head:
                return KeyedRef(region, unquote(rest))
        return self._find(path).ref

    async def settled(self, timeout: float) -> bool:
        """Wait until every actor, and so every child it starts, is past its start; False after ``timeout`` seconds."""
        until = self.clock.now() + timeout
        while any(cell.state is State.STARTING for cell in self._root.family()):
            if self.clock.now() >= until:
                return False
            await asyncio.sleep(SHORTEST_POLL)
        return True

    def _find(self, path: str) -> Cell:
        cell: Cell | None = self._root
        for name in path.strip("/").split("/"):
            cell = cell.supervisor.children.get(name) if cell else None
        if cell is None:
            raise NoSuchActor(path)
        return cell

    async def redeliver(self, letter: DeadLetter) -> bool:
        """Tell the message of a dead letter again to whoever lives at its path now; see RecipientRef.tell."""
        return await self.ref(letter.path).tell(letter.message)

    # -- operating --------------------------------------------------------------------------------

    def pause(self, path: str) -> None:
        """Let the actor handle nothing until resumed; its mailbox keeps to its policy. Raises NoSuchActor."""
        self._find(path).pause()

    def resume(self, path: str) -> None:
        """Undo ``pause``; raises NoSuchActor."""
        self._find(path).resume()

    async def restart(self, path: str) -> None:
        """Start the actor and all below it afresh, failed or not; raises NoSuchActor, ActorStopped."""
        cell = self._find(path)
        await self._supervisor_of(cell).restart_child(cell.spec.name)

    async def stop_actor(self, path: str) -> None:
        """Stop the actor for good, after its message in hand; raises NoSuchActor, ActorStopped."""
        cell = self._find(path)
        await self._supervisor_of(cell).stop_child(cell.spec.name)

    def _supervisor_of(self, cell: Cell) -> Supervisor:
        if self.closing:
            raise ActorStopped("the system is closing")
        return (cell.parent or self._root).supervisor

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
            cell.mailbox.restrict()
            cell.timers.cancel_all()
        drained = await self._drain(began + DRAIN_SHARE * deadline)
        self.observe(self._root.path, "drained" if drained else "drain deadline")
        # From here on nothing is restarted anywhere, so that everything stops once and in order.
        await asyncio.gather(*(cell.supervisor.freeze() for cell in self._root.family()))
        self._ended.clear()
        await self._root.supervisor.shut(began + deadline)
        self._root.retire()
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

    def is_insider(self) -> bool:
        """Whether the caller is one of this system's actors."""
        return _inside.get() is self

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
