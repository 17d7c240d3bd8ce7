"""What an actor may know and do about its place in the tree."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from .clock import Clock
from .messages import Message
from .ref import RecipientRef, Ref
from .spec import ChildSpec
from .timers import Timer

if TYPE_CHECKING:
    from .actor import Actor
    from .cell import Cell


class Context:
    """One incarnation's view of its surroundings; timers set through it die with the incarnation."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    @property
    def self(self) -> Ref:
        """The actor's own reference, to be handed to others."""
        return self._cell.ref

    @property
    def path(self) -> str:
        """The actor's own path."""
        return self._cell.path

    @property
    def parent(self) -> Ref | None:
        """The supervisor; None for an actor at the root."""
        parent = self._cell.parent
        return parent.ref if parent is not None and parent.parent is not None else None

    @property
    def children(self) -> tuple[Ref, ...]:
        """Children in the order they were started."""
        return tuple(child.ref for child in self._cell.supervisor.children.values())

    @property
    def clock(self) -> Clock:
        """The only clock an actor should read."""
        return self._cell.clock

    @property
    def random(self) -> Random:
        """The system's random numbers: seeded in a simulation."""
        return self._cell.system.random

    @property
    def closing(self) -> bool:
        """Whether this actor has been asked to end; a long handler looks here and returns early."""
        return self._cell.closing

    def spawn(self, spec: ChildSpec) -> Ref:
        """Start a child. A child of the same name left by the previous incarnation is taken over, mailbox and all.

        Raises NameTaken if it is alive, ActorStopped if this actor is being stopped.
        """
        return self._cell.supervisor.spawn(spec).ref

    async def stop_child(self, child: Ref) -> None:
        """Stop a child for good, after its message in hand; raises NoSuchActor."""
        await self._cell.supervisor.stop_child(child.path.rpartition("/")[2])

    def stop(self) -> None:
        """End after the message in hand, as if of its own accord: a permanent actor is then restarted."""
        self._cell.request_end()

    def watch(self, other: Ref) -> None:
        """Receive ``Terminated`` when the other stops for good, at once if it already has."""
        other._cell.watched_by(self._cell)  # noqa: SLF001 - refs hide the cell from everyone but the runtime

    def unwatch(self, other: Ref) -> None:
        """No longer receive ``Terminated`` for the other."""
        other._cell.watchers.pop(self._cell, None)  # noqa: SLF001 - as above

    def at(self, actor_class: type[Actor], key: str) -> RecipientRef:
        """The actor that holds this key; raises NoSuchActor for a class never registered."""
        return self._cell.system.at(actor_class, key)

    def after(self, seconds: float, message: Message) -> Timer:
        """Tell this actor the message once, so many seconds from now."""
        return self._cell.timers.after(seconds, message)

    def every(self, seconds: float, message: Message, *, jitter: float = 0.0) -> Timer:
        """Tell this actor the message every so many seconds, each time up to ``jitter`` seconds later.

        A tick is left out while the one before it still waits in the mailbox.
        """
        return self._cell.timers.every(seconds, message, jitter)
