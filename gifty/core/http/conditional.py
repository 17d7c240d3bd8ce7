"""Entity tags and conditional GET (RFC 9110, 8.8.3 and 13.1.2)."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from aiohttp import hdrs, web

_TAG_BYTES: Final = 12


def with_tag(request: web.Request, response: web.StreamResponse, kind: Literal["strong", "weak"]) -> web.StreamResponse:
    """The answer with its `ETag`, or 304 without a body when the caller's copy is still good.

    A tag that the handler set itself is kept. If-None-Match compares weakly, whatever the kind of the tag.
    """
    if response.status != web.HTTPOk.status_code or not isinstance(response, web.Response):
        return response
    tag = response.headers.get(hdrs.ETAG)
    if tag is None:
        if not isinstance(response.body, bytes | bytearray):
            return response
        digest = hashlib.blake2b(response.body, digest_size=_TAG_BYTES).hexdigest()
        tag = f'"{digest}"' if kind == "strong" else f'W/"{digest}"'
        response.headers[hdrs.ETAG] = tag
    if not _matches(request, tag):
        return response
    kept = {
        name: value
        for name, value in response.headers.items()
        if name.lower() not in {"content-type", "content-length"}
    }
    return web.Response(status=web.HTTPNotModified.status_code, headers=kept)


def _matches(request: web.Request, tag: str) -> bool:
    if hdrs.IF_NONE_MATCH not in request.headers:
        return False
    value = tag.removeprefix("W/").strip('"')
    return any(candidate.value in {"*", value} for candidate in request.if_none_match or ())
