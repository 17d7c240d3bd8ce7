"""The addresses of the HTTP core itself: health, readiness, measurements and the document."""

from __future__ import annotations

import asyncio
import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from marshmallow import Schema, fields, validate

from gifty import __version__
from gifty.core.clock import Clock
from gifty.core.errors import Forbidden
from gifty.core.http.addresses import Addresses
from gifty.core.http.answers import answer, to_json
from gifty.core.http.endpoint import Media, endpoint
from gifty.core.http.openapi import build_document
from gifty.core.http.readiness import Readiness
from gifty.core.http.security import same_secret
from gifty.core.http.settings import HttpSettings
from gifty.core.metrics import CONTENT_TYPE, Metrics

_ASSETS: Final = "/api/docs/assets"
_FRESH: Final = "no-cache"

_PAGE: Final = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gifty API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{_ASSETS}/swagger-ui.css">
<body>
<div id="swagger-ui"></div>
<script src="{_ASSETS}/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""

_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""


@dataclass(slots=True)
class System:
    """What the HTTP core's own handlers work with."""

    settings: HttpSettings
    clock: Clock
    metrics: Metrics
    readiness: Readiness
    addresses: Addresses
    started: float
    document: asyncio.Task[bytes] | None = None


SYSTEM: Final = web.AppKey("system", System)


class Health(Schema):
    """The process is up."""

    status = fields.String(required=True, validate=validate.Equal("ok"))
    version = fields.String(required=True)
    uptime_seconds = fields.Float(required=True)


class ReadyCheck(Schema):
    """One dependency, or one group of actors."""

    name = fields.String(required=True)
    ready = fields.Boolean(required=True)
    detail = fields.String(required=True)
    ms = fields.Float(required=True)


class ReadyReport(Schema):
    """Whether this process can do its work."""

    status = fields.String(required=True, validate=validate.OneOf(["ready", "not_ready"]))
    checks = fields.List(fields.Nested(ReadyCheck), required=True)


@endpoint("GET", "/api/health", tag="System", summary="Is the process up?", answers={200: Health}, counted=False)
async def health(request: web.Request) -> web.StreamResponse:
    """Answers as long as the event loop does."""
    system = request.app[SYSTEM]
    uptime = round(system.clock.monotonic() - system.started, 3)
    return answer(Health, {"status": "ok", "version": __version__, "uptime_seconds": uptime})


@endpoint(
    "GET",
    "/api/ready",
    tag="System",
    summary="Can it do its work?",
    description="One entry per dependency and per supervised actor group.",
    answers={200: ReadyReport, 503: ReadyReport},
    counted=False,
)
async def ready(request: web.Request) -> web.StreamResponse:
    """Asks every check."""
    findings = await request.app[SYSTEM].readiness.findings()
    is_ready = all(finding.ready for finding in findings)
    report = {"status": "ready" if is_ready else "not_ready", "checks": findings}
    return answer(ReadyReport, report, status=200 if is_ready else 503)


@endpoint(
    "GET",
    "/metrics",
    tag="System",
    summary="Measurements for Prometheus",
    description="For this machine, trusted addresses, and whoever has the internal token.",
    answers={200: Media("text/plain", "Prometheus exposition text")},
    errors=(403,),
    counted=False,
    security=("internalToken",),
)
async def metrics(request: web.Request) -> web.StreamResponse:
    """Prometheus text."""
    system = request.app[SYSTEM]
    has_token = same_secret(request.headers.get("X-Internal-Token"), system.settings.internal_token)
    if not has_token and not system.addresses.client_of(request).trusted:
        raise Forbidden("measurements are for trusted addresses and holders of the internal token")
    return web.Response(body=system.metrics.render(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


@endpoint(
    "GET",
    "/openapi.json",
    tag="System",
    summary="This document",
    answers={200: Media("application/json", "OpenAPI 3.1")},
    cache=_FRESH,
    etag="strong",
    counted=False,
)
async def openapi(request: web.Request) -> web.StreamResponse:
    """The document, built once and off the event loop."""
    system = request.app[SYSTEM]
    if system.document is None:
        system.document = asyncio.create_task(asyncio.to_thread(lambda: to_json(build_document(request.app))))
    body = await asyncio.shield(system.document)
    return web.Response(body=body, content_type="application/json")


@endpoint(
    "GET",
    "/api/docs",
    tag="System",
    summary="This document, for people",
    answers={200: Media("text/html", "Swagger UI")},
    cache=_FRESH,
    etag="strong",
    counted=False,
)
async def docs_page(request: web.Request) -> web.StreamResponse:  # noqa: ARG001
    """Swagger UI from our own files."""
    return web.Response(text=_PAGE, content_type="text/html")


@endpoint(
    "GET",
    "/api/docs/start.js",
    tag="System",
    summary="Starts Swagger UI",
    answers={200: Media("text/javascript", "A script")},
    cache=_FRESH,
    etag="strong",
    counted=False,
)
async def docs_start(request: web.Request) -> web.StreamResponse:  # noqa: ARG001
    """A file of its own, because the pages allow no inline script."""
    return web.Response(text=_START, content_type="text/javascript")


ROUTES: Final = (health, ready, metrics, openapi, docs_page, docs_start)


def add_assets(router: web.UrlDispatcher) -> None:
    """Serves the vendored files of Swagger UI."""
    folder = Path(str(importlib.resources.files("gifty"))) / "web" / "vendor" / "swagger-ui"
    router.add_static(_ASSETS, folder)
