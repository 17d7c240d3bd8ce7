"""What the HTTP core keeps about a request while it is served."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from gifty.core.http.plan import Plan


class Exchange:
    """One request and what is known of it so far. What most requests lack stays on the class."""

    query: dict[str, Any] | None = None
    body: Any = None
    path: dict[str, Any] | None = None
    rate_limit: str | None = None
    effect = False
    expired = False

    def __init__(self, request_id: str, plan: Plan, started: float) -> None:
        self.request_id = request_id
        self.plan = plan
        self.started = started


EXCHANGE: Final = web.RequestKey("exchange", Exchange)


def query_of(request: web.Request) -> dict[str, Any]:
    """The validated query, with the schema's defaults."""
    return request[EXCHANGE].query or {}


def body_of(request: web.Request) -> Any:
    """The validated body: what the schema's `load` returned."""
    return request[EXCHANGE].body


def path_of(request: web.Request) -> dict[str, Any]:
    """The values in the address, validated when the endpoint declares a schema for them."""
    return request[EXCHANGE].path or {}


def request_id_of(request: web.Request) -> str:
    """The id that the answer, the log and the error envelope carry."""
    return request[EXCHANGE].request_id


def mark_effect(request: web.Request) -> None:
    """Says that something was done that must not be done twice.

    From here on even a failure is remembered under the caller's `Idempotency-Key`, so that a retry cannot repeat it.
    """
    request[EXCHANGE].effect = True
