"""The endpoints of gifts, through the whole application."""

from __future__ import annotations

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from gifty.app import SERVICES
from tests.fixtures.synthetic import made_gifts, store_gifts

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def shop(client: Client, starter_dsn: str) -> Client:
    """A client of an application with three hundred gifts."""
    connection = await asyncpg.connect(starter_dsn)
    try:
        async with connection.transaction():
            await store_gifts(connection, list(made_gifts(300)))
        await connection.execute(
            """
            INSERT INTO promotions (source_id, external_id, title, kind, store, discount_kind, discount_value, coupon)
            SELECT id, '1', 'Весна', 'sale', 'Лавка', 'percentage', 20, 'SPRING' FROM sources WHERE site_key = 'made-up'
            """
        )
        await connection.execute(
            """
            INSERT INTO price_history (gift_id, price, currency, observed_at)
            SELECT id, 100 + n, 'RUB', timestamptz '2026-01-01Z' + n * interval '1 day'
            FROM (SELECT id FROM gifts WHERE merchant = 'Лавка' AND title ILIKE 'чайник%' ORDER BY id LIMIT 1) g,
                 generate_series(1, 3) n
            """
        )
    finally:
        await connection.close()
    return client


async def test_search(shop: Client) -> None:
    response = await shop.get("/api/gifts", params={"query": "чайник", "limit": 5, "utm_source": "ad"})
    found = await response.json()
    assert response.status == 200, found
    assert [len(found["gifts"]), found["corrections"]] == [5, []]
    gift = next(gift for gift in found["gifts"] if not gift["is_idea"])
    assert gift["title"].startswith("Чайник")
    assert gift["reasons"][0] == "совпали слова: чайник"
    assert gift["promotions"] == [{"title": "Весна", "coupon": "SPRING", "discount": "-20 %", "ends_at": None}]
    assert set(gift) == {
        "gift_id", "title", "description", "price", "currency", "old_price", "product_url", "image_url", "merchant",
        "category", "is_idea", "reasons", "promotions",
    }  # fmt: skip
    assert found["facets"]["categories"]
    assert found["facets"]["price"]["min"] < found["facets"]["price"]["max"]


async def test_pages_follow_each_other(shop: Client) -> None:
    total = (await (await shop.get("/api/gifts?category=Дом&limit=1")).json())["total"]
    seen: list[str] = []
    parameters = {"category": "Дом", "limit": "7", "sort": "price_asc"}
    while True:
        page = await (await shop.get("/api/v1/gifts", params=parameters)).json()
        seen += [gift["gift_id"] for gift in page["gifts"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == total


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("age=-5", "age"),
        ("age=old", "age"),
        ("min_price=-1", "min_price"),
        ("min_price=10&max_price=5", "min_price"),
        ("max_price=NaN", "max_price"),
        ("max_price=Infinity", "max_price"),
        ("max_price=1e400", "max_price"),
        ("sort=best", "sort"),
        ("cursor=nonsense", "cursor"),
        ("query=" + "a" * 301, "query"),
        ("currency=rub", "currency"),
    ],
)
async def test_wrong_input_is_named(shop: Client, query: str, field: str) -> None:
    response = await shop.get(f"/api/gifts?{query}")
    body = await response.json()
    assert response.status == 422, body
    assert body["error"]["type"] == "validation_error"
    assert any(field in name for name in body["error"]["details"])


async def test_a_cursor_that_was_tampered_with(shop: Client) -> None:
    cursor = (await (await shop.get("/api/gifts?limit=1")).json())["next_cursor"]
    for broken in (cursor[:-2] + "AA", "A" + cursor[1:], cursor[:10]):
        response = await shop.get("/api/gifts", params={"limit": "1", "cursor": broken})
        assert response.status == 422
    other = await shop.get("/api/gifts", params={"limit": "1", "cursor": cursor, "query": "чайник"})
    assert other.status == 422
    assert "cursor" in (await other.json())["error"]["details"]


async def test_a_copy_that_is_still_good(shop: Client) -> None:
    first = await shop.get("/api/gifts?limit=3")
    assert first.headers["Cache-Control"] == "public, max-age=60"
    again = await shop.get("/api/gifts?limit=3", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


async def test_one_gift(shop: Client) -> None:
    listed = (await (await shop.get("/api/gifts?query=чайник&limit=100")).json())["gifts"]
    kettles = [gift for gift in listed if gift["merchant"] == "Лавка" and gift["title"].startswith("Чайник")]
    kettle = min(kettles, key=lambda gift: gift["gift_id"])
    response = await shop.get(f"/api/gifts/{kettle['gift_id']}")
    gift = await response.json()
    assert response.status == 200, gift
    assert gift["title"] == kettle["title"]
    assert [point["price"] for point in gift["price_history"]] == [101, 102, 103]
    assert gift["price_history"][0]["observed_at"].startswith("2026-01-02T00:00:00")
    assert gift["promotions"][0]["coupon"] == "SPRING"
    assert "ETag" in response.headers


async def test_similar_gifts(shop: Client) -> None:
    await shop.server.app[SERVICES].embedding.catch_up()
    listed = (await (await shop.get("/api/gifts?query=чайник&limit=5")).json())["gifts"]
    kettle = next(gift for gift in listed if not gift["is_idea"])
    gift = await (await shop.get(f"/api/gifts/{kettle['gift_id']}")).json()
    assert "айник" in gift["similar"][0]["title"]
    assert gift["gift_id"] not in [other["gift_id"] for other in gift["similar"]]


@pytest.mark.parametrize(("gift_id", "status"), [("gft_nothing", 404), ("nonsense", 422), ("gft_" + "a" * 100, 422)])
async def test_a_gift_that_is_not_there(shop: Client, gift_id: str, status: int) -> None:
    response = await shop.get(f"/api/gifts/{gift_id}")
    assert response.status == status
    assert "error" in await response.json()


async def test_a_category_that_is_not_there(client: Client) -> None:
    found = await (await client.get("/api/gifts?query=чайник&category=Пустое")).json()
    assert (found["gifts"], found["total"], found["next_cursor"]) == ([], 0, None)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("чайник", "чайник"),
        ("teapot", "чайник"),
        ("фонарики", "фонар"),
        ("настолная игра", "настольн"),
        ("пижамма детская", "пижам"),
        ("подарок кофеману", "кофе"),
        ("flashlight", "фонар"),
    ],
)
async def test_real_products(products_client: Client, query: str, word: str) -> None:
    found = await (await products_client.get("/api/gifts", params={"query": query, "limit": 20})).json()
    assert len(found["gifts"]) == 20
    assert any(word in gift["title"].lower() for gift in found["gifts"][:3])
    assert all(gift["reasons"] for gift in found["gifts"][:3])
