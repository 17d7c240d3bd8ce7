"""Deterministic simulation: virtual time, and an interleaving that follows from a seed.

Nothing here touches the network or the wall clock. The same seed gives the same trace; time jumps to the
next timer whenever there is nothing left to do, so an hour of back-off costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

from actors.runtime import Clock

T = TypeVar("T")


class SimulationDeadlock(AssertionError):
    """Everything waits, and nothing is due that could end the wait."""


class SimulationLoop(asyncio.BaseEventLoop):
    """An event loop in virtual seconds from zero, whose ready tasks run in an order drawn from the seed.

    Plain callbacks keep their order, as asyncio promises; the order of tasks it does not.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._now = 0.0
        self._random = random

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _run_once(self) -> None:
        ready = self._ready
        if len(ready) > 1:
            self._shuffle_tasks()
        self._ring_timers(may_wait=not ready and not self._stopping)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _shuffle_tasks(self) -> None:
        ready = self._ready
        places = [place for place, handle in enumerate(ready) if _steps_a_task(handle)]
        steps = [ready[place] for place in places]
        self._random.shuffle(steps)
        for place, step in zip(places, steps, strict=True):
            ready[place] = step

    def _ring_timers(self, *, may_wait: bool) -> None:
        """Make due timers ready; with nothing else to do, the next one is due now."""
        scheduled = self._scheduled
        while scheduled and (may_wait or scheduled[0].when() <= self._now or scheduled[0].cancelled()):
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle.cancelled():
                self._now = max(self._now, handle.when())
                self._ready.append(handle)
                may_wait = False
        if may_wait:
            raise SimulationDeadlock("nothing is ready and nothing is due")

    def _write_to_self(self) -> None:
        """No other thread ever has to wake this loop."""


def _steps_a_task(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


class Simulation:
    """One run: its seed, its random numbers, its clock and the trace of what happened."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = SimulationLoop(Random(seed + 1))
        self.clock = Clock(self.loop.time, self.loop.time)
        self.trace: list[tuple[float, str, str]] = []
        self.complaints: list[str] = []
        self.loop.set_exception_handler(self._complain)

    def record(self, actor: str, event: str) -> None:
        """Add to the trace, at the present virtual time; fits as the observer of a system."""
        self.trace.append((round(self.loop.time(), 9), actor, event))

    def digest(self) -> str:
        """The hash of the trace."""
        return hashlib.blake2b(repr(self.trace).encode(), digest_size=16).hexdigest()

    def _expect_no_complaints(self) -> None:
        if self.complaints:
            raise AssertionError(f"unhandled in the loop: {self.complaints}")

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    def run(self, scenario: Callable[[Simulation], Awaitable[T]]) -> T:
        """Run the scenario to its end; an error is noted with the seed that replays it.

        Raises SimulationDeadlock, or AssertionError when the loop was told of an error nobody handled.
        """
        quietness = logging.getLogger("actors.runtime")
        was_disabled, quietness.disabled = quietness.disabled, True
        try:
            result = self.loop.run_until_complete(scenario(self))
            self._expect_no_complaints()
        except Exception as error:
            error.add_note(f"replay with seed {self.seed}")
            raise
        finally:
            quietness.disabled = was_disabled
            self._cancel_what_is_left()
            self.loop.close()
        return result

    def _cancel_what_is_left(self) -> None:
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=60.0))
