"""The error envelope: one shape for every failure, whoever noticed it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from gifty.core.errors import GiftyError, Unavailable

JSON: Final = "application/json"

TYPES: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    413: "payload_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    417: "expectation_failed",
    422: "validation_error",
    429: "too_many_requests",
    431: "headers_too_large",
    500: "internal_error",
    501: "not_implemented",
    503: "unavailable",
}

_MESSAGES: Final[Mapping[int, str]] = {
    400: "The request could not be read.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The request is larger than this address takes.",
    417: "Only `Expect: 100-continue` is understood.",
    500: "Something went wrong on our side. Please quote the request id when you report it.",
}

_FALLBACK: Final = ("bad_request", "internal_error")
_RETRY_SECONDS: Final = "2"


class RequestTimedOut(GiftyError):
    """The client took too long to send its request."""

    type = "request_timeout"
    status = 408


def envelope(
    status: int, kind: str, message: str, request_id: str, details: Mapping[str, Any] | None = None
) -> web.Response:
    """An answer with the error envelope."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    error["request_id"] = request_id
    body = orjson.dumps({"error": error}, default=str, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(body=body, status=status, headers={hdrs.CONTENT_TYPE: JSON})


def from_status(status: int, request_id: str) -> web.Response:
    """The envelope of a status that nothing more is known about."""
    message = _MESSAGES.get(status)
    if message is None:
        message = f"{_phrase(status)}."
    return envelope(
        status, TYPES.get(status, _FALLBACK[status >= HTTPStatus.INTERNAL_SERVER_ERROR]), message, request_id
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "The request failed"


def from_error(error: GiftyError, request_id: str) -> web.Response:
    """The envelope of an error raised by a service. A bare 5xx keeps its reasons to itself."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Unavailable):
        return from_status(error.status, request_id)
    response = envelope(error.status, error.type, error.message, request_id, error.details)
    retry_after: float | None = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(retry_after)))
    elif isinstance(error, Unavailable):
        response.headers[hdrs.RETRY_AFTER] = _RETRY_SECONDS
    elif error.status == HTTPStatus.UNAUTHORIZED:
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return response


def from_http_exception(error: web.HTTPException, request_id: str) -> web.StreamResponse:
    """The envelope of an aiohttp exception; redirects and other non-errors stay what they are."""
    if error.status < HTTPStatus.BAD_REQUEST:
        return web.Response(status=error.status, reason=error.reason, headers=_without_text(error))
    response = from_status(error.status, request_id)
    for name, value in _without_text(error).items():
        response.headers[name] = value
    return response


def _without_text(error: web.HTTPException) -> dict[str, str]:
    dropped = {"content-type", "content-length"}
    return {name: value for name, value in error.headers.items() if name.lower() not in dropped}
