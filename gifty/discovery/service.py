"""The main job: a quiz in, a portfolio of gifts with reasons out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from gifty.catalog.candidates import Candidate, CandidateFilter, CandidateQuery, CandidateService, GiftCard
from gifty.catalog.models import Promotion
from gifty.catalog.search import NoPromotions, Promotions
from gifty.catalog.search_models import GiftFilter
from gifty.core.ids import new_id
from gifty.discovery import bounds
from gifty.discovery.knowledge import Knowledge
from gifty.discovery.matrix import KindMatrix
from gifty.discovery.models import Brief, Pick, Quiz, Recommendation, Relaxation
from gifty.discovery.portfolio import assemble
from gifty.discovery.profiler import Profiler
from gifty.discovery.ranking import KindScores, Ranked, Ranker
from gifty.discovery.reasons import Reasons
from gifty.discovery.runs import RunRecorder
from gifty.ontology.loader import Ontology

ENGINE: Final = 1
"""Raise when ranking changes its results."""
KEPT_BRIEFS: Final = 512
TOP_KINDS: Final = 14
PER_TOP_KIND: Final = 12
KINDS: Final = 56
PER_KIND: Final = 4
LEAST_KIND_SCORE: Final = 0.02
PER_MOTIF: Final = 24
PER_NEAR_MOTIF: Final = 6
MOTIFS: Final = 10
FOUND: Final = 40
FOUND_FIT: Final = 0.6
"""Fit of the gift nearest to words nobody understood; those farther away fall in proportion."""
FOUND_SHARE: Final = 0.6
LEAST_COSINE: Final = 0.2
LAST_RESORT: Final = 80
MEETS_INTEREST: Final = 0.2
MEETS_VIBE: Final = 0.35


class Finder(Protocol):
    """The catalogue's search by meaning, for words nobody understood (`SearchService`)."""

    async def nearest(self, text: str, where: GiftFilter, limit: int) -> list[tuple[str, float]]:
        """Ids and cosines of the gifts nearest to a text, best first."""
        ...


@dataclass(frozen=True, slots=True)
class _Understood:
    brief: Brief
    kinds: KindScores
    top: Mapping[str, int]
    motifs: Mapping[str, int]


