"""Finding known phrases in a text, tolerant of word forms, word order and small gaps."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from gifty.ontology.text import PREPOSITIONS, Language, Token

BEFORE: Final = 3
AFTER: Final = 3
MAX_VARIANTS: Final = 16
MAX_WORDS: Final = 8
MIN_PREFIX: Final = 3


@dataclass(frozen=True, slots=True)
class Phrase:
    """A surface form by lemmas: its head, loose modifiers (any side of the head) and an ordered tail behind it."""

    payload: str
    head: str
    loose: tuple[str, ...]
    tail: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of words."""
        return 1 + len(self.loose) + len(self.tail)


@dataclass(frozen=True, slots=True)
class Match:
    """A phrase found: token indices of its first word, its head and its last word."""

    payload: str
    start: int
    head: int
    end: int
    size: int


def phrases_of(payload: str, form: str, language: Language) -> list[Phrase]:
    """The phrase of a surface form, once for every reading of its ambiguous words.

    The head is the first Russian noun before a preposition, or the last English word; what stands before it, and
    adjectives behind it, are loose; the rest is the tail. Raises ValueError when the form holds no word or too many.
    """
    tokens = language.tokens(form)
    if not tokens or len(tokens) > MAX_WORDS:
        raise ValueError(f"form {form!r} must have 1 to {MAX_WORDS} words")
    core = len(tokens)
    for position, token in enumerate(tokens):
        if position and token.text in PREPOSITIONS:
            core = position
            break
    head = core - 1
    if any(token.script == "ru" for token in tokens[:core]):
        head = next(
            (
                i
                for i in range(core)
                if tokens[i].script == "ru" and tokens[i].word.noun and not tokens[i].word.adjective
            ),
            next((i for i in range(core) if tokens[i].word.noun), core - 1),
        )
    loose: list[int] = list(range(head))
    tail: list[int] = []
    for position in range(head + 1, len(tokens)):
        word = tokens[position].word
        plain_adjective = word.adjective and not word.noun and position < core and not tail
        (loose if plain_adjective else tail).append(position)
    variants = [_variants(token, language) for token in tokens]
    found: list[Phrase] = []
    for choice in product(*variants):
        if len(found) == MAX_VARIANTS:
            break
        found.append(Phrase(payload, choice[head], tuple(choice[i] for i in loose), tuple(choice[i] for i in tail)))
    return found


def _variants(token: Token, language: Language) -> tuple[str, ...]:
    return language.dictionary_forms(token.text) if token.script == "ru" else token.word.lemmas


class PhraseIndex:
    """Phrases by their head lemma; a single word that ends in `*` in the data matches any word so beginning."""

    def __init__(self, phrases: Iterable[Phrase], prefixes: Mapping[str, Sequence[str]]) -> None:
        self._by_head: dict[str, list[Phrase]] = {}
        for phrase in phrases:
            self._by_head.setdefault(phrase.head, []).append(phrase)
        for listed in self._by_head.values():
            listed.sort(key=lambda phrase: (-phrase.size, phrase.payload))
        self._prefixes = {prefix: tuple(payloads) for prefix, payloads in prefixes.items()}
        self._longest = max((len(prefix) for prefix in prefixes), default=0)

    def phrases(self) -> Iterator[Phrase]:
        """Every phrase, those of one head together."""
        for listed in self._by_head.values():
            yield from listed

    def prefixes(self) -> Mapping[str, tuple[str, ...]]:
        """Payloads by the beginning of a word that stands for them."""
        return self._prefixes

    def find(self, tokens: Sequence[Token]) -> list[Match]:
        """Every occurrence of every phrase, in order of heads, longest first at one head."""
        places: dict[str, list[int]] = {}
        for position, token in enumerate(tokens):
            for lemma in token.word.lemmas:
                places.setdefault(lemma, []).append(position)
        matches: list[Match] = []
        for position, token in enumerate(tokens):
            for lemma in token.word.lemmas:
                for phrase in self._by_head.get(lemma, ()):
                    match = self._match(phrase, position, tokens, places)
                    if match is not None:
                        matches.append(match)
            matches.extend(Match(payload, position, position, position, 1) for payload in self._prefixed(token.text))
        return matches

    def _prefixed(self, text: str) -> Iterator[str]:
        if self._longest:
            for length in range(MIN_PREFIX, min(len(text), self._longest) + 1):
                yield from self._prefixes.get(text[:length], ())

    @staticmethod
    def _match(phrase: Phrase, head: int, tokens: Sequence[Token], places: Mapping[str, list[int]]) -> Match | None:
        if phrase.size == 1:
            return Match(phrase.payload, head, head, head, 1)
        for lemma in (*phrase.loose, *phrase.tail):
            if lemma not in places:
                return None
        segment = tokens[head].segment
        used = {head}
        for lemma in phrase.loose:
            place = next(
                (
                    i
                    for i in sorted(places[lemma], key=lambda i: (abs(i - head), i))
                    if i not in used
                    and -BEFORE - len(phrase.loose) < i - head <= AFTER
                    and tokens[i].segment == segment
                    and not _crosses(tokens, i, head)
                ),
                None,
            )
            if place is None:
                return None
            used.add(place)
        last = head
        for lemma in phrase.tail:
            place = next(
                (
                    i
                    for i in places[lemma]
                    if i not in used and last < i <= last + AFTER and tokens[i].segment == segment
                ),
                None,
            )
            if place is None:
                return None
            used.add(place)
            last = place
        return Match(phrase.payload, min(used), head, max(used), phrase.size)


def _crosses(tokens: Sequence[Token], one: int, other: int) -> bool:
    low, high = min(one, other), max(one, other)
    return any(tokens[i].text in PREPOSITIONS for i in range(low + 1, high))
