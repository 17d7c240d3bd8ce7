"""Puts the HTTP core on an application, and serves it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from gifty.core.clock import Clock
from gifty.core.http import errors
from gifty.core.http.addresses import Addresses
from gifty.core.http.cors import Cors
from gifty.core.http.deadlines import Deadlines
from gifty.core.http.exchange import EXCHANGE
from gifty.core.http.gateway import ErrorPage, Gateway
from gifty.core.http.idempotency.service import IDEMPOTENCY, purge_regularly
from gifty.core.http.measures import HttpMeasures
from gifty.core.http.rate_limits import Limiter, LocalLimiter
from gifty.core.http.readiness import Readiness
from gifty.core.http.route import Handler, route_of
from gifty.core.http.security import security_headers
from gifty.core.http.settings import HttpSettings
from gifty.core.http.system import ROUTES, SYSTEM, System, add_assets
from gifty.core.http.versions import add_aliases
from gifty.core.ids import new_id
from gifty.core.metrics import Metrics

log = logging.getLogger(__name__)

_KEEPALIVE_SECONDS: Final = 75.0
_LINGER_SECONDS: Final = 5.0
_DRAIN_SECONDS: Final = 5.0


def install(
    app: web.Application,
    *,
    routes: Iterable[Handler],
    settings: HttpSettings,
    clock: Clock,
    metrics: Metrics,
    readiness: Readiness,
    error_page: ErrorPage | None = None,
) -> None:
    """Makes a flat application serve declared handlers, and everything around them.

    Call it once, before the application starts; routes added besides (pages, static files) are covered too. With
    idempotent endpoints, `IDEMPOTENCY` must be set by the time the application has started. `error_page` may answer a
    failure with HTML instead of the envelope. Raises `ValueError` for a handler without a declaration and for two
    handlers of one address.
    """
    deadlines = Deadlines(clock.monotonic)
    measures = HttpMeasures(deadlines)
    metrics.register(measures)
    addresses = Addresses(settings.trusted_proxies)
    cors = Cors(app, settings.cors_origins) if settings.cors_origins else None
    gateway = Gateway(
        settings,
        clock=clock,
        measures=measures,
        deadlines=deadlines,
        addresses=addresses,
        cors=cors,
        limiter=_limiter(settings),
        error_page=error_page,
    )
    app[SYSTEM] = System(settings, clock, metrics, readiness, addresses, clock.monotonic())
    app.middlewares.insert(0, gateway.handle)
    app.on_response_prepare.append(gateway.prepare)
    idempotent = _add_routes(app, [*routes, *ROUTES], settings)
    add_assets(app.router)
    add_aliases(app.router)

    async def complete(app: web.Application) -> None:
        if cors is not None:
            cors.cover(app.router)
        if idempotent and IDEMPOTENCY not in app:
            raise RuntimeError(f"IDEMPOTENCY is not set, but these endpoints need it: {', '.join(idempotent)}")

    async def background(app: web.Application) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(measures.sample_lag(), name="http:lag"),
            asyncio.create_task(deadlines.watch(), name="http:deadlines"),
        ]
        if idempotent:
            tasks.append(asyncio.create_task(purge_regularly(app), name="http:purge"))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app.on_startup.append(complete)
    app.cleanup_ctx.append(background)


def _limiter(settings: HttpSettings) -> Limiter | None:
    if not settings.rate_limit:
        return None
    local = LocalLimiter(settings.tracked_callers)
    if settings.rate_limit_store == "memory":
        return local
    # The library is a third of a second of imports that one process alone never needs.
    from gifty.core.http.shared_limits import SharedLimiter  # noqa: PLC0415

    return SharedLimiter(settings.rate_limit_store, local)


def _add_routes(app: web.Application, handlers: Iterable[Handler], settings: HttpSettings) -> list[str]:
    resources: dict[str, web.Resource] = {}
    taken: set[tuple[str, str]] = set()
    idempotent: list[str] = []
    for handler in handlers:
        route = route_of(handler)
        if route is None:
            raise ValueError(f"{handler!r} is not declared with @endpoint")
        if (route.method, route.path) in taken:
            raise ValueError(f"{route.method} {route.path} is declared twice")
        taken.add((route.method, route.path))
        resource = resources.get(route.path) or app.router.add_resource(route.path)
        resources[route.path] = resource
        expect = _expecting(route.body_limit or settings.body_limit)
        resource.add_route(route.method, handler, expect_handler=expect)
        if route.method == hdrs.METH_GET:
            resource.add_route(hdrs.METH_HEAD, handler, expect_handler=expect)
        if route.idempotent:
            idempotent.append(f"{route.method} {route.path}")
    return idempotent


def _expecting(limit: int) -> Any:
    async def expect(request: web.Request) -> web.StreamResponse | None:
        """Answers `Expect: 100-continue` before a byte of the body is sent."""
        if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
            return _failed(417)
        if (request.content_length or 0) > limit:
            return _failed(413)
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
        return None

    return expect


def _failed(status: int) -> web.Response:
    """The envelope for a request that no middleware sees."""
    request_id = new_id("req")
    response = errors.from_status(status, request_id)
    response.headers["X-Request-ID"] = request_id
    return response


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, with our envelope where it would write plain text of its own."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The envelope; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had already begun")
        response = _failed(status)
        extra = {"request_id": response.headers["X-Request-ID"], "client": request.remote or ""}
        if isinstance(exc, HttpProcessingError):
            log.info("a request was no HTTP", extra=extra)
        else:
            log.error("a request could not be handled", exc_info=exc, extra=extra)
        response.headers.merge(security_headers(production=False))
        response.headers.update({hdrs.SERVER: "gifty", hdrs.CACHE_CONTROL: "no-store"})
        response.force_close()
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Turns aiohttp's own exceptions, which no middleware saw, into the envelope."""
        # Not isinstance: responses are abstract mappings, and asking that takes longer than the rest of this method.
        if getattr(resp, "__http_exception__", False):
            exchange = request.get(EXCHANGE)
            request_id = exchange.request_id if exchange else new_id("req")
            resp = errors.from_http_exception(cast("web.HTTPException", resp), request_id)
            resp.headers["X-Request-ID"] = request_id
        return super().finish_response(request, resp, start_time)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application with limits for slow and malformed clients; use it instead of `web.AppRunner`."""

    def __init__(self, app: web.Application, **kwargs: Any) -> None:
        defaults = {
            "access_log": None,
            "keepalive_timeout": _KEEPALIVE_SECONDS,
            "lingering_time": _LINGER_SECONDS,
            "shutdown_timeout": _DRAIN_SECONDS,
            "handle_signals": False,
        }
        super().__init__(app, **{**defaults, **kwargs})

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server.request_handler, request_factory=server.request_factory, **self._kwargs)
