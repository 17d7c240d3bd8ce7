"""The supervision tree: which actors run, under which strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from actors.dead_letters import Postmaster
from actors.embedder import EmbeddingKeeper
from actors.herald import Herald, Subscribe
from actors.runtime import ActorSystem, ChildSpec, MailboxPolicy, Overflow, group
from actors.runtime.messages import Message
from actors.scorer import ScoreGifts, Scorer
from gifty.catalog.embedding_service import EmbeddingService
from gifty.catalog.messages import CatalogueChanged
from gifty.operations.service import DeadLetters
from gifty.scoring.service import ScoringService

HEAVY: Final = ("embedder", "scorer")
ALL: Final = (*HEAVY, "postmaster")

_NEWS: Final[Mapping[str, Message]] = {"embedder": CatalogueChanged(), "scorer": ScoreGifts()}
# One notice waiting is as good as many.
_LATEST: Final = MailboxPolicy(capacity=16, overflow=Overflow.DROP_OLDEST)


def grow(
    system: ActorSystem,
    *,
    embedding: EmbeddingService,
    scoring: ScoringService,
    dead_letters: DeadLetters,
    catalogue_changes: Subscribe,
    only: Sequence[str],
) -> None:
    """Starts the named actors: one group for each domain, so that one that is given up leaves the others at work."""
    news = [(f"/catalogue/{name}", message) for name, message in _NEWS.items() if name in only]
    catalogue = [
        ChildSpec("embedder", lambda: EmbeddingKeeper(embedding), mailbox=_LATEST),
        ChildSpec("scorer", lambda: Scorer(scoring), mailbox=_LATEST),
        ChildSpec("herald", lambda: Herald(catalogue_changes, system, news)),
    ]
    operations = [ChildSpec("postmaster", lambda: Postmaster(dead_letters, system), mailbox=_LATEST)]
    if news:
        system.spawn(group("catalogue", *(child for child in catalogue if child.name in {*only, "herald"})))
    if "postmaster" in only:
        system.spawn(group("operations", *operations))
