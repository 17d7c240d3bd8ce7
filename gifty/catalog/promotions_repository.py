"""The SQL of promotions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from gifty.catalog.models import Promotion
from gifty.core.database import Connection, Database, Record

_COLUMNS: Final = (
    "external_id",
    "title",
    "kind",
    "marketplace",
    "store",
    "discount_kind",
    "discount_value",
    "starts_at",
    "ends_at",
    "coupon",
)
_LIST: Final = ", ".join(_COLUMNS)

_MERGE: Final = f"""
WITH put AS (
    INSERT INTO promotions AS p (source_id, {_LIST})
    SELECT $1, {_LIST} FROM import_promotions
    ON CONFLICT (source_id, external_id) DO UPDATE SET ({_LIST}) = ROW ({", ".join(f"excluded.{c}" for c in _COLUMNS)})
    WHERE ({", ".join(f"p.{c}" for c in _COLUMNS)}) IS DISTINCT FROM ({", ".join(f"excluded.{c}" for c in _COLUMNS)})
    RETURNING xmax = 0 AS fresh
)
SELECT count(*) FILTER (WHERE fresh) AS created, count(*) FILTER (WHERE NOT fresh) AS changed FROM put
"""

# For each shop the three most telling promotions that hold now: coupons first, then the largest discounts.
_VALID: Final = f"""
SELECT shop.name AS shop, p.id, {", ".join(f"p.{c}" for c in _COLUMNS)}
FROM (SELECT DISTINCT name, lower(btrim(name)) AS key FROM unnest($1::text[]) AS given (name)) AS shop
CROSS JOIN LATERAL (
    SELECT * FROM promotions
    WHERE shop_key = shop.key AND (starts_at IS NULL OR starts_at <= $2) AND (ends_at IS NULL OR ends_at >= $2)
      AND (coupon IS NOT NULL OR discount_value > 0)
    ORDER BY coupon IS NULL, discount_value DESC, id
    LIMIT 3
) AS p
ORDER BY shop.name, p.coupon IS NULL, p.discount_value DESC, p.id
"""


@dataclass(frozen=True, slots=True)
class NewPromotion:
    """A promotion as its list gives it."""

    external_id: str
    title: str
    kind: str
    marketplace: str | None
    store: str | None
    discount_kind: str | None
    discount_value: Decimal
    starts_at: datetime | None
    ends_at: datetime | None
    coupon: str | None


def _promotion(row: Record) -> Promotion:
    return Promotion(row["id"], *(row[column] for column in _COLUMNS))


class PromotionRepository:
    """Promotions of all sources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def valid(self, shops: Sequence[str], at: datetime) -> dict[str, tuple[Promotion, ...]]:
        """Shop, as given -> its promotions at that time, at most three."""
        found: dict[str, tuple[Promotion, ...]] = {}
        for row in await self._database.fetch(_VALID, list(shops), at):
            found[row["shop"]] = (*found.get(row["shop"], ()), _promotion(row))
        return found


async def merge_promotions(
    connection: Connection, source_id: int, promotions: Sequence[NewPromotion], *, is_whole: bool
) -> tuple[int, int, int]:
    """Stores a source's promotions and returns how many were new, how many differed, and how many were withdrawn."""
    await connection.execute(
        "CREATE TEMP TABLE import_promotions (LIKE promotions INCLUDING DEFAULTS) ON COMMIT DROP;"
        "ALTER TABLE import_promotions ALTER id DROP NOT NULL, ALTER source_id DROP NOT NULL"
    )
    await connection.copy_records_to_table(
        "import_promotions",
        columns=_COLUMNS,
        records=[tuple(getattr(promotion, column) for column in _COLUMNS) for promotion in promotions],
    )
    row = await connection.fetchrow(_MERGE, source_id)
    withdrawn = 0
    if is_whole:
        tag = await connection.execute(
            """DELETE FROM promotions WHERE source_id = $1
               AND NOT EXISTS (SELECT FROM import_promotions AS i WHERE i.external_id = promotions.external_id)""",
            source_id,
        )
        withdrawn = int(tag.rpartition(" ")[2])
    return row["created"], row["changed"], withdrawn
