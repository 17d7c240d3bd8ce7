"""Search: from a question to a page of gifts, each with its reasons."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from gifty.catalog.census import Census
from gifty.catalog.embedding_service import EmbeddingService
from gifty.catalog.embeddings.protocol import EmbeddingFailed, Vector
from gifty.catalog.models import Promotion
from gifty.catalog.query import MANY, Planner, QueryReader, depth_for
from gifty.catalog.search_models import Facets, FoundGift, GiftFilter, GiftList, GiftSearch, PriceRange, Space
from gifty.catalog.search_reasons import Explainer
from gifty.catalog.search_repository import SearchRepository
from gifty.catalog.search_sql import Question, Words
from gifty.core.clock import Clock
from gifty.core.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)

QUICK_COUNT: Final = 0.03
"""A census that took so few seconds is taken again at once when the catalogue changed, else behind the scenes."""
COUNT_SHARE: Final = 20
"""Behind the scenes a census is taken at most once per this many times its own duration."""
CACHED_VECTORS: Final = 2_000
_NOTHING: Final = Facets((), PriceRange(None, None))


class Promotions(Protocol):
    """Who knows the coupons and discounts of shops."""

    async def of_shops(self, shops: Collection[str]) -> Mapping[str, Sequence[Promotion]]:
        """Promotions valid now, by the name of the shop as gifts carry it."""
        ...


class NoPromotions:
    """Knows none."""

    async def of_shops(self, shops: Collection[str]) -> Mapping[str, Sequence[Promotion]]:  # noqa: ARG002
        """None."""
        return {}


class SearchService:
    """Answers questions to the catalogue."""

    def __init__(
        self,
        repository: SearchRepository,
        embeddings: EmbeddingService,
        reader: QueryReader,
        explainer: Explainer,
        clock: Clock,
        *,
        promotions: Promotions | None = None,
        planner: Planner | None = None,
    ) -> None:
        self._repository = repository
        self._embeddings = embeddings
        self._reader = reader
        self._explainer = explainer
        self._clock = clock
        self._promotions = promotions or NoPromotions()
        self._planner = planner or Planner()
        self._space: Space | None = None
        self._census: Census | None = None
        self._census_cost = 0.0
        self._census_at = 0.0
        self._counting: asyncio.Task[Census] | None = None
        self._vectors: OrderedDict[tuple[int, str], Vector] = OrderedDict()

    async def aclose(self) -> None:
        """Ends a count that is under way."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)

    async def search(self, asked: GiftSearch) -> GiftList:
        """One page. It is as long as asked for whenever enough gifts meet the conditions.

        Raises `InvalidInput` for a cursor of another question, `Unavailable` when the database is away.
        """
        space = await self._serving()
        census = await self._counts(space)
        text = asked.query.strip()
        after = _position(asked, text)
        category_ids = None
        if asked.filter.category is not None:
            category_ids = await self._category(space, census, asked.filter.category)
            census = self._census or census
            if not category_ids:
                return GiftList((), None, 0, replace(_NOTHING, categories=census.facets(asked.filter).categories))
        depth = int(after["depth"]) if after else depth_for(asked.limit)
        words = self._reader.words(text) if text else None
        vector = await self._vector(space, text) if words is not None else None
        found = await self._repository.listing(
            Question(
                space=space,
                where=asked.filter,
                category_ids=category_ids,
                words=words,
                vector=vector,
                scan=self._planner.scan(space, census, asked.filter, category_ids, depth),
                sort=asked.sort,
                depth=depth,
                limit=asked.limit,
                after=after,
                many=census.count(asked.filter) > MANY,
            )
        )
        self._notice(space, found.serving)
        census = await self._counts(space, found.revision)
        gifts = await self._presented(found.gifts[: asked.limit], asked, text, words, found.mended)
        more = len(found.gifts) > asked.limit
        position = {**found.positions[asked.limit - 1], "depth": depth, "of": _mark(asked, text)} if more else None
        return GiftList(
            gifts=tuple(gifts),
            next_position=position,
            total=max(census.count(asked.filter), len(gifts)),
            facets=census.facets(asked.filter),
            corrections=found.mended,
        )

    async def nearest(self, text: str, where: GiftFilter, limit: int) -> list[tuple[str, float]]:
        """Ids and cosines of the gifts whose vectors are nearest to a text, under conditions; for ranking by others."""
        space = await self._serving()
        census = await self._counts(space)
        vector = await self._vector(space, text)
        if vector is None:
            return []
        ids = None if where.category is None else await self._category(space, census, where.category)
        scan = self._planner.scan(space, census, where, ids, limit)
        return await self._repository.nearest(space, where, ids, vector, limit, scan)

    async def warm_up(self) -> None:
        """Does what the first search would otherwise wait for."""
        await self._counts(await self._serving())

    async def _serving(self) -> Space:
        if self._space is None:
            self._space = await self._embeddings.serving()
        return self._space

    def _notice(self, space: Space, serving: str | None) -> None:
        """Another process may have changed over; the next search asks which space serves now."""
        if serving != f"{space.id} {space.segment or 0}":
            self._space = None

    async def _vector(self, space: Space, text: str) -> Vector | None:
        """The query's vector, or None when nobody can make one now: then words alone must do."""
        kept = self._vectors.get((space.id, text))
        if kept is not None:
            self._vectors.move_to_end((space.id, text))
            return kept
        reader = self._embeddings.reader_of(space)
        if reader is None:
            return None
        try:
            vector = await reader.embed_query(text)
        except EmbeddingFailed as error:
            log.warning("a query goes without its vector", extra={"cause": error.message})
            return None
        self._vectors[(space.id, text)] = vector
        if len(self._vectors) > CACHED_VECTORS:
            self._vectors.popitem(last=False)
        return vector

    async def _category(self, space: Space, census: Census, name: str) -> list[int]:
        """Ids of a category; one that is not known may be newer than the census."""
        ids = census.category_ids(name)
        if not ids and await self._repository.revision() != census.revision:
            ids = (await self._count(space)).category_ids(name)
        return ids

    async def _counts(self, space: Space, revision: int | None = None) -> Census:
        """The census, taken again when `revision` says that it is out of date."""
        if self._census is None:
            return await self._count(space)
        if revision is None or revision == self._census.revision:
            return self._census
        if self._census_cost <= QUICK_COUNT:
            return await self._count(space)
        due = self._census_at + COUNT_SHARE * self._census_cost
        if self._clock.monotonic() >= due:
            self._begin_count(space)
        return self._census

    async def _count(self, space: Space) -> Census:
        """Takes the census; all who wait share one."""
        return await asyncio.shield(self._begin_count(space))

    def _begin_count(self, space: Space) -> asyncio.Task[Census]:
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._take_census(space), name="census")
            self._counting.add_done_callback(_observe)
        return self._counting

    async def _take_census(self, space: Space) -> Census:
        began = self._clock.monotonic()
        census = await self._repository.census(space)
        self._census = census
        self._census_at = self._clock.monotonic()
        self._census_cost = self._census_at - began
        return census

    async def _presented(
        self, gifts: Sequence[FoundGift], asked: GiftSearch, text: str, words: Words | None, mended: Mapping[str, str]
    ) -> list[FoundGift]:
        promotions = await self._promotions.of_shops({gift.merchant for gift in gifts if gift.merchant})
        language = self._explainer.language_of(text)
        query = self._explainer.query(" ".join(words.all) if words else "")
        return [
            gift.with_notes(
                self._explainer.reasons(query, gift.title, language, gift.similarity, mended, asked.filter),
                tuple(promotions.get(gift.merchant or "", ())),
            )
            for gift in gifts
        ]


def _observe(task: asyncio.Task[Census]) -> None:
    if not task.cancelled() and isinstance(task.exception(), Unavailable):
        log.warning("the catalogue could not be counted", extra={"cause": str(task.exception())})


def _mark(asked: GiftSearch, text: str) -> str:
    """What tells the lists apart: a cursor of one does not continue another."""
    where = asked.filter
    parts = (text, where.category, where.min_price, where.max_price, where.age, where.currency, asked.sort)
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def _position(asked: GiftSearch, text: str) -> Mapping[str, Any] | None:
    if asked.after is None:
        return None
    if asked.after.get("of") != _mark(asked, text):
        raise InvalidInput.of("cursor", "This cursor belongs to another list; begin again without it.")
    return asked.after
