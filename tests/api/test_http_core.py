"""The HTTP core from outside: addresses, ids, errors, headers."""

import asyncio
import re

import pytest
from aiohttp import web
from marshmallow import Schema, fields, validate

from gifty.core.errors import Conflict, NotFound, Unavailable
from gifty.core.http.answers import answer, json_answer, no_content
from gifty.core.http.deadlines import SWEEP_SECONDS
from gifty.core.http.endpoint import body_of, endpoint, path_of, query_of, request_id_of
from tests.fixtures.http import StoppedClock, make_app, serving


class Thing(Schema):
    name = fields.String(required=True)


class ThingQuery(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    tag = fields.List(fields.String())
    query = fields.String()


class Inner(Schema):
    tags = fields.List(fields.String(validate=validate.OneOf(["a", "b"])))


class NewThing(Schema):
    name = fields.String(required=True, validate=validate.Length(max=100))
    age = fields.Integer(strict=True, validate=validate.Range(0, 120))
    constraints = fields.Nested(Inner)


@endpoint("GET", "/api/things", tag="Things", summary="List", query=ThingQuery, answers={200: Thing})
async def list_things(request: web.Request) -> web.StreamResponse:
    return json_answer(query_of(request))


@endpoint("POST", "/api/things", tag="Things", summary="Make", body=NewThing, answers={201: Thing}, body_limit=10_000)
async def make_thing(request: web.Request) -> web.StreamResponse:
    return answer(Thing, body_of(request), status=201)


@endpoint("GET", "/api/things/{name}", tag="Things", summary="One", answers={200: Thing}, errors=(404, 409))
async def get_thing(request: web.Request) -> web.StreamResponse:
    name = path_of(request)["name"]
    if name == "missing":
        raise NotFound("no such thing")
    if name == "busy":
        raise Conflict("busy")
    if name == "down":
        raise Unavailable("the database is not reachable")
    if name == "broken":
        raise RuntimeError("password=hunter2 in /secret/path")
    if name == "teapot":
        raise web.HTTPFound("/api/things")
    return answer(Thing, {"name": name, "hidden": "never"})


@endpoint("DELETE", "/api/things/{name}", tag="Things", summary="Drop", answers={204: None})
async def drop_thing(request: web.Request) -> web.StreamResponse:
    return no_content()


@endpoint("GET", "/api/internal/ids", tag="Things", summary="Id", answers={200: Thing})
async def show_id(request: web.Request) -> web.StreamResponse:
    return answer(Thing, {"name": request_id_of(request)})


@endpoint("GET", "/api/slow", tag="Things", summary="Slow", answers={200: Thing}, seconds=5)
async def slow(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return no_content()


@endpoint("GET", "/api/stream", tag="Things", summary="Stream", answers={200: None}, streams=True)
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"data: 1\n\n")
    return response


ROUTES = (list_things, make_thing, get_thing, drop_thing, show_id, slow, stream)


async def test_both_prefixes_give_the_same_answers():
    pairs = [
        ("GET", "/things?limit=3"),
        ("GET", "/things?limit=0"),
        ("GET", "/things/cup"),
        ("GET", "/things/a%2Fb%20c"),
        ("GET", "/things/missing"),
        ("GET", "/nothing/here"),
        ("PUT", "/things"),
        ("OPTIONS", "/things"),
        ("HEAD", "/things/cup"),
        ("DELETE", "/things/cup"),
    ]
    async with serving(make_app(*ROUTES)) as client:
        for method, path in pairs:
            seen = []
            for prefix in ("/api", "/api/v1"):
                response = await client.request(method, prefix + path, headers={"X-Request-ID": "same"})
                kept = {name: value for name, value in response.headers.items() if name != "Date"}
                seen.append((response.status, await response.read(), kept))
            assert seen[0] == seen[1], (method, path)


async def test_internal_is_an_alias_and_aliases_do_not_stack():
    async with serving(make_app(*ROUTES)) as client:
        for path in ("/internal/ids", "/api/internal/ids", "/api/v1/internal/ids"):
            assert (await client.get(path)).status == 200, path
        for path in ("/api/v1/v1/things", "/api/v1", "/api/v1/", "/internal", "/api/v2/things", "/v1/things"):
            assert (await client.get(path)).status == 404, path


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("PATCH", "/api/things", 405, "method_not_allowed"),
        ("GET", "/api/things/missing", 404, "not_found"),
        ("GET", "/api/things/busy", 409, "conflict"),
        ("GET", "/api/things/down", 503, "unavailable"),
        ("GET", "/api/things/broken", 500, "internal_error"),
        ("GET", "/api/things?limit=many", 422, "validation_error"),
    ],
)
async def test_every_failure_has_the_envelope(method, path, status, kind):
    async with serving(make_app(*ROUTES)) as client:
        response = await client.request(method, path)
        assert response.status == status
        assert response.content_type == "application/json"
        error = (await response.json())["error"]
        assert error["type"] == kind
        assert error["message"]
        assert error["request_id"] == response.headers["X-Request-ID"]
        assert response.headers["Cache-Control"] == "no-store"
        assert "Content-Security-Policy" in response.headers


