"""Reads a product: what kind of thing it is, for whom, what it points to, which wishes it cannot keep."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gifty.ontology import heads
from gifty.ontology.loader import Ontology
from gifty.ontology.models import Cue, Franchise, Kind, Shelf
from gifty.ontology.phrases import Match
from gifty.ontology.text import GOVERNING, Token

MAX_TOKENS: Final = 48
STATE_COST: Final = {
    heads.FREE: 0.0,
    heads.MAYBE_DEPENDENT: 0.35,
    heads.DEPENDENT: 0.75,
    heads.ATTACHED: 0.55,
    heads.GOVERNED: 1.3,
}
TECHNICAL: Final = frozenset({"auto", "tools_and_parts", "electronics"})
LOWEST_SCORE: Final = 0.2
SURE: Final = 0.55
GOVERNED_MOTIF: Final = 0.75
MOTIF: Final = 1.0
MANY_VEHICLES: Final = 2
FAMILY: Final = 2
"""Closeness of things for family; above it a partner's alone."""
WORN: Final = frozenset({"fashion", "beauty"})
"""Domains whose things for family touch the body; bedding or pots for family offend nobody."""
GROWN_UPS: Final = frozenset({"for_women", "for_men", "for_adults"})
NOT_GROWN: Final = frozenset({"for_children", "for_babies"})
WORN_BY: Final = {"dolls": "doll_outfit", "pets": "pet_clothes"}
"""What a wearable becomes when the word list so named holds its wearer."""
FOR_CHILDREN: Final = {
    "costume": "kids_costume", "shoes": "kids_shoes", "dress": "kids_dress", "clothing": "kids_clothes",
    "hair_accessory": "kids_hair_accessory", "backpack": "kids_backpack",
}  # fmt: skip
"""What a wearable of a family becomes when it is for children alone; nearest family first."""
STRINGS_OF_PIECES: Final = 10
"""From this many pieces on, jewellery is sold for making jewellery."""
GRAVE: Final = frozenset({"adult", "tobacco", "weapon"})
RIVAL: Final = 0.15

IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "no_adult_18plus": ("kids_safe", "family_safe", "office_safe"),
    "no_intimate": ("kids_safe", "office_safe", "no_very_personal"),
    "no_weapon_like": ("kids_safe", "office_safe"),
    "no_sharp_objects": ("kids_safe",),
    "no_alcohol": ("kids_safe",),
    "no_very_personal": ("avoid_very_personal",),
    "avoid_very_personal": ("no_very_personal",),
}
"""A broken wish that breaks others with it."""

_YEARS: Final = re.compile(r"(?:19[89]|20[0-3])\d")
_AGE_FROM: Final = re.compile(
    r"(?<![\d-])(?:от|с)\s+(\d{1,2})\s*(?:-?\s*(?:х|ми|ти))?\s*(лет|года|мес)|(?<![\d.,x×])(\d{1,2})\+(?!\s*\d)\s*(лет|год|мес)?"
)
_AGE_RANGE: Final = re.compile(r"(\d{1,2})\s*-\s*(\d{1,2})\s*(лет|год|мес|years|months)")
_METRES: Final = re.compile(r"\d\s*(?:м|метр(?:а|ов)?|yards?|ярд(?:а|ов)?)(?![а-яa-z])")
_GROWN: Final = 18
_YOUNGEST_ADULT: Final = 14


@dataclass(frozen=True, slots=True)
class Reading:
    """What a product is, as far as its title, its category and its description tell."""

    kind: Kind | None
    role: str
    confidence: float
    gender: str
    ages: tuple[int, int]
    interests: Mapping[str, float]
    """Of the kind, the motifs and the franchise together."""
    motifs: Mapping[str, float]
    """Named in the title itself, whatever the kind."""
    franchises: tuple[Franchise, ...]
    cues: tuple[Cue, ...]
    shelves: tuple[Shelf, ...]
    pack: int
    serves: Kind | None
    """The kind of thing this is a part or accessory of."""
    fits_vehicle: bool
    breaks: frozenset[str]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    match: Match
    kind: Kind
    state: int
    score: float


