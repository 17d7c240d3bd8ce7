"""Real PostgreSQL for every test: one server, templates made once, one fresh database per test that asks."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from blockbuster import blockbuster_ctx

from gifty.app import create_app
from gifty.catalog.importing import ImportRequest
from gifty.core.database import Database
from gifty.core.embedded import EmbeddedPostgres
from gifty.core.migrations import migrate
from gifty.ontology.loader import Ontology, load_ontology
from gifty.services import open_services
from gifty.settings import Settings, load_settings
from tests.fixtures.data import shared_data

Client: TypeAlias = TestClient[web.Request, web.Application]
Fill: TypeAlias = Callable[[str], Awaitable[object]]

_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
_TEMPLATE_LOCK = 0x74657374


def _in(dsn: str, name: str) -> str:
    return dsn.replace("/gifty?", f"/{name}?")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of one run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def server_dsn(shared_folder: Path) -> Iterator[str]:
    """The test server, shared by all workers of one run."""
    with asyncio.Runner() as runner:
        server = EmbeddedPostgres(shared_folder / "server", _FAST)
        runner.run(server.start())
        yield server.dsn
        runner.run(server.stop())


@pytest.fixture(scope="session")
def home(shared_folder: Path) -> Path:
    """A `GIFTY_HOME` for tests that bring their own database; what Gifty caches there is shared."""
    return shared_folder / "home"


def _settings(dsn: str, home: Path) -> Settings:
    environ = {
        "GIFTY_HOME": str(home),
        "DATABASE_URL": dsn,
        "GIFTY_RATE_LIMIT": "off",
        "GIFTY_CRAWL_ALLOW_PRIVATE": "on",
    }
    return load_settings(environ, dotenv=home / "none")


async def _make_template(server_dsn: str, name: str, fill: Fill) -> str:
    """A database filled once, however many workers ask."""
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _TEMPLATE_LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate", name):
            await connection.execute(f"CREATE DATABASE {name}")
            await fill(_in(server_dsn, name))
            await connection.execute(f"ALTER DATABASE {name} IS_TEMPLATE true")
    finally:
        await connection.close()
    return name


@pytest.fixture(scope="session")
def schema_template(server_dsn: str) -> str:
    """The schema alone."""
    return asyncio.run(_make_template(server_dsn, "gifty_schema", migrate))


@pytest.fixture(scope="session")
def starter_template(server_dsn: str, home: Path) -> str:
    """What a first start leaves behind: the schema and the starter catalogue."""

    async def start_once(dsn: str) -> None:
        async with open_services(_settings(dsn, home)):
            pass

    return asyncio.run(_make_template(server_dsn, "gifty_starter", start_once))


@pytest.fixture(scope="session")
def products_template(server_dsn: str, home: Path) -> str:
    """The same with 4,000 real products on top, read and ready to be found."""
    products = shared_data("takprodam_products.csv")

    async def import_products(dsn: str) -> None:
        async with open_services(_settings(dsn, home)) as services:
            await services.importer.run(ImportRequest(str(products)))
            await services.scoring.score_all()
            await services.embedding.catch_up()

    return asyncio.run(_make_template(server_dsn, "gifty_products", import_products))


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
async def empty_dsn(server_dsn: str) -> AsyncIterator[str]:
    """A database with nothing in it."""
    async for dsn in _fresh(server_dsn, "template1"):
        yield dsn


@pytest.fixture
async def dsn(server_dsn: str, schema_template: str) -> AsyncIterator[str]:
    """A migrated database of this test's own."""
    async for dsn in _fresh(server_dsn, schema_template):
        yield dsn


@pytest.fixture
async def starter_dsn(server_dsn: str, starter_template: str) -> AsyncIterator[str]:
    """A database as a first start leaves it."""
    async for dsn in _fresh(server_dsn, starter_template):
        yield dsn


@pytest.fixture
async def products_dsn(server_dsn: str, products_template: str) -> AsyncIterator[str]:
    """A database with 4,000 real products and the starter catalogue."""
    async for dsn in _fresh(server_dsn, products_template):
        yield dsn


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool on a fresh migrated database."""
    database = await Database.open(dsn, min_size=1, max_size=4)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def ontology(home: Path) -> Ontology:
    """The shipped knowledge, read once."""
    return load_ontology(cache=home / "cache")


@pytest.fixture
def known_ontology(ontology: Ontology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares each application of a test run the second that reading the knowledge takes."""
    monkeypatch.setattr("gifty.services.load_ontology", lambda **_options: ontology)


@pytest.fixture
def settings(starter_dsn: str, home: Path) -> Settings:
    """Settings of a development process on a database as a first start leaves it, without rate limits."""
    return _settings(starter_dsn, home)


@contextlib.contextmanager
def _no_blocking_calls() -> Iterator[None]:
    """Fails a test while our code, on the event loop, sleeps, reads a file or a socket, or starts a process."""
    with blockbuster_ctx(scanned_modules=["gifty", "actors"]) as guard:
        # asyncpg looks for ~/.pgpass whenever it connects.
        guard.functions["os.stat"].can_block_in("asyncpg/connect_utils.py", "_parse_connect_dsn_and_args")
        # What the kernel says of our process is in memory, not on a disk.
        for name in ("io.BufferedReader.read", "os.listdir", "os.stat"):
            guard.functions[name].can_block_in("prometheus_client/process_collector.py", "collect")
        yield


@pytest.fixture
async def client(
    settings: Settings, known_ontology: None, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> AsyncIterator[Client]:
    """A client of the whole application with the starter catalogue. Once started, it may not block the event loop."""
    client = await aiohttp_client(create_app(settings))
    with _no_blocking_calls():
        yield client


@pytest.fixture
async def products_client(
    products_dsn: str,
    home: Path,
    known_ontology: None,
    aiohttp_client: Callable[[web.Application], Awaitable[Client]],
) -> AsyncIterator[Client]:
    """A client of the whole application with 4,000 real products. Once started, it may not block the event loop."""
    client = await aiohttp_client(create_app(_settings(products_dsn, home)))
    with _no_blocking_calls():
        yield client
