"""The document, its pages, conditional GET, health and measurements."""

import asyncio
import contextlib
import json
import re

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, validate
from openapi_spec_validator import validate as validate_document

from gifty.core.errors import NotFound
from gifty.core.http import NotReady, Readiness, Runner
from gifty.core.http.answers import answer
from gifty.core.http.endpoint import Limit, Media, endpoint, path_of, query_of, route_of
from gifty.core.http.openapi import build_document, undocumented
from gifty.core.metrics import Metrics
from tests.fixtures.http import StoppedClock, make_app, serving


class Cup(Schema):
    cup_id = fields.String(required=True)
    price = fields.Decimal(allow_none=True)
    made_at = fields.DateTime()


class Cups(Schema):
    cups = fields.List(fields.Nested(Cup), required=True)


class CupQuery(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    material = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(["clay", "glass"]))
    tags = fields.List(fields.String())


class CupPath(Schema):
    number = fields.Integer(required=True)


class NewCup(Schema):
    price = fields.Decimal(required=True)
    note = fields.String(allow_none=True, load_default=None)


@endpoint(
    "GET",
    "/api/cups",
    tag="Cups",
    summary="List",
    query=CupQuery,
    answers={200: Cups},
    etag="weak",
    cache="public, max-age=60",
)
async def list_cups(request: web.Request) -> web.StreamResponse:
    return answer(Cups, {"cups": [{"cup_id": str(n)} for n in range(query_of(request)["limit"])]})


@endpoint(
    "GET",
    "/api/cups/{number}",
    tag="Cups",
    summary="One",
    path_schema=CupPath,
    answers={200: Cup},
    errors=(404,),
    etag="strong",
)
async def get_cup(request: web.Request) -> web.StreamResponse:
    number = path_of(request)["number"]
    if number > 9:
        raise NotFound("no such cup")
    response = answer(Cup, {"cup_id": str(number)})
    if number == 7:
        response.headers["ETag"] = '"seven,really"'
    return response


@endpoint(
    "POST",
    "/api/cups",
    tag="Cups",
    summary="Make",
    body=NewCup,
    answers={201: Cup},
    limit=Limit(5, 60),
    security=("giverSession", "giverBearer"),
)
async def make_cup(request: web.Request) -> web.StreamResponse:
    return answer(Cup, {"cup_id": "1"}, status=201)


