"""Selects gifts for a quiz: candidates by kind, motif and meaning, ranked; wishes give way in their order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from gifty.catalog.candidates import Candidate, CandidateFilter, CandidateQuery, CandidateService
from gifty.catalog.search_models import GiftFilter
from gifty.discovery import bounds
from gifty.discovery.knowledge import Knowledge
from gifty.discovery.matrix import KindMatrix
from gifty.discovery.models import Brief, Quiz
from gifty.discovery.portfolio import assemble
from gifty.discovery.profiler import Profiler
from gifty.discovery.ranking import KindScores, Ranked, Ranker
from gifty.ontology.loader import Ontology

KEPT_BRIEFS: Final = 512
TOP_KINDS: Final = 12
PER_TOP_KIND: Final = 10
KINDS: Final = 40
PER_KIND: Final = 4
LEAST_KIND_SCORE: Final = 0.02
PER_MOTIF: Final = 16
PER_NEAR_MOTIF: Final = 5
MOTIFS: Final = 8
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
class Understood:
    """A quiz understood, and where to look for it."""

    brief: Brief
    kinds: KindScores
    top: Mapping[str, int]
    motifs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A wish that not all gifts keep, and the name of the text that says so."""

    wish: str
    text: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The gifts for a quiz in their order."""

    known: Understood
    chosen: tuple[Ranked, ...]
    relaxed: tuple[Relaxed, ...]
    candidates: int


class Selector:
    """Selects gifts. Keeps what it understood of recent quizzes; the catalogue is read each time."""

    def __init__(
        self, ontology: Ontology, knowledge: Knowledge, candidates: CandidateService, finder: Finder | None
    ) -> None:
        self._ontology = ontology
        self._candidates = candidates
        self._finder = finder
        self._profiler = Profiler(ontology, knowledge)
        self._matrix = KindMatrix(ontology)
        self._ranker = Ranker(ontology, self._matrix)
        self._kept: OrderedDict[Quiz, Understood] = OrderedDict()

    async def select(self, quiz: Quiz) -> Selection:
        """Gifts for a quiz, fewer than asked for only when no more keep wishes, age, closeness and a hard budget."""
        known = self.understand(quiz)
        pool = _Pool(self, quiz, known, await self._found(known.brief))
        await pool.add(pool.where)
        relaxed = await pool.relax() if len(pool.ranked) < quiz.top_n else []
        chosen = assemble(pool.ranked, quiz.top_n)
        relaxed.extend(self._unmet(known.brief, chosen, relaxed))
        return Selection(known, tuple(chosen), tuple(relaxed), len(pool.ranked))

    def understand(self, quiz: Quiz) -> Understood:
        """What a quiz means."""
        key = replace(quiz, top_n=1, debug=False)
        known = self._kept.get(key)
        if known is None:
            brief = self._profiler.brief(key)
            kinds = self._ranker.kinds(brief)
            known = self._kept[key] = Understood(brief, kinds, self._top(kinds), _motifs(brief))
            if len(self._kept) > KEPT_BRIEFS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return known

    def query(self, known: Understood, found: Mapping[str, float], where: CandidateFilter) -> CandidateQuery:
        """Where candidates of a brief are looked for."""
        return CandidateQuery(known.top, known.motifs, sorted(found), where)

    def _top(self, kinds: KindScores) -> dict[str, int]:
        order = np.argsort(-kinds.score, kind="stable")[:KINDS]
        return {
            self._matrix.ids[row]: PER_TOP_KIND if place < TOP_KINDS else PER_KIND
            for place, row in enumerate(order)
            if kinds.score[row] > LEAST_KIND_SCORE
        }

    async def _found(self, brief: Brief) -> dict[str, float]:
        """Fits of gifts that search brings for words nobody understood, by id."""
        if not brief.unknown or self._finder is None:
            return {}
        nearest = await self._finder.nearest(" ".join(brief.unknown), GiftFilter(), FOUND)
        best = max((cosine for _, cosine in nearest), default=0.0)
        if best < LEAST_COSINE:
            return {}
        return {gift_id: FOUND_FIT * cosine / best for gift_id, cosine in nearest if cosine >= FOUND_SHARE * best}

    def _unmet(self, brief: Brief, chosen: Sequence[Ranked], relaxed: Sequence[Relaxed]) -> list[Relaxed]:
        """Wishes that the chosen gifts do not all keep, in the order in which they give way."""
        if not chosen:
            return []
        unmet: list[Relaxed] = []
        budget = brief.wanted_price
        if budget is not None and not relaxed and any((one.candidate.price or 0) > budget for one in chosen):
            unmet.append(Relaxed("budget", "budget_up"))
        kinds = [self._ontology.kinds[one.candidate.kind] for one in chosen if one.candidate.kind is not None]
        if brief.occasion is not None and not any(
            not kind.occasions or brief.occasion in kind.occasions for kind in kinds
        ):
            unmet.append(Relaxed("occasion", "occasion_relaxed"))
        if brief.vibes and not any(brief.vibes.get(vibe, 0.0) >= MEETS_VIBE for kind in kinds for vibe in kind.vibes):
            unmet.append(Relaxed("vibe", "vibe_relaxed"))
        wants = brief.named or brief.kinds or brief.unknown
        if wants and any(one.fit < MEETS_INTEREST for one in chosen):
            unmet.append(Relaxed("interests", "interests_relaxed"))
        return unmet

    async def candidates_of(
        self, known: Understood, found: Mapping[str, float], where: CandidateFilter
    ) -> list[Candidate]:
        """Candidates that a brief looks for."""
        return await self._candidates.candidates(self.query(known, found, where))

    async def any_candidates(self, where: CandidateFilter) -> list[Candidate]:
        """Candidates of any kind."""
        return await self._candidates.any_candidates(where, LAST_RESORT)

    def rank(
        self, quiz: Quiz, known: Understood, candidates: Sequence[Candidate], found: Mapping[str, float]
    ) -> list[Ranked]:
        """Candidates by falling score."""
        return self._ranker.rank(known.brief, quiz, known.kinds, candidates, found)


class _Pool:
    """Ranked candidates of one quiz, widened step by step."""

    def __init__(self, selector: Selector, quiz: Quiz, known: Understood, found: Mapping[str, float]) -> None:
        self._selector = selector
        self._quiz = quiz
        self._known = known
        self._found = found
        self.where = bounds.strict(known.brief, quiz)
        self.ranked: list[Ranked] = []

    async def add(self, where: CandidateFilter) -> int:
        """Adds what the brief looks for within bounds. Returns how many came."""
        return self._take(await self._selector.candidates_of(self._known, self._found, where))

    def _take(self, candidates: Sequence[Candidate]) -> int:
        seen = {one.candidate.gift_id for one in self.ranked}
        fresh = self._selector.rank(self._quiz, self._known, candidates, self._found)
        before = len(self.ranked)
        self.ranked.extend(one for one in fresh if one.candidate.gift_id not in seen)
        return len(self.ranked) - before

    async def relax(self) -> list[Relaxed]:
        """Gives way until there are enough: budget up a little, interests, price down, then the budget at all."""
        quiz, where = self._quiz, self.where
        relaxed: list[Relaxed] = []
        soft = quiz.budget_strictness == "soft" and quiz.max_price is None and where.high_price is not None
        if soft and where.high_price is not None:
            where = replace(where, high_price=where.high_price * bounds.STRETCH)
            if await self.add(where):
                relaxed.append(Relaxed("budget", "budget_up"))
        for low_price, least in ((where.low_price, where.least_giftability), (quiz.min_price or 0.0, 0.0)):
            if len(self.ranked) >= quiz.top_n:
                break
            where = replace(where, low_price=low_price, least_giftability=least)
            self._take(await self._selector.any_candidates(where))
        if not self.ranked and soft:
            self._take(await self._selector.any_candidates(replace(where, high_price=None)))
            if self.ranked:
                relaxed = [Relaxed("budget", "budget")]
        return relaxed


def _motifs(brief: Brief) -> dict[str, int]:
    """What to look for in titles: what was named, then the occasion's themes, then what lies near."""
    named = sorted(brief.named, key=lambda name: (-brief.named[name], name))
    motifs = dict.fromkeys([*sorted(brief.motifs), *named][:MOTIFS], PER_MOTIF)
    motifs |= dict.fromkeys(sorted(brief.themes), PER_NEAR_MOTIF)
    near = sorted(
        (name for name in brief.interests if name not in motifs), key=lambda name: (-brief.interests[name], name)
    )
    for name in near[: max(0, MOTIFS - len(motifs))]:
        motifs[name] = PER_NEAR_MOTIF
    return motifs
