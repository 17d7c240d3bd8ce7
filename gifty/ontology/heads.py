"""Which of the things named in a title the title is about: the grammar of heads, governed and dependent nouns."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from gifty.ontology.phrases import Match
from gifty.ontology.text import GOVERNING, PREPOSITIONS, Token

FREE: Final = 0
DEPENDENT: Final = 1
"""A genitive behind another noun: "крышка чайника"."""
ATTACHED: Final = 2
"""Behind "с", "из", "with": a trait of the thing."""
GOVERNED: Final = 3
"""Behind "для", "for": what the thing serves."""
MAYBE_DEPENDENT: Final = 4
"""A genitive by its form that may be a nominative plural: "швабры"."""

MOST_PIECES: Final = 100_000
_COUNTED: Final = frozenset({"к", "ко"})
"""After a number or a Latin word these are a unit ("14 к", "4K"), no preposition."""
_AND: Final = frozenset({"и", "and"})
_PIECES: Final = frozenset(
    {"шт", "штук", "штуки", "pcs", "pieces", "pc", "пар", "пары", "комплектов", "листов", "наборов"}
)
_REACH: Final = 3


@dataclass(frozen=True, slots=True)
class Grammar:
    """Per token of a title: its state, and whether an unknown noun heads its part of the title before it."""

    states: tuple[int, ...]
    unknown_before: tuple[bool, ...]
    unknown_head: int | None
    """The first free noun that no kind explains."""


def parse(
    tokens: Sequence[Token], matches: Sequence[Match], packers: AbstractSet[str], empty: AbstractSet[str]
) -> Grammar:
    """Reads the grammar of a title around the kinds found in it.

    `packers` are heads that only pack what follows, `empty` nouns that say nothing; both as lemmas.
    """
    explained = frozenset(i for match in matches for i in range(match.start, match.end + 1))
    walk = _Walk(explained, packers, empty)
    for position, token in enumerate(tokens):
        walk.step(position, token)
    return Grammar(tuple(walk.states), tuple(walk.unknown_before), walk.unknown_head)


class _Walk:
    """One pass over a title, word by word."""

    def __init__(self, explained: AbstractSet[int], packers: AbstractSet[str], empty: AbstractSet[str]) -> None:
        self._explained = explained
        self._packers = packers
        self._empty = empty
        self.states: list[int] = []
        self.unknown_before: list[bool] = []
        self.unknown_head: int | None = None
        self._segment = -1
        self._begin()

    def _begin(self) -> None:
        """A new part of the title begins: nothing governs yet."""
        self._state = FREE
        self._at_start = True
        self._leading = False
        self._served = 0
        self._unknown_here = False
        self._noun_before = False
        self._foreign = False
        self._for_whom = False
        self._before: Token | None = None

    def step(self, position: int, token: Token) -> None:
        """Reads one word."""
        if token.segment != self._segment:
            self._segment = token.segment
            self._begin()
        before, self._before = self._before, token
        if token.text in PREPOSITIONS and not self._packs_or_counts(before, token):
            self._preposition(token.text)
            self._note(self._state)
            return
        self._at_start = False
        if token.script != "ru" or not token.word.noun:
            self._note(self._state)
            return
        self._end_of_leading(token)
        self._end_of_a_name(token)
        self._end_of_audience(token)
        state = self._state_of(token)
        self._note(state)
        if self._state == FREE and not token.word.adjective:
            self._free_noun(position, token, state)

    def _note(self, state: int) -> None:
        self.states.append(state)
        self.unknown_before.append(self._unknown_here)

    def _packs_or_counts(self, before: Token | None, token: Token) -> bool:
        """No preposition at all: "14 к", or the "of" of "set of"."""
        if before is None:
            return False
        if token.text == "of":
            return not self._packers.isdisjoint(before.word.lemmas)
        return token.text in _COUNTED and before.script != "ru"

    def _preposition(self, text: str) -> None:
        self._foreign = text.isascii() and (self._foreign or self._state == FREE)
        if text in GOVERNING:
            self._leading = self._at_start
            self._state, self._served, self._for_whom = GOVERNED, 0, False
        elif self._state == FREE and text not in _AND:
            self._state = ATTACHED

    def _end_of_leading(self, token: Token) -> None:
        """In "Для кошки домик" the opening phrase ends before the first noun that can only be a subject."""
        word = token.word
        if not self._leading or (word.adjective and not word.nominative):
            return
        if word.nominative and (self._served or not word.genitive):
            self._state, self._leading = FREE, False
        self._served += 1

    def _end_of_a_name(self, token: Token) -> None:
        """An English preposition belongs to a name ("Lord of the Rings"): it governs no Russian subject behind it."""
        if self._foreign and token.word.nominative and not token.word.adjective:
            self._state, self._foreign = FREE, False

    def _end_of_audience(self, token: Token) -> None:
        """People and animals serve nothing: in "Браслет для женщин кольцо" a nominative behind them is free again."""
        word = token.word
        if self._state != GOVERNED or word.adjective:
            return
        if self._for_whom and word.nominative and not word.genitive:
            self._state, self._for_whom = FREE, False
        elif word.animate and word.genitive:
            self._for_whom = True

    def _state_of(self, token: Token) -> int:
        word = token.word
        if self._state != FREE or word.adjective:
            return self._state
        if self._noun_before and word.genitive:
            return MAYBE_DEPENDENT if word.nominative else DEPENDENT
        if not word.nominative:
            return DEPENDENT if self._noun_before else MAYBE_DEPENDENT
        return FREE

    def _free_noun(self, position: int, token: Token, state: int) -> None:
        lemmas = token.word.lemmas
        says_nothing = not self._packers.isdisjoint(lemmas) or not self._empty.isdisjoint(lemmas)
        self._noun_before = not says_nothing
        if says_nothing or state != FREE or position in self._explained or not token.word.known:
            return
        self._unknown_here = True
        if self.unknown_head is None:
            self.unknown_head = position


def counted(tokens: Sequence[Token]) -> int:
    """How many pieces a title sells ("100 шт", "5 пар", "10 pcs"): the largest number named, 1 without any."""
    best = 1
    for position, token in enumerate(tokens):
        if token.script != "num" or not token.text.isdigit():
            continue
        for behind in tokens[position + 1 : position + _REACH]:
            if behind.text in _PIECES:
                best = max(best, min(int(token.text), MOST_PIECES))
            if behind.script != "num":
                break
    return best
