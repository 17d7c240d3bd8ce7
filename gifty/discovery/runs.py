"""The record of quiz runs, written in batches behind the answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from gifty.core.errors import Unavailable
from gifty.discovery.repository import QuizRunRepository

KEPT: Final = 5_000
"""Runs that wait to be written; when the database is away for longer, the oldest are dropped."""
BATCH: Final = 500
PAUSE: Final = 1.0
LAST_WRITE: Final = 0.5
DAYS_KEPT: Final = 90
SWEEP_PAUSE: Final = 86_400.0

log = logging.getLogger(__name__)


class RunRecorder:
    """Takes runs at once, writes them within about a second and forgets old ones; entered, it owns its tasks."""

    def __init__(self, repository: QuizRunRepository) -> None:
        self._repository = repository
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._write_for_ever(), name="quiz-runs"),
            asyncio.create_task(self._sweep_for_ever(), name="quiz-runs-sweep"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # Unlike awaiting the tasks themselves, this tells their cancellation from that of whoever stops us.
            await asyncio.wait(self._tasks)
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(LAST_WRITE):
                await self.flush()
        if self._waiting:
            log.warning("%d quiz runs are lost: there was no time to write them", len(self._waiting))

    def record(self, run: Mapping[str, Any]) -> None:
        """Takes a run: id, engine_version, request, understood, relaxed, gift_ids."""
        if len(self._waiting) >= KEPT:
            self._waiting.popleft()
        self._waiting.append(run)
        self._filled.set()

    async def flush(self) -> None:
        """Writes everything that waits. Raises `DatabaseUnavailable`, and then keeps it."""
        most = BATCH
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            try:
                await self._repository.save(batch)
            except (Unavailable, asyncio.CancelledError):
                self._waiting.extendleft(reversed(batch))
                raise
            except Exception:
                if len(batch) == 1:
                    log.exception("letting go of quiz run %s: it cannot be stored", batch[0].get("id"))
                else:
                    # One run that cannot be stored must not hold up the others.
                    self._waiting.extendleft(reversed(batch))
                    most = 1

    async def _write_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            await asyncio.sleep(PAUSE)
            self._filled.clear()
            try:
                await self.flush()
            except Unavailable:
                log.warning("quiz runs wait: the database is away")
                self._filled.set()

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                while await self._repository.sweep(DAYS_KEPT, BATCH) == BATCH:
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it is, tomorrow is another day
                log.warning("old quiz runs stay for another day: %s", error)
            await asyncio.sleep(SWEEP_PAUSE)
