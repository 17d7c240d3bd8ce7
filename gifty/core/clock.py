"""Time as a collaborator, so that tests own it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The aware UTC time of day."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; for durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The aware UTC time of day."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards; for durations."""
        return time.monotonic()
