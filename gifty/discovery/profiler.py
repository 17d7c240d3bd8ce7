"""From a quiz to a brief: what the words about a person mean, and which bounds follow from age, relation and wishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gifty.discovery.knowledge import Knowledge, Notion
from gifty.discovery.models import Brief, Quiz
from gifty.discovery.spelling import Speller
from gifty.ontology.loader import Ontology
from gifty.ontology.models import Kind
from gifty.ontology.phrases import Match
from gifty.ontology.reader import longest
from gifty.ontology.text import PREPOSITIONS, Token

NEAR: Final = 0.35
"""How much of an interest's nearness counts."""
DESCRIBED: Final = 0.8
BY_MOTIF: Final = 0.85
BY_KIND: Final = 0.7
FROM_VIBE: Final = 0.5
LEAST: Final = 0.04
RELATED: Final = 0.5
GROWN: Final = 18
CHILD: Final = 14
SMALL: Final = 10
TODDLER: Final = 4
BABY: Final = 1
TYPICAL_AGES: Final = (20, 60)
CHEAPEST_SHARE: Final = 0.06
OVER_BUDGET: Final = 1.1

_NEGATIONS: Final = frozenset(
    {
        "не", "нет", "без", "кроме", "ни", "ненавидит", "терпеть", "not", "no", "without", "except", "hates",
        "dislikes", "never",
    }
)  # fmt: skip
_FILLERS: Final = frozenset(
    {
        "любит", "любить", "нравится", "обожает", "обожать", "увлекается", "увлекаться", "занимается",
        "заниматься", "интересуется", "интересоваться", "очень", "много", "часто", "все", "всё", "весь",
        "свой", "мой", "моя", "наш", "это", "он", "она", "они", "что", "как", "где", "когда", "кто",
        "которое", "такой", "разный", "хочет", "хотеть", "люблю", "быть", "есть", "делать", "дома", "дом",
        "время", "новый", "хороший", "красивый", "человек", "жизнь", "каждый", "утро", "вечер", "день", "год",
        "раз", "играет", "играть", "ходит", "ходить", "вечно", "всегда", "иногда", "сам", "просто", "тоже",
        "уже", "еще", "стать", "мочь", "тема", "вид", "всякий", "любой", "свежий", "like", "likes", "love",
        "loves", "enjoy", "enjoys", "a", "an", "the", "is", "are", "into", "very", "much", "often", "all",
        "his", "her", "my", "their", "he", "she", "they", "and", "or", "new", "good", "nice", "beautiful",
        "stuff", "things", "thing", "person", "everything", "really", "always", "sometimes", "goes", "play",
        "plays", "do", "does", "make", "makes", "doing", "at", "fan", "big",
    }
)  # fmt: skip


