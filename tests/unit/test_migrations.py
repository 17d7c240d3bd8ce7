import asyncio

import asyncpg
import pytest

from gifty.core import migrations
from gifty.core.migrations import Migration, MigrationError, migrate, pending, shipped


async def test_a_new_database_gets_every_migration_once(empty_dsn: str) -> None:
    names = [migration.name for migration in shipped()]
    assert await pending(empty_dsn) == names
    assert await migrate(empty_dsn) == names
    assert await pending(empty_dsn) == []
    assert await migrate(empty_dsn) == []


async def test_processes_that_start_together_apply_each_migration_once(empty_dsn: str) -> None:
    results = await asyncio.gather(*(migrate(empty_dsn) for _ in range(4)))
    assert sorted(map(len, results)) == [0, 0, 0, len(shipped())]


async def test_an_edited_migration_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = shipped()
    monkeypatch.setattr(migrations, "shipped", lambda: [Migration(first.name, first.sql + "\n-- edited"), *rest])
    with pytest.raises(MigrationError, match="was changed after it had been applied"):
        await pending(dsn)


async def test_a_database_of_a_newer_version_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "shipped", lambda: shipped()[:-1])
    with pytest.raises(MigrationError, match="ahead of this version"):
        await pending(dsn)


async def test_a_failed_migration_leaves_nothing_behind(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Migration("9999_broken.sql", "CREATE TABLE half (id int); SELECT 1 / 0;")
    everything = [*shipped(), broken]
    monkeypatch.setattr(migrations, "shipped", lambda: everything)
    with pytest.raises(MigrationError, match=r"9999_broken\.sql: division by zero"):
        await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    await connection.close()


async def test_an_unreachable_database_is_a_clear_error() -> None:
    with pytest.raises(MigrationError, match="not reachable"):
        await migrate("postgresql://nobody@127.0.0.1:1/none")
