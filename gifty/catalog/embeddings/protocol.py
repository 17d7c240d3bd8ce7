"""What every embedder promises."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gifty.core.errors import Unavailable

Vector: TypeAlias = NDArray[np.float32]
Vectors: TypeAlias = NDArray[np.float32]


class EmbeddingFailed(Unavailable):
    """The embedder gave no usable vectors; the same texts may succeed later."""


@dataclass(frozen=True, slots=True)
class GiftText:
    """What is embedded of a gift."""

    title: str
    description: str = ""
    category: str = ""

    @property
    def whole(self) -> str:
        """One text for embedders that know no fields."""
        return ". ".join(part for part in (self.title, self.category, self.description) if part)


class Embedder(Protocol):
    """Turns texts into vectors of unit length. Vectors of one model and version can be compared, others cannot."""

    @property
    def model(self) -> str:
        """The name under which vectors are kept."""
        ...

    @property
    def version(self) -> int:
        """Changes whenever the same text would get another vector."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of every vector."""
        ...

    async def embed_gifts(self, texts: Sequence[GiftText]) -> Vectors:
        """One row per gift. Raises `EmbeddingFailed`."""
        ...

    async def embed_query(self, text: str) -> Vector:
        """One vector. Raises `EmbeddingFailed`."""
        ...


def version_of(*parts: str) -> int:
    """A version number that depends on all parts; fits PostgreSQL's integer."""
    return zlib.crc32("\x1f".join(parts).encode()) & 0x7FFF_FFFF


def unit_rows(rows: Vectors) -> Vectors:
    """The rows scaled to length one. A zero row has no cosine distance, so it becomes a constant one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Vectors = np.divide(rows, lengths, out=np.ones_like(rows), where=lengths > 0)
    if not lengths.all():
        scaled[lengths[:, 0] == 0] = 1 / np.sqrt(rows.shape[1])
    return scaled
