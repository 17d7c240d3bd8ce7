"""How an actor is to be run and supervised, and what can be seen of it then: plain data."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actor import Actor


class Overflow(StrEnum):
    """What a full mailbox does with one message more."""

    BLOCK = "block"
    FAIL_FAST = "fail_fast"
    DROP_OLDEST = "drop_oldest"
    COALESCE = "coalesce"


class Strategy(StrEnum):
    """Which children are restarted when one of them fails."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class Restart(StrEnum):
    """When a child that has ended is started again: always, after a failure, or never."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxPolicy:
    """Room for ``capacity`` messages and a rule for the one that does not fit.

    With ``COALESCE`` a message takes the place of a waiting one with the same ``key``, unless None, or else blocks.
    """

    capacity: int = 1024
    overflow: Overflow = Overflow.BLOCK
    key: Callable[[Any], Hashable | None] | None = None

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError("a mailbox holds at least one message")
        if (self.key is not None) != (self.overflow is Overflow.COALESCE):
            raise ValueError("a coalescing mailbox, and no other, has a key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Full jitter: the n-th failure in a row waits up to ``min(cap, base * factor ** (n - 1))`` seconds.

    A run of ``healthy_after`` seconds makes the next failure the first again.
    """

    base: float = 0.1
    cap: float = 30.0
    factor: float = 2.0
    healthy_after: float = 60.0

    def delay(self, failures: int, random: Random) -> float:
        return random.uniform(0.0, min(self.cap, self.base * self.factor ** min(failures - 1, 64)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How an actor looks after its children: at most ``max_restarts`` within ``window`` seconds."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    max_restarts: int = 5
    window: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One actor to be: its name under the parent, the factory of its incarnations, how it is kept and stopped.

    ``stop_timeout`` is how many seconds the message in hand gets, and the ``stopping`` hook after that.
    """

    name: str
    factory: Callable[[], Actor]
    _: KW_ONLY
    restart: Restart = Restart.PERMANENT
    mailbox: MailboxPolicy = field(default_factory=MailboxPolicy)
    supervision: Supervision = field(default_factory=Supervision)
    stop_timeout: float = 5.0

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise ValueError(f"not a name for an actor: {self.name!r}")


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


@dataclass(slots=True)
class ActorSnapshot:
    """One actor and everything below it; ``since`` in Unix seconds, the quantiles over the last 256 messages.

    ``failed`` counts incarnations that ended in an error, ``skipped`` asks whose asker had gone.
    """

    path: str
    state: State
    since: float
    mailbox_capacity: int
    actor: str = ""
    mailbox_depth: int = 0
    handled: int = 0
    failed: int = 0
    skipped: int = 0
    dropped: int = 0
    coalesced: int = 0
    dead_letters: int = 0
    restarts: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    last_error: str | None = None
    children: tuple[ActorSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """Readiness: whether the system accepts work and no group has failed; groups come without depth and children."""

    ready: bool
    groups: tuple[ActorSnapshot, ...]


@dataclass(frozen=True, slots=True)
class StopReport:
    """How a stop went: seconds it took, dead letters it left, actors that would not end even when cancelled."""

    seconds: float
    drained: bool
    dead_letters: int
    stuck: tuple[str, ...]
