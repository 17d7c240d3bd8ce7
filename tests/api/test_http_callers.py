"""Who may call, from where, and how often."""

import asyncio
import ipaddress

import pytest
from aiohttp import web
from marshmallow import Schema, fields

from gifty.core.http.answers import json_answer, no_content
from gifty.core.http.endpoint import Limit, endpoint
from tests.fixtures.http import StoppedClock, make_app, serving

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


class Empty(Schema):
    ok = fields.Boolean()


@endpoint("GET", "/api/hello", tag="T", summary="Hello", answers={200: Empty})
async def hello(request: web.Request) -> web.StreamResponse:
    return json_answer({"ok": True})


@endpoint("POST", "/api/login", tag="T", summary="Log in", answers={204: None}, limit=Limit(3, 60))
async def login(request: web.Request) -> web.StreamResponse:
    return no_content()


def limited_app(clock: StoppedClock, **settings):
    return make_app(hello, login, clock=clock, rate_limit=True, trusted_proxies=LOOPBACK, **settings)


def via(*hops: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join(hops)}


async def test_exactly_twenty_a_second_and_a_hundred_a_minute_under_parallel_load():
    clock = StoppedClock()
    async with serving(limited_app(clock)) as client:
        passed = 0
        for second in range(8):
            answers = await asyncio.gather(*(client.get("/api/hello") for _ in range(30)))
            ok = sum(response.status == 200 for response in answers)
            assert ok == (20 if second < 5 else 0)
            assert all(response.status in {200, 429} for response in answers)
            passed += ok
            clock.advance(1)
        assert passed == 100
        clock.advance(52.5)
        assert (await client.get("/api/hello")).status == 200


async def test_the_headers_of_a_limit():
    clock = StoppedClock()
    async with serving(limited_app(clock)) as client:
        response = await client.get("/api/hello")
        assert response.headers["RateLimit-Policy"] == '"minute";q=100;w=60, "second";q=20;w=1'
        assert response.headers["RateLimit"].startswith('"minute";r=99;t=6')
        for _ in range(19):
            await client.get("/api/hello")
        refused = await client.get("/api/hello")
        assert refused.status == 429
        assert refused.headers["Retry-After"] == "1"
        assert '"second";r=0' in refused.headers["RateLimit"]
        error = (await refused.json())["error"]
        assert error["type"] == "too_many_requests"


async def test_a_route_with_a_stricter_limit():
    clock = StoppedClock()
    async with serving(limited_app(clock)) as client:
        statuses = [(await client.post("/api/login")).status for _ in range(4)]
        assert statuses == [204, 204, 204, 429]
        assert (await client.get("/api/hello")).status == 200
        refused = await client.post("/api/v1/login")
        assert refused.status == 429
        assert 55 <= int(refused.headers["Retry-After"]) <= 61


async def test_health_metrics_and_assets_do_not_count():
    clock = StoppedClock()
    async with serving(limited_app(clock)) as client:
        for path in ("/api/health", "/api/ready", "/metrics", "/api/docs/assets/swagger-ui.css"):
            for _ in range(25):
                assert (await client.get(path)).status == 200
        assert (await client.get("/api/hello")).status == 200


async def test_unknown_addresses_count():
    clock = StoppedClock()
    async with serving(limited_app(clock)) as client:
        statuses = [(await client.get(f"/api/guess/{n}")).status for n in range(21)]
        assert statuses == [404] * 20 + [429]


async def test_forwarded_addresses_count_from_the_right_and_only_from_proxies():
    clock = StoppedClock()
    async with serving(limited_app(clock, limits=(Limit(1, 60),))) as client:
        assert (await client.get("/api/hello", headers=via("6.6.6.6", "1.2.3.4"))).status == 200
        assert (await client.get("/api/hello", headers=via("7.7.7.7", "1.2.3.4"))).status == 429
        assert (await client.get("/api/hello", headers=via("1.2.3.4:5555", "127.0.0.1"))).status == 429
        assert (await client.get("/api/hello", headers=via("1.2.3.5"))).status == 200
        assert (await client.get("/api/hello", headers=via("2001:db8:1:2::1"))).status == 200
        assert (await client.get("/api/hello", headers=via("[2001:db8:1:2:ffff::9]:443"))).status == 429
        assert (await client.get("/api/hello", headers=via("2001:db8:1:3::1"))).status == 200
        assert (await client.get("/api/hello", headers=via("::ffff:1.2.3.4"))).status == 429
    async with serving(make_app(hello, clock=clock, rate_limit=True, limits=(Limit(1, 60),))) as client:
        assert (await client.get("/api/hello", headers=via("1.2.3.4"))).status == 200
        assert (await client.get("/api/hello", headers=via("1.2.3.5"))).status == 429


