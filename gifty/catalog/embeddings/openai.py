"""Embeddings from an OpenAI-compatible endpoint: OpenAI itself, Text Embeddings Inference, vLLM, Ollama and others."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any, Final, Self

import aiohttp
import numpy as np
import orjson

from gifty.catalog.embeddings.protocol import EmbeddingFailed, GiftText, Vector, Vectors, unit_rows, version_of

BATCH: Final = 64
"""Texts of one request; Text Embeddings Inference takes 32 to 64 by default."""
TEXT_CHARACTERS: Final = 2_000
GIFTS_SECONDS: Final = 60.0
QUERY_SECONDS: Final = 3.0
ATTEMPTS: Final = 4
_MOST_BYTES: Final = 64 * 1024 * 1024
_BACK_OFF: Final = 0.5
_LONGEST_PAUSE: Final = 20.0
_TRY_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class OpenAIEmbedder:
    """Asks `{base_url}/embeddings`. Make one with `open`, which learns the length of the model's vectors."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, model: str, *, api_key: str = "", dimensions: int
    ) -> None:
        self._session = session
        self._address = f"{base_url.rstrip('/')}/embeddings"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._name = model
        self.model: Final = f"openai:{model}"
        self.version: Final = version_of(model, str(dimensions))
        self.dimensions: Final = dimensions

    @classmethod
    async def open(
        cls,
        session: aiohttp.ClientSession,
        base_url: str,
        model: str,
        *,
        api_key: str = "",
        dimensions: int | None = None,
    ) -> Self:
        """An embedder whose endpoint answers. Raises `EmbeddingFailed`."""
        if dimensions is not None:
            return cls(session, base_url, model, api_key=api_key, dimensions=dimensions)
        probe = cls(session, base_url, model, api_key=api_key, dimensions=0)
        rows = await probe._ask(["gift"], GIFTS_SECONDS, attempts=ATTEMPTS)
        return cls(session, base_url, model, api_key=api_key, dimensions=int(rows.shape[1]))

    async def embed_gifts(self, texts: Sequence[GiftText]) -> Vectors:
        """One row per gift, asked for in batches. Raises `EmbeddingFailed`."""
        listed = [text.whole[:TEXT_CHARACTERS] for text in texts]
        batches = [
            await self._ask(listed[start : start + BATCH], GIFTS_SECONDS, attempts=ATTEMPTS)
            for start in range(0, len(listed), BATCH)
        ]
        return self._checked(np.concatenate(batches) if batches else np.zeros((0, self.dimensions), np.float32))

    async def embed_query(self, text: str) -> Vector:
        """One vector, or `EmbeddingFailed` within a few seconds: a search does better without than late."""
        vector: Vector = self._checked(await self._ask([text[:TEXT_CHARACTERS]], QUERY_SECONDS, attempts=1))[0]
        return vector

    def _checked(self, rows: Vectors) -> Vectors:
        if rows.shape[1] != self.dimensions:
            raise EmbeddingFailed(f"the embedder's vectors have {rows.shape[1]} numbers instead of {self.dimensions}")
        return rows

    async def _ask(self, texts: Sequence[str], seconds: float, *, attempts: int) -> Vectors:
        body = {"model": self._name, "input": [text or " " for text in texts], "encoding_format": "float"}
        pause = _BACK_OFF
        for attempt in range(1, attempts + 1):
            try:
                async with (
                    asyncio.timeout(seconds),
                    self._session.post(
                        self._address, json=body, headers=self._headers, allow_redirects=False
                    ) as response,
                ):
                    if response.status == 200:  # noqa: PLR2004
                        return _rows(await _limited(response), len(texts))
                    if response.status not in _TRY_AGAIN or attempt == attempts:
                        raise EmbeddingFailed(f"the embedder answered {response.status}")
                    pause = _asked_pause(response, pause)
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == attempts:
                    raise EmbeddingFailed("the embedder cannot be reached") from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise EmbeddingFailed("the embedder cannot be reached")


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    received = bytearray()
    async for chunk in response.content.iter_any():
        received += chunk
        if len(received) > _MOST_BYTES:
            raise EmbeddingFailed("the embedder's answer is too large")
    return bytes(received)


def _rows(body: bytes, count: int) -> Vectors:
    try:
        found = sorted(orjson.loads(body)["data"], key=lambda item: item["index"])
        rows = np.array([_numbers(item["embedding"]) for item in found], dtype=np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise EmbeddingFailed("the embedder's answer cannot be read") from error
    if rows.ndim != 2 or len(rows) != count or not np.isfinite(rows).all():  # noqa: PLR2004
        raise EmbeddingFailed("the embedder's answer does not fit the question")
    return unit_rows(rows)


def _numbers(value: Any) -> Any:
    return np.frombuffer(base64.b64decode(value), dtype="<f4") if isinstance(value, str) else value


def _asked_pause(response: aiohttp.ClientResponse, otherwise: float) -> float:
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else otherwise
