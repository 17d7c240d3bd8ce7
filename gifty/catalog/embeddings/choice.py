"""The embedder that the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import aiohttp

from gifty.catalog.embeddings.openai import OpenAIEmbedder
from gifty.catalog.embeddings.protocol import Embedder
from gifty.catalog.embeddings.transformers import TransformersEmbedder

_CONNECTIONS: Final = 4


@asynccontextmanager
async def open_embedder(
    kind: Literal["local", "openai", "sentence-transformers"],
    local: Embedder,
    *,
    model: str = "",
    base_url: str = "",
    api_key: str = "",
) -> AsyncIterator[Embedder]:
    """The embedder for the catalogue, open as long as the context. Raises `EmbeddingFailed` when it cannot be had."""
    if kind == "openai":
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield await OpenAIEmbedder.open(session, base_url, model, api_key=api_key)
    elif kind == "sentence-transformers":
        embedder = await TransformersEmbedder.open(model)
        try:
            yield embedder
        finally:
            embedder.close()
    else:
        yield local
