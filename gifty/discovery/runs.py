"""The record of quiz runs, written in batches behind the answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from gifty.core.errors import Unavailable
from gifty.discovery.repository import QuizRunRepository

KEPT: Final = 5_000
"""Runs that wait to be written; when the database is away for longer, the oldest are dropped."""
BATCH: Final = 500
PAUSE: Final = 1.0
LAST_WRITE: Final = 3.0

log = logging.getLogger(__name__)


class RunRecorder:
    """Takes runs at once and writes them within about a second; an async context manager owns its task."""

    def __init__(self, repository: QuizRunRepository) -> None:
        self._repository = repository
        self._waiting: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write_for_ever(), name="quiz-runs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(LAST_WRITE):
                await self.flush()

    def record(self, run: Mapping[str, Any]) -> None:
        """Takes a run: id, engine_version, request, understood, relaxed, gift_ids."""
        self._waiting.append(run)
        self._filled.set()

    async def flush(self) -> None:
        """Writes everything that waits."""
        while self._waiting:
            batch: Sequence[Mapping[str, Any]] = [
                self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))
            ]
            try:
                await self._repository.save(batch)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                raise

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
