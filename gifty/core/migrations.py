"""Forward-only schema changes: plain SQL files, applied once, in order, under an advisory lock."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.resources
import re
from dataclasses import dataclass
from typing import Final

import asyncpg

_LOCK: Final = 0x67696674
_NAME: Final = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
# For statements that PostgreSQL refuses inside a transaction, such as CREATE INDEX CONCURRENTLY.
_OUTSIDE_TRANSACTION: Final = "-- outside transaction"
_STATEMENT_SECONDS: Final = 3600


class MigrationError(Exception):
    """The migrations on disk and in the database do not agree, or one of them failed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells an edited file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this version, in order. Raises `MigrationError` on a bad name or a number used twice."""
    files = sorted(f.name for f in importlib.resources.files("migrations").iterdir() if f.name.endswith(".sql"))
    numbers: set[str] = set()
    for name in files:
        match = _NAME.match(name)
        if not match:
            raise MigrationError(f"{name} is not named NNNN_name.sql")
        if match[1] in numbers:
            raise MigrationError(f"number {match[1]} is used by two migrations")
        numbers.add(match[1])
    root = importlib.resources.files("migrations")
    return [Migration(name, root.joinpath(name).read_text(encoding="utf-8")) for name in files]


async def _connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, timeout=10, command_timeout=_STATEMENT_SECONDS)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise MigrationError(f"the database is not reachable: {error}") from error


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    return {
        row["name"]: row["checksum"] for row in await connection.fetch("SELECT name, checksum FROM schema_migrations")
    }


def _still_to_apply(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    names = {migration.name for migration in migrations}
    if unknown := sorted(set(applied) - names):
        raise MigrationError(f"the database is ahead of this version of Gifty: it has {', '.join(unknown)}")
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it had been applied; add a new migration instead")
    missing = [migration for migration in migrations if migration.name not in applied]
    if missing and applied and missing[0].name < max(applied):
        raise MigrationError(f"{missing[0].name} comes before {max(applied)}, which is applied already")
    return missing


async def pending(dsn: str) -> list[str]:
    """Names of the migrations still to apply. Raises `MigrationError`."""
    connection = await _connect(dsn)
    try:
        return [migration.name for migration in _still_to_apply(shipped(), await _applied(connection))]
    finally:
        await connection.close()


async def migrate(dsn: str) -> list[str]:
    """Applies what is pending and returns its names. Processes that start together wait for each other.

    Raises `MigrationError`; a failed migration leaves nothing of itself behind.
    """
    connection = await _connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        todo = _still_to_apply(shipped(), await _applied(connection))
        for migration in todo:
            await _apply(connection, migration)
        return [migration.name for migration in todo]
    finally:
        # Closing the connection frees the lock.
        await asyncio.shield(connection.close())


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    record = "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)"
    try:
        if migration.sql.startswith(_OUTSIDE_TRANSACTION):
            await connection.execute(migration.sql)
            await connection.execute(record, migration.name, migration.checksum)
            return
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(record, migration.name, migration.checksum)
    except asyncpg.UndefinedFileError as error:
        raise MigrationError("this PostgreSQL has no pgvector; install it, or unset DATABASE_URL") from error
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}: {error}") from error
