"""The SQL of ingestion. One `ImportSession` is one import of one source on one connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson

from gifty.catalog.models import ImportRun, Reject, RunCounts, RunStatus, Source
from gifty.catalog.normalise.items import Candidate
from gifty.catalog.normalise.text import name_key
from gifty.core.database import Connection, Database, Record
from gifty.core.errors import Conflict, Unavailable

CHANNEL: Final = "gifty_catalog"
_LOCK_CLASS: Final = 0x696D7074
_SLOW_SECONDS: Final = 900

_TEMPORARY: Final = """
DROP TABLE IF EXISTS pg_temp.import_seen, pg_temp.import_spared, pg_temp.import_staged;
CREATE TEMP TABLE import_seen (gift_id text PRIMARY KEY);
CREATE TEMP TABLE import_spared (gift_id text PRIMARY KEY);
CREATE TEMP TABLE import_staged (
    id text, external_id text, url text, title text, description text, image_url text, merchant text, brand text,
    category_id bigint, lang text, attributes jsonb, is_idea boolean,
    price_minor bigint, currency text, old_price_minor bigint, available boolean, item_hash bytea
) ON COMMIT DELETE ROWS;
"""

_STAGED_COLUMNS: Final = (
    "id", "external_id", "url", "title", "description", "image_url", "merchant", "brand", "category_id", "lang",
    "attributes", "is_idea", "price_minor", "currency", "old_price_minor", "available", "item_hash",
)  # fmt: skip

# Here and below, LATERAL with LIMIT keeps the work per batch in proportion to the batch: without it the planner may
# scan the whole catalogue for each.

# Whose fingerprint is the stored one: those need no reading.
_UNCHANGED: Final = """
SELECT array_agg(given.n - 1) AS places, array_agg(known.id) AS ids
FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS given (external_id, item_hash, n)
CROSS JOIN LATERAL (
    SELECT gifts.id FROM gifts JOIN offers ON offers.gift_id = gifts.id
    WHERE gifts.source_id = $1 AND gifts.external_id = given.external_id AND offers.active AND offers.item_hash = given.item_hash
    LIMIT 1
) AS known
"""

_MARK_SEEN: Final = """
WITH fresh AS (
    INSERT INTO import_seen SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING gift_id
)
SELECT array_agg(given.id) FROM unnest($1::text[]) AS given (id) WHERE given.id NOT IN (SELECT gift_id FROM fresh)
"""

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
# state before the statement.
_MERGE: Final = """
WITH staged AS MATERIALIZED (
    SELECT s.*, given.price, given.old_price, o.gift_id IS NOT NULL AS has_offer, 
           o.price AS was_price, o.currency AS was_currency, o.updated_at AS was_updated_at,
           o.gift_id IS NOT NULL AND given.price IS NOT NULL AND (o.price, o.currency) IS DISTINCT FROM (given.price, coalesce(s.currency, o.currency)) AS repriced,
           o.gift_id IS NOT NULL AND (
               NOT o.active OR o.available <> coalesce(s.available, o.available)
               OR (given.price IS NOT NULL AND (o.price, o.currency, o.old_price)
                   IS DISTINCT FROM (given.price, coalesce(s.currency, o.currency), given.old_price))) AS moved,
           o.item_hash IS DISTINCT FROM s.item_hash AS reworded
    FROM import_staged AS s
    CROSS JOIN LATERAL (SELECT (s.price_minor::numeric / 100)::numeric(14, 2) AS price,
                               (s.old_price_minor::numeric / 100)::numeric(14, 2) AS old_price) AS given
    LEFT JOIN LATERAL (SELECT * FROM offers WHERE offers.gift_id = s.id LIMIT 1) AS o ON true
), stable AS (
    INSERT INTO gifts AS g (id, source_id, external_id, url, title, description, image_url, merchant, brand, category_id,
                            lang, attributes, is_idea)
    SELECT id, $1, external_id, url, title, coalesce(description, ''), image_url, merchant, brand, category_id,
           lang, coalesce(attributes, '{}'), is_idea
    FROM staged
    ON CONFLICT (id) DO UPDATE SET
        external_id = excluded.external_id, url = excluded.url, title = excluded.title, lang = excluded.lang,
        description = coalesce(nullif(excluded.description, ''), g.description),
        image_url = coalesce(excluded.image_url, g.image_url),
        merchant = coalesce(excluded.merchant, g.merchant),
        brand = coalesce(excluded.brand, g.brand),
        category_id = coalesce(excluded.category_id, g.category_id),
        attributes = CASE excluded.attributes WHEN '{}' THEN g.attributes ELSE excluded.attributes END,
        updated_at = now()
    WHERE (g.external_id, g.url, g.title, g.lang) IS DISTINCT FROM
          (excluded.external_id, excluded.url, excluded.title, excluded.lang)
       OR (excluded.description <> '' AND excluded.description <> g.description)
       OR (excluded.image_url IS NOT NULL AND excluded.image_url IS DISTINCT FROM g.image_url)
       OR (excluded.merchant IS NOT NULL AND excluded.merchant IS DISTINCT FROM g.merchant)
       OR (excluded.brand IS NOT NULL AND excluded.brand IS DISTINCT FROM g.brand)
       OR (excluded.category_id IS NOT NULL AND excluded.category_id IS DISTINCT FROM g.category_id)
       OR (excluded.attributes <> '{}' AND excluded.attributes <> g.attributes)
    RETURNING g.id, xmax = 0 AS fresh
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
    INSERT INTO import_seen SELECT id FROM staged ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM stable WHERE fresh) AS created,
       (SELECT count(*) FROM (SELECT id FROM stable WHERE NOT fresh UNION SELECT id FROM staged WHERE moved) AS touched) AS changed