class Reader:
    """Reads products with one ontology. Pure computation: about 0.1 ms a title."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology

    def read(self, title: str, category: str | None = None, description: str = "") -> Reading:
        """What the product is. The title decides, the category breaks ties, the description only adds hazards."""
        ontology = self._ontology
        tokens = ontology.language.tokens(title)[:MAX_TOKENS]
        shelves = self._shelves(category)
        matches = self._kind_matches(tokens)
        grammar = heads.parse(tokens, matches, ontology.grammar["packers"], ontology.grammar["empty"])
        candidates = self._candidates(tokens, matches, grammar, shelves)
        best = candidates[0] if candidates and candidates[0].score >= LOWEST_SCORE else None
        serves = next(
            (c.kind for c in candidates if c.state == heads.GOVERNED and (best is None or c.kind is not best.kind)),
            None,
        )
        cues = self._cues(tokens, grammar)
        fits_vehicle = self._fits_vehicle(tokens, title, best.kind if best else None, shelves)
        evidence: list[str] = []
        kind, role, confidence = None, "thing", 0.0
        if best is not None:
            kind = self._by_wearer(best.kind, tokens, cues)
            if kind.domain == "jewelry" and self._sold_for_making(title, heads.counted(tokens)):
                kind = ontology.kinds["jewelry_finding"]
            role = kind.role
            confidence = self._confidence(best, candidates, grammar)
            evidence.append(f"kind {kind.id} by {_words(tokens, best.match)!r} ({best.score:.2f})")
        if serves is not None:
            evidence.append(f"serves {serves.id}")
        unknown = grammar.unknown_head
        heads_a_part = unknown is not None and not ontology.grammar["parts"].isdisjoint(tokens[unknown].word.lemmas)
        if kind is None and (serves is not None or heads_a_part):
            role, confidence = "part", 0.5
            evidence.append("an unknown thing that serves another")
        if kind is None and self._only_codes(tokens, shelves):
            role, confidence = "part", SURE
            evidence.append("nothing but names and codes on a technical shelf")
        if fits_vehicle:
            role, confidence = "part", max(confidence, SURE)
            evidence.append("made for certain vehicles")
        motifs = self._motifs(tokens, grammar)
        franchises = self._franchises(tokens)
        if kind is None and role == "thing":
            named = next((f.kind for f in franchises if f.kind is not None), None)
            if named is not None:
                kind = ontology.kinds[named]
                role, confidence = kind.role, 0.4
                evidence.append(f"kind {named} by franchise")
        gender, ages = self._audience(title, kind, cues, shelves)
        return Reading(
            kind=kind,
            role=role,
            confidence=round(confidence, 3),
            gender=gender,
            ages=ages,
            interests=self._interests(kind, motifs, franchises, cues, shelves),
            motifs=motifs,
            franchises=franchises,
            cues=cues,
            shelves=shelves,
            pack=heads.counted(tokens),
            serves=serves,
            fits_vehicle=fits_vehicle,
            breaks=self._breaks(kind, gender, ages, cues, description),
            evidence=tuple(evidence),
        )

    def _shelves(self, category: str | None) -> tuple[Shelf, ...]:
        if not category:
            return ()
        found = self._ontology.shelf_forms.find(self._ontology.language.tokens(category))
        return tuple(self._ontology.shelves[name] for name in dict.fromkeys(match.payload for match in found))

    def _kind_matches(self, tokens: Sequence[Token]) -> list[Match]:
        found = self._ontology.kind_forms.find(tokens)
        if not found:
            return []
        turned = self._ontology.not_before.find(tokens)
        return [
            match
            for match in found
            if not any(other.payload == match.payload and match.end < other.start <= match.end + 4 for other in turned)
        ]

    def _candidates(
        self, tokens: Sequence[Token], matches: Sequence[Match], grammar: heads.Grammar, shelves: Sequence[Shelf]
    ) -> list[_Candidate]:
        domains = {name: place for shelf in shelves[::-1] for place, name in enumerate(shelf.domains)}
        on_auto_shelf = bool(shelves) and "auto" in domains
        russian = sum(token.script == "ru" for token in tokens) * 2 > len(tokens)
        free = [match for match in matches if grammar.states[match.head] == heads.FREE]
        russian_head = any(tokens[match.head].script == "ru" for match in free)
        shelf_head = max((m.head for m in free if self._ontology.kinds[m.payload].domain in domains), default=-1)
        candidates: dict[tuple[str, int], _Candidate] = {}
        for match in matches:
            kind = self._ontology.kinds[match.payload]
            head = tokens[match.head]
            state = min((grammar.states[i] for i in (match.head, match.start)), key=lambda s: STATE_COST[s])
            if match.start != match.head and tokens[match.start].script == "en":
                state = grammar.states[match.head]
            longer = min(match.size - 1, 1) if head.segment else match.size - 1
            score = 1.0 + 0.13 * longer + 0.04 * (match.size - 1 - longer) - STATE_COST[state]
            score -= (
                0.22 * min(head.segment, 3) + 0.018 * match.head + 0.03 * (match.end - match.start + 1 - match.size)
            )
            if grammar.unknown_before[match.head] and match.size == 1:
                score -= 0.25
            if domains:
                score += 0.14 if kind.domain in domains else -0.3 if match.head < shelf_head else -0.12
                if on_auto_shelf and kind.domain not in domains and kind.role != "wearable":
                    score -= 0.2
            if head.script == "en" and russian:
                score -= 0.3 if russian_head else 0.2 if match.size == 1 else 0.05
            key = (kind.id, match.head)
            if key not in candidates or candidates[key].score < score:
                candidates[key] = _Candidate(match, kind, state, score)
        return sorted(
            candidates.values(),
            key=lambda c: (-c.score, c.match.head, domains.get(c.kind.domain, len(domains)), c.kind.id),
        )

    @staticmethod
    def _confidence(best: _Candidate, candidates: Sequence[_Candidate], grammar: heads.Grammar) -> float:
        confidence = min(0.95, 0.45 + 0.45 * best.score)
        rival = next((c for c in candidates if c.kind.id != best.kind.id and c.match.head != best.match.head), None)
        if rival is not None and best.score - rival.score < RIVAL and rival.kind.role != best.kind.role:
            confidence -= 0.15
        if grammar.unknown_before[best.match.head]:
            confidence -= 0.15
        return max(0.1, confidence)

    def _cues(self, tokens: Sequence[Token], grammar: heads.Grammar) -> tuple[Cue, ...]:
        found: dict[str, Cue] = {}
        for match in self._ontology.cue_forms.find(tokens):
            cue = self._ontology.cues[match.payload]
            if cue.governs or grammar.states[match.head] != heads.GOVERNED or match.start < match.head:
                found[cue.id] = cue
        return tuple(found.values())

    def _by_wearer(self, kind: Kind, tokens: Sequence[Token], cues: Sequence[Cue]) -> Kind:
        """What a wearable is when dolls, pets or children alone wear it."""
        ontology = self._ontology
        if kind.role != "wearable" or kind.domain != "fashion":
            return kind
        for wearers, worn in WORN_BY.items():
            words = ontology.grammar[wearers]
            if any(
                not words.isdisjoint(token.word.lemmas)
                and (token.script == "en" or any(t.text in GOVERNING for t in tokens[max(0, place - 2) : place]))
                for place, token in enumerate(tokens)
            ):
                return ontology.kinds[worn]
        audience = {cue.id for cue in cues}
        family = next((parent.id for parent in ontology.parents(kind.id) if parent.id in FOR_CHILDREN), None)
        if family is None or audience.isdisjoint(NOT_GROWN) or not audience.isdisjoint(GROWN_UPS):
            return kind
        childs = ontology.kinds[FOR_CHILDREN[family]]
        return kind if kind.ages[1] <= childs.ages[1] else childs

    @staticmethod
    def _sold_for_making(title: str, pieces: int) -> bool:
        """Jewellery by the metre or by the dozen is material."""
        return pieces >= STRINGS_OF_PIECES or _METRES.search(title.lower()) is not None

    @staticmethod
    def _only_codes(tokens: Sequence[Token], shelves: Sequence[Shelf]) -> bool:
        technical = any(not TECHNICAL.isdisjoint(shelf.domains[:1]) for shelf in shelves)
        return technical and not any(token.script == "ru" and token.word.known for token in tokens)

    def _fits_vehicle(self, tokens: Sequence[Token], title: str, kind: Kind | None, shelves: Sequence[Shelf]) -> bool:
        on_auto_shelf = any("auto" in shelf.domains for shelf in shelves)
        if kind is not None and kind.domain not in TECHNICAL:
            return False
        if not on_auto_shelf and (kind is None or kind.domain != "auto"):
            return False
        makers = self._ontology.grammar["vehicles"]
        vehicles = {token.text for token in tokens if not makers.isdisjoint(token.word.lemmas)}
        if not vehicles:
            return False
        years = len(_YEARS.findall(title))
        served = any(token.text in {"для", "for"} for token in tokens)
        return len(vehicles) >= MANY_VEHICLES or years > 0 or served

    def _motifs(self, tokens: Sequence[Token], grammar: heads.Grammar) -> dict[str, float]:
        motifs: dict[str, float] = {}
        for match in longest(self._ontology.motifs.find(tokens)):
            weight = GOVERNED_MOTIF if grammar.states[match.head] == heads.GOVERNED else MOTIF
            motifs[match.payload] = max(weight, motifs.get(match.payload, 0.0))
        return motifs

    def _franchises(self, tokens: Sequence[Token]) -> tuple[Franchise, ...]:
        names = dict.fromkeys(match.payload for match in longest(self._ontology.franchise_forms.find(tokens)))
        return tuple(self._ontology.franchises[name] for name in names)

    @staticmethod
    def _interests(
        kind: Kind | None,
        motifs: Mapping[str, float],
        franchises: Sequence[Franchise],
        cues: Sequence[Cue],
        shelves: Sequence[Shelf],
    ) -> dict[str, float]:
        interests: dict[str, float] = dict(kind.interests) if kind is not None else {}
        sources: list[Mapping[str, float]] = [motifs, *(f.interests for f in franchises), *(c.interests for c in cues)]
        if kind is None:
            sources.extend(shelf.interests for shelf in shelves)
        for source in sources:
            for name, weight in source.items():
                interests[name] = max(weight, interests.get(name, 0.0))
        return interests

    @staticmethod
    def _audience(
        title: str, kind: Kind | None, cues: Sequence[Cue], shelves: Sequence[Shelf]
    ) -> tuple[str, tuple[int, int]]:
        audience = [cue for cue in cues if cue.group == "audience"]
        genders = {cue.gender for cue in audience if cue.gender != "any"}
        gender = kind.gender if kind is not None else next((s.gender for s in shelves if s.gender != "any"), "any")
        if any(cue.id == "unisex" for cue in audience) or len(genders) > 1:
            gender = "any"
        elif genders:
            gender = genders.pop()
        ages = kind.ages if kind is not None else next((s.ages for s in shelves if s.ages is not None), (0, 120))
        named = [cue.ages for cue in audience if cue.ages is not None]
        stated = stated_ages(title)
        if stated is not None:
            ages = stated
        elif named:
            low, high = min(low for low, _ in named), max(high for _, high in named)
            grown_too = any(cue.id in GROWN_UPS for cue in audience)
            if grown_too:
                ages = (max(low, ages[0]), max(high, ages[1]))
            elif ages[1] > high or ages[1] <= low:
                ages = (low, high)
        elif genders or any(cue.id in {"for_women", "for_men"} for cue in audience):
            ages = (max(ages[0], _YOUNGEST_ADULT), max(ages[1], _YOUNGEST_ADULT)) if ages[1] > _GROWN else ages
        floor = max((cue.ages[0] for cue in cues if cue.group == "hazard" and cue.ages is not None), default=0)
        ages = (max(ages[0], floor), max(ages[1], floor))
        return gender, ages

    def _breaks(
        self, kind: Kind | None, gender: str, ages: tuple[int, int], cues: Sequence[Cue], description: str
    ) -> frozenset[str]:
        breaks = set(kind.breaks) if kind is not None else set()
        for cue in (*cues, *self._described_hazards(description)):
            breaks |= cue.breaks
        closeness = 0 if kind is None else kind.closeness
        if kind is not None and closeness >= FAMILY and kind.domain in WORN:
            breaks |= {"no_very_personal", "office_safe"}
        if closeness > FAMILY:
            breaks.add("no_intimate")
        if gender != "any":
            breaks.add("gender_neutral")
        if ages[0] >= _GROWN:
            breaks.add("kids_safe")
        for tag in list(breaks):
            breaks.update(IMPLIED.get(tag, ()))
        breaks.discard("romantic_ok")
        return frozenset(breaks)

    def _described_hazards(self, description: str) -> list[Cue]:
        """The gravest hazards, which count even when only the description names them."""
        if not description:
            return []
        found = self._ontology.cue_forms.find(self._ontology.language.tokens(description))
        return [self._ontology.cues[match.payload] for match in found if match.payload in GRAVE]


def stated_ages(title: str) -> tuple[int, int] | None:
    """Ages a title states: "от 3 лет", "6-12 лет", "0-6 мес", "14+"; None when it states none."""
    text = title.lower().replace("–", "-").replace("—", "-")
    found = _AGE_RANGE.search(text)
    if found:
        low, high = int(found[1]), int(found[2])
        if found[3] in {"мес", "months"}:
            low, high = low // 12, max(1, -(-high // 12))
        return (low, high) if low <= high else None
    found = _AGE_FROM.search(text)
    if found:
        age = int(found[1] or found[3])
        if "мес" in (found[2], found[4]):
            age //= 12
        if age <= _GROWN + 3:
            return (age, 14) if age < 8 else (age, 99)  # noqa: PLR2004
    return None


def longest(matches: Iterable[Match]) -> list[Match]:
    """Matches that no longer match covers: "звёздные войны" leaves no "звёзды"."""
    listed = sorted(matches, key=lambda match: (-match.size, match.start, match.payload))
    kept: list[Match] = []
    for match in listed:
        covered = any(
            other.size > match.size and other.start <= match.start and match.end <= other.end for other in kept
        )
        if not covered:
            kept.append(match)
    return kept


def _words(tokens: Sequence[Token], match: Match) -> str:
    return " ".join(token.text for token in tokens[match.start : match.end + 1])
