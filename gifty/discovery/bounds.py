"""The bounds that candidates of a brief must keep, as the catalogue asks for them."""

from __future__ import annotations

from typing import Final

from gifty.catalog.candidates import CandidateFilter
from gifty.discovery.models import Brief, Quiz

GROWN: Final = 18
TEEN: Final = 14
CURRENCY: Final = "RUB"
LEAST_GIFTABILITY: Final = 0.06
LEAST_CLOSENESS: Final = 1
"""Things among friends are no offence to a boss; ranking lets them fall. What is for family or nearer stays out."""
STRETCH: Final = 1.1
"""How far a soft budget may be stretched."""


def age_bounds(brief: Brief) -> tuple[int, int]:
    """The youngest and the oldest age whose things may suit: nothing too grown-up for a child, some play among adults.

    The first is compared with the oldest age of a thing, the second with its youngest.
    """
    middle = (brief.ages[0] + brief.ages[1]) / 2
    age = round(middle)
    if age < TEEN:
        return max(0, age - 1), age
    if age < GROWN:
        return age - 2, age + 1
    return max(TEEN, int(middle * 0.75)), max(age + 2, round(middle * 1.3))


def strict(brief: Brief, quiz: Quiz) -> CandidateFilter:
    """All bounds as the giver set them."""
    low, high = age_bounds(brief)
    priced = brief.high_price is not None or brief.low_price > 0
    return CandidateFilter(
        low_price=brief.low_price,
        high_price=brief.high_price,
        priced_in=CURRENCY if priced else None,
        age_low=low,
        age_high=high,
        also_age=brief.also_age,
        gender=brief.gender,
        closeness=max(LEAST_CLOSENESS, brief.closeness),
        tags=brief.tags,
        exclude_words=(*quiz.exclude_keywords, *quiz.exclude_item_types),
        exclude_categories=quiz.exclude_categories,
        exclude_merchants=quiz.exclude_merchants,
        least_giftability=LEAST_GIFTABILITY,
    )
