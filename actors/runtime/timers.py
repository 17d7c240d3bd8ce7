"""Messages that an actor will receive later."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from .clock import Cancellable, Clock
from .dead_letters import Reason
from .errors import MailboxFull
from .messages import Message

if TYPE_CHECKING:
    from .cell import Cell


class Timer:
    """A message that is due once, or again and again."""

    def __init__(self, timers: Timers, message: Message, due: float, period: float | None, jitter: float) -> None:
        self._timers = timers
        self._message = message
        self._due = due
        self._period = period
        self._jitter = jitter
        self._call: Cancellable
        self._schedule()

    def _schedule(self) -> None:
        lateness = self._timers.random.uniform(0.0, self._jitter) if self._jitter else 0.0
        wait = max(0.0, self._due + lateness - self._timers.clock.now())
        self._call = self._timers.clock.call_later(wait, self._ring)

    def _ring(self) -> None:
        if self._period is None:
            self._timers.live.discard(self)
        else:
            # Counted from when it was due, not from now: a schedule does not drift.
            missed = max(0.0, self._timers.clock.now() - self._due) // self._period
            self._due += self._period * (missed + 1)
            self._schedule()
        self._timers.deliver(self._message, skip_if_waiting=self._period is not None)

    def cancel(self) -> None:
        """Call it off; harmless when it has already rung."""
        self._call.cancel()
        self._timers.live.discard(self)


class Timers:
    """The timers of one incarnation."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.clock: Clock = cell.clock
        self.random: Random = cell.system.random
        self.live: set[Timer] = set()

    def after(self, seconds: float, message: Message) -> Timer:
        """Deliver once."""
        return self._add(Timer(self, message, self.clock.now() + seconds, None, 0.0))

    def every(self, seconds: float, message: Message, jitter: float) -> Timer:
        """Deliver periodically; raises ValueError for a period that is not positive."""
        if seconds <= 0:
            raise ValueError("a period is longer than zero seconds")
        return self._add(Timer(self, message, self.clock.now() + seconds, seconds, jitter))

    def _add(self, timer: Timer) -> Timer:
        self.live.add(timer)
        return timer

    def deliver(self, message: Message, *, skip_if_waiting: bool) -> None:
        """Put a due message into the mailbox; without room it is a dead letter."""
        if skip_if_waiting and any(item is message for item in self._cell.mailbox.data):
            return
        try:
            self._cell.ref.tell_nowait(message)
        except MailboxFull as error:
            self._cell.bury(message, Reason.MAILBOX_FULL, error)

    def cancel_all(self) -> None:
        """Call off every timer."""
        for timer in list(self.live):
            timer.cancel()
