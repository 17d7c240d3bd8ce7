"""The SQL of one import under way: what is known already, one guarded merge for each batch, and the end of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from gifty.catalog.models import Reject, RunCounts, RunStatus, Source
from gifty.catalog.normalise.items import Candidate
from gifty.catalog.normalise.text import name_key
from gifty.catalog.promotions_repository import NewPromotion, merge_promotions
from gifty.core.database import Connection

CHANNEL: Final = "gifty_catalog"
_SLOW_SECONDS: Final = 900

_BEGIN: Final = """
DROP TABLE IF EXISTS pg_temp.import_seen, pg_temp.import_spared, pg_temp.import_staged;
CREATE TEMP TABLE import_seen (gift_id text PRIMARY KEY);
CREATE TEMP TABLE import_spared (gift_id text PRIMARY KEY);
CREATE TEMP TABLE import_staged (
    id text, is_known boolean, external_id text, url text, title text, description text, image_url text, merchant text,
    brand text, category_id bigint, lang text, attributes jsonb, is_idea boolean,
    price_minor bigint, currency text, old_price_minor bigint, available boolean, item_hash bytea
) ON COMMIT DELETE ROWS;
"""

_STAGED_COLUMNS: Final = (
    "id", "is_known", "external_id", "url", "title", "description", "image_url", "merchant", "brand", "category_id",
    "lang", "attributes", "is_idea", "price_minor", "currency", "old_price_minor", "available", "item_hash",
)  # fmt: skip

_MARK_SEEN: Final = """
WITH fresh AS (
    INSERT INTO import_seen SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING gift_id
)
SELECT array_agg(given.id) FROM unnest($1::text[]) AS given (id) WHERE given.id NOT IN (SELECT gift_id FROM fresh)
"""

# LATERAL with LIMIT, here and below, keeps the work in proportion to the batch; without it the planner may scan the
# whole catalogue.

# For each item: the gift that has its id, the gift that has its link, and whether this import saw them before.
_HOLDERS: Final = """
SELECT given.n - 1 AS place, own.id AS own_id, own_seen.gift_id IS NOT NULL AS own_seen,
       holder.id AS holder_id, holder.external_id AS holder_external_id, holder_seen.gift_id IS NOT NULL AS holder_seen
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS given (external_id, url, n)
LEFT JOIN LATERAL (
    SELECT id FROM gifts WHERE source_id = $1 AND gifts.external_id = given.external_id LIMIT 1
) AS own ON true
LEFT JOIN LATERAL (
    SELECT id, gifts.external_id FROM gifts WHERE source_id = $1 AND gifts.url = given.url LIMIT 1
) AS holder ON true
LEFT JOIN LATERAL (SELECT gift_id FROM import_seen WHERE gift_id = own.id LIMIT 1) AS own_seen ON true
LEFT JOIN LATERAL (SELECT gift_id FROM import_seen WHERE gift_id = holder.id LIMIT 1) AS holder_seen ON true
WHERE own.id IS NOT NULL OR holder.id IS NOT NULL
"""

# What a feed left out stays: description, picture, shop, brand, category, attributes and availability each by itself,
# price, currency and old price together (a price without an old price ends the sale). Rows that would not differ are
# not written. A price history begins with the first change, and then with the price before it. All parts read the
# state before the statement. ON CONFLICT would make the search words of every known row just to throw them away.
_MERGE: Final = """
WITH staged AS MATERIALIZED (
    SELECT s.*, given.price, given.old_price, o.gift_id IS NOT NULL AS has_offer,
           o.price AS was_price, o.currency AS was_currency, o.updated_at AS was_updated_at,
           o.gift_id IS NOT NULL AND given.price IS NOT NULL AND (o.price, o.currency) IS DISTINCT FROM
               (given.price, coalesce(s.currency, o.currency)) AS repriced,
           o.gift_id IS NOT NULL AND (
               NOT o.active OR o.available <> coalesce(s.available, o.available)
               OR (given.price IS NOT NULL AND (o.price, o.currency, o.old_price)
                   IS DISTINCT FROM (given.price, coalesce(s.currency, o.currency), given.old_price))) AS moved,
           o.item_hash IS DISTINCT FROM s.item_hash AS reworded
    FROM import_staged AS s
    CROSS JOIN LATERAL (SELECT (s.price_minor::numeric / 100)::numeric(14, 2) AS price,
                               (s.old_price_minor::numeric / 100)::numeric(14, 2) AS old_price) AS given
    LEFT JOIN LATERAL (SELECT * FROM offers WHERE s.is_known AND offers.gift_id = s.id LIMIT 1) AS o ON true
), fresh AS (
    INSERT INTO gifts (id, source_id, external_id, url, title, description, image_url, merchant, brand, category_id,
                       lang, attributes, is_idea)
    SELECT id, $1, external_id, url, title, coalesce(description, ''), image_url, merchant, brand, category_id,
           lang, coalesce(attributes, '{}'), is_idea
    FROM staged WHERE NOT is_known
), rewritten AS (
    UPDATE gifts AS g SET
        external_id = s.external_id, url = s.url, title = s.title, lang = s.lang,
        description = coalesce(s.description, g.description),
        image_url = coalesce(s.image_url, g.image_url),
        merchant = coalesce(s.merchant, g.merchant),
        brand = coalesce(s.brand, g.brand),
        category_id = coalesce(s.category_id, g.category_id),
        attributes = coalesce(s.attributes, g.attributes),
        updated_at = now()
    FROM staged AS s
    WHERE g.id = ANY (ARRAY(SELECT id FROM staged WHERE is_known)) AND g.id = s.id AND (
        (g.external_id, g.url, g.title, g.lang) IS DISTINCT FROM (s.external_id, s.url, s.title, s.lang)
        OR s.description <> g.description
        OR s.image_url IS DISTINCT FROM g.image_url AND s.image_url IS NOT NULL
        OR s.merchant IS DISTINCT FROM g.merchant AND s.merchant IS NOT NULL
        OR s.brand IS DISTINCT FROM g.brand AND s.brand IS NOT NULL
        OR s.category_id IS DISTINCT FROM g.category_id AND s.category_id IS NOT NULL
        OR s.attributes <> g.attributes)
    RETURNING g.id
), history AS (
    INSERT INTO price_history (gift_id, price, currency, observed_at)
    SELECT id, was_price, was_currency, was_updated_at FROM staged WHERE repriced AND was_price IS NOT NULL
    AND NOT EXISTS (SELECT FROM price_history WHERE gift_id = staged.id)
    UNION ALL
    SELECT id, price, coalesce(currency, was_currency), now() FROM staged WHERE repriced
    ON CONFLICT DO NOTHING
), updated AS (
    UPDATE offers AS o SET
        price = coalesce(s.price, o.price),
        currency = CASE WHEN s.price IS NULL THEN o.currency ELSE coalesce(s.currency, o.currency) END,
        old_price = CASE WHEN s.price IS NULL THEN o.old_price ELSE s.old_price END,
        available = coalesce(s.available, o.available),
        active = true,
        item_hash = s.item_hash,
        updated_at = CASE WHEN s.moved THEN now() ELSE o.updated_at END
    FROM staged AS s
    WHERE o.gift_id = ANY (ARRAY(SELECT id FROM staged WHERE has_offer AND (moved OR reworded))) AND o.gift_id = s.id
), created AS (
    INSERT INTO offers (gift_id, price, currency, old_price, available, item_hash)
    SELECT id, price, coalesce(currency, 'RUB'), old_price, coalesce(available, true), item_hash
    FROM staged WHERE NOT has_offer
), seen AS (
    INSERT INTO import_seen SELECT id FROM staged
)
SELECT (SELECT count(*) FROM staged WHERE NOT is_known) AS created,
       (SELECT count(*) FROM (SELECT id FROM rewritten UNION SELECT id FROM staged WHERE moved) AS touched) AS changed
