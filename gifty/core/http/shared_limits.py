"""Rate limits over several processes, in a store that the `limits` library knows (Redis)."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Final

from limits import RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from gifty.core.http.rate_limits import Decision, LocalLimiter, Rule, name_of

log = logging.getLogger(__name__)

_STORE_SECONDS: Final = 0.25
_STORE_REST_SECONDS: Final = 5.0
_SHORTEST_WAIT: Final = 0.05


class SharedLimiter:
    """Limits over all processes, kept in a store that the `limits` library knows (Redis).

    When the store does not answer in time, this process counts for itself until it does: callers are never turned away
    because of it, and never unlimited.
    """

    def __init__(self, url: str, fallback: LocalLimiter) -> None:
        storage = storage_from_string(url if url.startswith("async+") else f"async+{url}", implementation="redispy")
        self._window = MovingWindowRateLimiter(storage)
        self._fallback = fallback
        self._resting_until = -math.inf

    async def hit(self, caller: str, rules: Sequence[Rule], now: float) -> Decision:
        """As `Limiter.hit`."""
        if now < self._resting_until:
            return self._fallback.hit(caller, rules, now)
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                return await self._ask(caller, rules)
        except Exception:
            log.warning("the rate limit store does not answer; counting in this process for a while", exc_info=True)
            self._resting_until = now + _STORE_REST_SECONDS
            return self._fallback.hit(caller, rules, now)

    async def _ask(self, caller: str, rules: Sequence[Rule]) -> Decision:
        wait = 0.0
        said: list[str] = []
        for rule in rules:
            # Shortest window first: what it refuses does not count in the longer ones.
            for limit in reversed(rule.limits):
                item = RateLimitItemPerSecond(limit.requests, limit.seconds, "gifty")
                passed = not wait and await self._window.hit(item, rule.scope + caller)
                stats = await self._window.get_window_stats(item, rule.scope + caller)
                seconds = max(0.0, stats.reset_time - time.time())
                if rule is rules[0]:
                    said.insert(0, f"{name_of(limit)};r={stats.remaining};t={math.ceil(seconds)}")
                if not wait and not passed:
                    wait = max(seconds, _SHORTEST_WAIT)
        return wait, ", ".join(said)
