"""The main job over HTTP, on 4,000 real products."""

import pytest
from aiohttp.test_utils import TestClient


async def recommend(client: TestClient, **quiz: object) -> dict:
    answer = await client.post("/api/v1/recommendations/generate", json=quiz)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_one_tap_is_enough(products_client: TestClient) -> None:
    for quiz in ({}, {"relationship": "colleague"}):
        answer = await recommend(products_client, **quiz)
        assert len(answer["gifts"]) == 10
        assert answer["featured_gift"] == answer["gifts"][0]
        assert all(gift["reasons"] for gift in answer["gifts"])


async def test_real_products_take_the_place_of_ideas(products_client: TestClient) -> None:
    answer = await recommend(products_client, recipient_age=35, relationship="friend", budget=5000)
    assert not any(gift["is_idea"] for gift in answer["gifts"])


async def test_a_budget_holds_and_trinkets_do_not_fill_it(products_client: TestClient) -> None:
    answer = await recommend(products_client, recipient_age=45, relationship="parent", budget=5000)
    prices = [gift["price"] for gift in answer["gifts"]]
    assert max(prices) <= 5500
    assert min(prices) >= 300


async def test_the_language_of_the_answer_is_the_readers(products_client: TestClient) -> None:
    answer = await recommend(products_client, interests="fishing", language="en")
    assert all(reason.isascii() or "“" in reason for reason in answer["gifts"][0]["reasons"])


@pytest.mark.parametrize("interest", ["рыбалка", "fishing", "рыбалку", "рыбака любит"])
async def test_an_interest_is_understood_however_it_is_said(products_client: TestClient, interest: str) -> None:
    answer = await recommend(products_client, recipient_age=50, interests=interest)
    reasons = " ".join(reason for gift in answer["gifts"][:5] for reason in gift["reasons"])
    assert "рыбалк" in reasons


async def test_a_wish_that_had_to_give_is_named(products_client: TestClient) -> None:
    answer = await recommend(products_client, interests="верховая езда", budget=400)
    assert answer["gifts"]
    assert {relaxed["wish"] for relaxed in answer["relaxed"]} & {"interests", "budget"}


async def test_search_finds_by_words_meaning_and_in_spite_of_typos(products_client: TestClient) -> None:
    for query in ("кашемировый шарф", "cashmere scarf", "кашемировый шраф"):
        answer = await products_client.get("/api/v1/gifts", params={"query": query, "limit": "5"})
        titles = " ".join(gift["title"].lower() for gift in (await answer.json())["gifts"])
        assert "шарф" in titles, query


async def test_every_page_is_reached_once_by_cursor(products_client: TestClient) -> None:
    seen: list[str] = []
    params = {"category": "Красота и здоровье", "limit": "50", "sort": "price_asc"}
    while True:
        page = await (await products_client.get("/api/gifts", params=params)).json()
        seen += [gift["gift_id"] for gift in page["gifts"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 129


async def test_a_gift_has_a_page_with_similar_ones(products_client: TestClient) -> None:
    page = await (await products_client.get("/api/gifts", params={"query": "чайник", "limit": "1"})).json()
    gift_id = page["gifts"][0]["gift_id"]
    gift = await (await products_client.get(f"/api/gifts/{gift_id}")).json()
    assert gift["gift_id"] == gift_id
    assert gift["similar"]
    assert gift_id not in {other["gift_id"] for other in gift["similar"]}
    assert gift["price_history"] == []