async def test_what_is_away_is_one_warning_without_a_traceback(caplog):
    async with serving(make_app(*ROUTES)) as client:
        assert (await client.get("/api/things/down")).status == 503
    (record,) = [record for record in caplog.records if record.getMessage() == "the database is not reachable"]
    assert (record.levelname, record.exc_info) == ("WARNING", None)


async def test_a_crash_tells_nothing_of_itself(caplog):
    async with serving(make_app(*ROUTES)) as client:
        text = await (await client.get("/api/things/broken")).text()
        assert "hunter2" not in text
        assert "RuntimeError" not in text
        assert "hunter2" in caplog.text


async def test_405_and_options_say_what_is_allowed():
    async with serving(make_app(*ROUTES)) as client:
        response = await client.put("/api/things")
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
        response = await client.options("/api/things")
        assert (response.status, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert (await client.options("/api/nothing")).status == 404


async def test_head_has_the_headers_of_get_and_no_body():
    async with serving(make_app(*ROUTES)) as client:
        got, head = await client.get("/api/things/cup"), await client.head("/api/things/cup")
        assert head.status == 200
        assert await head.read() == b""
        assert head.headers["Content-Length"] == got.headers["Content-Length"]


async def test_redirects_stay_redirects():
    async with serving(make_app(*ROUTES)) as client:
        response = await client.get("/api/things/teapot", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/api/things")


async def test_request_ids_are_taken_when_sane_and_new_otherwise():
    async with serving(make_app(*ROUTES)) as client:
        response = await client.get("/internal/ids", headers={"X-Request-ID": "abc-123.X"})
        assert response.headers["X-Request-ID"] == "abc-123.X"
        assert (await response.json())["name"] == "abc-123.X"
        ids = set()
        for given in ("", "a b", "x" * 65, "<script>", "й"):
            response = await client.get("/internal/ids", headers={"X-Request-ID": given})
            assert re.fullmatch(r"req_[0-9a-f]{10}_[0-9]+", response.headers["X-Request-ID"])
            ids.add(response.headers["X-Request-ID"])
        assert len(ids) == 5


async def test_security_headers_are_everywhere_and_hsts_in_production_only():
    for production in (False, True):
        async with serving(make_app(*ROUTES, production=production)) as client:
            for path in ("/api/things/cup", "/api/nothing", "/api/docs", "/api/stream"):
                headers = (await client.get(path)).headers
                assert "script-src 'self'" in headers["Content-Security-Policy"]
                assert "unsafe" not in headers["Content-Security-Policy"]
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"]
                assert headers["Permissions-Policy"]
                assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert headers["Server"] == "gifty"
                assert ("Strict-Transport-Security" in headers) == production


async def test_only_declared_fields_leave():
    async with serving(make_app(*ROUTES)) as client:
        assert await (await client.get("/api/things/cup")).json() == {"name": "cup"}


async def test_query_defaults_lists_and_empty_values():
    async with serving(make_app(*ROUTES)) as client:
        response = await client.get("/api/things?tag=a&tag=b&query=&limit=5")
        assert await response.json() == {"limit": 5, "tag": ["a", "b"]}
        assert await (await client.get("/api/things")).json() == {"limit": 20}


async def test_tracking_parameters_are_passed_over_and_unknown_ones_named():
    async with serving(make_app(*ROUTES)) as client:
        assert (await client.get("/api/things?utm_source=x&gclid=1&fbclid=2&yclid=3&_=4")).status == 200
        response = await client.get("/api/things?lmit=3&limit=0")
        details = (await response.json())["error"]["details"]
        assert set(details) == {"lmit", "limit"}
        assert "limit, query, tag" in details["lmit"][0]


@pytest.mark.parametrize(
    "query", ["limit=1&limit=2", "query=a%00b", "limit=1e9", "limit=99999999999999999999", "limit=-1"]
)
async def test_queries_that_cannot_be_meant(query):
    async with serving(make_app(*ROUTES)) as client:
        response = await client.get(f"/api/things?{query}")
        assert response.status == 422
        assert query.partition("=")[0] in (await response.json())["error"]["details"]


async def test_nul_in_the_address_is_named():
    async with serving(make_app(*ROUTES)) as client:
        response = await client.get("/api/things/a%00b")
        assert response.status == 422
        assert "name" in (await response.json())["error"]["details"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b'{"name": "cup"}', 201, None),
        (b"", 422, "name"),
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b'{"name": NaN}', 400, None),
        (b'{"name": "\\ud800"}', 400, None),
        (b'{"age": 1e400, "name": "x"}', 400, None),
        (b"[" * 5000, 400, None),
        (b"[]", 422, "body"),
        (b"null", 422, "body"),
        (b'"text"', 422, "body"),
        (b'{"name": "cup", "nmae": 1}', 422, "nmae"),
        (b'{"name": "cup", "age": -5}', 422, "age"),
        (b'{"name": "cup", "age": 1.5}', 422, "age"),
        (b'{"name": "a\\u0000b"}', 422, "name"),
        (b'{"name": "cup", "constraints": {"tags": ["a", "z"]}}', 422, "constraints.tags.1"),
        (b'{"name": "cup", "constraints": []}', 422, "constraints"),
        (b'{"name": "' + b"x" * 9000 + b'"}', 422, "name"),
        (b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}", 422, None),
        (b'{"name": "cup", "constraints": {"tags": [' + b'"a",' * 2000 + b'"a"]}}', 422, "body"),
        (b'{"name": "' + b"x" * 10_000 + b'"}', 413, None),
    ],
)
async def test_bodies(body, status, field):
    async with serving(make_app(*ROUTES)) as client:
        response = await client.post("/api/things", data=body, headers={"Content-Type": "application/json"})
        answered = await response.json()
        assert response.status == status, answered
        if field:
            assert field in answered["error"]["details"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=UTF-8", 201),
        ("application/merge-patch+json", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=koi8-r", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
async def test_content_types(content_type, status):
    async with serving(make_app(*ROUTES)) as client:
        response = await client.post("/api/things", data=b'{"name": "cup"}', headers={"Content-Type": content_type})
        assert response.status == status


async def test_a_body_without_a_length_is_limited_too():
    async def endless():
        for _ in range(100):
            yield b" " * 1000

    async with serving(make_app(*ROUTES)) as client:
        headers = {"Content-Type": "application/json"}
        assert (await client.post("/api/things", data=endless(), headers=headers)).status == 413


async def test_a_compressed_bomb_is_measured_unpacked():
    import zlib  # noqa: PLC0415

    packed = zlib.compress(b" " * 5_000_000)
    assert len(packed) < 10_000
    async with serving(make_app(*ROUTES)) as client:
        headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
        assert (await client.post("/api/things", data=packed, headers=headers)).status == 413


async def test_a_handler_that_takes_too_long_is_given_up():
    clock = StoppedClock()
    async with serving(make_app(*ROUTES, clock=clock)) as client:
        asked = asyncio.create_task(client.get("/api/slow"))
        while "gifty_http_in_flight 1.0" not in await (await client.get("/metrics")).text():
            await asyncio.sleep(0)
            if asked.done():
                break
        clock.advance(6)
        async with asyncio.timeout(20 * SWEEP_SECONDS):
            response = await asked
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert (await response.json())["error"]["type"] == "unavailable"


async def test_slow_bodies_are_given_up():
    async with serving(make_app(*ROUTES, body_seconds=0.05)) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        head = b"POST /api/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        writer.write(head)
        assert b" 408 " in await reader.readline()
        writer.close()


@endpoint("GET", "/api/plain", tag="Things", summary="By aiohttp's way", answers={200: Thing})
async def plainly(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"name":"cup"}', content_type="application/json")


@endpoint("GET", "/api/quick", tag="Things", summary="By ours", answers={200: Thing})
async def quickly(request: web.Request) -> web.StreamResponse:
    return answer(Thing, {"name": "cup"})


@endpoint("GET", "/api/baked", tag="Things", summary="With a cookie", answers={200: Thing})
async def baked(request: web.Request) -> web.StreamResponse:
    response = answer(Thing, {"name": "cup"})
    response.set_cookie("a", "b")
    return response


@pytest.mark.parametrize(
    "head",
    [
        b"GET %s HTTP/1.1\r\nHost: x\r\n",
        b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
        b"GET %s HTTP/1.0\r\nHost: x\r\n",
        b"GET %s HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n",
        b"HEAD %s HTTP/1.1\r\nHost: x\r\n",
        b"GET %s HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example\r\n",
    ],
)
async def test_our_way_of_writing_an_answer_is_aiohttps(head):
    async with serving(make_app(plainly, quickly, cors_origins=("https://shop.example",), rate_limit=True)) as client:
        seen = []
        for path in (b"/api/plain", b"/api/quick"):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(head % path + b"X-Request-ID: same\r\n\r\n")
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            body = b"" if head.startswith(b"HEAD") else await reader.readexactly(14)
            varying = (b"Date:", b"RateLimit:", b"Access-Control-Expose-Headers:")
            seen.append((lines[0], sorted(line for line in lines[1:] if not line.startswith(varying)), body))
            writer.close()
            await writer.wait_closed()
        assert seen[0] == seen[1]


async def test_a_connection_serves_many_answers_and_cookies_are_set():
    async with serving(make_app(quickly, baked)) as client:
        for _ in range(5):
            assert await (await client.get("/api/quick")).json() == {"name": "cup"}
        response = await client.get("/api/baked")
        assert response.cookies["a"].value == "b"
