"""The decorator that declares an endpoint, and what handlers read a request with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

from marshmallow import Schema

from gifty.core.http.exchange import body_of, mark_effect, path_of, query_of, request_id_of
from gifty.core.http.openapi import describe
from gifty.core.http.route import UNSAFE, Handler, Limit, Media, Route, attach, route_of

__all__ = [
    "Handler",
    "Limit",
    "Media",
    "Route",
    "body_of",
    "endpoint",
    "mark_effect",
    "path_of",
    "query_of",
    "request_id_of",
    "route_of",
]

SchemaLike: TypeAlias = Schema | type[Schema]


def endpoint(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    *,
    tag: str,
    summary: str,
    answers: Mapping[int, SchemaLike | Media | None],
    description: str = "",
    query: SchemaLike | None = None,
    body: SchemaLike | None = None,
    path_schema: SchemaLike | None = None,
    errors: Iterable[int] = (),
    cache: str | None = None,
    etag: Literal["strong", "weak"] | None = None,
    idempotent: bool = False,
    limit: Limit | Iterable[Limit] = (),
    counted: bool = True,
    body_limit: int | None = None,
    seconds: float | None = None,
    streams: bool = False,
    security: Iterable[str] = (),
) -> Callable[[Handler], Handler]:
    """Declares an endpoint under `/api/...`; `/api/v1/...` answers the same.

    `answers` maps a status to the schema of its body, to a `Media`, or to None for an empty body. `errors` are the
    statuses of the rules behind it; those of the HTTP core (400, 408, 413, 415, 422, 429, 500, 503 ...) are added by
    themselves. `limit` is stricter than the limits every caller has; `counted=False` takes the endpoint out of those.
    `body_limit` is in bytes, `seconds` the time the handler may take (None: the settings decide), and `streams=True`
    lifts that deadline. `idempotent=True` honours `Idempotency-Key`. `etag` adds conditional GET; "strong" says that
    equal tags mean equal bytes.
    `security` names schemes of the document (`gifty.core.http.openapi.SECURITY_SCHEMES`).
    """
    limits = (limit,) if isinstance(limit, Limit) else tuple(limit)
    if idempotent and method not in UNSAFE:
        raise ValueError(f"{method} {path} is idempotent by itself")
    if body is not None and method not in UNSAFE:
        raise ValueError(f"{method} {path} takes no body")
    route = Route(
        method=method,
        path=path,
        tag=tag,
        summary=summary,
        description=description,
        query=_instance(query),
        body=_instance(body),
        parameters=_instance(path_schema),
        answers={status: found if isinstance(found, Media) else _instance(found) for status, found in answers.items()},
        errors=frozenset(errors) | _own_errors(method, path, query, body, counted=counted, idempotent=idempotent),
        cache=cache,
        etag=etag,
        idempotent=idempotent,
        limits=limits,
        counted=counted,
        body_limit=body_limit,
        seconds=seconds,
        streams=streams,
        security=tuple(security),
    )

    def declare(handler: Handler) -> Handler:
        attach(handler, route)
        return describe(handler, route)

    return declare


def _instance(schema: SchemaLike | None) -> Schema | None:
    return schema() if isinstance(schema, type) else schema


def _own_errors(
    method: str, path: str, query: object, body: object, *, counted: bool, idempotent: bool
) -> frozenset[int]:
    found = {400, 500, 503}
    if counted:
        found.add(429)
    if query is not None or body is not None or "{" in path or idempotent:
        found.add(422)
    if body is not None:
        found |= {408, 413, 415}
    if method in UNSAFE:
        found.add(403)
    if idempotent:
        found.add(409)
    return frozenset(found)