class RecommendationService:
    """Recommends gifts. Keeps what it made of recent quizzes; the catalogue is read each time."""

    def __init__(
        self,
        *,
        ontology: Ontology,
        knowledge: Knowledge,
        candidates: CandidateService,
        finder: Finder | None = None,
        promotions: Promotions | None = None,
        runs: RunRecorder | None = None,
        new_run_id: Callable[[], str] = lambda: new_id("quiz"),
    ) -> None:
        self._ontology = ontology
        self._candidates = candidates
        self._finder = finder
        self._promotions = promotions or NoPromotions()
        self._runs = runs
        self._new_run_id = new_run_id
        self._profiler = Profiler(ontology, knowledge)
        self._matrix = KindMatrix(ontology)
        self._ranker = Ranker(ontology, self._matrix)
        self._reasons = Reasons(ontology, knowledge)
        self._understood: OrderedDict[Quiz, _Understood] = OrderedDict()
        self.engine_version = f"rules-{ENGINE}-{ontology.stamp[:8]}"

    async def recommend(self, quiz: Quiz) -> Recommendation:
        """A portfolio: never empty while the catalogue has gifts that keep wishes, age, closeness and a hard budget."""
        known = self._understand(quiz)
        brief = known.brief
        where = bounds.strict(brief, quiz)
        found = await self._found(brief)
        ranked = await self._ranked(quiz, known, where, found)
        relaxed: list[Relaxation] = []
        if len(ranked) < quiz.top_n:
            ranked, relaxed = await self._relax(quiz, known, where, found, ranked)
        chosen = assemble(brief, ranked, quiz.top_n)
        relaxed.extend(self._unmet(brief, [one for one, _ in chosen], relaxed))
        picks = await self._present(brief, chosen)
        recommendation = Recommendation(
            quiz_run_id=self._new_run_id(),
            engine_version=self.engine_version,
            gifts=picks,
            relaxed=tuple(relaxed),
            understood=self._told(brief),
            debug=self._debug(known, chosen, len(ranked)) if quiz.debug else None,
        )
        self._record(quiz, recommendation)
        return recommendation

    async def _found(self, brief: Brief) -> dict[str, float]:
        """Fits of gifts that search brings for words nobody understood, by id."""
        if not brief.unknown or self._finder is None:
            return {}
        nearest = await self._finder.nearest(" ".join(brief.unknown), GiftFilter(), FOUND)
        best = max((cosine for _, cosine in nearest), default=0.0)
        if best < LEAST_COSINE:
            return {}
        return {gift_id: FOUND_FIT * cosine / best for gift_id, cosine in nearest if cosine >= FOUND_SHARE * best}

    def _understand(self, quiz: Quiz) -> _Understood:
        key = replace(quiz, top_n=1, debug=False)
        known = self._understood.get(key)
        if known is None:
            brief = self._profiler.brief(key)
            kinds = self._ranker.kinds(brief)
            known = _Understood(brief, kinds, self._top(kinds), _motifs(brief))
            self._understood[key] = known
            if len(self._understood) > KEPT_BRIEFS:
                self._understood.popitem(last=False)
        else:
            self._understood.move_to_end(key)
        return known

    def _top(self, kinds: KindScores) -> dict[str, int]:
        order = np.argsort(-kinds.score, kind="stable")[:KINDS]
        return {
            self._matrix.ids[row]: PER_TOP_KIND if place < TOP_KINDS else PER_KIND
            for place, row in enumerate(order)
            if kinds.score[row] > LEAST_KIND_SCORE
        }

    async def _ranked(
        self, quiz: Quiz, known: _Understood, where: CandidateFilter, found: Mapping[str, float]
    ) -> list[Ranked]:
        candidates = await self._candidates.candidates(CandidateQuery(known.top, known.motifs, sorted(found), where))
        return self._rank(quiz, known, candidates, found)

    def _rank(
        self, quiz: Quiz, known: _Understood, candidates: Sequence[Candidate], found: Mapping[str, float]
    ) -> list[Ranked]:
        return self._ranker.rank(known.brief, quiz, known.kinds, candidates, found)

    async def _relax(
        self, quiz: Quiz, known: _Understood, where: CandidateFilter, found: Mapping[str, float], ranked: list[Ranked]
    ) -> tuple[list[Ranked], list[Relaxation]]:
        """Gives way until there are enough: budget up a little, interests, price down, then budget at all."""
        brief, relaxed = known.brief, []
        soft = quiz.budget_strictness == "soft" and quiz.max_price is None and where.high_price is not None
        if soft and where.high_price is not None:
            where = replace(where, high_price=where.high_price * bounds.STRETCH)
            wider = _joined(ranked, await self._ranked(quiz, known, where, found))
            if len(wider) > len(ranked):
                relaxed.append(self._reasons.relaxed(brief.language, "budget", "budget_up"))
            ranked = wider
        for low_price, least_giftability in ((where.low_price, where.least_giftability), (quiz.min_price or 0.0, 0.0)):
            if len(ranked) >= quiz.top_n:
                break
            where = replace(where, low_price=low_price, least_giftability=least_giftability)
            anything = await self._candidates.any_candidates(where, LAST_RESORT)
            ranked = _joined(ranked, self._rank(quiz, known, anything, found))
        if not ranked and soft:
            dearer = replace(where, high_price=None)
            ranked = self._rank(quiz, known, await self._candidates.any_candidates(dearer, LAST_RESORT), found)
            if ranked:
                relaxed = [self._reasons.relaxed(brief.language, "budget", "budget")]
        return ranked, relaxed

    def _unmet(self, brief: Brief, chosen: Sequence[Ranked], relaxed: Sequence[Relaxation]) -> list[Relaxation]:
        """Wishes that the chosen gifts do not all keep, in the order in which they give way."""
        if not chosen:
            return []
        unmet: list[Relaxation] = []
        named = {one.wish for one in relaxed}
        over = brief.wanted_price is not None and any((one.candidate.price or 0) > brief.wanted_price for one in chosen)
        if over and "budget" not in named:
            unmet.append(self._reasons.relaxed(brief.language, "budget", "budget_up"))
        kinds = [self._ontology.kinds.get(one.candidate.kind or "") for one in chosen]
        if brief.occasion is not None and not any(
            kind is not None and (not kind.occasions or brief.occasion in kind.occasions) for kind in kinds
        ):
            unmet.append(self._reasons.relaxed(brief.language, "occasion", "occasion_relaxed"))
        if brief.vibes and not any(
            kind is not None and any(brief.vibes.get(vibe, 0.0) >= MEETS_VIBE for vibe in kind.vibes) for kind in kinds
        ):
            unmet.append(self._reasons.relaxed(brief.language, "vibe", "vibe_relaxed"))
        if (brief.named or brief.kinds or brief.unknown) and any(one.fit < MEETS_INTEREST for one in chosen):
            unmet.append(self._reasons.relaxed(brief.language, "interests", "interests_relaxed"))
        return unmet

    async def _present(self, brief: Brief, chosen: Sequence[tuple[Ranked, str]]) -> tuple[Pick, ...]:
        cards = await self._candidates.cards([one.candidate.gift_id for one, _ in chosen])
        shops = {one.candidate.merchant for one, _ in chosen if one.candidate.merchant}
        promotions = await self._promotions.of_shops(shops) if shops else {}
        return tuple(
            self._pick(brief, one, slot, cards[one.candidate.gift_id], promotions.get(one.candidate.merchant or "", ()))
            for one, slot in chosen
            if one.candidate.gift_id in cards
        )

    def _pick(self, brief: Brief, one: Ranked, slot: str, card: GiftCard, promotions: Sequence[Promotion]) -> Pick:
        candidate = one.candidate
        english = (brief.language == "en" and card.english) or {}
        return Pick(
            gift_id=candidate.gift_id,
            title=english.get("title", candidate.title),
            description=english.get("description", card.description),
            price=candidate.price,
            currency=candidate.currency,
            old_price=card.old_price,
            product_url=card.url,
            image_url=card.image_url,
            merchant=candidate.merchant,
            category=english.get("category", candidate.category),
            is_idea=candidate.is_idea,
            reasons=self._reasons.why(brief, one, slot),
            slot=slot,
            promotions=tuple(promotions),
        )

    def _told(self, brief: Brief) -> dict[str, Any]:
        """What was understood, in the giver's language."""
        english = brief.language == "en"
        interests = sorted(brief.named.items(), key=lambda item: (-item[1], item[0]))
        return {
            "interests": [
                {
                    "id": name,
                    "name": self._ontology.interests[name].en if english else self._ontology.interests[name].ru,
                }
                for name, _ in interests
            ],
            "things": [
                self._ontology.kinds[name].en if english else self._ontology.kinds[name].ru
                for name in sorted(brief.kinds)
            ],
            "avoided": sorted(brief.avoided),
            "needs": sorted(brief.needs),
            "gaps": {name: round(weight, 3) for name, weight in sorted(brief.gaps.items())},
            "subtypes": list(brief.subtypes),
            "relationship": brief.relation,
            "occasion": brief.occasion,
            "gender": brief.gender,
            "ages": list(brief.ages),
            "tags": sorted(brief.tags),
            "unknown_words": list(brief.unknown),
        }

    def _debug(self, known: _Understood, chosen: Sequence[tuple[Ranked, str]], candidates: int) -> dict[str, Any]:
        return {
            "candidates": candidates,
            "kinds": list(known.top)[:20],
            "motifs": list(known.motifs),
            "gifts": [
                {
                    "gift_id": one.candidate.gift_id, "slot": slot, "score": round(one.score, 4),
                    "fit": round(one.fit, 3),
                    "soft": round(one.soft, 3), "price": round(one.price, 3), "kind": one.candidate.kind,
                    "interests": list(one.interests),
                }
                for one, slot in chosen
            ],
        }  # fmt: skip

    def _record(self, quiz: Quiz, recommendation: Recommendation) -> None:
        """Files the run without the free text, which may hold names."""
        if self._runs is not None:
            self._runs.record(
                {
                    "id": recommendation.quiz_run_id,
                    "engine_version": recommendation.engine_version,
                    "request": {
                        "recipient_age": quiz.recipient_age, "recipient_gender": quiz.recipient_gender,
                        "budget": quiz.budget, "top_n": quiz.top_n, "language": quiz.language,
                    },
                    "understood": dict(recommendation.understood) | {"unknown_words": []},
                    "relaxed": [one.wish for one in recommendation.relaxed],
                    "gift_ids": [pick.gift_id for pick in recommendation.gifts],
                }
            )  # fmt: skip


def _motifs(brief: Brief) -> dict[str, int]:
    named = dict.fromkeys(
        [*sorted(brief.motifs), *sorted(brief.named, key=lambda name: (-brief.named[name], name))], PER_MOTIF
    )
    near = sorted(
        (name for name in brief.interests if name not in named), key=lambda name: (-brief.interests[name], name)
    )
    themes = dict.fromkeys(sorted(brief.themes), PER_NEAR_MOTIF)
    motifs = dict(list(named.items())[:MOTIFS]) | themes
    for name in near[: max(0, MOTIFS - len(motifs))]:
        motifs.setdefault(name, PER_NEAR_MOTIF)
    return motifs


def _joined(first: Sequence[Ranked], second: Sequence[Ranked]) -> list[Ranked]:
    """Both lists as one, each gift once, the first list's order before the second's."""
    seen = {one.candidate.gift_id for one in first}
    return [*first, *(one for one in second if one.candidate.gift_id not in seen)]