@dataclass(slots=True)
class _Heard:
    interests: dict[str, float] = field(default_factory=dict)
    avoided: set[str] = field(default_factory=set)
    kinds: dict[str, float] = field(default_factory=dict)
    motifs: set[str] = field(default_factory=set)
    needs: dict[str, float] = field(default_factory=dict)
    subtypes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Profiler:
    """Understands quizzes with one ontology and one body of knowledge. Pure computation, under a millisecond a quiz."""

    def __init__(self, ontology: Ontology, knowledge: Knowledge) -> None:
        self._ontology = ontology
        self._knowledge = knowledge
        self._speller = Speller(ontology)

    def brief(self, quiz: Quiz) -> Brief:
        """The brief of a quiz."""
        heard = _Heard()
        for text in quiz.interests:
            self._hear(text, 1.0, heard)
        if quiz.interests_description:
            self._hear(quiz.interests_description, DESCRIBED, heard)
        relation = self._one("relation", quiz.relationship)
        occasion = self._one("occasion", quiz.occasion)
        vibes = self._many("vibe", quiz.vibe)
        gender = self._gender(quiz, occasion)
        ages, age_known = self._ages(quiz, relation)
        interests = self._interests(heard, vibes)
        low, high = _prices(quiz)
        closeness = 1 if relation is None else relation.closeness
        if age_known and ages[0] < GROWN:
            closeness = min(closeness, 2)
        return Brief(
            interests=MappingProxyType(interests),
            named=MappingProxyType({k: v for k, v in heard.interests.items() if k not in heard.avoided}),
            avoided=frozenset(heard.avoided),
            kinds=MappingProxyType(heard.kinds),
            motifs=frozenset(heard.motifs),
            needs=MappingProxyType(heard.needs),
            gaps=MappingProxyType(self._gaps(heard, relation, occasion)),
            vibes=MappingProxyType(_merged(v.kinds for v in vibes)),
            axes=MappingProxyType(_summed(n.axes for n in (relation, occasion, *vibes) if n is not None)),
            subtypes=tuple(heard.subtypes),
            occasion=None if occasion is None else occasion.id,
            relation=None if relation is None else relation.id,
            rooms=frozenset() if occasion is None else occasion.rooms,
            themes=frozenset() if occasion is None else occasion.themes,
            ages=ages,
            age_known=age_known,
            also_age=_also_age(ages, interests, occasion),
            gender=gender,
            closeness=closeness,
            tags=self._tags(quiz, ages, age_known, closeness),
            wanted_price=quiz.budget,
            low_price=low,
            high_price=high,
            dear=max([1.0, *(v.price for v in vibes)]),
            unknown=tuple(dict.fromkeys(heard.unknown)),
            language=quiz.language,
        )

    def _hear(self, text: str, weight: float, heard: _Heard) -> None:
        ontology = self._ontology
        text = text.replace("_", " ")
        direct = "_".join(text.lower().split())
        if direct in ontology.interests:
            heard.interests[direct] = max(weight, heard.interests.get(direct, 0.0))
            return
        tokens = ontology.language.tokens(text)
        tokens = self._speller.mend(tokens)
        known: set[int] = set()
        forms = longest(ontology.interest_forms.find(tokens))
        for match in forms:
            known.update(range(match.start, match.end + 1))
            if _negated(tokens, match):
                heard.avoided.add(match.payload)
            else:
                heard.interests[match.payload] = max(weight, heard.interests.get(match.payload, 0.0))
        self._hear_things(tokens, weight, heard, known)
        for match in longest(ontology.motifs.find(tokens)):
            if match.start not in known:
                known.update(range(match.start, match.end + 1))
                if _negated(tokens, match):
                    heard.avoided.add(match.payload)
                else:
                    heard.interests[match.payload] = max(BY_MOTIF * weight, heard.interests.get(match.payload, 0.0))
        for match in self._knowledge.forms["need"].find(tokens):
            known.update(range(match.start, match.end + 1))
            heard.needs[match.payload] = max(weight, heard.needs.get(match.payload, 0.0))
        for match in self._knowledge.forms["subtype"].find(tokens):
            known.update(range(match.start, match.end + 1))
            if match.payload not in heard.subtypes:
                heard.subtypes.append(match.payload)
        heard.unknown.extend(
            token.text
            for position, token in enumerate(tokens)
            if position not in known
            and token.script != "num"
            and len(token.text) > 2  # noqa: PLR2004
            and token.text not in PREPOSITIONS
            and _FILLERS.isdisjoint({token.text, *token.word.lemmas})
            and token.text not in _NEGATIONS
        )

    def _hear_things(self, tokens: Sequence[Token], weight: float, heard: _Heard, known: set[int]) -> None:
        """Kinds of things and franchises that the giver names outright."""
        ontology = self._ontology
        for match in longest(ontology.franchise_forms.find(tokens)):
            known.update(range(match.start, match.end + 1))
            heard.motifs.add(f"franchise:{match.payload}")
            for name, share in ontology.franchises[match.payload].interests.items():
                heard.interests[name] = max(weight * share, heard.interests.get(name, 0.0))
        for match in longest(ontology.kind_forms.find(tokens)):
            kind = ontology.kinds[match.payload]
            if not kind.is_gift or _negated(tokens, match):
                continue
            fresh = not known.intersection(range(match.start, match.end + 1))
            if not fresh and match.size == 1 and not _speaks_of(kind, heard.interests):
                continue
            heard.kinds[kind.id] = max(
                weight * (1.0 if match.size > 1 or fresh else 0.6), heard.kinds.get(kind.id, 0.0)
            )
            if fresh:
                known.update(range(match.start, match.end + 1))
                for name, share in kind.interests.items():
                    heard.interests[name] = max(BY_KIND * weight * share, heard.interests.get(name, 0.0))

    def _interests(self, heard: _Heard, vibes: Sequence[Notion]) -> dict[str, float]:
        weights = dict(heard.interests)
        for name, weight in heard.interests.items():
            for other, nearness in self._ontology.interests[name].near.items():
                weights[other] = max(NEAR * weight * nearness, weights.get(other, 0.0))
        if not heard.interests:
            for vibe in vibes:
                for name, weight in vibe.interests.items():
                    weights[name] = max(FROM_VIBE * weight, weights.get(name, 0.0))
        return {
            name: weight for name, weight in sorted(weights.items()) if weight >= LEAST and name not in heard.avoided
        }

    def _gaps(self, heard: _Heard, relation: Notion | None, occasion: Notion | None) -> dict[str, float]:
        gaps = _summed(n.gaps for n in (relation, occasion) if n is not None)
        for name in heard.subtypes:
            gap = self._knowledge["subtype"][name].gap
            gaps[gap] = gaps.get(gap, 0.0) + 0.4
        for notion in self._knowledge["gap"].values():
            met = sum(heard.needs.get(need, 0.0) for need in notion.needs)
            if met:
                gaps[notion.id] = gaps.get(notion.id, 0.0) + min(0.4, 0.3 * met)
        top = max(gaps.values(), default=1.0)
        return {name: weight / top for name, weight in gaps.items()}

    def _one(self, table: str, text: str | None) -> Notion | None:
        found = self._many(table, () if text is None else (text,))
        return found[0] if found else None

    def _many(self, table: str, texts: Iterable[str]) -> list[Notion]:
        notions = self._knowledge[table]
        found: dict[str, Notion] = {}
        for text in texts:
            direct = "_".join(text.lower().split())
            if direct in notions:
                found[direct] = notions[direct]
                continue
            tokens = self._ontology.language.tokens(text.replace("_", " "))
            for match in longest(self._knowledge.forms[table].find(tokens)):
                found[match.payload] = notions[match.payload]
        return list(found.values())

    def _gender(self, quiz: Quiz, occasion: Notion | None) -> str | None:
        if quiz.recipient_gender is not None:
            return quiz.recipient_gender
        for text in (quiz.relationship or "", quiz.interests_description):
            tokens = self._ontology.language.tokens(text.replace("_", " "))
            genders = {match.payload for match in self._knowledge.forms["person"].find(tokens)}
            if len(genders) == 1:
                return genders.pop()
        if occasion is not None:
            return {"march_8": "female", "mothers_day": "female", "feb_23": "male"}.get(occasion.id)
        return None

    @staticmethod
    def _ages(quiz: Quiz, relation: Notion | None) -> tuple[tuple[int, int], bool]:
        if quiz.recipient_age is not None:
            return (quiz.recipient_age, quiz.recipient_age), True
        if relation is not None and relation.ages is not None:
            return relation.ages, False
        return TYPICAL_AGES, False

    @staticmethod
    def _tags(quiz: Quiz, ages: tuple[int, int], age_known: bool, closeness: int) -> frozenset[str]:
        """The wishes, and those that age and relation imply."""
        tags = set(quiz.tags)
        if not quiz.adult_allowed or (age_known and ages[0] < GROWN):
            tags.add("no_adult_18plus")
        young = ages[0] if age_known else min(GROWN, ages[1])
        if young < GROWN:
            tags |= {"no_alcohol", "no_intimate"}
        if young < SMALL:
            tags.add("no_sharp_objects")
        if young < TODDLER:
            tags |= {"no_small_parts", "kids_safe"}
        if closeness == 0:
            tags |= {"no_intimate", "no_very_personal"}
        return frozenset(tags)


