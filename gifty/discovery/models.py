"""What discovery passes on: the quiz as asked, the brief as understood, the answer as given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gifty.catalog.models import Promotion


@dataclass(frozen=True, slots=True)
class Quiz:
    """What a giver told. Everything is optional; money is in the catalogue's currency."""

    recipient_age: int | None = None
    recipient_gender: str | None = None
    relationship: str | None = None
    occasion: str | None = None
    vibe: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    interests_description: str = ""
    budget: float | None = None
    city: str | None = None
    top_n: int = 10
    language: str = "ru"
    tags: frozenset[str] = frozenset()
    exclude_keywords: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    exclude_merchants: tuple[str, ...] = ()
    exclude_item_types: tuple[str, ...] = ()
    adult_allowed: bool = False
    min_price: float | None = None
    max_price: float | None = None
    prefer_keywords: tuple[str, ...] = ()
    avoid_keywords: tuple[str, ...] = ()
    prefer_categories: tuple[str, ...] = ()
    budget_strictness: str = "soft"
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Brief:
    """A quiz understood: weights of everything that speaks for a gift, and the bounds no gift may cross."""

    interests: Mapping[str, float]
    """All weights 0..1, exact and near."""
    named: Mapping[str, float]
    """Those the giver named."""
    avoided: frozenset[str]
    kinds: Mapping[str, float]
    """Kinds of things the giver named."""
    motifs: frozenset[str]
    """Franchises and themes the giver named, as stored in profiles."""
    needs: Mapping[str, float]
    gaps: Mapping[str, float]
    vibes: Mapping[str, float]
    """Vibes of kinds."""
    axes: Mapping[str, float]
    subtypes: tuple[str, ...]
    occasion: str | None
    relation: str | None
    rooms: frozenset[str]
    themes: frozenset[str]
    ages: tuple[int, int]
    age_known: bool
    also_age: int | None
    """A second age whose things suit: that of a child who is expected."""
    gender: str | None
    closeness: int
    tags: frozenset[str]
    """Wishes that must hold, those of age and relation included."""
    wanted_price: float | None
    """The budget, when there is one."""
    low_price: float
    high_price: float | None
    dear: float
    """How far up the budget the giver likes to go; above 1 for premium vibes."""
    unknown: tuple[str, ...]
    """Words of the interests nobody understood; they go to the text search."""
    language: str


@dataclass(frozen=True, slots=True)
class Pick:
    """A recommended gift with the reasons for it."""

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
    reasons: tuple[str, ...]
    slot: str
    promotions: tuple[Promotion, ...] = ()


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A wish that could not be kept for all gifts, in words for the giver."""

    wish: str
    message: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to a quiz."""

    quiz_run_id: str
    engine_version: str
    gifts: tuple[Pick, ...]
    relaxed: tuple[Relaxation, ...]
    understood: Mapping[str, Any]
    debug: Mapping[str, Any] | None = field(default=None)

    @property
    def featured_gift(self) -> Pick | None:
        """The one to show first."""
        return self.gifts[0] if self.gifts else None
