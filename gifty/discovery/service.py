"""The main job: a quiz in, a portfolio of gifts with reasons out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gifty.catalog.candidates import CandidateService, GiftCard
from gifty.catalog.search import NoPromotions, Promotions
from gifty.core.clock import Clock, SystemClock
from gifty.core.ids import new_id
from gifty.discovery.knowledge import Knowledge
from gifty.discovery.models import Quiz, Recommendation
from gifty.discovery.presenter import Presenter, debug
from gifty.discovery.runs import RunRecorder
from gifty.discovery.selection import Finder, Selection, Selector
from gifty.ontology.loader import Ontology

ENGINE: Final = 2
"""Raise when ranking changes its results."""
KEPT_SELECTIONS: Final = 1_024
KEPT_SECONDS: Final = 5.0
"""How long a selection serves the same question again, provided that its gifts are still on offer at their price."""


@dataclass(frozen=True, slots=True)
class _Kept:
    selection: Selection
    until: float


class RecommendationService:
    """Recommends gifts. A question asked again within seconds costs one small query."""

    def __init__(
        self,
        *,
        ontology: Ontology,
        knowledge: Knowledge,
        candidates: CandidateService,
        finder: Finder | None = None,
        promotions: Promotions | None = None,
        runs: RunRecorder | None = None,
        clock: Clock | None = None,
        new_run_id: Callable[[], str] = lambda: new_id("quiz"),
    ) -> None:
        self._candidates = candidates
        self._runs = runs
        self._clock = clock or SystemClock()
        self._new_run_id = new_run_id
        self._selector = Selector(ontology, knowledge, candidates, finder)
        self._presenter = Presenter(ontology, knowledge, promotions or NoPromotions())
        self._kept: OrderedDict[Quiz, _Kept] = OrderedDict()
        self.engine_version = f"rules-{ENGINE}-{ontology.stamp[:8]}"

    async def recommend(self, quiz: Quiz) -> Recommendation:
        """A portfolio: never empty while the catalogue has gifts that keep wishes, age, closeness and a hard budget."""
        selection, cards = await self._select(quiz)
        brief = selection.known.brief
        reasons = self._presenter.reasons
        recommendation = Recommendation(
            quiz_run_id=self._new_run_id(),
            engine_version=self.engine_version,
            gifts=await self._presenter.picks(selection, cards),
            relaxed=tuple(reasons.relaxed(brief.language, one.wish, one.text) for one in selection.relaxed),
            understood=self._presenter.understood(brief),
            debug=debug(selection) if quiz.debug else None,
        )
        self._record(quiz, recommendation)
        return recommendation

    async def _select(self, quiz: Quiz) -> tuple[Selection, dict[str, GiftCard]]:
        """The selection, kept or new, with its cards; the cards tell whether a kept one still stands."""
        key = replace(quiz, debug=False)
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock.monotonic():
            cards = await self._cards(kept.selection)
            if _stands(kept.selection, cards):
                return kept.selection, cards
        selection = await self._selector.select(key)
        self._kept[key] = _Kept(selection, self._clock.monotonic() + KEPT_SECONDS)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_SELECTIONS:
            self._kept.popitem(last=False)
        return selection, await self._cards(selection)

    async def _cards(self, selection: Selection) -> dict[str, GiftCard]:
        return await self._candidates.cards([one.candidate.gift_id for one in selection.chosen])

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


def _stands(selection: Selection, cards: Mapping[str, GiftCard]) -> bool:
    """Whether every chosen gift is still there, on offer, at its price."""
    chosen = {one.candidate.gift_id: one.candidate.price for one in selection.chosen}
    return bool(chosen) and all(
        name in cards and cards[name].available and cards[name].price == price for name, price in chosen.items()
    )
