"""What operators look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message that died, as its actor system describes it. Without a payload it cannot be replayed."""

    path: str
    message: str
    payload: dict[str, Any] | None
    reason: str
    cause: str | None
    traceback: str | None
    died_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter(Undelivered):
    """The same, kept."""

    id: int
    replayed_at: datetime | None
