"""What scorers take from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gifty.catalog.search_models import GiftProfile

__all__ = ["GiftProfile", "UnscoredGift"]


@dataclass(frozen=True, slots=True)
class UnscoredGift:
    """A gift whose profile is missing or out of date."""

    id: str
    title: str
    category: str | None
    description: str
    brand: str | None
    merchant: str | None
    has_image: bool
    is_idea: bool
    attributes: Mapping[str, Any]
    content_hash: bytes