CORS = {"cors_origins": ("https://shop.example",)}


async def test_cors_for_a_known_origin():
    async with serving(make_app(hello, login, **CORS)) as client:
        ask = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        ask["Access-Control-Request-Headers"] = "content-type, authorization"
        preflight = await client.options("/api/v1/login", headers=ask)
        assert preflight.status == 200
        assert preflight.headers["Access-Control-Max-Age"] == "3600"
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert "AUTHORIZATION" in preflight.headers["Access-Control-Allow-Headers"]
        for path, status in (("/api/hello", 200), ("/api/nothing", 404), ("/api/login", 405)):
            response = await client.get(path, headers={"Origin": "https://shop.example"})
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert "X-Request-ID" in response.headers["Access-Control-Expose-Headers"]
            assert response.headers["Vary"] == "Origin"


async def test_cors_for_a_foreign_origin():
    async with serving(make_app(hello, **CORS)) as client:
        for path in ("/api/hello", "/api/nothing"):
            response = await client.get(path, headers={"Origin": "https://evil.example"})
            assert not [name for name in response.headers if name.startswith("Access-Control")]
            assert response.headers["Vary"] == "Origin"
        ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        preflight = await client.options("/api/hello", headers=ask)
        assert preflight.status == 403
        assert not [name for name in preflight.headers if name.startswith("Access-Control")]
        assert "evil" not in await preflight.text()


async def test_cors_for_anybody_never_has_credentials():
    async with serving(make_app(hello, cors_origins=("*",))) as client:
        for path in ("/api/hello", "/api/nothing"):
            response = await client.get(path, headers={"Origin": "https://any.example"})
            assert response.headers["Access-Control-Allow-Origin"] in {"*", "https://any.example"}
            assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Sec-Fetch-Site": "none"}, 204),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://blog.gifty.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://gifty.example"}, 204),
        ({"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}, 204),
        ({"Origin": "https://evil.example", "Authorization": "Bearer x"}, 204),
    ],
)
async def test_foreign_pages_cannot_use_a_session(headers, status):
    async with serving(make_app(login, **CORS)) as client:
        given = {"Cookie": "theme=dark; gifty_session=abc", "Host": "gifty.example", **headers}
        response = await client.post("/api/login", headers=given)
        assert response.status == status
        without = {**headers, "Host": "gifty.example", "Cookie": "theme=dark"}
        assert (await client.post("/api/login", headers=without)).status == 204


async def test_metrics_are_for_trusted_addresses_and_the_token():
    app = make_app(hello, internal_token="an internal token", trusted_proxies=LOOPBACK)
    async with serving(app) as client:
        assert (await client.get("/metrics")).status == 200
        assert (await client.get("/metrics", headers=via("9.9.9.9"))).status == 403
        right = {**via("9.9.9.9"), "X-Internal-Token": "an internal token"}
        assert (await client.get("/metrics", headers=right)).status == 200
        for wrong in ("", "an internal toke", "an internal token ", "другой"):
            given = {**via("9.9.9.9"), "X-Internal-Token": wrong}
            status = (await client.get("/metrics", headers=given)).status
            assert status == (200 if wrong.strip() == "an internal token" else 403), wrong


async def test_a_forwarded_request_is_not_local_without_a_trusted_proxy():
    async with serving(make_app(hello)) as client:
        assert (await client.get("/metrics")).status == 200
        assert (await client.get("/metrics", headers=via("127.0.0.1"))).status == 403
