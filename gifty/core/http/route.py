"""What is declared about one address: the single source of its validation, its documentation and its limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from aiohttp import web
from marshmallow import Schema

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ATTRIBUTE: Final = "__gifty_route__"
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many requests within any span of so many seconds."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is not described by a schema: its content type and what it is."""

    type: str
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """Everything the HTTP core knows about one endpoint."""

    method: str
    path: str
    tag: str
    summary: str
    description: str
    query: Schema | None
    body: Schema | None
    parameters: Schema | None
    answers: Mapping[int, Schema | Media | None]
    errors: frozenset[int]
    cache: str | None
    etag: Literal["strong", "weak"] | None
    idempotent: bool
    limits: tuple[Limit, ...]
    counted: bool
    body_limit: int | None
    seconds: float | None
    streams: bool
    security: tuple[str, ...]

    @property
    def statuses(self) -> frozenset[int]:
        """Every status that a caller may see."""
        return frozenset(self.answers) | self.errors | ({304} if self.etag else frozenset())

    @property
    def has_path_values(self) -> bool:
        """Whether the address carries values."""
        return "{" in self.path


def attach(handler: Handler, route: Route) -> None:
    """Keeps the declaration with its handler."""
    setattr(handler, _ATTRIBUTE, route)


def route_of(handler: Any) -> Route | None:
    """The declaration of a handler, or None for a handler without one."""
    route: Route | None = getattr(handler, _ATTRIBUTE, None)
    return route
