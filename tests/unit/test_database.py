"""The pool and its listeners on a real server."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from gifty.core import database as module
from gifty.core.database import Database, DatabaseUnavailable
from tests.fixtures.outage import proxied


async def next_of(heard: asyncio.Queue[str], database: Database, payload: str) -> str:
    """What is heard once somebody listens again; a notification that nobody hears is gone."""
    async with asyncio.timeout(10):
        while heard.empty():
            await database.notify("news", payload)
            await asyncio.sleep(0.02)
    return heard.get_nowait()


async def test_a_listener_hears_again_after_its_connection_was_lost(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with proxied(dsn) as proxy:
        listening = await Database.open(proxy.dsn, min_size=1, max_size=1)
        listening.listen("news", heard.put_nowait, retry_seconds=0.01)
        assert await next_of(heard, database, "first") == "first"
        await proxy.down()
        await asyncio.sleep(0.05)
        await proxy.up()
        while not heard.empty():
            heard.get_nowait()
        assert await next_of(heard, database, "second") == "second"
        await listening.close()


async def test_no_failure_to_connect_ends_a_listener(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, failures = asyncpg.connect, [asyncpg.InvalidCatalogNameError("gone"), asyncpg.InsufficientPrivilegeError()]

    async def fails_at_first(*arguments: object, **options: object) -> asyncpg.Connection:
        if failures:
            raise failures.pop()
        return await connect(*arguments, **options)

    monkeypatch.setattr(asyncpg, "connect", fails_at_first)
    heard: asyncio.Queue[str] = asyncio.Queue()
    task = database.listen("news", heard.put_nowait, retry_seconds=0.01)
    assert await next_of(heard, database, "news") == "news"
    assert not failures
    assert not task.done()


async def test_a_server_that_is_too_old_leaves_no_connection_behind(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MINIMUM_SERVER_VERSION", (99, 0))
    async with proxied(dsn) as proxy:
        with pytest.raises(DatabaseUnavailable, match="too old; Gifty needs 99"):
            await Database.open(proxy.dsn)
        async with asyncio.timeout(5):
            while proxy.connections:
                await asyncio.sleep(0.01)


async def test_closing_does_not_wait_for_a_busy_connection(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    database = await Database.open(dsn, min_size=1, max_size=1)
    busy = asyncio.create_task(database.fetchval("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await database.close()
        with pytest.raises(DatabaseUnavailable):
            await busy


@pytest.mark.parametrize("error", [FileNotFoundError("feed"), TimeoutError("shop"), asyncpg.InterfaceError("mine")])
async def test_the_troubles_of_those_who_hold_a_connection_stay_their_own(database: Database, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        async with database.transaction():
            raise error
    assert caught.value is error


async def held(database: Database, *statements: str | Callable[[], Awaitable[object]]) -> None:
    """Runs statements, and what happens between them, on one connection."""
    async with database.transaction() as connection:
        for statement in statements:
            await (connection.execute(statement) if isinstance(statement, str) else statement())


async def test_a_connection_that_is_lost_while_held_is_unavailable(dsn: str) -> None:
    async with proxied(dsn) as proxy:
        database = await Database.open(proxy.dsn, min_size=1, max_size=1)
        with pytest.raises(DatabaseUnavailable, match="not reachable"):
            await held(database, "SELECT 1", proxy.down, "SELECT 1")
        with pytest.raises(DatabaseUnavailable, match="not reachable"):
            await held(database)
        await database.close()


async def test_a_server_that_ends_a_held_connection_is_unavailable(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await held(database, "SELECT pg_terminate_backend(pg_backend_pid())")


async def test_a_statement_that_takes_too_long_is_unavailable(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.fetchval("SELECT pg_sleep(60)", timeout=0.05)
    with pytest.raises(DatabaseUnavailable, match="too long"):
        await held(database, "SET LOCAL statement_timeout = 20", "SELECT pg_sleep(60)")
