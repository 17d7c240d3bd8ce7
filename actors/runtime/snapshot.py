"""What can be seen of a running system: frozen, and JSON-able by ``dataclasses.asdict``."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import StrEnum

RING = 256


class State(StrEnum):
    """Where an actor is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    FAILED = "failed"


class Meter:
    """The figures of one actor; handling times are kept for the last 256 messages."""

    __slots__ = ("dead_letters", "durations", "failed", "handled", "last_error", "restarts", "skipped")

    def __init__(self) -> None:
        self.handled = 0
        self.failed = 0
        self.skipped = 0
        self.restarts = 0
        self.dead_letters = 0
        self.last_error: str | None = None
        self.durations = array("d", bytes(8 * RING))

    def quantile(self, share: float) -> float:
        """The handling time in seconds that this share of recent messages stayed within."""
        recent = sorted(self.durations[: min(self.handled, RING)])
        return recent[min(int(share * len(recent)), len(recent) - 1)] if recent else 0.0


@dataclass(frozen=True, slots=True)
class ActorSnapshot:
    """One actor and everything below it; times in milliseconds, ``since`` in Unix seconds.

    ``handled`` counts messages whose handler returned, ``failed`` incarnations that ended in an error,
    ``skipped`` asks whose asker had gone.
    """

    path: str
    actor: str
    state: State
    since: float
    mailbox_depth: int
    mailbox_capacity: int
    handled: int
    failed: int
    skipped: int
    dropped: int
    coalesced: int
    dead_letters: int
    restarts: int
    p50_ms: float
    p95_ms: float
    last_error: str | None
    children: tuple[ActorSnapshot, ...]


@dataclass(frozen=True, slots=True)
class GroupHealth:
    """The state of one actor at the root, with the error that failed it."""

    path: str
    state: State
    error: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """Readiness: whether the system accepts work and no group at its root has failed."""

    ready: bool
    groups: tuple[GroupHealth, ...]


@dataclass(frozen=True, slots=True)
class StopReport:
    """How a stop went: seconds it took, dead letters it left, paths in the order they stopped.

    ``stuck`` are actors that would not end even when cancelled.
    """

    seconds: float
    drained: bool
    dead_letters: int
    stopped: tuple[str, ...]
    stuck: tuple[str, ...]
