"""Real PostgreSQL for every test: one server, one migrated template, one fresh database per test that asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from gifty.app import create_app
from gifty.core.database import Database
from gifty.core.embedded import EmbeddedPostgres
from gifty.core.migrations import migrate
from gifty.settings import Settings, load_settings

Client: TypeAlias = TestClient[web.Request, web.Application]

_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
_TEMPLATE_LOCK = 0x74657374


def _in(dsn: str, name: str) -> str:
    return dsn.replace("/gifty?", f"/{name}?")


@pytest.fixture(scope="session")
def server_dsn(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The test server, shared by all workers of one run."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "server"
    with asyncio.Runner() as runner:
        server = EmbeddedPostgres(home, _FAST)
        runner.run(server.start())
        yield server.dsn
        runner.run(server.stop())


async def _make_template(dsn: str) -> str:
    """A database with the shipped schema, made once however many workers ask."""
    name = "gifty_template"
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _TEMPLATE_LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate", name):
            await connection.execute(f"CREATE DATABASE {name}")
            await migrate(_in(dsn, name))
            await connection.execute(f"ALTER DATABASE {name} IS_TEMPLATE true")
    finally:
        await connection.close()
    return name


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """The name of the migrated template database."""
    return asyncio.run(_make_template(server_dsn))


@pytest.fixture
async def empty_dsn(server_dsn: str) -> AsyncIterator[str]:
    """A database with nothing in it."""
    async for dsn in _fresh(server_dsn, "template1"):
        yield dsn


@pytest.fixture
async def dsn(server_dsn: str, template: str) -> AsyncIterator[str]:
    """A migrated database of this test's own."""
    async for dsn in _fresh(server_dsn, template):
        yield dsn


async def _fresh(server_dsn: str, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield _in(server_dsn, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool on a fresh migrated database."""
    database = await Database.open(dsn, min_size=1, max_size=4)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `GIFTY_HOME` for tests that bring their own database; what Gifty caches there is shared."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def settings(dsn: str, home: Path) -> Settings:
    """Settings of a development process on this test's database, without rate limits."""
    environ = {
        "GIFTY_HOME": str(home),
        "DATABASE_URL": dsn,
        "GIFTY_RATE_LIMIT": "off",
        "GIFTY_CRAWL_ALLOW_PRIVATE": "on",
    }
    return load_settings(environ, dotenv=home / "none")


@pytest.fixture
async def client(settings: Settings, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> Client:
    """A client of the whole application."""
    return await aiohttp_client(create_app(settings))
