"""The base class of actors, and the decorator that makes a method a handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from .messages import Ask
from .spec import ChildSpec, Supervision

if TYPE_CHECKING:
    from .context import Context

Handler = Callable[[Any, Any], Coroutine[Any, Any, Any]]
SelfT = TypeVar("SelfT")
ReplyT = TypeVar("ReplyT")
MethodT = TypeVar("MethodT", bound=Handler)
Replying = Callable[[SelfT, Any], Coroutine[Any, Any, ReplyT]]

_MARK = "__handled_type__"


@overload
def handles(message_type: type[Ask[ReplyT]]) -> Callable[[Replying[SelfT, ReplyT]], Replying[SelfT, ReplyT]]: ...


@overload
def handles(message_type: type) -> Callable[[MethodT], MethodT]: ...


def handles(message_type: type) -> Callable[[Any], Any]:
    """Make an async method the handler of exactly this message type; its result answers an ask.

    Raises TypeError for a method that is not async.
    """

    def mark(method: Any) -> Any:
        if not inspect.iscoroutinefunction(method):
            raise TypeError(f"a handler is an async method: {method!r}")
        setattr(method, _MARK, message_type)
        return method

    return mark


class Actor:
    """State of its own, and handlers that are called one message at a time.

    An exception that leaves a handler or a hook ends this incarnation; the supervisor then decides whether
    the factory is asked for a fresh one.
    """

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
        """Start the children."""
        for child in self._children:
            self.context.spawn(child)


def group(name: str, *children: ChildSpec, supervision: Supervision | None = None) -> ChildSpec:
    """The spec of a supervisor over these children; groups nest."""
    return ChildSpec(name, lambda: Group(children), supervision=supervision or Supervision())