@endpoint("DELETE", "/api/cups/{number:[0-9]{1,3}}", tag="Cups", summary="Break", answers={204: None})
async def break_cup(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


@endpoint("GET", "/", tag="Pages", summary="A page", answers={200: Media("text/html", "A page")})
async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<!doctype html>", content_type="text/html")


@endpoint("GET", "/api/odd", tag="Cups", summary="Odd", answers={200: Cup})
async def odd(request: web.Request) -> web.StreamResponse:
    return web.Response(status=418)


ROUTES = (list_cups, get_cup, make_cup, break_cup, page, odd)


async def test_the_document_is_valid_and_complete():
    app = make_app(*ROUTES)
    document = build_document(app)
    validate_document(document)
    assert document["openapi"] == "3.1.0"
    assert undocumented(app) == []
    for route in (*ROUTES,):
        declared = route_of(route)
        operation = document["paths"][declared.path.replace(":[0-9]{1,3}", "")][declared.method.lower()]
        assert {int(status) for status in operation["responses"]} == declared.statuses
        for status in declared.errors:
            content = operation["responses"][str(status)]["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}
    assert set(document["paths"]) >= {"/api/health", "/api/ready", "/metrics", "/openapi.json", "/api/docs"}
    assert document["paths"]["/api/cups"]["post"]["security"] == [{"giverSession": []}, {"giverBearer": []}]
    assert document["components"]["schemas"]["Cup"]["properties"]["price"]["type"] == ["number", "null"]


async def test_the_served_document_is_the_built_one_and_conditional():
    app = make_app(*ROUTES)
    async with serving(app) as client:
        responses = await asyncio.gather(*(client.get("/openapi.json") for _ in range(4)))
        assert await responses[0].json() == build_document(app)
        tag = responses[0].headers["ETag"]
        assert (await client.get("/openapi.json", headers={"If-None-Match": tag})).status == 304


async def test_a_route_without_a_declaration_is_noticed():
    async def bare(request: web.Request) -> web.StreamResponse:
        return web.Response()

    app = make_app(*ROUTES)
    app.router.add_get("/bare", bare)
    assert undocumented(app) == ["GET /bare"]
    with pytest.raises(ValueError, match="not declared"):
        make_app(bare)
    with pytest.raises(ValueError, match="declared twice"):
        make_app(list_cups, list_cups)


async def test_answers_that_the_document_lacks_are_counted():
    async with serving(make_app(*ROUTES)) as client:
        await client.get("/api/odd")
        assert "gifty_http_undocumented_total 1.0" in await (await client.get("/metrics")).text()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "HEAD"]),
    path=st.sampled_from(["/api/cups", "/api/v1/cups", "/api/cups/7", "/api/cups/77", "/api/cups/x", "/api/cups/%00"]),
    query=st.dictionaries(
        st.sampled_from(["limit", "material", "tags", "x", "utm_a"]), st.text(max_size=5), max_size=3
    ),
    body=st.binary(max_size=20) | st.sampled_from([b"{}", b'{"price": 1}', b'{"price": "x"}', b'{"price": 1, "x": 2}']),
    content_type=st.sampled_from(["application/json", "text/plain", "", "application/x+json"]),
)
def test_behaviour_and_document_agree(method, path, query, body, content_type):
    asyncio.run(_ask_and_compare(method, path, query, body, content_type))


async def _ask_and_compare(method, path, query, body, content_type):
    app = make_app(*ROUTES)
    paths = build_document(app)["paths"]
    async with serving(app) as client:
        sent = {} if method in {"GET", "HEAD"} else {"data": body, "headers": {"Content-Type": content_type}}
        response = await client.request(method, path, params=query, **sent)
        template = "/api/cups" if path.endswith("/cups") else "/api/cups/{number}"
        operation = paths[template].get("get" if method == "HEAD" else method.lower())
        if operation is None or response.status in {404, 405}:
            assert response.status in {404, 405}
        else:
            assert str(response.status) in operation["responses"]
        if response.status >= 400 and method != "HEAD":
            assert (await response.json())["error"]["request_id"] == response.headers["X-Request-ID"]


async def test_conditional_get():
    async with serving(make_app(*ROUTES)) as client:
        first = await client.get("/api/cups")
        tag = first.headers["ETag"]
        assert tag.startswith('W/"')
        assert first.headers["Cache-Control"] == "public, max-age=60"
        opaque = tag.removeprefix("W/")
        for match in (tag, opaque, f'"other", {tag}', f'"a,b" , {opaque}', "*"):
            for method in ("GET", "HEAD"):
                same = await client.request(method, "/api/v1/cups", headers={"If-None-Match": match})
                assert same.status == 304, match
                assert await same.read() == b""
                assert same.headers["ETag"] == tag
                assert same.headers["Cache-Control"] == "public, max-age=60"
                assert "Content-Type" not in same.headers
        for other in ('"other"', "garbage", "", 'W/"x'):
            assert (await client.get("/api/cups", headers={"If-None-Match": other})).status == 200
        assert (await client.get("/api/cups?limit=3", headers={"If-None-Match": tag})).status == 200
        strong = (await client.get("/api/cups/1")).headers["ETag"]
        assert strong.startswith('"')
        assert (await client.get("/api/cups/7")).headers["ETag"] == '"seven,really"'
        assert (await client.get("/api/cups/7", headers={"If-None-Match": '"seven,really"'})).status == 304
        assert (await client.get("/api/cups/77", headers={"If-None-Match": "*"})).status == 404


