"""Whether this process can do its work: named checks, each with a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gifty.core.clock import Clock
from gifty.core.errors import GiftyError

log = logging.getLogger(__name__)

Check: TypeAlias = Callable[[], Awaitable[str]]

_FRESH_SECONDS: Final = 1.0


class NotReady(Exception):
    """Raised by a check with a few words that anybody may read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    ready: bool
    detail: str
    ms: float


class Readiness:
    """The checks of a process. A check returns a few words or raises `NotReady`; other errors go to the log alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checks: dict[str, tuple[Check, float]] = {}
        self._latest: tuple[float, list[Finding]] | None = None
        self._asking = asyncio.Lock()

    def add(self, name: str, check: Check, *, seconds: float = 2.0) -> None:
        """Adds a check, or replaces the one of that name."""
        self._checks[name] = check, seconds
        self._latest = None

    def remove(self, name: str) -> None:
        """Forgets a check."""
        self._checks.pop(name, None)
        self._latest = None

    async def findings(self) -> list[Finding]:
        """All checks, run side by side; answers younger than a second are given again."""
        async with self._asking:
            if self._latest is None or self._clock.monotonic() - self._latest[0] >= _FRESH_SECONDS:
                found = await asyncio.gather(*(self._find(name) for name in self._checks))
                self._latest = self._clock.monotonic(), list(found)
            return self._latest[1]

    async def _find(self, name: str) -> Finding:
        check, seconds = self._checks[name]
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(seconds):
                ready, detail = True, await check()
        except TimeoutError:
            ready, detail = False, f"no answer within {seconds:g} s"
        except NotReady as error:
            ready, detail = False, str(error)
        except GiftyError as error:
            ready, detail = False, error.message
        except Exception:
            log.exception("the readiness check %s failed", name)
            ready, detail = False, "the check itself failed"
        return Finding(name, ready, detail, round((self._clock.monotonic() - started) * 1000, 1))