def _also_age(ages: tuple[int, int], interests: Mapping[str, float], occasion: Notion | None) -> int | None:
    """The age of a baby, when the gift is for its parents."""
    expects = (occasion is not None and occasion.id == "baby_shower") or interests.get("parenting", 0.0) >= DESCRIBED
    return BABY if expects and ages[1] >= GROWN else None


def _prices(quiz: Quiz) -> tuple[float, float | None]:
    high = quiz.budget
    if quiz.max_price is not None:
        high = quiz.max_price if high is None else min(high, quiz.max_price)
    low = CHEAPEST_SHARE * quiz.budget if quiz.budget is not None else 0.0
    return (max(low, quiz.min_price) if quiz.min_price is not None else low), high


def _speaks_of(kind: Kind, interests: Mapping[str, float]) -> bool:
    """Whether a thing belongs to what was heard: chess sets to chess, but no socks to golf."""
    return any(weight >= RELATED and name in interests for name, weight in kind.interests.items())


def _negated(tokens: Sequence[Token], match: Match) -> bool:
    """Whether the words before say that it is not so: "не пьёт вино", but not "не может без кофе"."""
    before = [
        token.text
        for token in tokens[max(0, match.start - 3) : match.start]
        if token.segment == tokens[match.start].segment
    ]
    negations = sum(word in _NEGATIONS for word in before)
    return negations % 2 == 1


def _merged(weights: Iterable[Mapping[str, float]]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for mapping in weights:
        for name, weight in mapping.items():
            merged[name] = max(weight, merged.get(name, 0.0))
    return merged


def _summed(weights: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for mapping in weights:
        for name, weight in mapping.items():
            total[name] = total.get(name, 0.0) + weight
    return total
