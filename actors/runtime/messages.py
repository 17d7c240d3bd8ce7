"""What travels between actors, its JSON form, and the letters kept of what nobody could handle."""

from __future__ import annotations

import base64
import dataclasses
import functools
import traceback
import types
import typing
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from .errors import NotSerialisable

R = TypeVar("R")


class Message(Protocol):
    """Any frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Ask(Generic[R]):
    """The base of a message that expects a reply: ``class Price(Ask[Decimal])``."""

    __slots__ = ()
    __reply__: R


@dataclasses.dataclass(frozen=True, slots=True)
class Terminated:
    """A watched actor has stopped for good; ``failed`` when it did not go willingly."""

    path: str
    failed: bool


def message_name(message_type: type) -> str:
    return f"{message_type.__module__}.{message_type.__qualname__}"


class Reason(StrEnum):
    """Why a message became a dead letter."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    UNHANDLED = "unhandled"
    STOPPED = "stopped"
    MAILBOX_FULL = "mailbox_full"


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message, the path it was meant for, why it died, and when (Unix seconds)."""

    path: str
    message: Message
    reason: Reason
    at: float
    cause: str | None = None
    traceback: str | None = None

    @property
    def message_name(self) -> str:
        return message_name(type(self.message))


class DeadLetterSink(Protocol):
    """Where dead letters go. ``put`` runs inside the event loop: it must neither block nor raise."""

    def put(self, letter: DeadLetter) -> None:
        """Take the letter."""


class RecentDeadLetters:
    """The last ``capacity`` dead letters, in memory; ``total`` counts those pushed out as well."""

    def __init__(self, capacity: int = 1000) -> None:
        self._letters: deque[DeadLetter] = deque(maxlen=capacity)
        self.total = 0

    def put(self, letter: DeadLetter) -> None:
        self._letters.append(letter)
        self.total += 1

    def letters(self) -> tuple[DeadLetter, ...]:
        return tuple(self._letters)


def describe(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip().rpartition("\n")[2]


class MessageCodec:
    """Dataclass messages to JSON-able dicts and back, for the types it was told of.

    Fields may be JSON scalars, enums, times, ``Decimal``, ``UUID``, bytes, collections, unions and dataclasses.
    """

    def __init__(self, *message_types: type) -> None:
        self._types = {message_name(known): known for known in message_types}

    def register(self, *message_types: type) -> None:
        self._types.update((message_name(known), known) for known in message_types)

    def encode(self, message: Message) -> dict[str, Any]:
        """``{"type": name, "fields": {...}}``; raises NotSerialisable."""
        return {"type": message_name(type(message)), "fields": _encode(message)}

    def decode(self, encoded: Mapping[str, Any]) -> Message:
        """The message again; raises NotSerialisable for an unknown type or unfitting fields."""
        message_type = self._types.get(encoded["type"])
        if message_type is None:
            raise NotSerialisable(f"unknown message type {encoded['type']!r}")
        try:
            return typing.cast("Message", _decode(encoded["fields"], message_type))
        except _MISFITS as error:
            raise NotSerialisable(f"{encoded['type']}: {error}") from error


_MISFITS = (TypeError, ValueError, ArithmeticError, KeyError, AttributeError)
# How values that JSON lacks are written as text and read again.
_TEXT_FORMS: dict[Any, tuple[Any, Any]] = {
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    timedelta: (lambda span: repr(span.total_seconds()), lambda text: timedelta(seconds=float(text))),
    Decimal: (str, Decimal),
    UUID: (str, UUID),
    bytes: (lambda value: base64.b64encode(value).decode("ascii"), base64.b64decode),
}


def _encode(value: Any) -> Any:
    if type(value) in _TEXT_FORMS:
        return _TEXT_FORMS[type(value)][0](value)
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() | set() | frozenset():
            return [_encode(item) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise NotSerialisable(f"no JSON form for {type(value).__qualname__}")


_hints_of: Any = functools.cache(typing.get_type_hints)


def _decode(value: Any, hint: Any) -> Any:
    if hint is Any or hint is object:
        return value
    if typing.get_origin(hint) is not None:
        return _decode_generic(value, typing.get_origin(hint), typing.get_args(hint))
    if dataclasses.is_dataclass(hint):
        hints = _hints_of(hint)
        return typing.cast("Any", hint)(**{name: _decode(item, hints[name]) for name, item in value.items()})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint in _TEXT_FORMS:
        return _TEXT_FORMS[hint][1](value)
    accepted = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise TypeError(f"{value!r} is not {hint}")
    return value


def _decode_generic(value: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if origin in (typing.Union, types.UnionType):
        for member in arguments:
            try:
                return _decode(value, member)
            except _MISFITS:
                continue
    elif origin is typing.Literal:
        if value in arguments:
            return value
    elif issubclass(origin, Mapping):
        return {key: _decode(item, arguments[1]) for key, item in value.items()}
    elif isinstance(value, list):
        if origin is tuple and arguments[1:] != (Ellipsis,):
            return tuple(_decode(item, hint) for item, hint in zip(value, arguments, strict=True))
        build = origin if origin in (list, set, frozenset) else tuple
        return build(_decode(item, arguments[0]) for item in value)
    raise TypeError(f"{value!r} does not fit {arguments}")
