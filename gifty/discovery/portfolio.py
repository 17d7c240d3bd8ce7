"""Puts a portfolio together: the best first, different from each other, with a place for each way a gift can work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from gifty.discovery.models import Brief
from gifty.discovery.ranking import Ranked, axis
from gifty.ontology.text import fold

SAFE, PIVOT, PRACTICAL, WILDCARD = "safe_bet", "emotional_pivot", "practical", "wildcard"
SLOTS: Final = (SAFE, PIVOT, PRACTICAL, WILDCARD)
POOL: Final = 120
SAME_KIND: Final = 0.93
SAME_FAMILY: Final = 0.98
SAME_FRANCHISE: Final = 0.97
SAME_INTEREST: Final = 0.985
NEAR_DUPLICATE: Final = 0.55
ALIKE: Final = 0.5
"""Jaccard likeness of title words from which two gifts count as nearly the same."""
COMPARABLE: Final = 0.3
"""A real product of this share of the best idea's score is preferred to any idea."""
STRONG: Final = 0.55


def assemble(brief: Brief, ranked: Sequence[Ranked], size: int) -> list[tuple[Ranked, str]]:
    """`size` gifts with their slots, by maximal marginal relevance over kind, franchise, interest and title."""
    pool = _products_first(ranked, size)[:POOL]
    words = {one.candidate.gift_id: frozenset(fold(one.candidate.title).split()) for one in pool}
    kinds: Counter[str | None] = Counter()
    families: Counter[str] = Counter()
    franchises: Counter[str] = Counter()
    interests: Counter[str] = Counter()
    chosen: list[Ranked] = []
    while pool and len(chosen) < size:
        best = max(
            pool,
            key=lambda one: (
                _marginal(one, chosen, kinds, families, franchises, interests, words),
                one.candidate.gift_id,
            ),
        )
        pool.remove(best)
        chosen.append(best)
        kinds[best.candidate.kind] += 1
        families[best.family] += 1
        franchises.update(motif for motif in best.candidate.motifs if motif.startswith("franchise:"))
        if best.interests:
            interests[best.interests[0]] += 1
    return [(one, slot_of(brief, one, position)) for position, one in enumerate(chosen)]


def _products_first(ranked: Sequence[Ranked], size: int) -> list[Ranked]:
    """Real products alone when enough of them compare with the best idea; otherwise ideas fill in among them."""
    best_idea = max((one.score for one in ranked if one.candidate.is_idea), default=0.0)
    products = [one for one in ranked if not one.candidate.is_idea]
    comparable = [one for one in products if one.score >= COMPARABLE * best_idea]
    return products if len(comparable) >= size else list(ranked)


def _marginal(
    one: Ranked,
    chosen: Sequence[Ranked],
    kinds: Counter[str | None],
    families: Counter[str],
    franchises: Counter[str],
    interests: Counter[str],
    words: dict[str, frozenset[str]],
) -> float:
    candidate = one.candidate
    value = one.score * SAME_KIND ** kinds[candidate.kind] * SAME_FAMILY ** families[one.family]
    for motif in candidate.motifs:
        if motif in franchises:
            value *= SAME_FRANCHISE ** franchises[motif]
    if one.interests:
        value *= SAME_INTEREST ** interests[one.interests[0]]
    own = words[candidate.gift_id]
    for other in chosen:
        if other.candidate.kind == candidate.kind:
            theirs = words[other.candidate.gift_id]
            if len(own & theirs) >= ALIKE * len(own | theirs):
                value *= NEAR_DUPLICATE
    return value


def slot_of(brief: Brief, one: Ranked, position: int) -> str:
    """Which part of the portfolio a gift plays."""
    if position == 0:
        return SAFE
    candidate = one.candidate
    if (
        max(axis(candidate, "warmth"), axis(candidate, "romance")) >= STRONG
        and axis(candidate, "practicality") < STRONG
    ):
        return PIVOT
    if axis(candidate, "practicality") >= STRONG:
        return PRACTICAL
    if brief.named and not one.interests:
        return WILDCARD
    return SAFE if one.fit >= STRONG else WILDCARD
