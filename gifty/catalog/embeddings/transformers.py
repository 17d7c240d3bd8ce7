"""Embeddings by a model on this machine; needs the extra `gifty[sentence-transformers]`."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

import numpy as np

from gifty.catalog.embeddings.protocol import EmbeddingFailed, GiftText, Vector, Vectors, unit_rows, version_of


class TransformersEmbedder:
    """A sentence-transformers model, asked from one thread of its own."""

    def __init__(self, encoder: Any, name: str, worker: ThreadPoolExecutor) -> None:
        self._encoder = encoder
        self._worker = worker
        self.dimensions: Final = int(encoder.get_sentence_embedding_dimension())
        self.model: Final = f"sentence-transformers:{name}"
        self.version: Final = version_of(name, str(self.dimensions))

    @classmethod
    async def open(cls, name: str) -> Self:
        """Loads the model, which takes seconds. Raises `EmbeddingFailed` when the extra or the model is missing."""
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        try:
            encoder = await asyncio.get_running_loop().run_in_executor(worker, _load, name)
        except BaseException:
            worker.shutdown(wait=False)
            raise
        return cls(encoder, name, worker)

    def close(self) -> None:
        """Lets go of the thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def embed_gifts(self, texts: Sequence[GiftText]) -> Vectors:
        """One row per gift."""
        return await self._encode([text.whole for text in texts])

    async def embed_query(self, text: str) -> Vector:
        """One vector."""
        vector: Vector = (await self._encode([text]))[0]
        return vector

    async def _encode(self, texts: list[str]) -> Vectors:
        rows = await asyncio.get_running_loop().run_in_executor(self._worker, self._encoder.encode, texts)
        return unit_rows(np.asarray(rows, dtype=np.float32).reshape(len(texts), self.dimensions))


def _load(name: str) -> Any:
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise EmbeddingFailed(
            "GIFTY_EMBEDDER=sentence-transformers needs: pip install 'gifty[sentence-transformers]'"
        ) from error
    try:
        return library.SentenceTransformer(name)
    except (OSError, ValueError) as error:
        raise EmbeddingFailed(f"the model {name} cannot be loaded: {error}") from error
