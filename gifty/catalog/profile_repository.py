"""SQL of gift profiles."""

from __future__ import annotations

from collections.abc import Sequence

from gifty.catalog.profile_models import GiftProfile, UnscoredGift
from gifty.core.database import Database

# Read in the order of the primary key, so a page stops as soon as it is full.
UNSCORED = """
SELECT g.id, g.title, c.name AS category, g.description, g.brand, g.merchant, g.image_url IS NOT NULL AS has_image,
       g.is_idea, g.attributes, g.content_hash
FROM gifts g
LEFT JOIN gift_profiles p ON p.gift_id = g.id
LEFT JOIN categories c ON c.id = g.category_id
WHERE g.id > $3
  AND (p.gift_id IS NULL OR p.content_hash <> g.content_hash OR (p.model = $1 AND p.version <> $2))
ORDER BY g.id
LIMIT $4
"""

# The lock keeps a gift from being deleted between the check of its content and the write.
SAVE = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        gift_id text, model text, version integer, content_hash text, kind text, role text,
        giftability real, quality real, gender text, age_min smallint,
        age_max smallint, closeness smallint, interests text[], motifs text[], breaks text[], axes real[])
), current AS (
    SELECT t.* FROM given t
    JOIN gifts g ON g.id = t.gift_id AND g.content_hash = decode(t.content_hash, 'hex')
    FOR KEY SHARE OF g
), saved AS (
    INSERT INTO gift_profiles (gift_id, model, version, content_hash, kind, role, giftability, quality, gender, age_min,
                               age_max, closeness, interests, motifs, breaks, axes)
    SELECT gift_id, model, version, decode(content_hash, 'hex'), kind, role, giftability, quality, gender, age_min,
           age_max, closeness, interests, motifs, breaks, axes
    FROM current
    ON CONFLICT (gift_id) DO UPDATE
    SET model = excluded.model, version = excluded.version, content_hash = excluded.content_hash, kind = excluded.kind,
        role = excluded.role, giftability = excluded.giftability, quality = excluded.quality, gender = excluded.gender,
        age_min = excluded.age_min, age_max = excluded.age_max, closeness = excluded.closeness,
        interests = excluded.interests, motifs = excluded.motifs,
        breaks = excluded.breaks, axes = excluded.axes, scored_at = now()
    RETURNING gift_id, giftability, motifs
), cleared AS (
    DELETE FROM gift_motifs m USING saved s
    WHERE m.gift_id = s.gift_id AND (NOT m.motif = ANY (s.motifs) OR m.giftability <> s.giftability)
), filed AS (
    INSERT INTO gift_motifs (motif, giftability, gift_id)
    SELECT motif, giftability, gift_id FROM saved, unnest(motifs) AS motif
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM saved
"""

COUNT = "SELECT count(*) FROM gift_profiles WHERE model = $1 AND version = $2"


class ProfileRepository:
    """Reads gifts to be judged and writes their profiles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unscored(self, model: str, version: int, *, after: str, limit: int) -> list[UnscoredGift]:
        """One page of gifts whose profile is missing or out of date."""
        rows = await self._database.fetch(UNSCORED, model, version, after, limit)
        return [UnscoredGift(**row) for row in rows]

    async def save(self, profiles: Sequence[GiftProfile]) -> int:
        """Upserts profiles and files their motifs in one statement."""
        given = [
            {
                "gift_id": p.gift_id, "model": p.model, "version": p.version, "content_hash": p.content_hash.hex(),
                "kind": p.kind, "role": p.role,
                "giftability": p.giftability, "quality": p.quality, "gender": p.gender, "age_min": p.age_min,
                "age_max": p.age_max, "closeness": p.closeness, "interests": p.interests, "motifs": p.motifs,
                "breaks": sorted(p.breaks), "axes": p.axes,
            }
            for p in profiles
        ]  # fmt: skip
        saved: int = await self._database.fetchval(SAVE, given)
        return saved

    async def count(self, model: str, version: int) -> int:
        """Profiles of one model and version."""
        found: int = await self._database.fetchval(COUNT, model, version)
        return found
