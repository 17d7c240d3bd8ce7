"""Where idempotency meets HTTP: the caller's key, the fingerprint of a request, and answers as they are stored."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from gifty.core.errors import InvalidInput
from gifty.core.http.idempotency.models import KeyedRequest, StoredAnswer
from gifty.core.http.route import Route

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS: Final = ("Content-Type", "Content-Language", "Location", "Link", "Cache-Control", "Retry-After")


def keyed_request(
    request: web.Request, route: Route, body: Any, *, secret_key: bytes, cookies: tuple[str, ...], caller: str
) -> KeyedRequest | None:
    """The key of a request, or None when it has none. Raises `InvalidInput` for one that cannot be a key.

    A key belongs to the caller: to the bearer of a token or session, else to the client's address.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidInput.of(HEADER, "A key is 1 to 255 printable ASCII characters.")
    credential = _credential(request, cookies) or f"address {caller}"
    scope = hmac.new(secret_key, credential.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]
    address = repr((route.method, route.path, sorted(request.match_info.items()), sorted(request.query.items())))
    written = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    fingerprint = hashlib.sha256(address.encode("utf-8", "surrogateescape") + b"\0" + written).digest()
    return KeyedRequest(scope, key, fingerprint)


def _credential(request: web.Request, cookies: tuple[str, ...]) -> str | None:
    authorization = request.headers.get(hdrs.AUTHORIZATION)
    if authorization:
        return f"authorization {authorization}"
    for name in cookies:
        value = request.cookies.get(name)
        if value:
            return f"cookie {name} {value}"
    return None


def stored(response: web.Response) -> StoredAnswer:
    """An answer as it is kept."""
    body = response.body
    if body is not None and not isinstance(body, bytes | bytearray):
        raise TypeError("an idempotent endpoint answers with bytes")
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return StoredAnswer(response.status, headers, bytes(body or b""))


def replay(answer: StoredAnswer) -> web.Response:
    """The kept answer, byte for byte."""
    response = web.Response(status=answer.status, body=answer.body or None, headers=answer.headers)
    response.headers[REPLAYED] = "true"
    return response
