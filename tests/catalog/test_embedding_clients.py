"""Embedders that are asked elsewhere: an endpoint, and a library that may be missing."""

from __future__ import annotations

import sys
import types
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gifty.catalog.embeddings import EmbeddingFailed, GiftText, LocalEmbedder, NoConcepts, openai
from gifty.catalog.embeddings.choice import open_embedder
from gifty.catalog.embeddings.openai import OpenAIEmbedder
from gifty.catalog.embeddings.transformers import TransformersEmbedder
from gifty.ontology.text import Language


class Endpoint:
    """An OpenAI-compatible server that does as it is told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.failures: list[int] = []
        self.spoil: Callable[[dict[str, Any]], Any] = lambda body: body
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        self.keys.append(request.headers.get("Authorization"))
        if self.failures:
            return web.json_response({"error": "no"}, status=self.failures.pop(0), headers={"Retry-After": "0"})
        data = [
            {"index": place, "embedding": [float(len(text)), 1.0, 2.0, 3.0]} for place, text in enumerate(body["input"])
        ]
        return web.json_response(self.spoil({"data": data[::-1]}))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """The server, running."""
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/embeddings", endpoint.answer)
    async with TestServer(app) as server:
        endpoint.address = str(server.make_url("/v1/"))
        yield endpoint


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client session."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries at once."""
    monkeypatch.setattr(openai, "_BACK_OFF", 0.0)


async def test_learns_the_length_and_keeps_the_order(endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
    embedder = await OpenAIEmbedder.open(session, endpoint.address, "BAAI/bge-m3", api_key="k")
    assert embedder.dimensions == 4
    assert embedder.model == "openai:BAAI/bge-m3"
    vectors = await embedder.embed_gifts([GiftText("a" * number) for number in range(1, 131)])
    assert vectors.shape == (130, 4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0, 0] < vectors[50, 0] < vectors[129, 0]
    assert [len(body["input"]) for body in endpoint.asked] == [1, 64, 64, 2]
    assert set(endpoint.keys) == {"Bearer k"}


async def test_tries_again_when_that_may_help(endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
    endpoint.failures = [503, 429, 500]
    embedder = OpenAIEmbedder(session, endpoint.address, "m", dimensions=4)
    assert (await embedder.embed_gifts([GiftText("кружка", "с котом", "Кухня")])).shape == (1, 4)
    assert endpoint.asked[-1]["input"] == ["кружка. Кухня. с котом"]


async def test_gives_up_when_it_cannot_help(endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
    embedder = OpenAIEmbedder(session, endpoint.address, "m", dimensions=4)
    endpoint.failures = [401]
    with pytest.raises(EmbeddingFailed, match="401"):
        await embedder.embed_gifts([GiftText("кружка")])
    assert len(endpoint.asked) == 1


async def test_a_query_is_asked_once(endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
    endpoint.failures = [503, 503]
    with pytest.raises(EmbeddingFailed):
        await OpenAIEmbedder(session, endpoint.address, "m", dimensions=4).embed_query("кружка")
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "spoiled",
    [
        {},
        {"data": []},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        {"data": [{"index": 0, "embedding": [1.0, 2.0]}]},
        {"data": "no"},
        [],
    ],
)
async def test_refuses_answers_that_do_not_fit(
    endpoint: Endpoint, session: aiohttp.ClientSession, spoiled: Any
) -> None:
    endpoint.spoil = lambda _body: spoiled
    with pytest.raises(EmbeddingFailed):
        await OpenAIEmbedder(session, endpoint.address, "m", dimensions=4).embed_gifts([GiftText("кружка")])


async def test_an_endpoint_that_is_away(session: aiohttp.ClientSession, unused_tcp_port: int) -> None:
    embedder = OpenAIEmbedder(session, f"http://127.0.0.1:{unused_tcp_port}", "m", dimensions=4)
    with pytest.raises(EmbeddingFailed, match="reached"):
        await embedder.embed_query("кружка")


async def test_a_missing_library_is_named() -> None:
    with pytest.raises(EmbeddingFailed, match=r"pip install 'gifty\[sentence-transformers\]'"):
        await TransformersEmbedder.open("a/model")


async def test_a_model_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        def __init__(self, name: str) -> None:
            if name == "bad":
                raise OSError("no such model")

        def get_sentence_embedding_dimension(self) -> int:
            return 3

        def encode(self, texts: list[str]) -> list[list[float]]:
            return [[len(text), 0, 0] for text in texts]

    library = types.ModuleType("sentence_transformers")
    library.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    local = LocalEmbedder(Language(), NoConcepts())
    async with open_embedder("sentence-transformers", local, model="good") as embedder:
        assert embedder.model == "sentence-transformers:good"
        np.testing.assert_allclose(await embedder.embed_gifts([GiftText("a"), GiftText("b")]), [[1, 0, 0]] * 2)
        assert (await embedder.embed_query("q")).shape == (3,)
    with pytest.raises(EmbeddingFailed, match="bad cannot be loaded"):
        await TransformersEmbedder.open("bad")


async def test_the_settings_choose(endpoint: Endpoint) -> None:
    local = LocalEmbedder(Language(), NoConcepts())
    async with open_embedder("local", local) as embedder:
        assert embedder is local
    async with open_embedder("openai", local, model="m", base_url=endpoint.address, api_key="k") as embedder:
        assert embedder.model == "openai:m"