async def test_the_pages_of_the_document_need_nothing_from_elsewhere():
    async with serving(make_app(*ROUTES)) as client:
        for path in ("/api/docs", "/api/v1/docs"):
            text = await (await client.get(path)).text()
            assert "//" not in text.replace("<!doctype", "")
            assert "<script>" not in text
            assert "<style" not in text
        for path in ("swagger-ui-bundle.js", "swagger-ui.css", "LICENSE"):
            assert (await client.get(f"/api/docs/assets/{path}")).status == 200
        assert "/openapi.json" in await (await client.get("/api/docs/start.js")).text()
        assert (await client.get("/api/docs/assets/../../../settings.py")).status == 404
        assert (await client.get("/api/docs/assets/%2e%2e/%2e%2e/__init__.py")).status in {403, 404}


async def test_health():
    clock = StoppedClock()
    async with serving(make_app(clock=clock)) as client:
        clock.advance(12.5)
        answered = await (await client.get("/api/v1/health")).json()
        assert answered["status"] == "ok"
        assert answered["version"]
        assert answered["uptime_seconds"] == 12.5


async def test_readiness_names_each_check():
    clock = StoppedClock()
    readiness = Readiness(clock)
    state = {"database": "ok"}

    async def database() -> str:
        if state["database"] != "ok":
            raise NotReady(state["database"])
        return "18.4, 2 of 8 connections"

    async def crashing() -> str:
        raise RuntimeError("dsn=postgres://user:pass@host")

    async def hanging() -> str:
        await asyncio.Event().wait()
        return "never"

    readiness.add("database", database)
    async with serving(make_app(clock=clock, readiness=readiness)) as client:
        response = await client.get("/api/ready")
        assert response.status == 200
        assert (await response.json())["checks"][0]["detail"].startswith("18.4")
        state["database"] = "the database is not reachable"
        assert (await client.get("/api/ready")).status == 200
        clock.advance(1)
        response = await client.get("/api/ready")
        assert response.status == 503
        readiness.add("actors", crashing)
        readiness.add("slow", hanging, seconds=0.01)
        response = await client.get("/api/ready")
        checks = {check["name"]: check for check in (await response.json())["checks"]}
        assert [checks[name]["ready"] for name in ("database", "actors", "slow")] == [False, False, False]
        assert "pass" not in checks["actors"]["detail"]
        assert "0.01 s" in checks["slow"]["detail"]


async def test_measurements_go_by_route_and_not_by_path():
    metrics = Metrics()
    async with serving(make_app(*ROUTES, metrics=metrics)) as client:
        for number in range(5):
            await client.get(f"/api/v1/cups/{number}")
            await client.get(f"/nowhere/{number}")
        text = await (await client.get("/metrics")).text()
        assert 'gifty_http_request_seconds_count{method="GET",route="/api/cups/{number}",status="200"} 5.0' in text
        assert 'gifty_http_request_seconds_count{method="GET",route="unmatched",status="404"} 5.0' in text
        assert "/nowhere/3" not in text
        for name in ("gifty_http_in_flight 1.0", "gifty_loop_lag_seconds", "process_resident_memory_bytes"):
            assert name in text


@contextlib.asynccontextmanager
async def _connected(app):
    runner = Runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n", 400),
        (b"POST /api/cups HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /api/cups HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\n\r\n", 417),
        (b"GET /none HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\n\r\n", 417),
        (b"POST /api/cups HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", 413),
    ],
)
async def test_what_is_no_http_gets_the_envelope_too(sent, status):
    async with _connected(make_app(*ROUTES)) as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.split(b" ")[1] == b"%d" % status, head
        assert b"application/json" in head
        assert b"X-Request-ID: " in head
        assert b"nosniff" in head
        body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split(b"\r\n", maxsplit=1)[0]))
        assert body.startswith(b'{"error":{"type":')
        assert re.findall(rb"X-Request-ID: (\S+)", head) == [json.loads(body)["error"]["request_id"].encode()]


async def test_100_continue():
    async with _connected(make_app(*ROUTES)) as (reader, writer):
        writer.write(
            b"POST /api/cups HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"price": 1}')
        assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
