"""Time, as the runtime sees it: one protocol, so that tests may own it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol


class Cancellable(Protocol):
    """A call that has been scheduled and can still be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has already run."""


class Clock(Protocol):
    """The only source of time; every figure is in seconds."""

    def now(self) -> float:
        """Monotonic time: deadlines, back-off and restart windows are counted on it."""

    def stopwatch(self) -> float:
        """The finest monotonic time at hand, for measuring handlers."""

    def wall(self) -> float:
        """Unix time, for people and for storage."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Cancellable:
        """Run the callback once, ``delay`` seconds from now."""


class LoopClock:
    """The clock of an event loop; under a virtual-time loop it is virtual too."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        stopwatch: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.now = loop.time
        self.call_later = loop.call_later
        self.stopwatch = stopwatch
        self.wall = wall
