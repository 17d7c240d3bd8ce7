"""What has to be done for the requests of one route, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from gifty.core.http.rate_limits import Rule
from gifty.core.http.reading import BodyReader, PathReader, QueryReader
from gifty.core.http.route import UNSAFE, Route
from gifty.core.http.settings import HttpSettings

if TYPE_CHECKING:
    from gifty.core.http.exchange import Exchange

NO_STORE: Final = "no-store"
NO_CACHE: Final = "no-cache"


class Plan:
    """A route, ready to be served; `route` is None for pages and files that are not declared."""

    def __init__(
        self,
        route: Route | None,
        settings: HttpSettings,
        *,
        label: str,
        counted: bool,
        dress: Callable[[web.StreamResponse, Exchange], None],
    ) -> None:
        self.route = route
        self.dress = dress
        self.label = label
        self.counted = counted
        self.query: QueryReader | None = None
        self.path: PathReader | None = None
        self.body: BodyReader | None = None
        self.seconds: float | None = settings.request_seconds
        self.cache = NO_CACHE
        self.rules: tuple[Rule, ...] = (Rule(settings.limits),)
        self.statuses: frozenset[int] | None = None
        self.is_plain = route is None or _is_plain(route)
        if route is None:
            return
        self.cache = route.cache or (NO_CACHE if route.etag else NO_STORE)
        self.statuses = route.statuses
        self.seconds = None if route.streams else route.seconds or settings.request_seconds
        if route.limits:
            self.rules = (Rule(route.limits, f"{route.method} {route.path} "), *self.rules)
        if route.query is not None:
            self.query = QueryReader(route.query)
        if route.has_path_values:
            self.path = PathReader(route.parameters)
        if route.body is not None:
            self.body = BodyReader(route.body, route.body_limit or settings.body_limit, settings.body_seconds)


def _is_plain(route: Route) -> bool:
    """Whether nothing is to be read, checked or kept for it."""
    reads = route.query is not None or route.has_path_values or route.body is not None
    return not reads and route.method not in UNSAFE and route.etag is None
