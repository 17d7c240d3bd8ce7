"""A supervisor with a fixed set of children, declared rather than written."""

from __future__ import annotations

from .actor import Actor
from .spec import ChildSpec, Supervision


class Group(Actor):
    """Starts its children in the order given, and has no messages of its own."""

    def __init__(self, children: tuple[ChildSpec, ...]) -> None:
        self._children = children

    async def started(self) -> None:
        """Start the children."""
        for child in self._children:
            self.context.spawn(child)


def group(name: str, *children: ChildSpec, supervision: Supervision | None = None) -> ChildSpec:
    """The spec of a supervisor over these children; groups nest."""
    return ChildSpec(name, lambda: Group(children), supervision=supervision or Supervision())
