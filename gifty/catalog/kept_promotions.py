"""Promotions kept in memory for a short while, so that a page of gifts does not ask the database for them each time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from gifty.catalog.models import Promotion
from gifty.catalog.search import Promotions
from gifty.core.clock import Clock

KEPT_SECONDS: Final = 30.0
MOST_SHOPS: Final = 10_000


class KeptPromotions:
    """What `source` last said of each shop, at most half a minute old."""

    def __init__(self, source: Promotions, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._kept: dict[str, tuple[float, Sequence[Promotion]]] = {}

    async def of_shops(self, shops: Collection[str]) -> Mapping[str, Sequence[Promotion]]:
        """Promotions valid now, by shop; shops without any may be missing."""
        now = self._clock.monotonic()
        unknown = [shop for shop in shops if shop not in self._kept or self._kept[shop][0] < now]
        if unknown:
            found = await self._source.of_shops(unknown)
            if len(self._kept) + len(unknown) > MOST_SHOPS:
                self._kept.clear()
            self._kept.update((shop, (now + KEPT_SECONDS, tuple(found.get(shop, ())))) for shop in unknown)
        moment = self._clock.now()
        return {
            shop: [
                promotion
                for promotion in self._kept[shop][1]
                if promotion.ends_at is None or promotion.ends_at >= moment
            ]
            for shop in shops
            if shop in self._kept and self._kept[shop][1]
        }