"""

_RETIRE: Final = """
UPDATE offers SET active = false, updated_at = now()
FROM gifts
WHERE gifts.id = offers.gift_id AND gifts.source_id = $1 AND offers.active
  AND NOT EXISTS (SELECT FROM import_seen WHERE import_seen.gift_id = gifts.id)
  AND NOT EXISTS (SELECT FROM import_spared WHERE import_spared.gift_id = gifts.id)
"""


class Placed(NamedTuple):
    """An item and the gift it is, whether stored already or new."""

    gift_id: str
    is_known: bool
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the id and the link of an item already."""

    own_id: str | None
    own_seen: bool
    holder_id: str | None
    holder_external_id: str | None
    holder_seen: bool


def storable(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "").encode("utf-8", "replace").decode()


class ImportSession:
    """One import under way. Batches are given inside `batch()`, each one transaction."""

    def __init__(self, connection: Connection, source: Source, run_id: int) -> None:
        self._connection = connection
        self._source = source
        self.run_id = run_id
        self._categories: dict[str, int] = {}
        self._leaves: dict[tuple[str, ...], int] = {}

    @classmethod
    async def begin(cls, connection: Connection, source: Source) -> ImportSession:
        """Opens a run. One that never ended, though nobody imports this source now, is marked failed."""
        await connection.execute(_BEGIN)
        await connection.execute(
            """UPDATE import_runs SET status = 'failed', finished_at = now(), error = 'interrupted'
               WHERE source_id = $1 AND status = 'running'""",
            source.id,
        )
        run_id: int = await connection.fetchval(
            "INSERT INTO import_runs (source_id) VALUES ($1) RETURNING id", source.id
        )
        return cls(connection, source, run_id)

    async def close(self) -> None:
        """Clears what was kept aside."""
        await self._connection.execute("DROP TABLE IF EXISTS import_seen, import_spared, import_staged")

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """All that happens inside is stored, or none of it."""
        async with self._connection.transaction():
            # A crash may lose the last batches whole; the next import of the feed brings them again.
            await self._connection.execute("SET LOCAL synchronous_commit = off")
            yield

    async def mark_seen(self, gift_ids: Collection[str]) -> frozenset[str]:
        """Notes that the feed lists these gifts; returns those it had listed before."""
        again = await self._connection.fetchval(_MARK_SEEN, list(gift_ids)) if gift_ids else None
        return frozenset(again or ())

    async def spare(self, external_ids: Sequence[str]) -> None:
        """Keeps gifts from being retired whose items the feed lists but that could not be read."""
        await self._connection.execute(
            """INSERT INTO import_spared SELECT id FROM gifts WHERE source_id = $1 AND external_id = ANY($2::text[])
               ON CONFLICT DO NOTHING""",
            self._source.id,
            external_ids,
        )

    async def holders(self, candidates: Sequence[Candidate]) -> dict[int, Holder]:
        """Place -> who has the item's id or link already; places of entirely new items are absent."""
        rows = await self._connection.fetch(
            _HOLDERS, self._source.id, [c.external_id for c in candidates], [c.url for c in candidates]
        )
        return {row["place"]: Holder(*tuple(row)[1:]) for row in rows}

    async def free_links(self, gift_ids: Sequence[str]) -> None:
        """Lets go of the links of gifts whose link another item now has. A fragment, which no canonical link carries,
        keeps the old link working and unique."""
        await self._connection.execute("UPDATE gifts SET url = url || '#' || id WHERE id = ANY($1::text[])", gift_ids)

    async def categories(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Makes every level of these paths where it is new. Known ones keep their parent."""
        new = {path for path in paths if path not in self._leaves}
        for depth in range(max(map(len, new), default=0)):
            level = sorted(
                {
                    (name_key(path[depth]), path[depth], name_key(path[depth - 1]) if depth else None)
                    for path in new
                    if len(path) > depth and name_key(path[depth]) not in self._categories
                },
                key=lambda entry: (entry[0], entry[1], entry[2] or ""),
            )
            if level:
                await self._put_level(level)
        self._leaves.update((path, self._categories[name_key(path[-1])]) for path in new)

    async def _put_level(self, level: Sequence[tuple[str, str, str | None]]) -> None:
        keys = [entry[0] for entry in level]
        await self._connection.execute(
            """INSERT INTO categories (name, name_key, parent_id)
               SELECT DISTINCT ON (given.key) given.name, given.key, parent.id
               FROM unnest($1::text[], $2::text[], $3::text[]) AS given (key, name, parent_key)
               LEFT JOIN categories AS parent ON parent.name_key = given.parent_key AND given.parent_key <> given.key
               WHERE NOT EXISTS (SELECT FROM categories AS known WHERE known.name_key = given.key)
               ORDER BY given.key
               ON CONFLICT (name_key) DO NOTHING""",
            keys,
            [entry[1] for entry in level],
            [entry[2] for entry in level],
        )
        rows = await self._connection.fetch(
            "SELECT name_key, id FROM categories WHERE name_key = ANY($1::text[])", keys
        )
        self._categories.update((row["name_key"], row["id"]) for row in rows)

    async def merge(self, items: Sequence[Placed], *, are_ideas: bool) -> tuple[int, int]:
        """Stores items, whose categories must be made; returns how many were new and how many differed from before."""
        leaves = self._leaves
        await self._connection.copy_records_to_table(
            "import_staged",
            columns=_STAGED_COLUMNS,
            records=[
                (
                    gift_id, is_known, c.external_id, c.url, c.title, c.description, c.image_url, c.merchant, c.brand,
                    leaves[c.category] if c.category else None, c.lang, c.attributes, are_ideas,
                    c.price_minor, c.currency, c.old_price_minor, c.available, c.item_hash,
                )
                for gift_id, is_known, c in items
            ],
        )  # fmt: skip
        row = await self._connection.fetchrow(_MERGE, self._source.id)
        return row["created"], row["changed"]

    async def put_promotions(self, promotions: Sequence[NewPromotion], *, is_whole: bool) -> tuple[int, int, int]:
        """Stores promotions; returns how many were new, how many differed, how many a whole list no longer has."""
        return await merge_promotions(self._connection, self._source.id, promotions, is_whole=is_whole)

    async def add_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keeps what was left out, and why."""
        await self._connection.copy_records_to_table(
            "import_rejects",
            columns=("run_id", "line", "external_id", "field", "reason", "excerpt"),
            records=[
                (self.run_id, r.line, storable(r.external_id), r.field, storable(r.reason), storable(r.excerpt))
                for r in rejects
            ],
        )

    async def count(self, counts: RunCounts) -> None:
        """Writes how far the import is."""
        await self._connection.execute(
            """UPDATE import_runs SET received = $2, created = $3, changed = $4, unchanged = $5, rejected = $6
               WHERE id = $1""",
            self.run_id,
            counts.received,
            counts.created,
            counts.changed,
            counts.unchanged,
            counts.rejected,
        )

    async def finish(self, status: RunStatus, error: str | None, *, retire: bool, retired: int = 0) -> None:
        """Ends the run, retires what the feed no longer lists if asked to, and tells who waits for the catalogue."""
        async with self._connection.transaction():
            if retire:
                await self._connection.execute("ANALYZE import_seen")
                tag = await self._connection.execute(_RETIRE, self._source.id, timeout=_SLOW_SECONDS)
                retired = int(tag.rpartition(" ")[2])
            touched: int = await self._connection.fetchval(
                """UPDATE import_runs SET status = $2, error = $3, retired = $4, finished_at = now()
                   WHERE id = $1 RETURNING created + changed + retired""",
                self.run_id,
                status.value,
                storable(error),
                retired,
            )
            if touched:
                payload = orjson.dumps({"source": self._source.id}).decode()
                await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
