"""The database goes away under load, and comes back."""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from actors.dead_letters import Replay
from actors.runtime import ActorSnapshot, ActorSystem
from actors.scorer import ScoreGifts
from gifty.app import ACTORS, SERVICES, create_app
from gifty.catalog.messages import CatalogueChanged
from gifty.settings import Settings
from tests.fixtures.outage import Proxy, proxied


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[Proxy]:
    assert settings.database_url
    async with proxied(settings.database_url) as proxy:
        yield proxy


@pytest.fixture
async def client(
    settings: Settings,
    proxy: Proxy,
    known_ontology: None,
    aiohttp_client: Callable[[web.Application], Awaitable[TestClient]],
) -> TestClient:
    return await aiohttp_client(create_app(dataclasses.replace(settings, database_url=proxy.dsn)))


async def ask(client: TestClient, number: int) -> int:
    """One request; checks that a failure is an envelope that says nothing of the inside."""
    if number % 2:
        answer = await client.get("/api/v1/gifts", params={"query": f"чай {number}", "limit": "3"})
    else:
        answer = await client.post("/api/v1/recommendations/generate", json={"recipient_age": 20 + number % 50})
    body = await answer.json()
    if answer.status != 200:
        assert answer.status == 503, body
        assert body["error"]["type"] == "unavailable"
        assert body["error"]["request_id"] == answer.headers["X-Request-ID"]
        assert "asyncpg" not in body["error"]["message"]
    return answer.status


async def load(client: TestClient, requests: int) -> Counter[int]:
    """Sixteen clients at once."""
    limit = asyncio.Semaphore(16)

    async def one(number: int) -> int:
        async with limit:
            return await ask(client, number)

    return Counter(await asyncio.gather(*(one(number) for number in range(requests))))


async def until_ready(client: TestClient) -> None:
    while (await client.get("/api/ready")).status != 200:
        await asyncio.sleep(0.05)


async def test_an_outage_is_a_503_and_is_over_soon_after_the_database_is_back(client: TestClient, proxy: Proxy) -> None:
    assert await load(client, 40) == {200: 40}

    under_load = asyncio.create_task(load(client, 200))
    await asyncio.sleep(0)
    await proxy.down()
    statuses = await under_load
    assert set(statuses) <= {200, 503}
    assert statuses[503] > 100
    assert (await client.get("/api/ready")).status == 503
    assert (await client.get("/api/health")).status == 200

    await proxy.up()
    async with asyncio.timeout(5):
        await until_ready(client)
        assert await load(client, 40) == {200: 40}

    pool = client.app[SERVICES].database._pool
    async with asyncio.timeout(5):
        while pool.get_size() != pool.get_idle_size():
            await asyncio.sleep(0.05)
    assert pool.get_size() <= pool.get_max_size()


def leaves(actor: ActorSnapshot) -> Iterator[ActorSnapshot]:
    if not actor.children:
        yield actor
    for child in actor.children:
        yield from leaves(child)


async def until_done(system: ActorSystem) -> None:
    async with asyncio.timeout(20):
        while any(leaf.mailbox_depth or leaf.state != "running" for leaf in leaves(system.tree())):
            await asyncio.sleep(0.01)


async def test_the_actors_live_through_an_outage(client: TestClient, proxy: Proxy) -> None:
    system = client.app[ACTORS]
    news = {
        "/catalogue/embedder": CatalogueChanged(),
        "/catalogue/scorer": ScoreGifts(),
        "/operations/postmaster": Replay(),
    }
    await proxy.down()
    assert await load(client, 20) == {503: 20}
    for _ in range(8):  # more often than a supervisor forgives
        for path, message in news.items():
            await system.ref(path).tell(message)
        await until_done(system)
    assert {leaf.path: leaf.failed for leaf in leaves(system.tree())} == dict.fromkeys([*news, "/catalogue/herald"], 0)
    await proxy.up()
    async with asyncio.timeout(10):
        await until_ready(client)
    findings = (await (await client.get("/api/ready")).json())["checks"]
    assert all(finding["ready"] for finding in findings)
