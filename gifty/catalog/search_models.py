"""What is looked for and what is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gifty.catalog.models import PricePoint, Promotion


class Sort(StrEnum):
    """The order of a list of gifts."""

    RELEVANCE = "relevance"
    PRICE_ASC = "price_asc"
    PRICE_DESC = "price_desc"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class GiftFilter:
    """Conditions that every gift of an answer meets. None: any. Prices: the gift's currency, both ends included."""

    category: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    age: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class GiftSearch:
    """One question to the catalogue; `after` is the content of a cursor of the same question."""

    query: str = ""
    filter: GiftFilter = GiftFilter()
    sort: Sort = Sort.RELEVANCE
    limit: int = 20
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FoundGift:
    """A gift as lists show it. `price` is what it costs now in `currency`, None when unknown."""

    gift_id: str
    title: str
    description: str
    price: float | None
    currency: str
    old_price: float | None
    product_url: str
    image_url: str | None
    merchant: str | None
    category: str | None
    is_idea: bool
    created_at: datetime
    reasons: tuple[str, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    similarity: float | None = None
    """Cosine with the query's vector, when the vector found it."""

    def with_notes(self, reasons: tuple[str, ...], promotions: tuple[Promotion, ...]) -> FoundGift:
        """The same gift, explained; written out, for `dataclasses.replace` takes ten times as long."""
        return FoundGift(
            self.gift_id,
            self.title,
            self.description,
            self.price,
            self.currency,
            self.old_price,
            self.product_url,
            self.image_url,
            self.merchant,
            self.category,
            self.is_idea,
            self.created_at,
            reasons,
            promotions,
            self.similarity,
        )


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A category and how many gifts of it meet the other conditions."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class PriceRange:
    """The cheapest and the dearest gift that meet the conditions other than price."""

    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Facets:
    """Where a list can be narrowed."""

    categories: tuple[CategoryCount, ...]
    price: PriceRange


@dataclass(frozen=True, slots=True)
class GiftList:
    """One page. `total` counts what meets the conditions, as of the last count of the catalogue."""

    gifts: tuple[FoundGift, ...]
    next_position: Mapping[str, Any] | None
    total: int
    facets: Facets
    corrections: Mapping[str, str] = field(default_factory=dict)
    """Words of the query that were read as other ones."""


@dataclass(frozen=True, slots=True)
class GiftPage:
    """A gift with what it used to cost and what is like it."""

    gift: FoundGift
    price_history: tuple[PricePoint, ...]
    similar: tuple[FoundGift, ...]


@dataclass(frozen=True, slots=True)
class GiftProfile:
    """What a gift is, as the scorer understood it."""

    gift_id: str
    model: str
    version: int
    content_hash: bytes
    kind: str | None
    role: str
    giftability: float
    quality: float
    gender: str
    age_min: int
    age_max: int
    closeness: int
    interests: tuple[str, ...]
    motifs: tuple[str, ...]
    breaks: frozenset[str]
    axes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """A model's vectors: which table rows they are, and which HNSW segment covers them."""

    id: int
    model: str
    version: int
    dimensions: int
    serving: bool
    segment: int | None
    categories: frozenset[int] = frozenset()
    """Those with an HNSW of their own."""
