"""`gifty doctor`: what is well, what is not, and what to do about it, in plain words."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from gifty.core import migrations
from gifty.core.database import Database
from gifty.core.errors import Unavailable
from gifty.settings import Settings
from gifty.storage import database_address

_ENOUGH_DISK: Final = 2 << 30
_LARGEST_CLOCK_SKEW: Final = 5.0
_OPTIONAL_EXTENSIONS: Final = ("pg_trgm", "unaccent", "pg_stat_statements")
_OLDEST_PGVECTOR: Final = (0, 8)
_WITHOUT_PREFIX: Final = frozenset({"DATABASE_URL", "INTERNAL_API_TOKEN", "ANALYTICS_API_TOKEN"})
_SECRET: Final = "(set)"  # noqa: S105 - what is shown in place of one


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is what to do when it is not well."""

    name: str
    is_well: bool
    text: str
    remedy: str = ""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "doctor", help="check settings, database, indexes, keys, disk and clock", epilog="Example: gifty doctor"
    )
    parser.set_defaults(run=run)


async def run(_arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when everything is well, 1 otherwise."""
    for name, value in _described(settings):
        print(f"  {name:<26} {value}")
    print()
    findings = [*_machine(settings)]
    async with database_address(settings) as dsn:
        findings += [finding async for finding in _database(dsn)]
    for finding in findings:
        print(f"{'ok  ' if finding.is_well else 'FAIL'}  {finding.name}: {finding.text}")
        if not finding.is_well:
            print(f"      -> {finding.remedy}")
    return 0 if all(finding.is_well for finding in findings) else 1


def _described(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every setting by the name that an operator gives it."""
    for field in fields(settings):
        name = field.name.upper()
        value = getattr(settings, field.name)
        shown = value if field.repr or not value else _SECRET
        yield (
            name if name in _WITHOUT_PREFIX else f"GIFTY_{name}",
            ", ".join(map(str, shown)) if isinstance(shown, tuple) else str(shown),
        )


def _machine(settings: Settings) -> Iterator[Finding]:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    yield Finding("disk", free > _ENOUGH_DISK, f"{free / (1 << 30):.1f} GB free", f"make room in {folder}")
    writable = os.access(folder, os.W_OK)
    yield Finding("home", writable, str(settings.home), "let the user that runs Gifty write there, or set GIFTY_HOME")
    secrets = settings.home / "secrets.json"
    private = not secrets.exists() or stat.S_IMODE(secrets.stat().st_mode) & 0o077 == 0
    yield Finding("keys", private, "readable by their owner alone", f"chmod 600 {secrets}")


async def _database(dsn: str) -> AsyncIterator[Finding]:
    try:
        database = await Database.open(dsn, min_size=1, max_size=1)
    except Unavailable as error:
        yield Finding("database", False, error.message, "start PostgreSQL, or correct or unset DATABASE_URL")
        return
    try:
        version = await database.fetchval("SHOW server_version")
        yield Finding("database", True, f"PostgreSQL {version}")
        async for finding in _schema(database, dsn):
            yield finding
    finally:
        await database.close()


async def _schema(database: Database, dsn: str) -> AsyncIterator[Finding]:
    rows = await database.fetch(
        "SELECT name, default_version, installed_version FROM pg_available_extensions WHERE name = ANY($1)",
        ["vector", *_OPTIONAL_EXTENSIONS],
    )
    versions = {row["name"]: row["installed_version"] or row["default_version"] for row in rows}
    vector = versions.get("vector")
    recent = vector is not None and tuple(map(int, vector.split(".")[:2])) >= _OLDEST_PGVECTOR
    yield Finding("pgvector", recent, vector or "missing", "install pgvector 0.8 or newer on the database server")
    offered = [name for name in _OPTIONAL_EXTENSIONS if name in versions]
    yield Finding("optional extensions", True, ", ".join(offered) or "none offered, none needed")
    try:
        waiting = await migrations.pending(dsn)
        yield Finding("schema", not waiting, "up to date" if not waiting else ", ".join(waiting), "run: gifty migrate")
    except migrations.MigrationError as error:
        yield Finding("schema", False, str(error), "run the version of Gifty that fits this database")
    broken = await database.fetch("SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid")
    names = ", ".join(row["name"] for row in broken)
    yield Finding("indexes", not broken, "all valid" if not broken else names, f"REINDEX INDEX CONCURRENTLY {names}")
    skew = abs((await database.fetchval("SELECT clock_timestamp()") - datetime.now(UTC)).total_seconds())
    yield Finding("clock", skew < _LARGEST_CLOCK_SKEW, f"{skew:.1f} s from the database's", "switch on NTP on both")
