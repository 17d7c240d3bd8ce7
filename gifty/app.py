"""The composition root: from settings to a running process. The only place that knows every part."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

import orjson
from aiohttp import web

from actors import tree
from actors.dead_letters import DeadLetterBox
from actors.measures import ActorMeasures
from actors.runtime import ActorSystem
from gifty.catalog import api as catalog
from gifty.core.clock import SystemClock
from gifty.core.errors import Unavailable
from gifty.core.http.idempotency.repository import IdempotencyRepository
from gifty.core.http.idempotency.service import IDEMPOTENCY, IdempotencyService
from gifty.core.http.openapi import build_document
from gifty.core.http.readiness import NotReady, Readiness
from gifty.core.http.server import Runner, install
from gifty.core.http.settings import HttpSettings
from gifty.core.lifecycle import Lifecycle, Report, StopSignals
from gifty.core.logs import logging_to
from gifty.core.metrics import Metrics
from gifty.core.pagination import Cursors
from gifty.discovery import api as discovery
from gifty.services import Services, start_services
from gifty.settings import Settings
from gifty.web import pages

SERVICES: Final = web.AppKey("services", Services)
ACTORS: Final = web.AppKey("actors", ActorSystem)
WORKER_ACTORS: Final = tree.HEAVY

_HTTP_DRAIN_SECONDS: Final = 2.0
_ACTOR_DRAIN_SECONDS: Final = 2.0
_LAST_LETTERS_SECONDS: Final = 0.5


def create_app(settings: Settings, report: Report = lambda _line: None) -> web.Application:
    """The application; everything it needs starts with it, in one chain, and stops with it in reverse order."""
    app = web.Application()
    metrics, clock = Metrics(), SystemClock()
    readiness = Readiness(clock)
    pages.add_pages(app)
    install(
        app,
        routes=[*catalog.routes, *discovery.routes, *pages.routes],
        settings=_http_settings(settings),
        clock=clock,
        metrics=metrics,
        readiness=readiness,
        error_page=pages.error_page,
    )

    async def parts(app: web.Application) -> AsyncIterator[None]:
        async with Lifecycle(report) as life:
            services = await start_services(settings, life)
            system = await life.start("actors", _actors(services, only=tree.ALL))
            metrics.register(ActorMeasures(system))
            _introduce(app, settings, services, system)
            _watch(readiness, services, system)
            yield

    app.cleanup_ctx.append(parts)
    return app


def document(settings: Settings) -> str:
    """The OpenAPI document as text, without starting anything."""
    app = create_app(settings)
    return orjson.dumps(build_document(app), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


async def serve(settings: Settings, report: Report) -> None:
    """Serves until SIGTERM or SIGINT, then drains and stops."""
    report(f"Gifty starts ({settings.env})")
    with StopSignals() as stop, logging_to(form="json" if settings.is_production else "text"):
        runner = Runner(create_app(settings, report), shutdown_timeout=_HTTP_DRAIN_SECONDS)
        try:
            await runner.setup()
            site = web.TCPSite(runner, settings.host, settings.port, reuse_port=False)
            await site.start()
            report(f"Gifty is at {_address(runner, settings)}")
            await stop.wait()
            report("Gifty stops")
        finally:
            await runner.cleanup()


async def work(settings: Settings, *, only: Sequence[str], report: Report) -> None:
    """Runs some actors without HTTP until SIGTERM or SIGINT."""
    with StopSignals() as stop, logging_to(form="json" if settings.is_production else "text"):
        async with Lifecycle(report) as life:
            services = await start_services(settings, life)
            await life.start(", ".join(only), _actors(services, only=only))
            await stop.wait()


def _address(runner: Runner, settings: Settings) -> str:
    port = runner.addresses[0][1]
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _http_settings(settings: Settings) -> HttpSettings:
    return HttpSettings(
        secret_key=settings.secret_key.encode(),
        internal_token=settings.internal_api_token,
        production=settings.is_production,
        public_url=settings.public_url,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        rate_limit=settings.rate_limit,
        rate_limit_store=settings.rate_limit_store,
    )


def _introduce(app: web.Application, settings: Settings, services: Services, system: ActorSystem) -> None:
    app[SERVICES] = services
    app[ACTORS] = system
    app[IDEMPOTENCY] = IdempotencyService(IdempotencyRepository(services.database), services.clock)
    app[catalog.SEARCH] = services.search
    app[catalog.GIFTS] = services.gifts
    app[catalog.CURSORS] = Cursors(settings.secret_key.encode(), catalog.CURSOR_PURPOSE)
    app[discovery.RECOMMENDATIONS] = services.recommendations


def _watch(readiness: Readiness, services: Services, system: ActorSystem) -> None:
    async def database() -> str:
        await services.database.fetchval("SELECT 1")
        return "answers"

    async def actors() -> str:
        health = system.health()
        if failed := [group.path for group in health.groups if group.state == "failed"]:
            raise NotReady(f"given up: {', '.join(failed)}")
        return ", ".join(group.path for group in health.groups)

    readiness.add("database", database)
    readiness.add("actors", actors)


@contextlib.asynccontextmanager
async def _actors(services: Services, *, only: Sequence[str]) -> AsyncIterator[ActorSystem]:
    box = DeadLetterBox(services.dead_letters)
    carrying = asyncio.create_task(box.run(), name="dead letters")
    system = ActorSystem(dead_letters=box)
    box.serve(system)
    try:
        tree.grow(
            system,
            embedding=services.embedding,
            scoring=services.scoring,
            dead_letters=services.dead_letters,
            catalogue_changes=services.ingestion.on_change,
            only=only,
        )
        await system.settled(timeout=10)
        yield system
    finally:
        await system.stop(deadline=_ACTOR_DRAIN_SECONDS)
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_LAST_LETTERS_SECONDS):
                await box.flush()
