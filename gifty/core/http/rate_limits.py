"""How often a caller may come: exact sliding windows, kept in this process."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, TypeAlias

from gifty.core.http.route import Limit

_FIRST_SIZE: Final = 8


# After how many seconds a request may pass (0: now), and what to say about its limits.
Decision: TypeAlias = tuple[float, str]


class Rule:
    """Limits that hold together: everywhere (`scope` is empty) or for one route."""

    __slots__ = ("limits", "longest", "policy", "scope", "spans")

    def __init__(self, limits: Sequence[Limit], scope: str = "") -> None:
        self.scope = scope
        self.limits = tuple(sorted(limits, key=lambda limit: -limit.seconds))
        self.longest = self.limits[0].seconds
        self.policy = ", ".join(f"{name_of(limit)};q={limit.requests};w={limit.seconds}" for limit in self.limits)
        self.spans = tuple((limit.requests, float(limit.seconds), f"{name_of(limit)};r=") for limit in self.limits)


class Limiter(Protocol):
    """Counts requests."""

    def hit(self, caller: str, rules: Sequence[Rule], now: float) -> Decision | Awaitable[Decision]:
        """Lets one request pass, or not; a refused request does not count. `now` is in monotonic seconds.

        The first rule is the one that the answer tells about.
        """
        ...


class _Caller:
    """The times of a caller's latest requests: a ring, as large as the busiest window has needed so far."""

    __slots__ = ("end", "longest", "mask", "spans", "starts", "times")

    def __init__(self, rule: Rule) -> None:
        self.spans = rule.spans
        self.longest = rule.longest
        self.times = array("d", [0.0] * _FIRST_SIZE)
        self.mask = _FIRST_SIZE - 1
        self.starts = [0] * len(rule.spans)
        self.end = 0

    def wait(self, now: float) -> float:
        """Seconds until a request may pass; 0 when it may pass now."""
        times, mask, end, starts = self.times, self.mask, self.end, self.starts
        wait = 0.0
        for index, (requests, seconds, _) in enumerate(self.spans):
            start = starts[index]
            if start < end and times[start & mask] <= now - seconds:
                start += 1
                while start < end and times[start & mask] <= now - seconds:
                    start += 1
                starts[index] = start
            if end - start >= requests:
                wait = max(wait, times[(end - requests) & mask] + seconds - now)
        return wait

    def record(self, now: float) -> None:
        """One request passes. Call `wait` first."""
        end = self.end
        # The longest window comes first, so its start is the oldest time that is still needed.
        if end - self.starts[0] > self.mask:
            self._grow()
            end = self.end
        self.times[end & self.mask] = now
        self.end = end + 1

    def _grow(self) -> None:
        first = self.starts[0]
        held = array("d", [self.times[index & self.mask] for index in range(first, self.end)])
        self.mask = 2 * self.mask + 1
        held.extend([0.0] * (self.mask + 1 - len(held)))
        self.times = held
        self.starts = [start - first for start in self.starts]
        self.end -= first

    def state(self, now: float) -> str:
        """What is left of each limit, and the seconds until more is."""
        times, mask, end, starts = self.times, self.mask, self.end, self.starts
        said = ""
        for index, (requests, seconds, name) in enumerate(self.spans):
            start = starts[index]
            more = int(times[start & mask] + seconds - now) + 1 if start < end else 0
            said = f"{said}{name}{requests - end + start};t={more}, "
        return said[:-2]

    def is_idle(self, now: float) -> bool:
        """Whether all its requests are forgotten by now."""
        return not self.end or self.times[(self.end - 1) & self.mask] <= now - self.longest


class LocalLimiter:
    """Limits within this process. Exact: no window of a limit's length ever holds more requests than the limit.

    It keeps at most `capacity` callers; beyond that the idle are forgotten first, then those that came first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._callers: dict[str, _Caller] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def hit(self, caller: str, rules: Sequence[Rule], now: float) -> Decision:
        """As `Limiter.hit`."""
        rule = rules[0]
        key = rule.scope + caller
        first = self._callers.get(key) or self._meet(key, rule, now)
        wait = first.wait(now)
        if len(rules) > 1:
            wait = self._hit_others(caller, rules[1:], now, wait)
        if not wait:
            first.record(now)
        return wait, first.state(now)

    def _hit_others(self, caller: str, rules: Sequence[Rule], now: float, wait: float) -> float:
        others = [
            self._callers.get(rule.scope + caller) or self._meet(rule.scope + caller, rule, now) for rule in rules
        ]
        wait = max(wait, *(other.wait(now) for other in others))
        if not wait:
            for other in others:
                other.record(now)
        return wait

    def _meet(self, key: str, rule: Rule, now: float) -> _Caller:
        if len(self._callers) >= self._capacity:
            self._make_room(now)
        caller = self._callers[key] = _Caller(rule)
        return caller

    def _make_room(self, now: float) -> None:
        busy = [key for key, caller in self._callers.items() if not caller.is_idle(now)]
        kept = busy[max(0, len(busy) - self._capacity * 9 // 10) :]
        self._callers = {key: self._callers[key] for key in kept}


def name_of(limit: Limit) -> str:
    """The limit's name in the headers (draft-ietf-httpapi-ratelimit-headers), quoted."""
    spans = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
    return f'"{spans.get(limit.seconds, f"{limit.seconds}s")}"'
