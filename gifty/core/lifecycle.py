"""Start-up in order, shutdown in reverse, each step reported with its time; and the signals that ask for it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

T = TypeVar("T")
Report: TypeAlias = Callable[[str], None]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """SIGTERM and SIGINT, owned while the context lasts: they cut a start short, and end the wait that follows it."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._starting: asyncio.Task[object] | None = None

    def __enter__(self) -> Self:
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        task = asyncio.current_task()
        if kind is not asyncio.CancelledError or not self._asked.is_set() or task is None:
            return False
        return task.uncancel() == 0

    async def wait(self) -> None:
        """Says that the start is over, and returns once a signal has come."""
        self._starting = None
        await self._asked.wait()

    def _hear(self) -> None:
        self._asked.set()
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()


class Lifecycle:
    """Enters parts one after another and leaves them in reverse order, whatever happens in between."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._parts.aclose()

    async def start(self, name: str, part: AbstractAsyncContextManager[T]) -> T:
        """Enters `part` and remembers to leave it. What it raises passes through."""
        began = time.monotonic()
        value = await part.__aenter__()
        self._report(f"  ready    {name} ({time.monotonic() - began:.2f} s)")

        async def stop(*_exception: object) -> None:
            began = time.monotonic()
            await part.__aexit__(None, None, None)
            self._report(f"  stopped  {name} ({time.monotonic() - began:.2f} s)")

        self._parts.push_async_exit(stop)
        return value
