"""Time, as the runtime sees it."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """The only source of time, in seconds: that of an event loop, and virtual where the loop is.

    ``now`` is monotonic, and every deadline is counted on it; ``stopwatch`` is finer, for measuring handlers;
    ``wall`` is Unix time, for people and for storage.
    """

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
