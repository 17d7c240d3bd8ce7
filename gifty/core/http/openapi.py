"""The OpenAPI document, from aiohttp-apispec's decorators. The only module that knows that library.

aiohttp-apispec itself writes Swagger 2.0; we take the declarations its decorators leave on a handler and let apispec
write OpenAPI 3.1 from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import orjson
from aiohttp import web
from aiohttp_apispec import docs, json_schema, match_info_schema, querystring_schema, response_schema
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_instance
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from gifty import __version__
from gifty.core.http.answers import to_json
from gifty.core.http.errors import JSON
from gifty.core.http.route import Handler, Media, Route, route_of

_VERSION: Final = "3.1.0"
_PATTERN: Final = re.compile(r"\{([^{}:]+):[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_NAME: Final = re.compile(r"\{([^{}]+)\}")

SECURITY_SCHEMES: Final[Mapping[str, Mapping[str, str]]] = {
    "giverSession": {"type": "apiKey", "in": "cookie", "name": "gifty_session"},
    "giverBearer": {"type": "http", "scheme": "bearer"},
    "staffBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "staffCookie": {"type": "apiKey", "in": "cookie", "name": "access_token"},
    "internalToken": {"type": "apiKey", "in": "header", "name": "X-Internal-Token"},
    "analyticsToken": {"type": "apiKey", "in": "header", "name": "X-Analytics-Token"},
    "supportToken": {"type": "apiKey", "in": "header", "name": "X-AIF-Support-Token"},
}

_TAGS: Final[Mapping[str, str]] = {
    "Gifts": "The searchable catalogue.",
    "Recommendations": "The main job: a person goes in, gifts with reasons come out.",
    "System": "Health, readiness, measurements and this document.",
}

_DESCRIPTION: Final = (
    "Finds the right gift for a person.\n\n"
    "Every address under `/api/` answers the same under `/api/v1/`, and `/internal/` is short for `/api/internal/`. "
    'Every failure is `{"error": {"type", "message", "details"?, "request_id"}}`; `details` names the fields that are '
    "wrong. `X-Request-ID` is on every answer. Lists are paged with `limit` and `cursor`. Unknown fields are refused, "
    "unknown query parameters too, save those that track where a visitor came from (`utm_*`, `gclid`, ...)."
)

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "Any text of the caller's own, new for each intent. "
        "The same key and body within 24 hours get the first answer again."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}

_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the copy the caller has; 304 when it is still good.",
    "schema": {"type": "string"},
}

_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "X-Request-ID": {"description": "Names this request in logs and errors.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "What is left of each limit: `r` requests, for `t` seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {"description": "The limits: `q` requests in `w` seconds.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer", "minimum": 0}},
    "ETag": {"description": "The version of this answer, for `If-None-Match`.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that this address takes.", "schema": {"type": "string"}},
}


class ErrorDetail(Schema):
    """What went wrong."""

    type = fields.String(required=True, metadata={"description": "A word for programs."})
    message = fields.String(required=True, metadata={"description": "A sentence for people."})
    details = fields.Dict(
        keys=fields.String(),
        metadata={"description": "Per field path, what is wrong with it.", "additionalProperties": True},
    )
    request_id = fields.String(required=True)


class ErrorEnvelope(Schema):
    """The body of every failure."""

    error = fields.Nested(ErrorDetail, required=True)


def describe(handler: Handler, route: Route) -> Handler:
    """Puts the declaration of a route on its handler, in aiohttp-apispec's own terms."""
    headers = [*([_IDEMPOTENCY_KEY] if route.idempotent else []), *([_IF_NONE_MATCH] if route.etag else [])]
    described = docs(
        tags=[route.tag],
        summary=route.summary,
        description=route.description,
        parameters=headers,
        security=[{name: []} for name in route.security],
    )(handler)
    if route.query is not None:
        described = querystring_schema(route.query)(described)
    if route.parameters is not None:
        described = match_info_schema(route.parameters)(described)
    if route.body is not None:
        described = json_schema(route.body)(described)
    for status, found in route.answers.items():
        if isinstance(found, Schema):
            described = response_schema(found, status, description=_phrase(status))(described)
    return cast("Handler", described)


