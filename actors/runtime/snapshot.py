"""What can be seen of a running system, JSON-able by ``dataclasses.asdict``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


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


@dataclass
class Meter:
    """What is counted for one actor; see ActorSnapshot."""

    handled: int = 0
    failed: int = 0
    skipped: int = 0
    dead_letters: int = 0
    restarts: int = 0
    last_error: str | None = None


def quantile(share: float, values: Iterable[float]) -> float:
    """What this share of the values stays within; zero if there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class ActorSnapshot:
    """One actor and everything below it; ``since`` in Unix seconds, the quantiles over the last 256 messages.

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
