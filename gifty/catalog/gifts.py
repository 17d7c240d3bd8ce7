"""One gift, what it used to cost, and what is like it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from gifty.catalog.embedding_service import EmbeddingService
from gifty.catalog.gifts_repository import GiftsRepository
from gifty.catalog.query import LEAST_SCAN
from gifty.catalog.search import NoPromotions, Promotions
from gifty.catalog.search_models import FoundGift, GiftPage
from gifty.catalog.search_sql import Scan
from gifty.core.errors import NotFound

SIMILAR: Final = 8


class GiftService:
    """Reads single gifts."""

    def __init__(
        self, repository: GiftsRepository, embeddings: EmbeddingService, *, promotions: Promotions | None = None
    ) -> None:
        self._repository = repository
        self._embeddings = embeddings
        self._promotions = promotions or NoPromotions()

    async def page(self, gift_id: str) -> GiftPage:
        """The gift with everything around it. Raises `NotFound`."""
        space = await self._embeddings.serving()
        scan = Scan(LEAST_SCAN) if space.segment is not None else None
        gift, history, similar = await asyncio.gather(
            self._repository.gift(space, gift_id),
            self._repository.price_history(gift_id),
            self._repository.similar(space, gift_id, SIMILAR, scan),
        )
        if gift is None:
            raise NotFound("There is no such gift.")
        shops = {found.merchant for found in (gift, *similar) if found.merchant}
        promotions = await self._promotions.of_shops(shops)

        def presented(found: FoundGift) -> FoundGift:
            return replace(found, promotions=tuple(promotions.get(found.merchant or "", ())))

        return GiftPage(presented(gift), tuple(history), tuple(map(presented, similar)))
