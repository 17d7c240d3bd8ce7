"""SQL of single gifts."""

from __future__ import annotations

from typing import Final

from gifty.catalog.models import PricePoint
from gifty.catalog.search_models import FoundGift, GiftFilter, Space
from gifty.catalog.search_repository import found_gift
from gifty.catalog.search_sql import LISTED, LISTED_FROM, Arguments, Scan, nearest
from gifty.core.database import Database

HISTORY: Final = 365
_LEAST_ALIKE: Final = 0.15


class GiftsRepository:
    """Reads one gift and what belongs to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def gift(self, space: Space, gift_id: str) -> FoundGift | None:
        """The gift, also when it is no longer sold."""
        listed = LISTED.replace(f"left(g.description, {400})", "g.description")
        row = await self._database.fetchrow(
            f"""
            SELECT NULL::float8 AS distance, {listed}
            FROM gift_search s {LISTED_FROM} WHERE s.gift_id = $1 AND s.space = $2
            """,
            gift_id,
            space.id,
        )
        return None if row is None else found_gift(row)

    async def price_history(self, gift_id: str) -> list[PricePoint]:
        """Prices in the order of time, the last year's worth of changes at most."""
        rows = await self._database.fetch(
            f"""
            SELECT price, currency, observed_at FROM (
                SELECT price, currency, observed_at FROM price_history WHERE gift_id = $1
                ORDER BY observed_at DESC LIMIT {HISTORY}
            ) latest ORDER BY observed_at
            """,
            gift_id,
        )
        return [PricePoint(row["price"], row["currency"], row["observed_at"]) for row in rows]

    async def similar(self, space: Space, gift_id: str, limit: int, scan: Scan | None) -> list[FoundGift]:
        """Gifts on sale whose vectors are nearest to this one's, nearest first."""
        arguments = Arguments()
        this = arguments.bind(gift_id)
        vector = f"(SELECT embedding FROM gift_search WHERE gift_id = {this} AND space = {space.id})"
        leg = nearest(space, GiftFilter(), None, vector, limit + 1, scan, arguments)
        rows = await self._database.fetch(
            f"""
            SELECT n.distance, {LISTED}
            FROM ({leg}) n
            JOIN gift_search s ON s.gift_id = n.gift_id AND s.space = {space.id} {LISTED_FROM}
            WHERE n.gift_id <> {this} AND n.distance <= 1 - {_LEAST_ALIKE}
            ORDER BY n.distance, n.gift_id LIMIT {limit}
            """,
            *arguments.values,
        )
        return [found_gift(row) for row in rows]
