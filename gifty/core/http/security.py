"""What browsers are told, and who may act with somebody's cookie."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from multidict import CIMultiDict

from gifty.core.errors import Forbidden
from gifty.core.http.settings import HttpSettings

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_EVERYWHERE: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_OWN_SITES: Final = frozenset({"same-origin", "none"})


def security_headers(*, production: bool) -> CIMultiDict[str]:
    """Headers of every answer. A handler that sets one of them itself keeps its own."""
    headers = CIMultiDict(_EVERYWHERE)
    if production:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class CrossSiteGuard:
    """Refuses unsafe requests that a foreign page makes with a visitor's cookie.

    A browser says where a request comes from by `Sec-Fetch-Site` or `Origin`; a program that sends neither is no
    browser and is let through. A request with an `Authorization` header carries nothing that a page could borrow.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._cookies = tuple(f"{name}=" for name in settings.session_cookies)
        self._friends = frozenset({*settings.cors_origins, settings.public_url} - {"", "*"})

    def check(self, request: web.Request) -> None:
        """Raises `Forbidden` for a foreign page."""
        headers = request.headers
        cookie = headers.get(hdrs.COOKIE)
        if cookie is None or hdrs.AUTHORIZATION in headers:
            return
        if not any(part.strip().startswith(self._cookies) for part in cookie.split(";")):
            return
        origin = headers.get(hdrs.ORIGIN)
        site = headers.get("Sec-Fetch-Site")
        if origin in self._friends or site in _OWN_SITES:
            return
        if site is None and (origin is None or urlsplit(origin).netloc == request.host):
            return
        raise Forbidden("this request comes from another site; it cannot use your session")


def same_secret(given: str | None, expected: str) -> bool:
    """Whether a token is the expected one, in a time that tells nothing. An unset expectation matches nothing."""
    if not given or not expected:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
