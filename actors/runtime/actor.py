"""The base class of actors, the decorator that makes a method a handler, and what an actor may do."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .errors import MailboxFull
from .mailbox import Ref
from .messages import Message, Reason
from .spec import ChildSpec, Supervision

if TYPE_CHECKING:
    from .cell import Cell

Handler = Callable[[Any, Any], Coroutine[Any, Any, Any]]
MethodT = TypeVar("MethodT", bound=Handler)

_MARK = "__handled_type__"


def handles(message_type: type) -> Callable[[MethodT], MethodT]:
    """Make an async method (or raise TypeError) the handler of exactly this message type; its result answers an ask."""

    def mark(method: MethodT) -> MethodT:
        if not inspect.iscoroutinefunction(method):
            raise TypeError(f"a handler is an async method: {method!r}")
        setattr(method, _MARK, message_type)
        return method

    return mark


@dataclass(frozen=True, slots=True)
class Clock:
    """Time in seconds: ``now`` is monotonic and counts all deadlines, ``wall`` is Unix time, for people and storage."""

    now: Callable[[], float]
    wall: Callable[[], float] = time.time


class Timer:
    """A message that an actor will receive once, or again and again."""

    def __init__(self, context: Context, message: Message, wait: float, period: float = 0, jitter: float = 0) -> None:
        self._context, self._message = context, message
        self._due, self._period, self._jitter = context.cell.clock.now() + wait, period, jitter
        self._schedule()

    def _schedule(self) -> None:
        cell = self._context.cell
        wait = self._due - cell.clock.now() + cell.system.random.uniform(0.0, self._jitter)
        self._call = asyncio.get_running_loop().call_later(max(0.0, wait), self._ring)
        self._context.timers.add(self)

    def _ring(self) -> None:
        self._context.timers.discard(self)
        cell = self._context.cell
        if self._period:
            # Counted from when it was due, not from now: a schedule does not drift.
            missed = max(0.0, cell.clock.now() - self._due) // self._period
            self._due += self._period * (missed + 1)
            self._schedule()
            if any(item is self._message for item in cell.mailbox.data):
                return
        try:
            cell.ref.tell_nowait(self._message)
        except MailboxFull as error:
            cell.bury(self._message, Reason.MAILBOX_FULL, error)

    def cancel(self) -> None:
        self._call.cancel()
        self._context.timers.discard(self)


class Context:
    """One incarnation's view of its surroundings, its own reference and clock; timers die with it."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.self, self.path, self.clock = cell.ref, cell.path, cell.clock
        self.timers: set[Timer] = set()

    @property
    def closing(self) -> bool:
        """Whether this actor has been asked to end; a long handler looks here and returns early."""
        return self.cell.closing

    def spawn(self, spec: ChildSpec) -> Ref:
        """Start a child, with the mailbox its namesake left behind; raises NameTaken, ActorStopped."""
        return self.cell.supervisor.spawn(spec).ref

    def stop(self) -> None:
        """End after the message in hand, as if of its own accord: a permanent actor is then restarted."""
        self.cell.request_end()

    def watch(self, other: Ref) -> None:
        """Receive ``Terminated`` when the other stops for good, at once if it already has."""
        other.locate_now().watched_by(self.cell)

    def unwatch(self, other: Ref) -> None:
        other.locate_now().watchers.pop(self.cell, None)

    def after(self, seconds: float, message: Message) -> Timer:
        """Tell this actor the message once, so many seconds from now."""
        return Timer(self, message, seconds)

    def every(self, seconds: float, message: Message, *, jitter: float = 0.0) -> Timer:
        """Tell this actor the message every so many seconds, each time up to ``jitter`` seconds later.

        A tick is left out while the one before it still waits. Raises ValueError unless ``seconds`` is positive.
        """
        if seconds <= 0:
            raise ValueError("a period is longer than zero seconds")
        return Timer(self, message, seconds, seconds, jitter)

    def cancel_timers(self) -> None:
        for timer in list(self.timers):
            timer.cancel()


class Actor:
    """State of its own, and handlers called one message at a time; an exception from one ends this incarnation."""

    context: Context
    handlers: ClassVar[dict[type, Handler]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.handlers = {
            getattr(method, _MARK): getattr(cls, name)
            for base in reversed(cls.__mro__)
            for name, method in vars(base).items()
            if hasattr(method, _MARK)
        }

    async def started(self) -> None:
        """Called before the first message; children are spawned and timers set here."""

    async def restarted(self, cause: BaseException) -> None:  # noqa: ARG002 - for those who override it
        """Called instead of ``started`` on an incarnation that follows a failure; does the same by default."""
        await self.started()

    async def stopping(self) -> None:
        """Called after the last message, however this incarnation ended; what was opened is closed here."""


class Group(Actor):
    """Starts its children in the order given, and has no messages of its own."""

    def __init__(self, children: tuple[ChildSpec, ...]) -> None:
        self._children = children

    async def started(self) -> None:
        for child in self._children:
            self.context.spawn(child)


def group(name: str, *children: ChildSpec, supervision: Supervision | None = None) -> ChildSpec:
    """The spec of a supervisor over these children; groups nest."""
    return ChildSpec(name, lambda: Group(children), supervision=supervision or Supervision())
