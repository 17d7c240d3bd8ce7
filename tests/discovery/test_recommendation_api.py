import io
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from gifty.ontology.models import WISH_TAGS

PATH = "/api/v1/recommendations/generate"


async def ask(client: TestClient, body: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post(PATH, json=body)
    return answer.status, await answer.json()


async def test_a_full_request_is_answered(client):
    status, answer = await ask(
        client,
        {
            "recipient_age": 34, "recipient_gender": "female", "relationship": "partner", "occasion": "birthday",
            "vibe": ["cozy"], "interests": "кофе, чтение", "budget": 5000, "top_n": 5, "language": "en", "debug": True,
            "constraints": {"tags": ["no_alcohol"], "budget_strictness": "hard", "exclude_keywords": ["нож"]},
        },
    )  # fmt: skip
    assert status == 200
    assert len(answer["gifts"]) == 5
    assert answer["featured_gift"] == answer["gifts"][0]
    assert {"coffee", "reading"} <= {interest["id"] for interest in answer["understood"]["interests"]}
    assert answer["engine_version"]
    assert answer["debug"]["gifts"]
    assert {
        "gift_id",
        "title",
        "price",
        "currency",
        "product_url",
        "image_url",
        "merchant",
        "category",
        "reasons",
    } <= set(answer["gifts"][0])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"recipient_age": -5}, "recipient_age"),
        ({"recipient_age": 121}, "recipient_age"),
        ({"recipient_gender": "cat"}, "recipient_gender"),
        ({"budget": 0}, "budget"),
        ({"budget": "much"}, "budget"),
        ({"top_n": 31}, "top_n"),
        ({"language": "fr"}, "language"),
        ({"interests": 5}, "interests"),
        ({"interests": ["a"] * 41}, "interests"),
        ({"interests": "a" * 5000}, "interests"),
        ({"surprise": 1}, "surprise"),
        ({"constraints": {"min_price": 10, "max_price": 5}}, "constraints.min_price"),
    ],
)
async def test_a_wrong_field_is_named(client, body, field):
    status, answer = await ask(client, body)
    assert status == 422
    assert answer["error"]["type"] == "validation_error"
    assert any(name.startswith(field) for name in answer["error"]["details"])


async def test_an_unknown_wish_lists_those_that_are_known(client):
    status, answer = await ask(client, {"constraints": {"tags": ["no_dragons"]}})
    assert status == 422
    told = str(answer["error"]["details"])
    assert all(tag in told for tag in WISH_TAGS)


async def test_a_megabyte_of_text_is_refused(client):
    body = io.BytesIO(json.dumps({"interests_description": "а" * 1_000_000}).encode())
    response = await client.post(PATH, data=body, headers={"Content-Type": "application/json"})
    assert response.status == 413
    assert (await response.json())["error"]["type"] == "payload_too_large"


async def test_null_is_the_same_as_nothing(client):
    body = {"recipient_age": None, "interests": None, "vibe": None, "constraints": None, "budget": None}
    status, answer = await ask(client, body)
    assert status == 200
    assert answer["gifts"]
