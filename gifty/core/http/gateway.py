"""The one middleware: everything that happens to every request, in one place and in one order."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

from aiohttp import hdrs, web
from multidict import istr

from gifty.core.clock import Clock
from gifty.core.errors import GiftyError, TooManyRequests, Unavailable
from gifty.core.http import errors
from gifty.core.http.access_log import AccessLog
from gifty.core.http.addresses import Addresses
from gifty.core.http.conditional import with_tag
from gifty.core.http.cors import Cors, is_preflight
from gifty.core.http.deadlines import Deadlines
from gifty.core.http.exchange import EXCHANGE, Exchange
from gifty.core.http.idempotency.models import StoredAnswer
from gifty.core.http.idempotency.requests import keyed_request, replay, stored
from gifty.core.http.idempotency.service import IDEMPOTENCY
from gifty.core.http.measures import HttpMeasures
from gifty.core.http.plan import NO_STORE, Plan
from gifty.core.http.rate_limits import Decision, Limiter
from gifty.core.http.route import UNSAFE, Handler, Route, route_of
from gifty.core.http.security import CrossSiteGuard, security_headers
from gifty.core.http.settings import HttpSettings

log = logging.getLogger(__name__)

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_REQUEST_ID: Final = istr("X-Request-ID")
_RATE_LIMIT: Final = istr("RateLimit")
_RATE_LIMIT_POLICY: Final = istr("RateLimit-Policy")
_FAILURE: Final = 400

ErrorPage: TypeAlias = Callable[[web.Request, int], str | None]
"""HTML for a request that failed with a status; None for a caller who is better served with the envelope."""


class Gateway:
    """Serves requests: id, limits, cross-site check, reading, deadline, repetition, conditional GET, errors, log."""

    def __init__(
        self,
        settings: HttpSettings,
        *,
        clock: Clock,
        measures: HttpMeasures,
        deadlines: Deadlines,
        addresses: Addresses,
        cors: Cors | None,
        limiter: Limiter | None,
        error_page: ErrorPage | None = None,
    ) -> None:
        self._settings = settings
        self._error_page = error_page
        self._now = clock.monotonic
        self._measures = measures
        self._deadlines = deadlines
        self._addresses = addresses
        self._cors = cors
        self._limiter = limiter
        self._guard = CrossSiteGuard(settings)
        self._headers = security_headers(production=settings.production)
        self._access = AccessLog(settings.access_lines_per_second)
        self._plans: dict[Any, Plan] = {}
        self._unmatched = Plan(None, settings, label="unmatched", counted=True, dress=self.dress)
        self._ids = itertools.count(1)
        self._id_prefix = f"req_{secrets.token_hex(5)}_"

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers one request; whatever goes wrong becomes the error envelope."""
        started = self._now()
        match = request.match_info
        plan = self._plans.get(match.handler) or self._make_plan(match)
        exchange = Exchange(self._request_id(request), plan, started)
        request[EXCHANGE] = exchange
        self._deadlines.enter(exchange, plan.seconds)
        try:
            response = await self._answer(request, handler, plan, exchange)
        except asyncio.CancelledError:
            if not exchange.expired:
                raise
            response = self._failure(request, exchange, _overdue(plan))
        except Exception as error:  # noqa: BLE001 - this is where every failure ends
            response = self._failure(request, exchange, error)
        finally:
            self._deadlines.leave(exchange)
        status = response.status
        now = self._now()
        seconds = now - started
        self._measures.observe(request.method, plan.label, status, seconds)
        if plan.statuses is not None and status not in plan.statuses and request.method != hdrs.METH_OPTIONS:
            self._measures.undocumented += 1
            log.warning("%s %s answered %d, which its declaration lacks", request.method, plan.label, status)
        if self._access.wants(status, seconds, now):
            self._access.write(request, exchange, self._addresses.client_of(request).address, status, seconds)
        return response

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Puts the common headers on an answer just before it is sent, streams included."""
        exchange = request.get(EXCHANGE)
        if exchange is None:
            # An answer given before the middleware has the id already that its envelope tells.
            request_id = response.headers.get(_REQUEST_ID) or self._request_id(request)
            exchange = Exchange(request_id, self._unmatched, self._now())
        self.dress(response, exchange)
        if self._cors is not None and hdrs.ORIGIN in request.headers:
            await self._cors.complete(request, response)

    def dress(self, response: web.StreamResponse, exchange: Exchange) -> None:
        """The common headers, save those for foreign pages."""
        headers = response.headers
        headers.merge(self._headers)
        headers[hdrs.SERVER] = "gifty"
        headers[_REQUEST_ID] = exchange.request_id
        if exchange.rate_limit is not None:
            headers[_RATE_LIMIT] = exchange.rate_limit
            headers[_RATE_LIMIT_POLICY] = exchange.plan.rules[0].policy
        if hdrs.CACHE_CONTROL not in headers:
            headers[hdrs.CACHE_CONTROL] = exchange.plan.cache if response.status < _FAILURE else NO_STORE
        if self._cors is not None:
            headers.add(hdrs.VARY, hdrs.ORIGIN)

    def _answer(
        self, request: web.Request, handler: Handler, plan: Plan, exchange: Exchange
    ) -> Awaitable[web.StreamResponse]:
        """Not a coroutine itself: a plain route pays for no layer that it does not need."""
        if request.method == hdrs.METH_OPTIONS:
            return handler(request) if self._cors is not None and is_preflight(request) else _options(request)
        if self._limiter is not None and plan.counted:
            decision = self._limiter.hit(self._addresses.client_of(request).group, plan.rules, exchange.started)
            if not isinstance(decision, tuple):
                return self._answer_later(decision, request, handler, plan, exchange)
            self._obey(decision, exchange)
        return handler(request) if plan.is_plain else self._answer_fully(request, handler, plan, exchange)

    async def _answer_later(
        self, asked: Awaitable[Decision], request: web.Request, handler: Handler, plan: Plan, exchange: Exchange
    ) -> web.StreamResponse:
        self._obey(await asked, exchange)
        return await self._answer_fully(request, handler, plan, exchange)

    def _obey(self, decision: Decision, exchange: Exchange) -> None:
        wait, exchange.rate_limit = decision
        if wait:
            self._measures.refused += 1
            raise TooManyRequests("too many requests; slow down", retry_after=wait)

    async def _answer_fully(
        self, request: web.Request, handler: Handler, plan: Plan, exchange: Exchange
    ) -> web.StreamResponse:
        route = plan.route
        if route is None:
            return await handler(request)
        if request.method in UNSAFE:
            self._guard.check(request)
        if plan.path is not None:
            exchange.path = plan.path.read(request)
        if plan.query is not None:
            exchange.query = plan.query.read(request)
        raw: Any = None
        if plan.body is not None:
            exchange.body, raw = await plan.body.read(request)
        if route.idempotent:
            response = await self._once(request, handler, plan, route, raw)
        else:
            response = await handler(request)
        return with_tag(request, response, route.etag) if route.etag else response

    async def _once(
        self, request: web.Request, handler: Handler, plan: Plan, route: Route, raw: Any
    ) -> web.StreamResponse:
        exchange = request[EXCHANGE]
        keyed = keyed_request(
            request,
            route,
            raw,
            secret_key=self._settings.secret_key,
            cookies=self._settings.session_cookies,
            caller=self._addresses.client_of(request).group,
        )
        if keyed is None:
            return await handler(request)
        service = request.app[IDEMPOTENCY]
        claim = await service.begin(keyed)
        if isinstance(claim, StoredAnswer):
            self._measures.replayed += 1
            return replay(claim)
        try:
            response = await handler(request)
        except asyncio.CancelledError:
            if not exchange.expired:
                raise
            response = self._failure(request, exchange, _overdue(plan))
        except Exception as error:  # noqa: BLE001 - a failure is an answer too, and may have to be kept
            response = self._failure(request, exchange, error)
        # What was done must be written down, however late it is.
        self._deadlines.leave(exchange)
        if not isinstance(response, web.Response):
            raise TypeError(f"{plan.label} is idempotent and cannot stream")
        try:
            await service.end(claim, stored(response), effect=exchange.effect)
        except Exception:
            # The work is done and its caller must hear so; a retry will find the key leased, and later free.
            log.exception("the answer to an idempotency key could not be kept")
        return response

    def _failure(self, request: web.Request, exchange: Exchange, error: Exception) -> web.StreamResponse:
        if request.writer.output_size:
            raise error
        response = self._envelope(exchange, error)
        if self._error_page is not None and isinstance(response, web.Response) and response.status >= _FAILURE:
            page = self._error_page(request, response.status)
            if page is not None:
                response.content_type = "text/html"
                response.text = page
        return response

    def _envelope(self, exchange: Exchange, error: Exception) -> web.StreamResponse:
        if isinstance(error, web.HTTPException):
            response = errors.from_http_exception(error, exchange.request_id)
            if isinstance(error, web.HTTPMethodNotAllowed):
                response.headers[hdrs.ALLOW] = _allow(error.allowed_methods)
            return response
        if isinstance(error, GiftyError):
            if isinstance(error, Unavailable):
                log.warning("%s", error, extra={"request_id": exchange.request_id})
            elif error.status >= web.HTTPInternalServerError.status_code:
                log.error("%s", error, exc_info=error, extra={"request_id": exchange.request_id})
            return errors.from_error(error, exchange.request_id)
        log.error("a request failed", exc_info=error, extra={"request_id": exchange.request_id})
        return errors.from_status(500, exchange.request_id)

    def _request_id(self, request: web.BaseRequest) -> str:
        given = request.headers.get(_REQUEST_ID)
        if given is not None and _GIVEN_ID.fullmatch(given):
            return given
        return f"{self._id_prefix}{next(self._ids)}"

    def _make_plan(self, match: web.UrlMappingMatchInfo) -> Plan:
        if match.http_exception is not None:
            return self._unmatched
        route = route_of(match.handler)
        resource = match.route.resource
        label = route.path if route else "" if resource is None else resource.canonical
        counted = route.counted if route else not isinstance(resource, web.StaticResource)
        plan = self._plans[match.handler] = Plan(route, self._settings, label=label, counted=counted, dress=self.dress)
        return plan


def _overdue(plan: Plan) -> Unavailable:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return Unavailable(f"this took longer than {plan.seconds:g} s and was given up")


async def _options(request: web.Request) -> web.StreamResponse:
    missed = request.match_info.http_exception
    if isinstance(missed, web.HTTPMethodNotAllowed):
        allowed = missed.allowed_methods
    elif missed is not None:
        raise missed
    else:
        resource = request.match_info.route.resource
        allowed = set() if resource is None else {route.method for route in resource}
    return web.Response(status=204, headers={hdrs.ALLOW: _allow(allowed)})


def _allow(methods: Iterable[str]) -> str:
    return ", ".join(sorted({*methods, hdrs.METH_OPTIONS} - {hdrs.METH_ANY}))
