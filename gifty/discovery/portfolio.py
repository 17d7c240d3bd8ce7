"""Puts a portfolio together: the best first, different from each other, with a place for each way a gift can work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from gifty.discovery.models import Brief
from gifty.discovery.ranking import Ranked
from gifty.ontology.models import AXES

SAFE, PIVOT, PRACTICAL, WILDCARD = "safe_bet", "emotional_pivot", "practical", "wildcard"
SLOTS: Final = (SAFE, PIVOT, PRACTICAL, WILDCARD)
POOL: Final = 120
SAME_KIND: Final = 0.97
MANY_OF_A_KIND: Final = 0.9
"""Besides, for each from the third on, unless the giver named that very thing."""
SAME_FAMILY: Final = 0.98
SAME_FRANCHISE: Final = 0.97
SAME_INTEREST: Final = 0.975
NEAR_DUPLICATE: Final = 0.55
ALIKE: Final = 0.5
"""Jaccard likeness of title words from which two gifts count as nearly the same."""
A_PRESENT: Final = 0.25
"""Least giftability of a product that keeps ideas out."""
FAIR: Final = 0.12
"""Least share of the best idea's score of such a product."""
STRONG: Final = 0.55


def assemble(ranked: Sequence[Ranked], size: int) -> list[Ranked]:
    """`size` gifts by maximal marginal relevance over kind, family, franchise, interest and title.

    A gift's marginal value never exceeds its score: the search for the next one ends at the first score below the best.
    """
    chosen = _Chosen()
    for pool in _in_turn(ranked):
        _fill(chosen, pool, size)
    return chosen.gifts


def _fill(chosen: _Chosen, ranked: Sequence[Ranked], size: int) -> None:
    pool = sorted(ranked, key=lambda one: (-one.score, one.candidate.gift_id))[:POOL]
    while pool and len(chosen.gifts) < size:
        best, best_value = 0, -1.0
        for place, one in enumerate(pool):
            if one.score <= best_value:
                break
            value = chosen.marginal(one)
            if value > best_value:
                best, best_value = place, value
        chosen.add(pool.pop(best))


class _Chosen:
    """The gifts chosen so far, and how often each trait is among them."""

    def __init__(self) -> None:
        self.gifts: list[Ranked] = []
        self._counts: Counter[str] = Counter()
        self._words: dict[str, frozenset[str]] = {}

    def marginal(self, one: Ranked) -> float:
        """What a gift adds to those chosen."""
        candidate = one.candidate
        kinds = self._counts[f"kind:{candidate.kind}"]
        value = (
            one.score
            * SAME_KIND**kinds
            * (1.0 if one.asked else MANY_OF_A_KIND ** float(max(0, kinds - 1)))
            * SAME_FAMILY ** self._counts[f"family:{one.family}"]
        )
        for motif in candidate.motifs:
            if motif.startswith("franchise:"):
                value *= SAME_FRANCHISE ** self._counts[motif]
        if one.interests:
            value *= SAME_INTEREST ** self._counts[one.interests[0]]
        if kinds:
            own = self._words_of(one)
            for other in self.gifts:
                if other.candidate.kind == candidate.kind:
                    theirs = self._words_of(other)
                    if len(own & theirs) >= ALIKE * len(own | theirs):
                        value *= NEAR_DUPLICATE
        return value

    def add(self, one: Ranked) -> None:
        """Takes a gift in."""
        self.gifts.append(one)
        traits = [motif for motif in one.candidate.motifs if motif.startswith("franchise:")]
        self._counts.update([f"kind:{one.candidate.kind}", f"family:{one.family}", *traits, *one.interests[:1]])

    def _words_of(self, one: Ranked) -> frozenset[str]:
        words = self._words.get(one.candidate.gift_id)
        if words is None:
            words = self._words[one.candidate.gift_id] = frozenset(one.candidate.title.lower().split())
        return words


def _in_turn(ranked: Sequence[Ranked]) -> tuple[list[Ranked], list[Ranked], list[Ranked]]:
    """Products that are fair presents, then ideas for what is left, then any other product."""
    best_idea = max((one.score for one in ranked if one.candidate.is_idea), default=0.0)
    fair: list[Ranked] = []
    ideas: list[Ranked] = []
    others: list[Ranked] = []
    for one in ranked:
        presentable = one.candidate.giftability >= A_PRESENT and one.score >= FAIR * best_idea
        (ideas if one.candidate.is_idea else fair if presentable or not best_idea else others).append(one)
    return fair, ideas, others


def slot_of(brief: Brief, one: Ranked, position: int, axes: Sequence[float]) -> str:
    """Which part of the portfolio a gift plays, by its place and its gift matrix."""
    if position == 0:
        return SAFE
    values = dict(zip(AXES, axes, strict=False))
    if max(values["warmth"], values["romance"]) >= STRONG > values["practicality"]:
        return PIVOT
    if values["practicality"] >= STRONG:
        return PRACTICAL
    if brief.named and not one.interests:
        return WILDCARD
    return SAFE if one.fit >= STRONG else WILDCARD
