"""Repeated requests, against a real database."""

import asyncio

import pytest
from aiohttp import web
from marshmallow import Schema, fields

from gifty.core.errors import Conflict, Unavailable
from gifty.core.http.answers import answer
from gifty.core.http.endpoint import body_of, endpoint, mark_effect
from gifty.core.http.idempotency.models import Claim, KeyedRequest, StoredAnswer
from gifty.core.http.idempotency.repository import IdempotencyRepository
from gifty.core.http.idempotency.service import IDEMPOTENCY, IdempotencyService
from tests.fixtures.http import StoppedClock, make_app, serving

WORK: web.AppKey["Work"] = web.AppKey("work")


class Work:
    """What the handler does, counted."""

    def __init__(self):
        self.done = 0
        self.failure = None
        self.marks = False
        self.gate = None


class Order(Schema):
    item = fields.String(required=True)
    count = fields.Integer(load_default=1)


class Receipt(Schema):
    number = fields.Integer()
    item = fields.String()


@endpoint("POST", "/api/orders", tag="T", summary="Order", body=Order, answers={201: Receipt}, idempotent=True)
async def order(request: web.Request) -> web.StreamResponse:
    work = request.app[WORK]
    work.done += 1
    if work.marks:
        mark_effect(request)
    if work.gate is not None:
        await work.gate.wait()
    if work.failure is not None:
        raise work.failure
    receipt = {"number": work.done, "item": body_of(request)["item"]}
    return answer(Receipt, receipt, status=201, headers={"Location": f"/api/orders/{work.done}"})


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def service(database, clock):
    return IdempotencyService(IdempotencyRepository(database), clock)


@pytest.fixture
async def client(service, clock, work):
    def prepare(app):
        app[IDEMPOTENCY] = service
        app[WORK] = work

    async with serving(make_app(order, clock=clock, prepare=prepare)) as client:
        yield client


async def post(client, body=None, key="k1", path="/api/orders", **headers):
    given = {**headers, **({"Idempotency-Key": key} if key else {})}
    response = await client.post(path, json=body or {"item": "cup"}, headers=given)
    return response, await response.read()


async def test_the_same_key_and_body_replay_the_first_answer(client, work):
    first, body = await post(client)
    again, same = await post(client, path="/api/v1/orders")
    assert (first.status, again.status, body) == (201, 201, same)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert work.done == 1


async def test_the_same_body_in_other_words_is_the_same(client, work):
    await client.post("/api/orders", data=b'{"item":"cup","count":2}', headers=_json("k1"))
    response = await client.post("/api/orders", data=b'{ "count": 2, "item": "cup" }', headers=_json("k1"))
    assert (response.status, work.done) == (201, 1)


def _json(key):
    return {"Content-Type": "application/json", "Idempotency-Key": key}


async def test_another_body_is_refused(client, work):
    await post(client)
    refused, body = await post(client, {"item": "plate"})
    assert refused.status == 422
    assert b"Idempotency-Key" in body
    assert work.done == 1


async def test_without_a_key_everything_is_done(client, work):
    await post(client, key=None)
    await post(client, key=None)
    assert work.done == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ключ"])
async def test_keys_that_cannot_be_keys(client, work, key):
    response = await client.post("/api/orders", json={"item": "cup"}, headers={"Idempotency-Key": key})
    assert (response.status, work.done) == (422, 0)


async def test_a_key_belongs_to_its_caller(client, work):
    await post(client, Authorization="Bearer one")
    await post(client, Authorization="Bearer two")
    await post(client, Cookie="gifty_session=three")
    await post(client)
    assert work.done == 4
    await post(client, Authorization="Bearer two")
    assert work.done == 4


async def test_a_duplicate_while_the_first_runs_gets_409(client, work):
    work.gate = asyncio.Event()
    first = asyncio.create_task(post(client))
    while not work.done:
        await asyncio.sleep(0.001)
    duplicate, _ = await post(client)
    assert duplicate.status == 409
    assert int(duplicate.headers["Retry-After"]) >= 1
    work.gate.set()
    assert (await first)[0].status == 201
    assert (await post(client))[0].headers["Idempotency-Replayed"] == "true"


async def test_of_many_at_once_one_is_done(client, work):
    answers = await asyncio.gather(*(post(client) for _ in range(12)))
    assert work.done == 1
    assert {response.status for response, _ in answers} <= {201, 409}


async def test_a_failure_before_an_effect_gives_the_key_back(client, work):
    for failure, status in ((Unavailable("away"), 503), (RuntimeError("bug"), 500)):
        work.failure = failure
        assert (await post(client))[0].status == status
    work.failure = None
    assert (await post(client))[0].status == 201
    assert work.done == 3


async def test_a_failure_after_an_effect_is_kept(client, work):
    work.marks, work.failure = True, RuntimeError("after the charge")
    first, body = await post(client)
    work.failure = None
    again, same = await post(client)
    assert (first.status, again.status, work.done) == (500, 500, 1)
    assert body == same


async def test_a_refusal_by_the_rules_is_kept(client, work):
    work.failure = Conflict("sold out")
    first, body = await post(client)
    work.failure = None
    again, same = await post(client)
    assert (first.status, again.status, work.done) == (409, 409, 1)
    assert body == same


async def test_a_body_that_is_wrong_uses_no_key(client, work):
    response = await client.post("/api/orders", data=b"{}", headers=_json("k1"))
    assert response.status == 422
    assert (await post(client))[0].status == 201


async def test_keys_expire_after_a_day(client, clock, work, service, database):
    await post(client)
    clock.advance(23.9 * 3600)
    await post(client)
    assert work.done == 1
    clock.advance(0.2 * 3600)
    await post(client, {"item": "plate"})
    assert work.done == 2
    clock.advance(25 * 3600)
    assert await service.purge() == 1
    assert await database.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_a_dead_process_loses_the_key_when_its_lease_ends(service, clock):
    request = KeyedRequest("scope", "key", b"fingerprint")
    dead = await service.begin(request)
    with pytest.raises(Conflict):
        await service.begin(request)
    clock.advance(61)
    alive = await service.begin(request)
    assert isinstance(alive, Claim)
    # The dead one wakes up late: it must not overwrite what the living one does.
    await service.end(dead, StoredAnswer(201, {}, b"late"), effect=False)
    await service.end(alive, StoredAnswer(201, {}, b"right"), effect=False)
    assert await service.begin(request) == StoredAnswer(201, {}, b"right")


async def test_an_app_without_a_store_does_not_start():
    runner = web.AppRunner(make_app(order))
    with pytest.raises(RuntimeError, match="POST /api/orders"):
        await runner.setup()
    await runner.cleanup()
