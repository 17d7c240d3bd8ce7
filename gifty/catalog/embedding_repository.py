"""SQL of vectors: spaces, rows that wait for a vector, HNSW segments, and the words of the titles."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgvector import HalfVector

from gifty.catalog.embeddings.protocol import GiftText, Vectors
from gifty.catalog.search_models import Space
from gifty.core.database import Database, Record

DESCRIPTION_CHARACTERS: Final = 2_000
INDEX_SECONDS: Final = 3600.0
BUILD_MEGABYTES: Final = 512
HNSW_LINKS: Final = 16
HNSW_BUILD_CANDIDATES: Final = 100
_SEGMENTS_LOCK: Final = 0x67696676
_SPACE_COLUMNS: Final = "id, model, version, dimensions, serving, segment, categories"
_COPIED: Final = """
    INSERT INTO gift_search (
        gift_id, space, active, is_idea, age_min, age_max, rank, price, category_id, created_at, currency, content_hash)
    SELECT r.gift_id, $1::smallint, r.active, r.is_idea, r.age_min, r.age_max, r.rank, r.price, r.category_id,
           r.created_at, r.currency, r.content_hash
    FROM gift_search_rows r
    WHERE NOT EXISTS (SELECT FROM gift_search t WHERE t.gift_id = r.gift_id AND t.space = $1::smallint)
    LIMIT $2
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class PendingGift:
    """A gift whose text, in the state of `content_hash`, has no vector."""

    gift_id: str
    content_hash: bytes
    text: GiftText


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a space is: active gifts without a vector, vectors outside HNSW, and all active gifts."""

    pending: int
    fresh: int
    active: int


class EmbeddingRepository:
    """Reads and writes vectors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spaces(self) -> list[Space]:
        """The spaces in use, oldest first."""
        rows = await self._database.fetch(
            f"SELECT {_SPACE_COLUMNS} FROM embedding_spaces WHERE retired_at IS NULL ORDER BY created_at, id"
        )
        return [_space(row) for row in rows]

    async def open_space(self, model: str, version: int, dimensions: int) -> Space:
        """The space of a model, made or taken back from retirement when there is none. The first one serves at once."""
        known = await self._database.fetchrow(
            f"SELECT {_SPACE_COLUMNS} FROM embedding_spaces WHERE (model, version) = ($1, $2) AND retired_at IS NULL",
            model,
            version,
        )
        if known is not None:
            return _space(known)
        async with self._database.transaction() as connection:
            # Gifts that are being stored right now would not see the new space, so it waits for them, and later ones
            # wait for it.
            await connection.execute("LOCK TABLE offers IN SHARE MODE")
            await connection.execute("LOCK TABLE embedding_spaces IN SHARE ROW EXCLUSIVE MODE")
            row = await connection.fetchrow(
                f"""
                INSERT INTO embedding_spaces AS e (model, version, dimensions, serving)
                VALUES ($1, $2, $3, NOT EXISTS (SELECT FROM embedding_spaces WHERE serving))
                ON CONFLICT (model, version) DO UPDATE
                SET retired_at = NULL,
                    created_at = CASE WHEN e.retired_at IS NULL THEN e.created_at ELSE now() END
                RETURNING {_SPACE_COLUMNS}
                """,
                model,
                version,
                dimensions,
            )
        return _space(row)

    async def copy_rows(self, space: Space, limit: int) -> int:
        """Gives gifts that have no row in the space one; returns how many got it."""
        tag = await self._database.execute(_COPIED, space.id, limit)
        return int(tag.rsplit(" ", 1)[1])

    async def pending(self, space: Space, limit: int) -> list[PendingGift]:
        """Gifts that wait for a vector, those on sale first."""
        rows = await self._database.fetch(
            f"""
            SELECT s.gift_id, s.content_hash, g.title, left(g.description, {DESCRIPTION_CHARACTERS}) AS description,
                   coalesce(c.name, '') AS category
            FROM (SELECT gift_id, content_hash, active FROM gift_search WHERE space = $1 AND pending LIMIT $2) s
            JOIN gifts g ON g.id = s.gift_id
            LEFT JOIN categories c ON c.id = g.category_id
            """,
            space.id,
            limit,
        )
        return [
            PendingGift(
                row["gift_id"], row["content_hash"], GiftText(row["title"], row["description"], row["category"])
            )
            for row in rows
        ]

    async def write(self, space: Space, gifts: Sequence[PendingGift], vectors: Vectors) -> int:
        """Stores the vectors of texts that have not changed since they were read; returns how many were stored."""
        tag = await self._database.execute(
            """
            WITH stored AS (
                UPDATE gift_search s SET embedding = v.embedding, pending = false
                FROM unnest($2::text[], $3::bytea[], $4::halfvec[]) v(gift_id, content_hash, embedding)
                WHERE s.gift_id = v.gift_id AND s.space = $1 AND s.content_hash = v.content_hash
                RETURNING s.gift_id
            )
            INSERT INTO gift_fresh (space, gift_id) SELECT $1, gift_id FROM stored ON CONFLICT DO NOTHING
            """,
            space.id,
            [gift.gift_id for gift in gifts],
            [gift.content_hash for gift in gifts],
            [HalfVector(vector) for vector in vectors],
        )
        return int(tag.rsplit(" ", 1)[1])

    async def coverage(self, space: Space) -> Coverage:
        """How far the space is; counts only what its partial indexes hold, and the catalogue."""
        row = await self._database.fetchrow(
            """
            SELECT (SELECT count(*) FROM gift_search WHERE space = $1 AND pending AND active) AS pending,
                   (SELECT count(*) FROM gift_fresh WHERE space = $1) AS fresh,
                   (SELECT count(*) FROM gift_search WHERE space = $1 AND active) AS active
            """,
            space.id,
        )
        return Coverage(*row) if row is not None else Coverage(0, 0, 0)

    async def serve(self, space: Space) -> None:
        """Makes searches use this space from now on."""
        async with self._database.transaction() as connection:
            await connection.execute("UPDATE embedding_spaces SET serving = false WHERE serving AND id <> $1", space.id)
            await connection.execute("UPDATE embedding_spaces SET serving = true WHERE id = $1", space.id)

    async def retire_before(self, keep: Space) -> None:
        """Marks older spaces as no longer used; their rows stay for a while for searches of other processes."""
        await self._database.execute(
            """
            UPDATE embedding_spaces SET retired_at = now()
            WHERE NOT serving AND retired_at IS NULL
              AND created_at < (SELECT created_at FROM embedding_spaces WHERE id = $1)
            """,
            keep.id,
        )

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Holds the right to build, merge and drop segments; yields False when another process has it."""
        async with self._database.acquire() as connection:
            held = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _SEGMENTS_LOCK)
            try:
                yield held
            finally:
                if held and not connection.is_closed():
                    await connection.execute("SELECT pg_advisory_unlock($1)", _SEGMENTS_LOCK)

    async def sweep(self, grace_seconds: float, limit: int) -> int:
        """Removes rows and segments that nothing has used for a while, a bounded number at a time; returns the rows."""
        retired = "SELECT id FROM embedding_spaces WHERE retired_at < now() - make_interval(secs => $1)"
        tag = await self._database.execute(
            f"DELETE FROM gift_search WHERE ctid IN (SELECT ctid FROM gift_search WHERE space IN ({retired}) LIMIT $2)",
            grace_seconds,
            limit,
        )
        removed = int(tag.rsplit(" ", 1)[1])
        if removed == 0:
            await self._database.execute(f"DELETE FROM embedding_spaces WHERE id IN ({retired})", grace_seconds)
        return removed

    async def merge(self, space: Space, limit: int) -> int:
        """Moves fresh vectors under HNSW, about two milliseconds each; returns how many."""
        tag = await self._database.execute(
            """
            WITH taken AS (
                DELETE FROM gift_fresh WHERE ctid IN (SELECT ctid FROM gift_fresh WHERE space = $1 LIMIT $3)
                RETURNING gift_id
            )
            INSERT INTO gift_embeddings (gift_id, segment, category_id, content_hash, embedding)
            SELECT s.gift_id, $2, s.category_id, s.content_hash, s.embedding
            FROM taken JOIN gift_search s ON s.gift_id = taken.gift_id AND s.space = $1
            WHERE NOT s.pending
            ON CONFLICT (gift_id, segment) DO UPDATE
            SET category_id = excluded.category_id, content_hash = excluded.content_hash,
                embedding = excluded.embedding, embedded_at = now()
            """,
            space.id,
            space.segment,
            limit,
        )
        return int(tag.rsplit(" ", 1)[1])

    async def build_segment(self, space: Space, category_rows: int) -> int:
        """Builds a new HNSW over all vectors of the space while the old one serves; returns its number.

        Categories of at least `category_rows` gifts on sale get one of their own besides.
        """
        segment = int(await self._database.fetchval("SELECT nextval('gift_embedding_segments')"))
        await self._database.execute(
            """
            INSERT INTO gift_embeddings (gift_id, segment, category_id, content_hash, embedding)
            SELECT gift_id, $2, category_id, content_hash, embedding FROM gift_search
            WHERE space = $1 AND embedding IS NOT NULL AND NOT pending
            """,
            space.id,
            segment,
            timeout=INDEX_SECONDS,
        )
        categories = await self._large_categories(space, category_rows)
        async with self._database.acquire() as connection:
            # A graph that does not fit is built several times slower. The pool resets the setting afterwards.
            await connection.execute(f"SET maintenance_work_mem = '{BUILD_MEGABYTES}MB'")
            for name, part in [("", ""), *((f"_{number}", f" AND category_id = {number}") for number in categories)]:
                await connection.execute(
                    f"""
                    CREATE INDEX CONCURRENTLY gift_embeddings_hnsw_{segment}{name} ON gift_embeddings
                    USING hnsw ((embedding::halfvec({space.dimensions})) halfvec_cosine_ops)
                    WITH (m = {HNSW_LINKS}, ef_construction = {HNSW_BUILD_CANDIDATES}) WHERE segment = {segment}{part}
                    """,
                    timeout=INDEX_SECONDS,
                )
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                DELETE FROM gift_fresh f USING gift_embeddings e, gift_search s
                WHERE f.space = $1 AND e.gift_id = f.gift_id AND e.segment = $2
                  AND s.gift_id = f.gift_id AND s.space = $1 AND s.content_hash = e.content_hash
                """,
                space.id,
                segment,
            )
            await connection.execute(
                "UPDATE embedding_spaces SET segment = $2, categories = $3 WHERE id = $1", space.id, segment, categories
            )
            await connection.execute("SELECT nextval('gift_search_revision')")
        await self._database.execute("ANALYZE gift_embeddings", timeout=INDEX_SECONDS)
        return segment

    async def _large_categories(self, space: Space, rows: int) -> list[int]:
        found = await self._database.fetch(
            """
            SELECT category_id FROM gift_search WHERE space = $1 AND active AND category_id IS NOT NULL
            GROUP BY category_id HAVING count(*) >= $2 ORDER BY category_id
            """,
            space.id,
            rows,
        )
        return [row["category_id"] for row in found]

    async def unused_segments(self) -> list[int]:
        """Segments with rows or an index that no space refers to."""
        rows = await self._database.fetch(
            """
            SELECT segment FROM (
                SELECT substring(indexname FROM '_hnsw_(\\d+)')::integer AS segment FROM pg_indexes
                WHERE tablename = 'gift_embeddings' AND indexname LIKE 'gift\\_embeddings\\_hnsw\\_%'
                UNION SELECT DISTINCT segment FROM gift_embeddings
            ) found
            WHERE NOT EXISTS (SELECT FROM embedding_spaces e WHERE e.segment = found.segment)
            """
        )
        return [row["segment"] for row in rows]

    async def drop_segment(self, segment: int) -> None:
        """Removes a segment's indexes and rows."""
        names = await self._database.fetch(
            """
            SELECT indexname FROM pg_indexes
            WHERE tablename = 'gift_embeddings' AND indexname ~ ('^gift_embeddings_hnsw_' || $1::integer || '(_\\d+)?$')
            """,
            segment,
        )
        for row in names:
            await self._database.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {row['indexname']}")
        await self._database.execute("DELETE FROM gift_embeddings WHERE segment = $1", segment, timeout=INDEX_SECONDS)

    async def count_words(self) -> int:
        """Counts the words of all titles anew and brings the table in step; returns how many words there are."""
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                CREATE TEMPORARY TABLE counted ON COMMIT DROP AS
                SELECT word, (tsvector_to_array(to_tsvector('russian', word)))[1] AS lexeme,
                       count(*)::integer AS documents
                FROM gifts, LATERAL (
                    SELECT DISTINCT found[1] AS word
                    FROM regexp_matches(translate(lower(title), 'ё', 'е'), '[a-zа-я]{3,32}', 'g') AS found
                ) AS words
                GROUP BY word
                """,
                timeout=INDEX_SECONDS,
            )
            await connection.execute("DELETE FROM counted WHERE lexeme IS NULL")
            await connection.execute(
                "DELETE FROM search_words w WHERE NOT EXISTS (SELECT FROM counted c WHERE c.word = w.word)"
            )
            await connection.execute(
                """
                INSERT INTO search_words AS w (word, lexeme, documents) SELECT word, lexeme, documents FROM counted
                ON CONFLICT (word) DO UPDATE SET documents = excluded.documents WHERE w.documents <> excluded.documents
                """,
                timeout=INDEX_SECONDS,
            )
            await connection.execute(
                """
                CREATE TEMPORARY TABLE stems ON COMMIT DROP AS
                SELECT word AS lexeme, ndoc AS documents FROM ts_stat('SELECT search FROM gifts')
                """,
                timeout=INDEX_SECONDS,
            )
            await connection.execute(
                "DELETE FROM search_lexemes l WHERE NOT EXISTS (SELECT FROM stems s WHERE s.lexeme = l.lexeme)"
            )
            await connection.execute(
                """
                INSERT INTO search_lexemes AS l (lexeme, documents) SELECT lexeme, documents FROM stems
                ON CONFLICT (lexeme) DO UPDATE SET documents = excluded.documents
                WHERE l.documents <> excluded.documents
                """,
                timeout=INDEX_SECONDS,
            )
            return int(await connection.fetchval("SELECT count(*) FROM counted"))


def _space(row: Record) -> Space:
    return Space(
        id=row["id"],
        model=row["model"],
        version=row["version"],
        dimensions=row["dimensions"],
        serving=row["serving"],
        segment=row["segment"],
        categories=frozenset(row["categories"]),
    )
