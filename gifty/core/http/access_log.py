"""The access log: every failure, and as many ordinary requests as fit into a second's budget."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import hdrs, web

from gifty.core.http.exchange import Exchange

_FAILURE: Final = 500
_DENIED: Final = frozenset({401, 403})
_SLOW_SECONDS: Final = 1.0
_DENIALS_PER_SECOND: Final = 50
_LONGEST: Final = 200
_SECRET_VALUES: Final = frozenset({"token", "secret", "code", "key", "signature"})


class AccessLog:
    """Writes one structured line for a request: never its query, cookies, tokens or body."""

    def __init__(self, lines_per_second: int) -> None:
        self._log = logging.getLogger("gifty.access")
        self._most = lines_per_second
        self._next_second = 0.0
        self._ordinary = 0
        self._denials = 0
        self._skipped = 0

    def wants(self, status: int, seconds: float, now: float) -> bool:
        """Whether this request gets a line. `now` is in monotonic seconds."""
        if now >= self._next_second:
            self._next_second, self._ordinary, self._denials = now + 1.0, 0, 0
        if status >= _FAILURE or seconds >= _SLOW_SECONDS:
            return True
        if status in _DENIED:
            self._denials += 1
            return self._denials <= _DENIALS_PER_SECOND
        self._ordinary += 1
        if self._ordinary <= self._most:
            return True
        self._skipped += 1
        return False

    def write(self, request: web.Request, exchange: Exchange, address: str, status: int, seconds: float) -> None:
        """The line."""
        skipped, self._skipped = self._skipped, 0
        template = _template(request)
        extra = {
            "method": request.method,
            "path": _safe_path(request, template),
            "route": template,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": address,
            "agent": request.headers.get(hdrs.USER_AGENT, "")[:_LONGEST],
            "request_id": exchange.request_id,
        }
        if skipped:
            extra["skipped"] = skipped
        level = logging.ERROR if status >= _FAILURE else logging.WARNING if status in _DENIED else logging.INFO
        self._log.log(level, "%s %s %d", request.method, extra["path"], status, extra=extra)


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _safe_path(request: web.Request, template: str) -> str:
    if _SECRET_VALUES.isdisjoint(request.match_info):
        return request.rel_url.raw_path[:_LONGEST]
    return template
