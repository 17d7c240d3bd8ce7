"""What the catalogue knows: sources, gifts, their offers, promotions and import runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """A shop, feed or collection whose items are kept in step as one set."""

    id: int
    site_key: str
    name: str
    kind: str
    url: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Category:
    """A category of gifts, shared by all sources."""

    id: int
    name: str
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a gift costs now. `active` is false when its source no longer lists it."""

    price: Decimal | None
    currency: str
    old_price: Decimal | None
    available: bool
    active: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Gift:
    """A product of a shop (or an idea of the starter catalogue) that can be given."""

    id: str
    source_id: int
    external_id: str
    url: str
    title: str
    description: str
    image_url: str | None
    merchant: str | None
    brand: str | None
    category_id: int | None
    category: str | None
    lang: str
    is_idea: bool
    content_hash: bytes
    created_at: datetime
    updated_at: datetime
    offer: Offer
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A price as it was first seen at a moment."""

    price: Decimal
    currency: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Promotion:
    """A coupon or discount of one shop, valid between two moments (an open end is None)."""

    id: int
    external_id: str
    title: str
    kind: str
    marketplace: str | None
    store: str | None
    discount_kind: str | None
    discount_value: Decimal
    starts_at: datetime | None
    ends_at: datetime | None
    coupon: str | None

    @property
    def discount(self) -> str | None:
        """What it takes off, for people: `-20 %`; None when nothing is known."""
        if not self.discount_value:
            return None
        sign = " %" if self.discount_kind == "percentage" else ""
        return f"-{self.discount_value.normalize():f}{sign}"


class RunStatus(StrEnum):
    """How an import stands: `partial` means that the feed ended early and nothing was retired."""

    RUNNING = "running"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Reject:
    """An item that was left out, with the field and the reason; `line` counts from 1 where the format has lines."""

    line: int | None
    external_id: str | None
    field: str
    reason: str
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What became of the items of one import."""

    received: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    retired: int = 0


@dataclass(frozen=True, slots=True)
class ImportRun:
    """The record of one import."""

    id: int
    source_id: int
    started_at: datetime
    finished_at: datetime | None
    status: RunStatus
    counts: RunCounts
    error: str | None