"""

_RETIRE: Final = """
UPDATE offers SET active = false, updated_at = now()
FROM gifts
WHERE gifts.id = offers.gift_id AND gifts.source_id = $1 AND offers.active
  AND NOT EXISTS (SELECT FROM import_seen WHERE import_seen.gift_id = gifts.id)
  AND NOT EXISTS (SELECT FROM import_spared WHERE import_spared.gift_id = gifts.id)
"""


class StorageFull(Unavailable):
    """The database has no room left."""


@asynccontextmanager
async def _room() -> AsyncIterator[None]:
    try:
        yield
    except asyncpg.DiskFullError as error:
        raise StorageFull("the disk of the database is full; what was stored before stays whole") from error


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the id and the link of an item already."""

    own_id: str | None
    own_seen: bool
    holder_id: str | None
    holder_external_id: str | None
    holder_seen: bool


def _source(row: Record) -> Source:
    return Source(row["id"], row["site_key"], row["name"], row["kind"], row["url"], row["created_at"])


def _run(row: Record) -> ImportRun:
    counts = RunCounts(
        row["received"], row["created"], row["changed"], row["unchanged"], row["rejected"], row["retired"]
    )
    return ImportRun(
        row["id"],
        row["source_id"],
        row["started_at"],
        row["finished_at"],
        RunStatus(row["status"]),
        counts,
        row["error"],
    )


def _storable(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "").encode("utf-8", "replace").decode()


