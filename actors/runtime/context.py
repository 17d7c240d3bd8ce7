"""What an actor may know and do about its place in the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import Clock
from .dead_letters import Reason
from .errors import MailboxFull
from .messages import Message
from .ref import Ref
from .spec import ChildSpec

if TYPE_CHECKING:
    from .cell import Cell


class Timer:
    """A message that an actor will receive once, or again and again."""

    def __init__(
        self, context: Context, message: Message, due: float, period: float = 0.0, jitter: float = 0.0
    ) -> None:
        self._context = context
        self._message = message
        self._due = due
        self._period = period
        self._jitter = jitter
        self._schedule()

    def _schedule(self) -> None:
        clock, random = self._context.clock, self._context.cell.system.random
        lateness = random.uniform(0.0, self._jitter)
        self._call = clock.call_later(max(0.0, self._due + lateness - clock.now()), self._ring)
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
        """Call it off; harmless when it has already rung."""
        self._call.cancel()
        self._context.timers.discard(self)


class Context:
    """One incarnation's view of its surroundings; timers set through it die with the incarnation."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.timers: set[Timer] = set()

    @property
    def self(self) -> Ref:
        """The actor's own reference, to be handed to others."""
        return self.cell.ref

    @property
    def path(self) -> str:
        """The actor's own path."""
        return self.cell.path

    @property
    def clock(self) -> Clock:
        """The only clock an actor should read."""
        return self.cell.clock

    @property
    def closing(self) -> bool:
        """Whether this actor has been asked to end; a long handler looks here and returns early."""
        return self.cell.closing

    def spawn(self, spec: ChildSpec) -> Ref:
        """Start a child. A child of the same name left by the previous incarnation is taken over, mailbox and all.

        Raises NameTaken if it is alive, ActorStopped if this actor is being stopped.
        """
        return self.cell.supervisor.spawn(spec).ref

    async def stop_child(self, name: str) -> None:
        """Stop a child for good, after its message in hand; raises NoSuchActor."""
        await self.cell.supervisor.stop(self.cell.supervisor.child(name))

    def stop(self) -> None:
        """End after the message in hand, as if of its own accord: a permanent actor is then restarted."""
        self.cell.request_end()

    def watch(self, other: Ref) -> None:
        """Receive ``Terminated`` when the other stops for good, at once if it already has."""
        other._locate_now().watched_by(self.cell)  # noqa: SLF001 - refs hide the cell from everyone but the runtime

    def unwatch(self, other: Ref) -> None:
        """No longer receive ``Terminated`` for the other."""
        other._locate_now().watchers.pop(self.cell, None)  # noqa: SLF001 - as above

    def after(self, seconds: float, message: Message) -> Timer:
        """Tell this actor the message once, so many seconds from now."""
        return Timer(self, message, self.clock.now() + seconds)

    def every(self, seconds: float, message: Message, *, jitter: float = 0.0) -> Timer:
        """Tell this actor the message every so many seconds, each time up to ``jitter`` seconds later.

        A tick is left out while the one before it still waits in the mailbox. Raises ValueError unless ``seconds > 0``.
        """
        if seconds <= 0:
            raise ValueError("a period is longer than zero seconds")
        return Timer(self, message, self.clock.now() + seconds, seconds, jitter)

    def cancel_timers(self) -> None:
        """Call off every timer."""
        for timer in list(self.timers):
            timer.cancel()
