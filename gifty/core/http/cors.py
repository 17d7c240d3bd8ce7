"""Which foreign pages may call. aiohttp-cors answers preflights and known routes; the rest it lacks is added here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import aiohttp_cors
from aiohttp import hdrs, web

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_HEADERS: Final = ("Content-Type", "Authorization", "Idempotency-Key", "X-Request-ID")
_EXPOSED: Final = ("ETag", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID")
_MAX_AGE: Final = 3600


class Cors:
    """Cross-origin rules for the origins of the settings. `*` means anybody, but never with credentials."""

    def __init__(self, app: web.Application, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._anybody = "*" in self._origins
        defaults = {
            origin: aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
                allow_credentials=origin != "*",
                expose_headers=_EXPOSED,
                allow_headers=_REQUEST_HEADERS,
                allow_methods=_METHODS,
                max_age=_MAX_AGE,
            )
            for origin in self._origins
        }
        self._config = aiohttp_cors.CorsConfig(app, defaults=defaults)
        # The library listens to every answer; we ask it only about those that a foreign page is waiting for.
        self._dress = app.on_response_prepare.pop()

    def cover(self, router: web.UrlDispatcher) -> None:
        """Adds every route there is by now."""
        for resource in list(router.resources()):
            takes_all = any(route.method in {hdrs.METH_ANY, hdrs.METH_OPTIONS} for route in resource)
            if len(resource) and not takes_all and isinstance(resource, web.Resource | web.StaticResource):
                self._config.add(resource)

    async def complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """Adds what a waiting foreign page needs, also where no route was found."""
        await self._dress(request, response)
        headers = response.headers
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers or is_preflight(request):
            return
        origin = request.headers[hdrs.ORIGIN]
        if origin in self._origins:
            headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
        elif not self._anybody:
            return
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ",".join(_EXPOSED)


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks for leave."""
    return (
        request.method == hdrs.METH_OPTIONS
        and hdrs.ORIGIN in request.headers
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    )
