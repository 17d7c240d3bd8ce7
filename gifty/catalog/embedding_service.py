"""Keeps every gift's vector current, and changes from one model to another without a gap."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from gifty.catalog.embedding_repository import EmbeddingRepository
from gifty.catalog.embeddings.protocol import Embedder
from gifty.catalog.search_models import Space
from gifty.core.clock import Clock

log = logging.getLogger(__name__)

BATCH: Final = 256
COPY_BATCH: Final = 5_000
FIRST_COPY: Final = 100_000
MERGE_BATCH: Final = 50
"""About a tenth of a second of the database's time."""
HNSW_FROM: Final = 10_000
"""Active gifts below which comparing all of them is as fast as an index."""
CATEGORY_FROM: Final = 2_500
"""Active gifts from which a category has an index of its own."""
REBUILD_SHARE: Final = 0.2
REBUILD_ROWS: Final = 5_000
"""With more fresh vectors than both, building a new index is faster than merging them one by one."""
GRACE_SECONDS: Final = 600.0
"""How long old vectors stay for processes that still use them."""
COPY_SECONDS: Final = 300.0
"""Shortest time between two looks for gifts that have no row in the space."""
WORDS_SECONDS: Final = 60.0
"""Shortest time between two counts of the words."""


class EmbeddingService:
    """Works through what waits for vectors in small steps. Several may run; they only repeat each other's work.

    `embedder` makes the vectors of the catalogue; `others` can still read queries for spaces of another model.
    """

    def __init__(
        self,
        repository: EmbeddingRepository,
        embedder: Embedder,
        clock: Clock,
        *,
        others: Sequence[Embedder] = (),
        index_from: int = HNSW_FROM,
        category_from: int = CATEGORY_FROM,
    ) -> None:
        self._repository = repository
        self._embedder = embedder
        self._readers = {reader.model: reader for reader in (*others, embedder)}
        self._clock = clock
        self._index_from = index_from
        self._category_from = category_from
        self._space: Space | None = None
        self._copied_at: float | None = None
        self._counted_at: float | None = None
        self._words_changed = True

    def reader_of(self, space: Space) -> Embedder | None:
        """Who can make query vectors for a space. Another version of its model is near enough until it is replaced."""
        reader = self._readers.get(space.model)
        return reader if reader is not None and reader.dimensions == space.dimensions else None

    async def prepare(self) -> Space:
        """The space of the configured embedder. The very first one is searched at once, so it lists every gift then."""
        if self._space is None:
            known = {space.id for space in await self._repository.spaces()}
            self._space = await self._repository.open_space(
                self._embedder.model, self._embedder.version, self._embedder.dimensions
            )
            if self._space.id not in known:
                log.info("a new space of vectors", extra={"model": self._space.model, "version": self._space.version})
                if self._space.serving:
                    while await self._repository.copy_rows(self._space, FIRST_COPY):
                        pass
        return self._space

    async def serving(self) -> Space:
        """The space that answers searches now."""
        spaces = await self._repository.spaces()
        for space in spaces:
            if space.serving:
                return space
        self._space = None
        return await self.prepare()

    async def advance(self) -> bool:
        """One bounded step of work; false when there was nothing to do. Raises `EmbeddingFailed` and `Unavailable`."""
        space = await self.prepare()
        embedded = await self._embed(space)
        if embedded == BATCH:
            return True
        # Gifts that trickle in must not keep the rest from being done, so a batch that is not full goes on to it.
        for step in (self._copy, self._change_over, self._index, self._count_words, self._sweep):
            if await step(space):
                return True
        return embedded > 0

    async def catch_up(self) -> int:
        """Steps until there is nothing left to do; returns how many."""
        steps = 0
        while await self.advance():
            steps += 1
        return steps

    async def _embed(self, space: Space) -> int:
        pending = await self._repository.pending(space, BATCH)
        if pending:
            vectors = await self._embedder.embed_gifts([gift.text for gift in pending])
            await self._repository.write(space, pending, vectors)
            self._words_changed = True
        return len(pending)

    async def _copy(self, space: Space) -> bool:
        """Rows that triggers could not make: those of gifts older than the space."""
        if self._copied_at is not None and self._clock.monotonic() - self._copied_at < COPY_SECONDS:
            return False
        if await self._repository.copy_rows(space, COPY_BATCH):
            return True
        self._copied_at = self._clock.monotonic()
        return False

    async def _change_over(self, space: Space) -> bool:
        """Serves the configured model once it covers everything: its index stands before the first search needs it."""
        spaces = await self._repository.spaces()
        if not spaces or spaces[-1].id != space.id:
            return False
        if spaces[-1].serving:
            if len(spaces) > 1:
                await self._repository.retire_before(space)
            return False
        if await self._index(space):
            return True
        await self._repository.serve(space)
        await self._repository.retire_before(space)
        log.info("searches use another space of vectors", extra={"model": space.model, "version": space.version})
        return True

    async def _index(self, space: Space) -> bool:
        async with self._repository.alone() as alone:
            if not alone:
                return False
            current = next((other for other in await self._repository.spaces() if other.id == space.id), None)
            if current is None:
                return False
            coverage = await self._repository.coverage(current)
            if current.segment is None and coverage.active < self._index_from:
                return False
            if current.segment is None or coverage.fresh > max(REBUILD_ROWS, REBUILD_SHARE * coverage.active):
                await self._repository.build_segment(current, self._category_from)
                return True
            return coverage.fresh > 0 and await self._repository.merge(current, MERGE_BATCH) > 0

    async def _count_words(self, _space: Space) -> bool:
        now = self._clock.monotonic()
        too_soon = self._counted_at is not None and now - self._counted_at < WORDS_SECONDS
        if not self._words_changed or too_soon:
            return False
        self._words_changed = False
        await self._repository.count_words()
        self._counted_at = self._clock.monotonic()
        return True

    async def _sweep(self, _space: Space) -> bool:
        async with self._repository.alone() as alone:
            if not alone:
                return False
            if await self._repository.sweep(GRACE_SECONDS, COPY_BATCH):
                return True
            for segment in await self._repository.unused_segments():
                await self._repository.drop_segment(segment)
        return False
