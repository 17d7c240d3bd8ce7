"""Reads and validates what a request carries. Everything wrong is told at once, by field."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from marshmallow import Schema, ValidationError, fields

from gifty.core.errors import BadRequest, InvalidInput, PayloadTooLarge, UnsupportedMediaType
from gifty.core.http.errors import RequestTimedOut

_TRACKING_PREFIXES: Final = ("utm_", "mc_", "pk_", "mtm_")
_TRACKING: Final = frozenset(
    {"_", "_ga", "_gl", "_openstat", "dclid", "erid", "fbclid", "gad_source", "gbraid", "gclid", "igshid", "msclkid"}
    | {"rb_clickid", "twclid", "ttclid", "vk_ref", "wbraid", "ybaip", "yclid", "ymclid", "ysclid"}
)
_DEEPEST: Final = 32
_BYTES_PER_VALUE: Final = 50
_ENOUGH_TO_LOOK: Final = 1000
_LONGEST_WORDS: Final = 500
_MOST_WRONG: Final = 50
_NOT_TEXT: Final = "This is not text: it has a NUL character, or bytes that are not UTF-8."


class QueryReader:
    """Reads a query by a schema.

    A parameter that the schema does not know is an error, because a misspelt filter that is silently ignored gives
    wrong results; parameters that only track where a visitor came from are passed over. An empty value counts as not
    given.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._known = {
            field.data_key or name: isinstance(field, fields.List) for name, field in schema.load_fields.items()
        }

    def read(self, request: web.Request) -> dict[str, Any]:
        """The validated query. Raises `InvalidInput` naming each wrong parameter."""
        given: dict[str, Any] = {}
        wrong: dict[str, list[str]] = {}
        for name in dict.fromkeys(request.query):
            values = [value for value in request.query.getall(name) if value]
            is_list = self._known.get(name)
            if is_list is None:
                if name not in _TRACKING and not name.startswith(_TRACKING_PREFIXES):
                    wrong[name] = [f"Unknown parameter. Known: {', '.join(sorted(self._known))}."]
            elif not all(map(_is_text, values)):
                wrong[name] = [_NOT_TEXT]
            elif is_list:
                given[name] = values
            elif len(values) > 1:
                wrong[name] = ["Given more than once."]
            elif values:
                given[name] = values[0]
        loaded: dict[str, Any] = _load(self._schema, given, wrong)
        return loaded


class PathReader:
    """Reads the values in an address."""

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema

    def read(self, request: web.Request) -> dict[str, Any]:
        """The values, validated when there is a schema. Raises `InvalidInput`."""
        given = dict(request.match_info)
        wrong = {name: [_NOT_TEXT] for name, value in given.items() if not _is_text(value)}
        if self._schema is None:
            return given if not wrong else _refuse(wrong)
        loaded: dict[str, Any] = _load(self._schema, given, wrong)
        return loaded


class BodyReader:
    """Reads a JSON body within its limits: bytes, seconds, depth and number of values."""

    def __init__(self, schema: Schema, limit: int, seconds: float) -> None:
        self._schema = schema
        self._limit = limit
        self._seconds = seconds

    async def read(self, request: web.Request) -> tuple[Any, Any]:
        """The validated body, and the body as it came.

        An empty body counts as `{}`, so that what is missing is told by field. Raises `UnsupportedMediaType`,
        `PayloadTooLarge`, `RequestTimedOut`, `BadRequest` or `InvalidInput`.
        """
        raw = await self._bytes(request)
        if not raw:
            return _load(self._schema, {}, {}), {}
        if not _is_json(request):
            raise UnsupportedMediaType("send the body as application/json in UTF-8")
        try:
            given = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"the body is not valid JSON: {error}") from None
        self._check_shape(raw, given)
        return _load(self._schema, given, {}), given

    async def _bytes(self, request: web.Request) -> bytes:
        if not request.body_exists:
            return b""
        if (request.content_length or 0) > self._limit:
            self._refuse_size()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                while chunk := await request.content.readany():
                    size += len(chunk)
                    if size > self._limit:
                        self._refuse_size()
                    chunks.append(chunk)
        except TimeoutError:
            raise RequestTimedOut("the body did not arrive in time") from None
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
            raise BadRequest("the body could not be read to its end") from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _refuse_size(self) -> NoReturn:
        raise PayloadTooLarge(f"the body is larger than {self._limit} bytes")

    def _check_shape(self, raw: bytes, given: Any) -> None:
        many = raw.count(b",") > _ENOUGH_TO_LOOK
        if not many and b"\\u0000" not in raw and raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
            return
        most = max(_ENOUGH_TO_LOOK, self._limit // _BYTES_PER_VALUE)
        for count, (path, value, depth) in enumerate(_walk(given)):
            if depth > _DEEPEST:
                _refuse({path: [f"Nested deeper than {_DEEPEST} levels."]})
            if count > most:
                _refuse({"body": [f"More than {most} values."]})
            if isinstance(value, str) and "\0" in value:
                _refuse({path: [_NOT_TEXT]})


def _is_text(value: str) -> bool:
    """Whether PostgreSQL would take it: no NUL, and no byte that was not UTF-8."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in value


def _walk(given: Any) -> Iterator[tuple[str, Any, int]]:
    waiting: list[tuple[str, Any, int]] = [("", given, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        yield path or "body", value, depth
        if isinstance(value, dict):
            for key, inner in value.items():
                inner_path = f"{path}.{key}" if path else key
                if "\0" in key:
                    yield inner_path, key, depth
                waiting.append((inner_path, inner, depth + 1))
        elif isinstance(value, list):
            waiting += [
                (f"{path}.{index}" if path else str(index), inner, depth + 1) for index, inner in enumerate(value)
            ]


def _is_json(request: web.Request) -> bool:
    kind, charset = request.content_type, (request.charset or "utf-8").lower()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    return is_json and charset in {"utf-8", "utf8", "us-ascii"}


def _load(schema: Schema, given: Any, wrong: dict[str, list[str]]) -> Any:
    try:
        loaded = schema.load(given)
    except ValidationError as error:
        wrong = _flat(error.messages) | wrong
    if wrong:
        _refuse(wrong)
    return loaded


def _refuse(wrong: dict[str, list[str]]) -> NoReturn:
    details = {_shown(field): [_shown(problem) for problem in wrong[field]] for field in list(wrong)[:_MOST_WRONG]}
    field, problems = next(iter(details.items()))
    raise InvalidInput(f"{field}: {problems[0]}", details)


def _shown(text: str) -> str:
    if len(text) > _LONGEST_WORDS:
        text = f"{text[:_LONGEST_WORDS]}…"
    return text.encode("utf-8", "replace").decode()


def _flat(messages: Any, path: str = "") -> dict[str, list[str]]:
    """marshmallow's nested messages as one mapping of field paths; `_schema` is the thing itself."""
    if not isinstance(messages, Mapping):
        found = messages if isinstance(messages, list) else [messages]
        return {path or "body": [str(message) for message in found]}
    flat: dict[str, list[str]] = {}
    for key, inner in messages.items():
        inner_path = path if key == "_schema" else f"{path}.{key}" if path else str(key)
        for field, problems in _flat(inner, inner_path).items():
            flat.setdefault(field, []).extend(problems)
    return flat
