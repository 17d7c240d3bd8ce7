"""Ranks candidates for a brief: interest fit first, then what kind of gift it is, for whom, and at which price."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gifty.catalog.candidates import Candidate
from gifty.discovery.bounds import LEAST_CLOSENESS
from gifty.discovery.matrix import SHARED, Floats, KindMatrix
from gifty.discovery.models import Brief, Quiz
from gifty.ontology.loader import Ontology

MOTIF_FIT: Final = 0.6
"""What a motif in the title of any thing counts against a kind made for the interest."""
FRANCHISE_FIT: Final = 0.97
GIFT_POWER: Final = 0.95
FIT_SHARE: Final = 0.82
SOFT_ALONE: Final = 0.15
ENOUGH_OF_BUDGET: Final = 0.35
CHEAP: Final = 300.0
DEAR: Final = 15_000.0
NAMED: Final = 1.25
"""Factor on gifts of the very franchise the giver named."""
OVER_BUDGET: Final = 0.75
TOO_CLOSE: Final = 0.7
CHILD: Final = 14
SCHOOL: Final = 6
THEME_ELSEWHERE: Final = {
    "theme:christmas": 0.35, "theme:halloween": 0.45, "mood:wedding": 0.35, "mood:romantic": 0.6,
    "mood:creepy": 0.6, "mood:funny": 0.9,
}  # fmt: skip
"""Factors on gifts of a theme that the occasion or the relation does not share."""
THEME_HERE: Final = 1.06
AT_HOME_WITH: Final = {
    "mood:romantic": frozenset({"partner", None}),
    "mood:funny": frozenset({"partner", "best_friend", "friend", "child", "relative"}),
}
"""Relations that take a mood as it comes."""
AVOIDED: Final = 0.1
CLEARLY: Final = 0.5
MET: Final = 0.3
"""Least strength of a named interest in a gift for the gift to be said to meet it."""


@dataclass(frozen=True, slots=True)
class KindScores:
    """What a brief makes of every kind; kept between requests that ask the same."""

    fit: Floats
    soft: Floats
    apt: Floats
    shared: Floats
    score: Floats


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its score and the parts of it that reasons and slots need."""

    candidate: Candidate
    score: float
    fit: float
    soft: float
    price: float
    """Price factor."""
    interests: tuple[str, ...]
    """Named interests it meets, best first."""
    family: str
    """The broad group of its kind."""
    asked: bool
    """Whether the giver named its kind or its franchise."""


