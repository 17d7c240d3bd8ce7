"""Keeps the vectors of gifts current: embeds what is new or changed, step by step, when told or once in a while."""

from __future__ import annotations

import logging
from typing import Final

from actors.runtime import Actor, handles
from gifty.catalog.embedding_service import EmbeddingService
from gifty.catalog.messages import CatalogueChanged, WorkOn
from gifty.core.errors import Unavailable

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 30.0
POLL_JITTER: Final = 5.0
SHARE: Final = 0.5
"""The share of the time that steps may take, so that searches find the processors free."""
LONGEST_PAUSE: Final = 1.0


class EmbeddingKeeper(Actor):
    """Takes one bounded step per message and tells itself to go on after a pause as long as the step.

    Rows decide what is to do; a lost message costs a poll's wait and nothing else. While the embedder or the database
    is away the actor waits for the next poll: texts keep.
    """

    def __init__(self, embeddings: EmbeddingService) -> None:
        self._embeddings = embeddings
        self._working = False

    async def started(self) -> None:
        """Begins at once, then looks again every half minute."""
        self.context.every(POLL_SECONDS, CatalogueChanged(), jitter=POLL_JITTER)
        self.context.self.tell_nowait(CatalogueChanged())

    @handles(CatalogueChanged)
    async def look(self, _message: CatalogueChanged) -> None:
        """Begins to work, unless it is at work already."""
        if not self._working:
            await self._step()

    @handles(WorkOn)
    async def go_on(self, _message: WorkOn) -> None:
        """The next step."""
        await self._step()

    async def _step(self) -> None:
        began = self.context.clock.now()
        try:
            self._working = await self._embeddings.advance()
        except Unavailable as error:
            self._working = False
            log.warning("gifts wait for their vectors", extra={"cause": error.message})
        if self._working and not self.context.closing:
            took = self.context.clock.now() - began
            self.context.after(min(took * (1 / SHARE - 1), LONGEST_PAUSE), WorkOn())
