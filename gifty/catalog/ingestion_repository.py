"""The SQL of sources and of the records of their imports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from gifty.catalog.import_session import CHANNEL, ImportSession, storable
from gifty.catalog.models import ImportRun, Reject, RunCounts, RunStatus, Source
from gifty.core.database import Database, Record
from gifty.core.errors import Conflict, Unavailable

_LOCK_CLASS: Final = 0x696D7074

# Whose fingerprint is the stored one: those need no reading. LATERAL with LIMIT keeps the work in proportion to the
# batch; without it the planner may scan the whole catalogue.
_UNCHANGED: Final = """
SELECT array_agg(given.n - 1) AS places, array_agg(known.id) AS ids
FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS given (external_id, item_hash, n)
CROSS JOIN LATERAL (
    SELECT gifts.id FROM gifts JOIN offers ON offers.gift_id = gifts.id
    WHERE gifts.source_id = $1 AND gifts.external_id = given.external_id
      AND offers.active AND offers.item_hash = given.item_hash
    LIMIT 1
) AS known
"""


class StorageFull(Unavailable):
    """The database has no room left."""


@asynccontextmanager
async def _room() -> AsyncIterator[None]:
    try:
        yield
    except asyncpg.DiskFullError as error:
        raise StorageFull("the disk of the database is full; what was stored before stays whole") from error


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


class IngestionRepository:
    """Sources, runs and sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_change(self, heard: Callable[[str], object]) -> asyncio.Task[None]:
        """Calls `heard` for each notice of a changed catalogue."""
        return self._database.listen(CHANNEL, heard)

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
            """SELECT line, external_id, field, reason, excerpt FROM import_rejects
               WHERE run_id = $1 ORDER BY id LIMIT $2""",
            run_id,
            limit,
        )
        return [Reject(*row) for row in rows]

    async def fail_run(self, run_id: int, reason: str) -> None:
        """Marks an import that could not end by itself; best effort, for the database itself may be the trouble."""
        with suppress(Unavailable, asyncpg.PostgresError):
            await self._database.execute(
                """UPDATE import_runs SET status = 'failed', finished_at = now(), error = $2
                   WHERE id = $1 AND status = 'running'""",
                run_id,
                storable(reason),
            )

    @asynccontextmanager
    async def session(self, source: Source) -> AsyncIterator[ImportSession]:
        """The only import of this source at this time. Raises `Conflict` when another one is running."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, source.id):
                raise Conflict(f"{source.site_key} is being imported already")
            try:
                async with _room():
                    session = await ImportSession.begin(connection, source)
                    yield session
                    await session.close()
            finally:
                if not connection.is_closed():
                    await connection.fetchval("SELECT pg_advisory_unlock($1, $2)", _LOCK_CLASS, source.id)
