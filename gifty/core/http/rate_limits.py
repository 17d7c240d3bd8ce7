"""How often a caller may come: exact sliding windows, kept in this process."""

from __future__ import annotations

import math
from array import array
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple, Protocol

from gifty.core.http.route import Limit

_FIRST_SIZE: Final = 8
_DOUBLE_BYTES: Final = 8


class Decision(NamedTuple):
    """Whether a request may pass, what to say about it, and after how many seconds another would."""

    allowed: bool
    state: str
    policy: str
    retry_after: float


class Bucket(NamedTuple):
    """A caller, and the limits that hold for it here."""

    key: str
    limits: tuple[Limit, ...]


class Limiter(Protocol):
    """Counts requests."""

    def hit(self, buckets: Sequence[Bucket], now: float) -> Decision | Awaitable[Decision]:
        """Lets one request pass, or not; a refused request does not count. `now` is in monotonic seconds."""
        ...


class _Caller:
    """The times of a caller's latest requests, in a ring that is as large as its longest limit needs."""

    __slots__ = ("end", "limits", "starts", "times")

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self.times = array("d", bytes(_DOUBLE_BYTES * _FIRST_SIZE))
        self.starts = [0] * len(limits)
        self.end = 0

    def wait(self, now: float) -> float:
        """Seconds until a request may pass; 0 when it may pass now."""
        times, size, end = self.times, len(self.times), self.end
        wait = 0.0
        for index, limit in enumerate(self.limits):
            start, horizon = self.starts[index], now - limit.seconds
            while start < end and times[start % size] <= horizon:
                start += 1
            self.starts[index] = start
            if end - start >= limit.requests:
                wait = max(wait, times[(end - limit.requests) % size] - horizon)
        return wait

    def record(self, now: float) -> None:
        """One request passes. Call `wait` first."""
        size = len(self.times)
        if self.end - min(self.starts) >= size:
            self._grow(size)
            size *= 2
        self.times[self.end % size] = now
        self.end += 1

    def _grow(self, size: int) -> None:
        first = min(self.starts)
        held = array("d", (self.times[index % size] for index in range(first, self.end)))
        held.extend(array("d", bytes(_DOUBLE_BYTES * (2 * size - len(held)))))
        self.times = held
        self.starts = [start - first for start in self.starts]
        self.end -= first

    def state(self, now: float, names: Sequence[str]) -> str:
        """The `RateLimit` header: what is left of each limit, and the seconds until more is."""
        times, size, parts = self.times, len(self.times), []
        for index, limit in enumerate(self.limits):
            start = self.starts[index]
            left = limit.requests - (self.end - start)
            seconds = math.ceil(times[start % size] + limit.seconds - now) if start < self.end else 0
            parts.append(f"{names[index]};r={left};t={seconds}")
        return ", ".join(parts)

    @property
    def latest(self) -> float:
        """When the caller's last request passed."""
        return self.times[(self.end - 1) % len(self.times)] if self.end else -math.inf


class LocalLimiter:
    """Limits within this process. Exact: no window of a limit's length ever holds more requests than the limit.

    It keeps at most `capacity` callers; beyond that the idle are forgotten first, then those that came first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._callers: dict[str, _Caller] = {}
        self._words: dict[tuple[Limit, ...], tuple[tuple[str, ...], str]] = {}

    def hit(self, buckets: Sequence[Bucket], now: float) -> Decision:
        """As `Limiter.hit`."""
        callers = [self._caller(bucket, now) for bucket in buckets]
        wait = max([caller.wait(now) for caller in callers])
        if not wait:
            for caller in callers:
                caller.record(now)
        tightest = callers[0]
        names, policy = self._described(tightest.limits)
        return Decision(not wait, tightest.state(now, names), policy, wait)

    def __len__(self) -> int:
        return len(self._callers)

    def _caller(self, bucket: Bucket, now: float) -> _Caller:
        caller = self._callers.get(bucket.key)
        if caller is None:
            if len(self._callers) >= self._capacity:
                self._make_room(now)
            caller = self._callers[bucket.key] = _Caller(bucket.limits)
        return caller

    def _make_room(self, now: float) -> None:
        self._callers = {
            key: caller
            for key, caller in self._callers.items()
            if caller.latest > now - max(limit.seconds for limit in caller.limits)
        }
        excess = len(self._callers) - self._capacity * 9 // 10
        for key in list(self._callers)[: max(0, excess)]:
            del self._callers[key]

    def _described(self, limits: tuple[Limit, ...]) -> tuple[tuple[str, ...], str]:
        words = self._words.get(limits)
        if words is None:
            names = tuple(name_of(limit) for limit in limits)
            words = self._words[limits] = names, policy_of(limits)
        return words


def policy_of(limits: Sequence[Limit]) -> str:
    """The `RateLimit-Policy` header (draft-ietf-httpapi-ratelimit-headers)."""
    return ", ".join(f"{name_of(limit)};q={limit.requests};w={limit.seconds}" for limit in limits)


def name_of(limit: Limit) -> str:
    """The limit's name in the headers, quoted."""
    spans = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
    return f'"{spans.get(limit.seconds, f"{limit.seconds}s")}"'
