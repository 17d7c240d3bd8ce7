"""Cursors: where a list goes on, signed so that nobody can make one up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gifty.core.errors import InvalidInput

_SIGNATURE_BYTES: Final = 12
_LONGEST: Final = 2048


class Cursors:
    """Writes and reads cursors of one list. `purpose` keeps a cursor of one list from being used with another."""

    def __init__(self, secret_key: bytes, purpose: str) -> None:
        self._key = hmac.digest(secret_key, b"cursor:" + purpose.encode(), hashlib.sha256)

    def encode(self, position: Mapping[str, Any]) -> str:
        """A cursor of URL-safe characters. Values are whatever JSON has, and times, which come back as text."""
        body = orjson.dumps(dict(position), option=orjson.OPT_UTC_Z)
        return _text(self._sign(body) + body)

    def decode(self, cursor: str) -> dict[str, Any]:
        """The position. Raises `InvalidInput` on the field `cursor` when it is not one of ours."""
        if len(cursor) > _LONGEST:
            raise _not_ours()
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _not_ours() from None
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body)) or _text(raw) != cursor:
            raise _not_ours()
        position: dict[str, Any] = orjson.loads(body)
        return position

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:_SIGNATURE_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _not_ours() -> InvalidInput:
    return InvalidInput.of("cursor", "This is not a cursor of this list; begin again without one.")
