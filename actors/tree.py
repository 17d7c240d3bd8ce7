"""The supervision tree: which actors run, under which strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from actors.dead_letters import Postmaster
from actors.runtime import ActorSystem, ChildSpec, group
from gifty.operations.service import DeadLetters

HEAVY: Final = ("embedder", "scorer")
ALL: Final = (*HEAVY, "postmaster")


class Services(Protocol):
    """What the actors work with."""

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that died."""
        ...


def grow(system: ActorSystem, services: Services, *, only: Sequence[str]) -> None:
    """Starts the named actors, each in its group."""
    groups = {
        "operations": [ChildSpec("postmaster", lambda: Postmaster(services.dead_letters, system))],
    }
    for name, children in groups.items():
        wanted = [child for child in children if child.name in only]
        if wanted:
            system.spawn(group(name, *wanted))
