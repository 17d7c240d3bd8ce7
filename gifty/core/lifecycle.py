"""Start-up in order, shutdown in reverse, each step reported with its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self, TypeAlias, TypeVar

T = TypeVar("T")
Report: TypeAlias = Callable[[str], None]


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
