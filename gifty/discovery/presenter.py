"""Puts a selection before people: cards, reasons, slots, promotions, and what was understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gifty.catalog.candidates import GiftCard
from gifty.catalog.models import Promotion
from gifty.catalog.search import Promotions
from gifty.discovery.knowledge import Knowledge
from gifty.discovery.models import Brief, Pick
from gifty.discovery.portfolio import slot_of
from gifty.discovery.ranking import Ranked
from gifty.discovery.reasons import Reasons
from gifty.discovery.selection import Selection
from gifty.ontology.loader import Ontology


class Presenter:
    """Knows the words and the looks; decides nothing."""

    def __init__(self, ontology: Ontology, knowledge: Knowledge, promotions: Promotions) -> None:
        self._ontology = ontology
        self._promotions = promotions
        self.reasons = Reasons(ontology, knowledge)

    async def picks(self, selection: Selection, cards: Mapping[str, GiftCard]) -> tuple[Pick, ...]:
        """The chosen gifts as people see them; those whose card is gone are left out."""
        shops = {card.merchant for card in cards.values() if card.merchant}
        promotions = await self._promotions.of_shops(shops) if shops else {}
        shown = [one for one in selection.chosen if one.candidate.gift_id in cards]
        return tuple(
            self._pick(selection.known.brief, position, one, cards[one.candidate.gift_id], promotions)
            for position, one in enumerate(shown)
        )

    def _pick(
        self, brief: Brief, position: int, one: Ranked, card: GiftCard, promotions: Mapping[str, Sequence[Promotion]]
    ) -> Pick:
        candidate = one.candidate
        slot = slot_of(brief, one, position, card.axes)
        return Pick(
            gift_id=candidate.gift_id,
            title=candidate.title,
            description=card.description,
            price=candidate.price,
            currency=candidate.currency,
            old_price=card.old_price,
            product_url=card.url,
            image_url=card.image_url,
            merchant=card.merchant,
            category=candidate.category,
            is_idea=candidate.is_idea,
            reasons=self.reasons.why(brief, one, slot, card.axes),
            slot=slot,
            promotions=tuple(promotions.get(card.merchant or "", ())),
        )

    def understood(self, brief: Brief) -> dict[str, Any]:
        """What was understood, in the giver's language."""
        english = brief.language == "en"
        interests = sorted(brief.named.items(), key=lambda item: (-item[1], item[0]))
        found = [self._ontology.interests[name] for name, _ in interests]
        things = [self._ontology.kinds[name] for name in sorted(brief.kinds)]
        return {
            "interests": [{"id": one.id, "name": one.en if english else one.ru} for one in found],
            "things": [one.en if english else one.ru for one in things],
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


def debug(selection: Selection) -> dict[str, Any]:
    """How the selection came about, for people who tune it."""
    return {
        "candidates": selection.candidates,
        "kinds": list(selection.known.top)[:20],
        "motifs": list(selection.known.motifs),
        "gifts": [
            {
                "gift_id": one.candidate.gift_id, "score": round(one.score, 4), "fit": round(one.fit, 3),
                "soft": round(one.soft, 3), "price": round(one.price, 3), "kind": one.candidate.kind,
                "interests": list(one.interests),
            }
            for one in selection.chosen
        ],
    }  # fmt: skip
