"""SQL of search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gifty.catalog.census import HUNDREDTHS, Census, census_row
from gifty.catalog.embeddings.protocol import Vector
from gifty.catalog.models import Category
from gifty.catalog.search_models import FoundGift, GiftFilter, Space
from gifty.catalog.search_sql import Arguments, Question, Scan, listing, nearest, position_of
from gifty.core.database import Database, Record

SEARCH_SETTINGS: Final[Mapping[str, str]] = {
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.ef_search": "200",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
}
"""Settings that the pool's connections start with; without the first two, filtered HNSW answers come back short."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page as the database gives it: one gift more than asked for when there is a next page."""

    gifts: list[FoundGift]
    positions: list[dict[str, Any]]
    revision: int
    serving: str | None
    mended: Mapping[str, str]


class SearchRepository:
    """Finds gifts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listing(self, question: Question) -> Listing:
        """One page, in one round trip."""
        statement, arguments = listing(question)
        rows = await self._database.fetch(statement, *arguments)
        head = rows[0]
        found = rows if head["gift_id"] is not None else []
        return Listing(
            gifts=[found_gift(row) for row in found],
            positions=[position_of(row) for row in found],
            revision=head["revision"],
            serving=head["serving"],
            mended=head["mended"] or {},
        )

    async def nearest(
        self,
        space: Space,
        where: GiftFilter,
        category_ids: Sequence[int] | None,
        vector: Vector,
        limit: int,
        scan: Scan | None,
    ) -> list[tuple[str, float]]:
        """Ids and cosines of the nearest gifts, nearest first."""
        arguments = Arguments()
        place = f"{arguments.bind(vector)}::halfvec"
        statement = (
            f"SELECT gift_id, distance FROM ({nearest(space, where, category_ids, place, limit, scan, arguments)}) n"
        )
        rows = await self._database.fetch(statement, *arguments.values)
        return [(row["gift_id"], 1 - row["distance"]) for row in rows]

    async def revision(self) -> int:
        """Moves on with every change of what search sees."""
        return int(await self._database.fetchval("SELECT last_value FROM gift_search_revision"))

    async def census(self, space: Space) -> Census:
        """Counts the active gifts."""
        async with self._database.transaction(isolation="repeatable_read") as connection:
            revision = int(await connection.fetchval("SELECT last_value FROM gift_search_revision"))
            rows = await connection.fetch(
                """
                SELECT category_id, currency, age_min, age_max, count(*) FILTER (WHERE price IS NULL) AS unpriced,
                       string_agg(int8send(price), '' ORDER BY price) FILTER (WHERE price IS NOT NULL) AS prices
                FROM gift_search WHERE space = $1 AND active
                GROUP BY category_id, currency, age_min, age_max
                """,
                space.id,
            )
            categories = await connection.fetch("SELECT id, name, parent_id FROM categories")
            fresh = int(await connection.fetchval("SELECT count(*) FROM gift_fresh WHERE space = $1", space.id))
        return Census(
            revision,
            [census_row(row) for row in rows],
            [Category(row["id"], row["name"], row["parent_id"]) for row in categories],
            fresh=fresh,
        )


def found_gift(row: Record) -> FoundGift:
    """A gift from the columns of `LISTED`."""
    price, distance = row["price"], row["distance"]
    return FoundGift(
        gift_id=row["gift_id"],
        title=row["title"],
        description=row["description"],
        price=None if price is None else price / HUNDREDTHS,
        currency=row["currency"],
        old_price=row["old_price"],
        product_url=row["url"],
        image_url=row["image_url"],
        merchant=row["merchant"],
        category=row["category"],
        is_idea=row["is_idea"],
        created_at=row["created_at"],
        similarity=None if distance is None else 1 - distance,
    )
