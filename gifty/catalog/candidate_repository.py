"""SQL of candidates: per kind and per motif the most giftable few that meet the bounds, straight from the indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gifty.core.database import Database, Record

if TYPE_CHECKING:
    from gifty.catalog.candidates import CandidateFilter, CandidateQuery

DESCRIPTION_CHARACTERS: Final = 400

# $1 kinds, $2 their numbers, $3 motifs, $4 their numbers, $5 ids, $6 low price, $7 high price, $8 currency,
# $9 lowest and $10 highest age of the recipient, $11 gender, $12 closeness, $13 wishes, $14 least giftability, $15 excluded words,
# $16 excluded categories, $17 excluded merchants, $18 another age that suits
_MEETS: Final = """
    JOIN offers o ON o.gift_id = p.gift_id
    WHERE p.giftability >= $14 AND p.closeness <= $12
      AND (p.age_min <= $10 AND p.age_max >= $9 OR p.age_min <= $18 AND p.age_max >= $18)
      AND ($11::text IS NULL OR p.gender = 'any' OR p.gender = $11)
      AND NOT p.breaks && $13
      AND o.active AND o.available
      AND ($8::text IS NULL OR (o.currency = $8 AND o.price >= $6::numeric AND ($7::numeric IS NULL OR o.price <= $7)))
"""

_DETAILS: Final = """
SELECT p.gift_id, p.kind, p.role, p.giftability, p.quality, p.gender, p.age_min, p.age_max, p.closeness, p.motifs,
       p.breaks, p.axes, g.title, g.is_idea, o.price::float8, o.currency, c.name, g.merchant
FROM picked
JOIN gift_profiles p USING (gift_id)
JOIN gifts g ON g.id = picked.gift_id
JOIN offers o USING (gift_id)
LEFT JOIN categories c ON c.id = g.category_id
WHERE NOT EXISTS (SELECT FROM unnest($15::text[]) AS w(word)
                  WHERE position(w.word in lower(g.title)) > 0)
  AND (cardinality($16::text[]) = 0 OR c.name_key IS NULL OR NOT c.name_key = ANY ($16))
  AND (cardinality($17::text[]) = 0 OR g.merchant IS NULL OR NOT lower(g.merchant) = ANY ($17))
ORDER BY p.gift_id
"""

CANDIDATES: Final = f"""
WITH picked AS (
    SELECT f.gift_id
    FROM unnest($1::text[], $2::int[]) AS k(kind, enough)
    CROSS JOIN LATERAL (
        SELECT p.gift_id FROM gift_profiles p {_MEETS} AND p.kind = k.kind ORDER BY p.giftability DESC LIMIT k.enough
    ) f
    UNION
    SELECT f.gift_id
    FROM unnest($3::text[], $4::int[]) AS m(motif, enough)
    CROSS JOIN LATERAL (
        SELECT p.gift_id FROM gift_motifs g JOIN gift_profiles p ON p.gift_id = g.gift_id {_MEETS}
          AND g.motif = m.motif AND g.giftability >= $14
        ORDER BY g.giftability DESC LIMIT m.enough
    ) f
    UNION
    SELECT p.gift_id FROM gift_profiles p {_MEETS} AND p.gift_id = ANY ($5::text[])
)
{_DETAILS}
"""

ANY: Final = f"""
WITH picked AS (
    SELECT p.gift_id FROM gift_profiles p {_MEETS} ORDER BY p.giftability DESC LIMIT $19
)
{_DETAILS}
"""

CARDS: Final = f"""
SELECT g.id AS gift_id, left(g.description, {DESCRIPTION_CHARACTERS}) AS description, g.url, g.image_url,
       o.old_price::float8 AS old_price
FROM gifts g JOIN offers o ON o.gift_id = g.id
WHERE g.id = ANY ($1::text[])
"""


class CandidateRepository:
    """Reads candidates and cards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def candidates(self, query: CandidateQuery) -> list[Record]:
        """Rows in the order of `Candidate`'s fields."""
        return await self._database.fetch(CANDIDATES, *arguments(query.kinds, query.motifs, query.ids, query.where))

    async def any_candidates(self, where: CandidateFilter, limit: int) -> list[Record]:
        """Rows in the order of `Candidate`'s fields, of any kind."""
        return await self._database.fetch(ANY, *arguments({}, {}, (), where), limit)

    async def cards(self, gift_ids: Sequence[str]) -> list[Record]:
        """Rows of `GiftCard`."""
        return await self._database.fetch(CARDS, list(gift_ids))


def arguments(
    kinds: Mapping[str, int], motifs: Mapping[str, int], ids: Sequence[str], where: CandidateFilter
) -> tuple[Any, ...]:
    """The values of the statements, in the order of their placeholders."""
    return (
        list(kinds), list(kinds.values()), list(motifs), list(motifs.values()), list(ids),
        where.low_price, where.high_price, where.priced_in, where.age_low, where.age_high, where.gender,
        where.closeness, sorted(where.tags),
        where.least_giftability, [word.lower() for word in where.exclude_words if word],
        [name.strip().lower() for name in where.exclude_categories],
        [name.strip().lower() for name in where.exclude_merchants], where.also_age,
    )  # fmt: skip
