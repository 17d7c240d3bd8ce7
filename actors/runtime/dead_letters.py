"""Messages nobody could handle, kept instead of lost."""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from .messages import Message, message_name


class Reason(StrEnum):
    """Why a message became a dead letter."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    UNHANDLED = "unhandled"
    STOPPED = "stopped"
    MAILBOX_FULL = "mailbox_full"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message, the path it was meant for, why it died, and when (Unix seconds)."""

    path: str
    message: Message
    reason: Reason
    at: float
    cause: str | None = None
    traceback: str | None = None

    @property
    def message_name(self) -> str:
        """The name its type is stored under."""
        return message_name(type(self.message))


class DeadLetterSink(Protocol):
    """Where dead letters go. ``put`` runs inside the event loop: it must neither block nor raise."""

    def put(self, letter: DeadLetter) -> None:
        """Take the letter."""


class RecentDeadLetters:
    """The last ``capacity`` dead letters, in memory; ``total`` counts those pushed out as well."""

    def __init__(self, capacity: int = 1000) -> None:
        self._letters: deque[DeadLetter] = deque(maxlen=capacity)
        self.total = 0

    def put(self, letter: DeadLetter) -> None:
        """Keep the letter, at the price of the oldest one when full."""
        self._letters.append(letter)
        self.total += 1

    def letters(self) -> tuple[DeadLetter, ...]:
        """What is kept, oldest first."""
        return tuple(self._letters)


def describe(error: BaseException) -> str:
    """One line on an error: its type and what it says."""
    return "".join(traceback.format_exception_only(error)).strip().rpartition("\n")[2]


def trace(error: BaseException) -> str:
    """The whole traceback as text, so that no frame is kept alive by a letter."""
    return "".join(traceback.format_exception(error))