class IngestionRepository:
    """Sources, runs and sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_source(self, site_key: str, name: str, kind: str, url: str | None) -> Source:
        """The source with this key, made or brought up to date."""
        async with _room():
            await self._database.execute(
                """INSERT INTO sources AS s (site_key, name, kind, url) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (site_key) DO UPDATE SET name = excluded.name, kind = excluded.kind,
                                                        url = coalesce(excluded.url, s.url)
                   WHERE (s.name, s.kind, s.url) IS DISTINCT FROM
                         (excluded.name, excluded.kind, coalesce(excluded.url, s.url))""",
                site_key,
                name,
                kind,
                url,
            )
        row = await self._database.fetchrow("SELECT * FROM sources WHERE site_key = $1", site_key)
        if row is None:
            raise Conflict(f"the source {site_key} was removed just now")
        return _source(row)

    async def validators(self, site_key: str) -> tuple[str | None, str | None]:
        """ETag and Last-Modified of the last complete import from this source's address."""
        row = await self._database.fetchrow("SELECT etag, last_modified FROM sources WHERE site_key = $1", site_key)
        return (row["etag"], row["last_modified"]) if row else (None, None)

    async def put_validators(self, source_id: int, etag: str | None, last_modified: str | None) -> None:
        """Remembers what the address was last served as."""
        await self._database.execute(
            """UPDATE sources SET etag = $2, last_modified = $3
               WHERE id = $1 AND (etag, last_modified) IS DISTINCT FROM ($2, $3)""",
            source_id,
            etag,
            last_modified,
        )

    async def unchanged(self, source_id: int, items: Sequence[tuple[str, bytes]]) -> dict[int, str]:
        """Place -> gift of those items (external id, fingerprint) that are stored just so."""
        row = await self._database.fetchrow(_UNCHANGED, source_id, [i[0] for i in items], [i[1] for i in items])
        return {} if row is None or row["places"] is None else dict(zip(row["places"], row["ids"], strict=True))

    async def run(self, run_id: int) -> ImportRun:
        """The record of one import."""
        row = await self._database.fetchrow("SELECT * FROM import_runs WHERE id = $1", run_id)
        if row is None:
            raise Conflict(f"the import {run_id} was removed just now")
        return _run(row)

    async def rejects(self, run_id: int, limit: int = 1_000) -> list[Reject]:
        """The items that one import left out, first ones first."""
        rows = await self._database.fetch(
            "SELECT line, external_id, field, reason, excerpt FROM import_rejects WHERE run_id = $1 ORDER BY id LIMIT $2",
            run_id,
            limit,
        )
        return [Reject(*row) for row in rows]

    async def fail_run(self, run_id: int, reason: str) -> None:
        """Marks an import that could not end by itself; best effort, for the database itself may be the trouble."""
        with suppress(Unavailable, asyncpg.PostgresError):
            await self._database.execute(
                "UPDATE import_runs SET status = 'failed', finished_at = now(), error = $2 WHERE id = $1 AND status = 'running'",
                run_id,
                _storable(reason),
            )

    @asynccontextmanager
    async def session(self, source: Source) -> AsyncIterator[ImportSession]:
        """The only import of this source at this time. Raises `Conflict` when another one is running."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, source.id):
                raise Conflict(f"{source.site_key} is being imported already")
            try:
                async with _room():
                    await connection.execute(_TEMPORARY)
                    yield ImportSession(connection, source, await self._begin(connection, source))
            finally:
                if not connection.is_closed():
                    await connection.execute("DROP TABLE IF EXISTS import_seen, import_spared, import_staged")
                    await connection.fetchval("SELECT pg_advisory_unlock($1, $2)", _LOCK_CLASS, source.id)

    async def _begin(self, connection: Connection, source: Source) -> int:
        await connection.execute(
            """UPDATE import_runs SET status = 'failed', finished_at = now(), error = 'interrupted'
               WHERE source_id = $1 AND status = 'running'""",
            source.id,
        )
        run_id: int = await connection.fetchval(
            "INSERT INTO import_runs (source_id) VALUES ($1) RETURNING id", source.id
        )
        return run_id


class ImportSession:
    """One import under way. Batches are given inside `batch()`, each one transaction."""

    def __init__(self, connection: Connection, source: Source, run_id: int) -> None:
        self._connection = connection
        self._source = source
        self.run_id = run_id
        self._categories: dict[str, int] = {}

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

    async def categories(self, paths: Iterable[tuple[str, ...]]) -> Mapping[str, int]:
        """Name key -> id of every level of these paths, made where they are new. Existing categories keep their parent."""
        new = {path for path in paths if any(name_key(name) not in self._categories for name in path)}
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
        return self._categories

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

    async def merge(self, items: Sequence[tuple[str, Candidate]], *, are_ideas: bool) -> tuple[int, int]:
        """Stores items under their gift ids and returns how many were new and how many differed from what was known."""
        categories = self._categories
        await self._connection.copy_records_to_table(
            "import_staged",
            columns=_STAGED_COLUMNS,
            records=[
                (
                    gift_id, c.external_id, c.url, c.title, c.description, c.image_url, c.merchant, c.brand,
                    categories[name_key(c.category[-1])] if c.category else None, c.lang, c.attributes, are_ideas,
                    c.price_minor, c.currency, c.old_price_minor, c.available, c.item_hash,
                )
                for gift_id, c in items
            ],
        )  # fmt: skip
        row = await self._connection.fetchrow(_MERGE, self._source.id)
        return row["created"], row["changed"]

    async def add_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keeps what was left out, and why."""
        await self._connection.copy_records_to_table(
            "import_rejects",
            columns=("run_id", "line", "external_id", "field", "reason", "excerpt"),
            records=[
                (self.run_id, r.line, _storable(r.external_id), r.field, _storable(r.reason), _storable(r.excerpt))
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

    async def finish(self, status: RunStatus, error: str | None, *, retire: bool) -> int:
        """Ends the run, retires what the feed no longer lists if asked to, and tells those who wait for the catalogue."""
        async with self._connection.transaction():
            retired = 0
            if retire:
                await self._connection.execute("ANALYZE import_seen")
                tag = await self._connection.execute(_RETIRE, self._source.id, timeout=_SLOW_SECONDS)
                retired = int(tag.rpartition(" ")[2])
            touched: int = await self._connection.fetchval(
                """UPDATE import_runs SET status = $2, error = $3, retired = $4, finished_at = now()
                   WHERE id = $1 RETURNING created + changed + retired""",
                self.run_id,
                status.value,
                _storable(error),
                retired,
            )
            if touched:
                payload = orjson.dumps({"source": self._source.id}).decode()
                await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
        return retired
