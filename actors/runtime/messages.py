"""What travels between actors, and its JSON form."""

from __future__ import annotations

import base64
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
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
    """The name a message type is stored under: its module and qualified name."""
    return f"{message_type.__module__}.{message_type.__qualname__}"


class MessageCodec:
    """Frozen dataclass messages to JSON-able dicts and back, for the types it was told of.

    Fields may be JSON scalars, enums, dates and times, ``Decimal``, ``UUID``, bytes, tuples, lists, sets,
    dicts with string keys, unions, and other dataclasses.
    """

    def __init__(self, *message_types: type) -> None:
        self._types: dict[str, type] = {}
        self.register(*message_types)

    def register(self, *message_types: type) -> None:
        """Make the types known; a type known already is no error."""
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


_TEXT_FORMS: dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    timedelta: (lambda span: repr(span.total_seconds()), lambda text: timedelta(seconds=float(text))),
    Decimal: (str, Decimal),
    UUID: (str, UUID),
    bytes: (lambda value: base64.b64encode(value).decode("ascii"), base64.b64decode),
}
_MISFITS = (TypeError, ValueError, ArithmeticError, KeyError, AttributeError)


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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise NotSerialisable(f"no JSON form for {type(value).__qualname__}")


@functools.cache
def _fields_of(message_type: type) -> dict[str, Any]:
    hints = typing.get_type_hints(message_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(message_type)}


def _decode(value: Any, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin in (typing.Union, types.UnionType):
        return _decode_union(value, arguments)
    if origin is typing.Literal:
        if value not in arguments:
            raise TypeError(f"{value!r} is none of {arguments}")
        return value
    if origin is not None:
        return _decode_collection(value, origin, arguments)
    if dataclasses.is_dataclass(hint):
        fields = _fields_of(typing.cast("type", hint))
        return typing.cast("Any", hint)(**{name: _decode(item, fields[name]) for name, item in value.items()})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint in _TEXT_FORMS:
        return _TEXT_FORMS[hint][1](value)
    accepted = (int, float) if hint is float else hint or types.NoneType
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise TypeError(f"{value!r} is not {hint}")
    return value


def _decode_union(value: Any, members: tuple[Any, ...]) -> Any:
    for member in members:
        try:
            return _decode(value, member)
        except _MISFITS:
            continue
    raise TypeError(f"{value!r} is none of {members}")


def _decode_collection(value: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if issubclass(origin, Mapping):
        return {key: _decode(item, arguments[1]) for key, item in value.items()}
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    if origin is tuple and arguments[1:] != (Ellipsis,):
        return tuple(_decode(item, hint) for item, hint in zip(value, arguments, strict=True))
    build = origin if origin in (tuple, list, set, frozenset) else tuple
    return build(_decode(item, arguments[0]) for item in value)
