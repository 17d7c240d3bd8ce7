"""Why this gift: at most a dozen words, concrete, in the giver's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gifty.discovery.knowledge import Knowledge
from gifty.discovery.models import Brief, Relaxation
from gifty.discovery.portfolio import PIVOT, WILDCARD
from gifty.discovery.ranking import Ranked
from gifty.ontology.loader import Ontology
from gifty.ontology.models import AXES

MOST_WORDS: Final = 12
MOST_REASONS: Final = 3
STRONG: Final = 0.6
NEAR_ENOUGH: Final = 0.2

_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "ru": {
        "interest": "В тему увлечения «{0}»",
        "interests": "Соединяет «{0}» и «{1}»",
        "near": "Рядом с увлечением «{0}»",
        "asked": "Именно то, о чём шла речь: {0}",
        "franchise": "Любимая вселенная: {0}",
        "occasion": "Особенно уместно: {0}",
        "used": "Пригодится почти каждый день",
        "practical": "Полезная вещь, не пылесборник",
        "warm": "Тёплый, душевный подарок",
        "romantic": "Романтично и лично",
        "wow": "Удивит с первого взгляда",
        "beautiful": "Красиво само по себе",
        "safe": "Уместно и без риска ошибиться",
        "wildcard": "Неожиданный ход, о котором не догадаются",
        "kind": "Хороший подарок: {0}",
        "need": "Даёт то, чего не хватает: {0}",
        "budget_up": "Часть идей чуть дороже бюджета, но не больше чем на 10 %",
        "budget": "В бюджет ничего подходящего не уложилось: показаны ближайшие по цене",
        "interests_relaxed": "По этим интересам подарков мало: добавлены подходящие человеку в целом",
        "vibe_relaxed": "Настроение подарка соблюдено не везде",
        "occasion_relaxed": "Не все подарки связаны с поводом",
    },
    "en": {
        "interest": "Made for their love of {0}",
        "interests": "Brings together {0} and {1}",
        "near": "Close to their love of {0}",
        "asked": "Just what was mentioned: {0}",
        "franchise": "From a world they love: {0}",
        "occasion": "Especially apt for {0}",
        "used": "Useful almost every day",
        "practical": "A useful thing, no dust catcher",
        "warm": "A warm, heartfelt gift",
        "romantic": "Romantic and personal",
        "wow": "Surprises at first sight",
        "beautiful": "Beautiful in itself",
        "safe": "Apt, with no risk of missing",
        "wildcard": "A surprise they will not see coming",
        "kind": "A good present: {0}",
        "need": "Gives what they miss: {0}",
        "budget_up": "Some ideas cost a little more than the budget, by 10 % at most",
        "budget": "Nothing apt fits the budget: these come closest in price",
        "interests_relaxed": "Few gifts meet these interests: some suit the person in general",
        "vibe_relaxed": "Not every gift has the mood you asked for",
        "occasion_relaxed": "Not every gift belongs to the occasion",
    },
}  # fmt: skip


class Reasons:
    """Puts what ranking knew into words."""

    def __init__(self, ontology: Ontology, knowledge: Knowledge) -> None:
        self._ontology = ontology
        self._knowledge = knowledge

    def why(self, brief: Brief, one: Ranked, slot: str, axes: Sequence[float]) -> tuple[str, ...]:
        """One to three reasons, the most telling first."""
        language = brief.language
        said = [*self._about_person(brief, one), *self._about_gift(brief, one, slot, axes)]
        if not said:
            kind = self._ontology.kinds.get(one.candidate.kind or "")
            said = [self._text(language, "kind", _name(kind, language)) if kind else self._text(language, "safe")]
        return tuple(short(reason) for reason in list(dict.fromkeys(said))[:MOST_REASONS])

    def relaxed(self, language: str, wish: str, text: str) -> Relaxation:
        """A relaxed wish in words."""
        return Relaxation(wish, self._text(language, text))

    def _about_person(self, brief: Brief, one: Ranked) -> list[str]:
        language = brief.language
        said: list[str] = []
        names = [_name(self._ontology.interests[name], language) for name in one.interests]
        kind = self._ontology.kinds.get(one.candidate.kind or "")
        franchise = next(
            (motif for motif in one.candidate.motifs if motif in brief.motifs and motif.startswith("franchise:")), None
        )
        if franchise is not None:
            said.append(self._text(language, "franchise", self._ontology.franchises[franchise.partition(":")[2]].name))
        if kind is not None and kind.id in brief.kinds:
            said.append(self._text(language, "asked", _name(kind, language)))
        if len(names) > 1:
            said.append(self._text(language, "interests", names[0], names[1]))
        elif names:
            said.append(self._text(language, "interest", names[0]))
        elif kind is not None:
            near = self._nearest(brief, one)
            if near is not None:
                said.append(self._text(language, "near", _name(self._ontology.interests[near], language)))
        if kind is not None and brief.needs:
            need = next((need for need in kind.needs if need in brief.needs), None)
            if need is not None:
                said.append(self._text(language, "need", self._knowledge["need"][need].name(language)))
        return said

    def _nearest(self, brief: Brief, one: Ranked) -> str | None:
        """The named interest nearest to what the gift serves."""
        kind = self._ontology.kinds.get(one.candidate.kind or "")
        given = set() if kind is None else set(kind.interests)
        given.update(motif for motif in one.candidate.motifs if motif in self._ontology.interests)
        best: tuple[float, str] | None = None
        for name, weight in brief.named.items():
            nearness = (
                max((self._ontology.interests[name].near.get(other, 0.0) for other in given), default=0.0) * weight
            )
            if nearness > NEAR_ENOUGH and (best is None or (nearness, name) > best):
                best = (nearness, name)
        return None if best is None else best[1]

    def _about_gift(self, brief: Brief, one: Ranked, slot: str, axes: Sequence[float]) -> list[str]:
        values = dict(zip(AXES, axes, strict=False))
        language = brief.language
        said: list[str] = []
        kind = self._ontology.kinds.get(one.candidate.kind or "")
        if (
            kind is not None
            and brief.occasion is not None
            and brief.occasion in kind.occasions
            and brief.occasion != "just_because"
        ):
            said.append(self._text(language, "occasion", self._knowledge["occasion"][brief.occasion].name(language)))
        if slot == WILDCARD:
            said.append(self._text(language, "wildcard"))
        strengths = [
            ("romance", "romantic", brief.relation == "partner"), ("usage_frequency", "used", True),
            ("wow", "wow", True),
            ("warmth", "warm", slot == PIVOT or brief.relation != "boss"), ("aesthetics", "beautiful", True),
            ("practicality", "practical", True),
        ]  # fmt: skip
        best = sorted(
            (
                (values[name] + (0.15 if brief.axes.get(name, 0) > 0 else 0.0), text)
                for name, text, apt in strengths
                if apt
            ),
            reverse=True,
        )
        said.extend(self._text(language, text) for value, text in best[:1] if value >= STRONG)
        return said

    @staticmethod
    def _text(language: str, name: str, *values: str) -> str:
        return _TEXTS["en" if language == "en" else "ru"][name].format(*values)


def _name(thing: object, language: str) -> str:
    return str(getattr(thing, "en" if language == "en" else "ru"))


def short(text: str) -> str:
    """At most a dozen words."""
    return " ".join(text.split()[:MOST_WORDS])
