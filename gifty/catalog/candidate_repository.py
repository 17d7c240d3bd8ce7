"""SQL of candidates: per kind and per motif the most giftable few that meet the bounds, straight from the indexes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gifty.core.database import Database, Record

if TYPE_CHECKING:
    from gifty.catalog.candidates import CandidateFilter, CandidateQuery

DESCRIPTION_CHARACTERS: Final = 400

# $1 low price, $2 high price, $3 currency, $4 lowest and $5 highest age of the recipient, $6 gender, $7 closeness,
# $8 wishes, $9 least giftability, $10 excluded words, $11 excluded categories, $12 excluded merchants, $13 another age
# that suits;
# then of candidates: $14 kinds, $15 their numbers, $16 motifs, $17 their numbers, $18 ids; of any: $14 limit
_PICKED: Final = """p.gift_id, p.kind, p.giftability, p.quality, p.gender, p.age_min, p.age_max, p.closeness, p.motifs,
    o.price, o.currency"""
_MEETS: Final = """
    JOIN offers o ON o.gift_id = p.gift_id
    WHERE p.giftability >= $9 AND p.closeness <= $7
      AND (p.age_min <= $5 AND p.age_max >= $4 OR p.age_min <= $13 AND p.age_max >= $13)
      AND ($6::text IS NULL OR p.gender = 'any' OR p.gender = $6)
      AND NOT p.breaks && $8
      AND o.active AND o.available
      AND ($3::text IS NULL OR (o.currency = $3 AND o.price >= $1::numeric AND ($2::numeric IS NULL OR o.price <= $2)))
"""
_LISTED: Final = """
SELECT p.gift_id, p.kind, p.giftability, p.quality, p.gender, p.age_min, p.age_max, p.closeness, p.motifs, g.title,
       g.is_idea, p.price::float8, p.currency, c.name
FROM picked p
JOIN gifts g ON g.id = p.gift_id
LEFT JOIN categories c ON c.id = g.category_id
WHERE NOT EXISTS (SELECT FROM unnest($10::text[]) AS w(word) WHERE position(w.word in lower(g.title)) > 0)
  AND (cardinality($11::text[]) = 0 OR c.name_key IS NULL OR NOT c.name_key = ANY ($11))
  AND (cardinality($12::text[]) = 0 OR g.merchant IS NULL OR NOT lower(g.merchant) = ANY ($12))
"""

# A gift picked by its kind and by a motif comes twice; the caller drops the second, which is cheaper than sorting here.
CANDIDATES: Final = f"""
WITH picked AS (
    SELECT f.*
    FROM unnest($14::text[], $15::int[]) AS k(kind, enough)
    CROSS JOIN LATERAL (
        SELECT {_PICKED} FROM gift_profiles p {_MEETS} AND p.kind = k.kind ORDER BY p.giftability DESC LIMIT k.enough
    ) f
    UNION ALL
    SELECT f.*
    FROM unnest($16::text[], $17::int[]) AS m(motif, enough)
    CROSS JOIN LATERAL (
        SELECT {_PICKED} FROM gift_motifs g JOIN gift_profiles p ON p.gift_id = g.gift_id {_MEETS}
          AND g.motif = m.motif AND g.giftability >= $9
        ORDER BY g.giftability DESC LIMIT m.enough
    ) f
    UNION ALL
    SELECT {_PICKED} FROM gift_profiles p {_MEETS} AND p.gift_id = ANY ($18::text[])
)
{_LISTED}
"""

ANY: Final = f"""
WITH picked AS (
    SELECT {_PICKED} FROM gift_profiles p {_MEETS} ORDER BY p.giftability DESC LIMIT $14
)
{_LISTED}
"""

CARDS: Final = f"""
SELECT g.id AS gift_id, left(g.description, {DESCRIPTION_CHARACTERS}) AS description, g.url, g.image_url, g.merchant,
       o.old_price::float8 AS old_price, p.axes,
       o.price::float8 AS price, o.active AND o.available AS available
FROM gifts g
JOIN offers o ON o.gift_id = g.id
JOIN gift_profiles p ON p.gift_id = g.id
WHERE g.id = ANY ($1::text[])
"""


class CandidateRepository:
    """Reads candidates and cards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def candidates(self, query: CandidateQuery) -> list[Record]:
        """Rows in the order of `Candidate`'s fields; a gift may come twice."""
        return await self._database.fetch(
            CANDIDATES,
            *bounds(query.where),
            list(query.kinds),
            list(query.kinds.values()),
            list(query.motifs),
            list(query.motifs.values()),
            list(query.ids),
        )

    async def any_candidates(self, where: CandidateFilter, limit: int) -> list[Record]:
        """The same for gifts of any kind, each once."""
        return await self._database.fetch(ANY, *bounds(where), limit)

    async def cards(self, gift_ids: Sequence[str]) -> list[Record]:
        """Rows of `GiftCard`."""
        return await self._database.fetch(CARDS, list(gift_ids))


def bounds(where: CandidateFilter) -> tuple[Any, ...]:
    """The values $1 to $13 of the statements."""
    return (
        where.low_price, where.high_price, where.priced_in, where.age_low, where.age_high, where.gender,
        where.closeness, sorted(where.tags), where.least_giftability,
        [word.lower() for word in where.exclude_words if word],
        [name.strip().lower() for name in where.exclude_categories],
        [name.strip().lower() for name in where.exclude_merchants], where.also_age,
    )  # fmt: skip