def build_document(app: web.Application) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every endpoint of the application."""
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="Gifty",
        version=__version__,
        openapi_version=_VERSION,
        plugins=[plugin],
        info={"description": _DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": "/"}],
    )
    converter = cast("OpenAPIConverter", plugin.converter)
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, dict(scheme))
    for name, header in _HEADERS.items():
        spec.components.header(name, dict(header))
    spec.components.schema("Error", schema=ErrorEnvelope)
    tags: dict[str, None] = {}
    for method, path, handler, route in _endpoints(app):
        tags[route.tag] = None
        spec.path(path=path, operations={method: _operation(converter, handler, route)})
    for tag in tags:
        spec.tag({"name": tag, "description": _TAGS[tag]} if tag in _TAGS else {"name": tag})
    # Defaults of schemas are Python values; the document has JSON's.
    document: dict[str, Any] = orjson.loads(to_json(spec.to_dict()))
    return document


def undocumented(app: web.Application) -> list[str]:
    """`METHOD path` of the routes that answer but are not in the document; static folders and OPTIONS aside."""
    return sorted(
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None
        and not isinstance(route.resource, web.StaticResource)
        and route.method not in {"OPTIONS", "HEAD"}
        and route_of(route.handler) is None
    )


def _endpoints(app: web.Application) -> Iterable[tuple[str, str, Handler, Route]]:
    for found in app.router.routes():
        route = route_of(found.handler)
        if route is not None and found.method == route.method:
            yield route.method.lower(), _PATTERN.sub(r"{\1}", route.path), found.handler, route


def _operation(converter: OpenAPIConverter, handler: Handler, route: Route) -> dict[str, Any]:
    declared: Mapping[str, Any] = handler.__apispec__  # type: ignore[attr-defined]
    operation: dict[str, Any] = {
        "operationId": _operation_id(handler, route),
        "tags": declared["tags"],
        "summary": declared["summary"],
        "responses": _responses(route, declared["responses"]),
    }
    if declared["description"]:
        operation["description"] = declared["description"]
    if declared["security"]:
        operation["security"] = declared["security"]
    parameters = list(declared["parameters"])
    for entry in handler.__schemas__:  # type: ignore[attr-defined]
        if entry["location"] == "json":
            operation["requestBody"] = _request_body(entry["schema"])
        else:
            where = {"querystring": "query", "match_info": "path"}[entry["location"]]
            parameters += converter.schema2parameters(entry["schema"], location=where)
    parameters += _plain_path_parameters(route)
    if parameters:
        operation["parameters"] = parameters
    return operation


def _operation_id(handler: Handler, route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", getattr(handler, "__name__", route.path)).strip("_").split("_")
    return words[0] + "".join(word.capitalize() for word in words[1:])


def _request_body(schema: Schema) -> dict[str, Any]:
    return {
        "required": any(field.required for field in schema.load_fields.values()),
        "content": {JSON: {"schema": schema}},
    }


def _plain_path_parameters(route: Route) -> list[dict[str, Any]]:
    declared = set() if route.parameters is None else set(route.parameters.load_fields)
    names = _NAME.findall(_PATTERN.sub(r"{\1}", route.path))
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
        if name not in declared
    ]


def _responses(route: Route, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, found in route.answers.items():
        response: dict[str, Any] = {"description": _phrase(status), "headers": _headers(route, status)}
        if isinstance(found, Media):
            response["description"] = found.description
            response["content"] = {found.type: {"schema": {"type": "string"}}}
        elif found is not None:
            response["content"] = {JSON: {"schema": declared[str(status)]["schema"]}}
        responses[str(status)] = response
    if route.etag:
        responses["304"] = {"description": "The caller's copy is still good", "headers": _headers(route, 304)}
    for status in sorted(route.errors):
        responses.setdefault(
            str(status),
            {
                "description": _phrase(status),
                "headers": _headers(route, status),
                "content": {JSON: {"schema": "Error"}},
            },
        )
    return responses


def _headers(route: Route, status: int) -> dict[str, Any]:
    names = ["X-Request-ID"]
    if route.counted:
        names += ["RateLimit", "RateLimit-Policy"]
    if route.etag and status in {200, 304}:
        names.append("ETag")
    if status in {409, 429, 503}:
        names.append("Retry-After")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _schema_name(schema: Any) -> str:
    instance = resolve_schema_instance(schema)
    name = type(instance).__name__
    if isinstance(instance, ErrorEnvelope):
        return "Error"
    return name[:-6] if name.endswith("Schema") and len(name) > len("Schema") else name
