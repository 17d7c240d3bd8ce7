"""Errors that reach a caller. Each class is one `type` and one HTTP status of the error envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class GiftyError(Exception):
    """A failure with a message fit for the caller. `details` maps field paths to lists of messages."""

    type: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class BadRequest(GiftyError):
    """The request cannot be read at all."""

    type = "bad_request"
    status = 400


class Unauthorized(GiftyError):
    """The caller has not said who they are."""

    type = "unauthorized"
    status = 401


class Forbidden(GiftyError):
    """The caller may not do this."""

    type = "forbidden"
    status = 403


class NotFound(GiftyError):
    """No such thing, or none that this caller may see."""

    type = "not_found"
    status = 404


class Conflict(GiftyError):
    """The state of the thing does not allow this now."""

    type = "conflict"
    status = 409


class PayloadTooLarge(GiftyError):
    """The request is larger than this route takes."""

    type = "payload_too_large"
    status = 413


class UnsupportedMediaType(GiftyError):
    """The content type is not one this route reads."""

    type = "unsupported_media_type"
    status = 415


class InvalidInput(GiftyError):
    """Well-formed but wrong; `details` names each wrong field."""

    type = "validation_error"
    status = 422

    @classmethod
    def of(cls, field: str, problem: str) -> InvalidInput:
        """One wrong field."""
        return cls(f"{field}: {problem}", {field: [problem]})


class TooManyRequests(GiftyError):
    """A limit is reached; the answer says when to come back."""

    type = "too_many_requests"
    status = 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(GiftyError):
    """Something we depend on is away; the same request may succeed soon."""

    type = "unavailable"
    status = 503