class Ranker:
    """Scores kinds and candidates. Deterministic, pure computation."""

    def __init__(self, ontology: Ontology, matrix: KindMatrix) -> None:
        self._ontology = ontology
        self._matrix = matrix
        self._families = {name: ontology.family(name) for name in ontology.kinds}

    def kinds(self, brief: Brief) -> KindScores:
        """The score of every kind for a brief, hard bounds on kinds included."""
        matrix = self._matrix
        fit, soft, apt = matrix.fit(brief), matrix.soft(brief), matrix.apt(brief)
        wants = bool(brief.interests or brief.kinds)
        relevance = _relevance(fit, soft) if wants else 0.35 + 0.65 * soft
        shared = matrix.shared(brief)
        score = relevance * matrix.gift**GIFT_POWER * apt * shared
        ages = {pair: age_factor(*pair, brief) for pair in matrix.distinct_ages}
        score = score * np.array([ages[pair] for pair in matrix.ages], np.float32)
        score = np.where(matrix.closeness > max(LEAST_CLOSENESS, brief.closeness), 0.0, score)
        if brief.gender in {"female", "male"}:
            other = "male" if brief.gender == "female" else "female"
            score = np.where(matrix.genders == other, score * 0.25, score)
        return KindScores(fit, soft, apt, shared, np.asarray(score, np.float32))

    def rank(
        self, brief: Brief, quiz: Quiz, kinds: KindScores, candidates: Sequence[Candidate], found: Mapping[str, float]
    ) -> list[Ranked]:
        """Candidates by falling score; `found` are fits of gifts that search brought for words nobody understood."""
        wants = bool(brief.interests or brief.kinds or found)
        ranked = [self._one(brief, quiz, kinds, candidate, found, wants) for candidate in candidates]
        ranked = [one for one in ranked if one.score > 0]
        ranked.sort(key=lambda one: (-one.score, one.candidate.gift_id))
        return ranked

    def _one(
        self, brief: Brief, quiz: Quiz, kinds: KindScores, candidate: Candidate, found: Mapping[str, float], wants: bool
    ) -> Ranked:
        row = self._matrix.index.get(candidate.kind) if candidate.kind is not None else None
        fit = float(kinds.fit[row]) if row is not None else 0.0
        soft = float(kinds.soft[row]) if row is not None else 0.3
        apt = float(kinds.apt[row]) if row is not None else 0.95
        interests = brief.interests
        missed = 1.0 - fit
        for motif in candidate.motifs:
            weight = interests.get(motif)
            if weight is not None:
                missed *= 1.0 - MOTIF_FIT * weight
            elif motif in brief.motifs:
                missed *= 1.0 - FRANCHISE_FIT
        fit = 1.0 - missed
        named = not brief.motifs.isdisjoint(candidate.motifs)
        fit = max(fit, found.get(candidate.gift_id, 0.0))
        relevance = _relevance(fit, soft) if wants else 0.35 + 0.65 * soft
        price = price_factor(candidate.price, brief)
        score = relevance * candidate.giftability**GIFT_POWER * apt * price * self._whom(brief, candidate)
        score *= self._shared(brief, candidate, float(kinds.shared[row]) if row is not None else 1.0)
        score *= self._moods(brief, candidate) * self._wished(quiz, candidate)
        score *= 0.85 + 0.3 * candidate.quality
        if named:
            score *= NAMED
        if brief.avoided and self._is_avoided(brief, candidate):
            score *= AVOIDED
        return Ranked(
            candidate,
            score,
            fit,
            soft,
            price,
            self._met(brief, candidate),
            self._families.get(candidate.kind or "", ""),
            named or candidate.kind in brief.kinds,
        )

    def _given(self, candidate: Candidate) -> Mapping[str, float]:
        """Interests of the candidate's kind."""
        kind = self._ontology.kinds.get(candidate.kind or "")
        return {} if kind is None else kind.interests

    def _is_avoided(self, brief: Brief, candidate: Candidate) -> bool:
        given = self._given(candidate)
        return not brief.avoided.isdisjoint(candidate.motifs) or any(
            given.get(name, 0.0) >= CLEARLY for name in brief.avoided
        )

    def _met(self, brief: Brief, candidate: Candidate) -> tuple[str, ...]:
        given = self._given(candidate)
        strength = {
            name: wanted * max(given.get(name, 0.0), MOTIF_FIT if name in candidate.motifs else 0.0)
            for name, wanted in brief.named.items()
        }
        return tuple(
            sorted((name for name in strength if strength[name] > MET), key=lambda name: (-strength[name], name))
        )

    @staticmethod
    def _whom(brief: Brief, candidate: Candidate) -> float:
        factor = age_factor(candidate.age_min, candidate.age_max, brief)
        if candidate.closeness > brief.closeness:
            factor *= TOO_CLOSE
        if candidate.gender != "any":
            factor *= 0.8 if brief.gender is None else 1.05
        return factor

    def _shared(self, brief: Brief, candidate: Candidate, kind: float) -> float:
        """Factor below 1 on signs of interests the person is not known to share; a child minds less."""
        factor = kind
        for motif in candidate.motifs:
            interest = self._ontology.interests.get(motif)
            if interest is not None and interest.polarising:
                factor = min(
                    factor, 1.0 - interest.polarising * (1.0 - min(1.0, brief.interests.get(motif, 0.0) / SHARED))
                )
        return 1.0 - (1.0 - factor) * (0.5 if SCHOOL <= brief.ages[1] < CHILD else 1.0)

    @staticmethod
    def _moods(brief: Brief, candidate: Candidate) -> float:
        factor = 1.0
        for motif in candidate.motifs:
            if motif in THEME_ELSEWHERE and motif not in brief.motifs:
                if motif in brief.themes:
                    factor *= THEME_HERE
                elif brief.relation not in AT_HOME_WITH.get(motif, frozenset()):
                    factor *= THEME_ELSEWHERE[motif]
        return factor

    @staticmethod
    def _wished(quiz: Quiz, candidate: Candidate) -> float:
        factor = 1.0
        if quiz.prefer_keywords or quiz.avoid_keywords:
            title = candidate.title.lower()
            if any(word.lower() in title for word in quiz.prefer_keywords):
                factor *= 1.3
            if any(word.lower() in title for word in quiz.avoid_keywords):
                factor *= 0.3
        if quiz.prefer_categories and candidate.category is not None:
            wanted = {name.strip().lower() for name in quiz.prefer_categories}
            factor *= 1.25 if candidate.category.lower() in wanted else 1.0
        return factor


def price_factor(price: float | None, brief: Brief) -> float:
    """How well a price uses the budget: full from a third of it up, a trinket falls with the root of its share.

    Without a budget, very cheap and very dear things fall alike.
    """
    if price is None:
        return 0.6
    wanted = brief.wanted_price or brief.high_price
    if wanted is None:
        if price < CHEAP:
            return max(0.45, math.sqrt(price / CHEAP))
        return max(0.35, math.sqrt(DEAR / price)) if price > DEAR else 1.0
    share = price / wanted
    if share > 1.0:
        return OVER_BUDGET / (share * math.sqrt(share))
    enough = ENOUGH_OF_BUDGET * brief.dear
    return float(max(0.25, math.sqrt(share / enough))) if share < enough else 1.0


def _relevance(fit: Any, soft: Any) -> Any:
    """How much a gift speaks to the person, of numbers or arrays alike."""
    return fit * (FIT_SHARE + (1.0 - FIT_SHARE) * soft) + SOFT_ALONE * soft * (1.0 - fit)


def age_factor(low_age: int, high_age: int, brief: Brief) -> float:
    """1 inside the ages of a thing, falling outside: fast for what is too grown-up or childish, gently among adults."""
    if brief.also_age is not None and low_age <= brief.also_age <= high_age:
        return 1.0
    middle = (brief.ages[0] + brief.ages[1]) / 2
    if low_age <= middle <= high_age:
        return 1.0
    young = max(0.0, low_age - middle) / max(2.0, middle * 0.3)
    old = max(0.0, middle - high_age) / max(2.0, high_age * 0.35)
    return float(max(0.0, 1.0 - young) * max(0.0, 1.0 - old))
