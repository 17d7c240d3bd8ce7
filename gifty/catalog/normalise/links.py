"""One canonical form per link, so that the same product is recognised again."""

from __future__ import annotations

import re
from typing import Final

MAX_URL_BYTES: Final = 2_000
_MAX_HOST: Final = 253
_MAX_PORT: Final = 65_535

_TRACKING: Final = frozenset({"yclid", "gclid", "fbclid", "asid", "_openstat"})
_URL = re.compile(r"(?:(https?):)?//([^/?#\s\\]+)((?:/[^?#]*)?)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE | re.DOTALL)
# What most links look like: nothing in them but, perhaps, parameters needs a second look.
_PLAIN = re.compile(
    r"(https?://(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*[a-z0-9]/[!$&-;=@-Z_a-z~%]*)(?:\?([!$&-;=?@-Z_a-z~%]*))?"
)
_PORT = re.compile(r"(.*):(\d*)", re.DOTALL)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\"<>\\^`{|}\u2000-\u200f\u2028-\u202f\ud800-\udfff\ufeff]")


def canonical_url(url: str) -> str:
    """The link without fragment and tracking parameters, its host in lower case; other parameters stay as they are.

    Raises ValueError with a reason fit for a shop when it is no link to a web page.
    """
    base, query = _parts(url.strip())
    if query:
        kept = [pair for pair in query.split("&") if pair and not _is_tracking(pair)]
        base = f"{base}?{'&'.join(kept)}" if kept else base
    return _bounded(base)


def image_url(url: str) -> str:
    """The link of a picture: as `canonical_url`, but every parameter is kept, for some servers sign them."""
    base, query = _parts(url.strip())
    return _bounded(f"{base}?{query}" if query else base)


def _parts(url: str) -> tuple[str, str]:
    if plain := _PLAIN.fullmatch(url):
        return plain[1], plain[2] or ""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("is not an http or https link")
    scheme, authority, path, query = match.groups()
    base = f"{(scheme or 'https').lower()}://{_host(authority, (scheme or 'https').lower())}{_quoted(path) or '/'}"
    return base, _quoted(query or "")


def _host(authority: str, scheme: str) -> str:
    if "@" in authority:
        raise ValueError("must not carry a user name or password")
    host, port = authority.lower(), ""
    if match := _PORT.fullmatch(host):
        host, port = match.groups()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError("has an impossible host name") from None
    host = host.rstrip(".")
    if len(host) > _MAX_HOST or ".." in host or not _HOST.fullmatch(host):
        raise ValueError("has an impossible host name")
    if port in ("", "80" if scheme == "http" else "443"):
        return host
    if int(port[:6]) > _MAX_PORT:
        raise ValueError("has an impossible port")
    return f"{host}:{int(port)}"


def _is_tracking(pair: str) -> bool:
    name = pair.partition("=")[0].lower()
    return name in _TRACKING or name.startswith("utm_")


def _quoted(text: str) -> str:
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace")), text)


def _bounded(url: str) -> str:
    if len(url) > MAX_URL_BYTES or (not url.isascii() and len(url.encode()) > MAX_URL_BYTES):
        raise ValueError(f"is longer than {MAX_URL_BYTES} bytes")
    return url
