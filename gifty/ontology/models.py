"""What the ontology is made of: kinds of things, interests, franchises, cues."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

AXES: Final = (
    "wow",
    "warmth",
    "romance",
    "practicality",
    "usage_frequency",
    "occasion_versatility",
    "aesthetics",
    "social_risk",
    "age_suitability",
    "gender_bias",
)
"""The ten axes of the gift matrix, each 0..1, in stored order; the last two are derived from ages and gender."""

ROLES: Final = frozenset(
    {
        "thing",
        "set",
        "decor",
        "wearable",
        "toy",
        "experience",
        "accessory",
        "part",
        "consumable",
        "material",
        "equipment",
    }
)
NO_GIFT_ROLES: Final = frozenset({"accessory", "part", "consumable", "material"})
GENDERS: Final = frozenset({"any", "female", "male"})
GAPS: Final = ("mirror", "optimizer", "catalyst", "anchor", "permission")
NEEDS: Final = frozenset(
    {
        "comfort", "warmth", "rest", "order", "speed", "health", "beauty", "self_expression", "status", "growth",
        "play", "bond", "memory", "ritual", "safety", "recognition", "adventure", "focus",
    }
)  # fmt: skip
WISH_TAGS: Final = (
    "kids_safe",
    "family_safe",
    "office_safe",
    "gender_neutral",
    "romantic_ok",
    "hypoallergenic",
    "no_small_parts",
    "no_sharp_objects",
    "no_batteries_required",
    "no_strong_smell",
    "no_alcohol",
    "no_adult_18plus",
    "no_intimate",
    "no_medical",
    "no_weapon_like",
    "no_funny",
    "no_very_personal",
    "avoid_very_personal",
    "avoid_age_jokes",
    "avoid_complex_gadgets",
)
MAX_AGE: Final = 120


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing as shops sell it; everything not given in the data comes from its parent."""

    id: str
    ru: str
    en: str
    parent: str | None
    domain: str
    """The data file it comes from: fashion, kitchen, toys, ..."""
    role: str
    gift: float
    gender: str
    ages: tuple[int, int]
    closeness: int
    interests: Mapping[str, float]
    needs: tuple[str, ...]
    occasions: tuple[str, ...]
    vibes: tuple[str, ...]
    rooms: tuple[str, ...]
    gaps: tuple[str, ...]
    axes: Mapping[str, float]
    breaks: frozenset[str]

    @property
    def is_gift(self) -> bool:
        """Whether things of this kind can be a present by themselves."""
        return self.role not in NO_GIFT_ROLES and self.gift > 0


@dataclass(frozen=True, slots=True)
class Interest:
    """Something people like, how they say it, and what in a title points to it."""

    id: str
    ru: str
    en: str
    near: Mapping[str, float]
    needs: tuple[str, ...]
    vibes: tuple[str, ...]
    polarising: float
    """How little those who do not share it want its signs about them, 0..1."""


@dataclass(frozen=True, slots=True)
class Franchise:
    """A brand, series or character people know; `kind` is what a title that names nothing else is about."""

    id: str
    name: str
    interests: Mapping[str, float]
    kind: str | None
    bonus: float


@dataclass(frozen=True, slots=True)
class Cue:
    """Words in a title that say something besides the kind: material, audience, hazard, role."""

    id: str
    group: str
    breaks: frozenset[str] = frozenset()
    interests: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    gift: float = 1.0
    """Factor on giftability."""
    axes: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    gender: str = "any"
    ages: tuple[int, int] | None = None
    closeness: int = 0
    governs: bool = True
    """Whether it counts in governed phrases too ("для кошек")."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a shop category's name says: the domains of its goods, and how giftable an unknown thing there is."""

    id: str
    domains: tuple[str, ...]
    gift: float
    interests: Mapping[str, float]
    gender: str
    ages: tuple[int, int] | None
