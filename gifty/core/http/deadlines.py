"""Requests being served, and the end of those that take too long.

One timer looks after all of them: a timer for each request (`asyncio.timeout`) costs as much as half a request.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from gifty.core.http.exchange import Exchange

SWEEP_SECONDS: Final = 0.25


class Deadlines:
    """Cancels the task of a request whose time is up, and marks the exchange so that it is known why."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: dict[Exchange, tuple[float, asyncio.Task[object]]] = {}

    def __len__(self) -> int:
        return len(self._serving)

    def enter(self, exchange: Exchange, seconds: float | None) -> None:
        """From now on; None means that it may take for ever."""
        # Asked without its loop, asyncio looks for it by a system call.
        task = asyncio.current_task(self._loop)
        if task is not None:
            self._serving[exchange] = (math.inf if seconds is None else exchange.started + seconds), task

    def leave(self, exchange: Exchange) -> None:
        """It is done."""
        self._serving.pop(exchange, None)

    def sweep(self) -> None:
        """Cancels what is overdue."""
        now = self._now()
        for exchange, (due, task) in list(self._serving.items()):
            if due <= now and not exchange.expired:
                exchange.expired = True
                task.cancel()

    async def watch(self) -> None:
        """Sweeps for ever; its owner cancels it."""
        self._loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
