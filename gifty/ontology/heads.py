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

_COUNTED: Final = 3


@dataclass(frozen=True, slots=True)
class Grammar:
    """Per token of a title: its state, and whether an unknown noun heads its part of the title before it."""

    states: tuple[int, ...]
    unknown_before: tuple[bool, ...]
    unknown_head: int | None
    """The first free noun that no kind explains."""
    governed_from: int | None


def parse(
    tokens: Sequence[Token], matches: Sequence[Match], packers: AbstractSet[str], empty: AbstractSet[str]
) -> Grammar:
    """Reads the grammar of a title around the kinds found in it."""
    explained = {i for match in matches for i in range(match.start, match.end + 1)}
    states: list[int] = []
    unknown_before: list[bool] = []
    unknown_head: int | None = None
    governed_from: int | None = None
    segment = -1
    state = FREE
    leading = False
    served = 0
    unknown_here = False
    previous_noun: int | None = None
    for position, token in enumerate(tokens):
        if token.segment != segment:
            segment, state, leading, served = token.segment, FREE, False, 0
            unknown_here, previous_noun = False, None
            fresh = True
        if token.text in PREPOSITIONS:
            if token.text in GOVERNING:
                state = GOVERNED
                leading = fresh
                served = 0
                governed_from = position if governed_from is None else governed_from
            elif state == FREE and token.text not in {"и", "and"}:
                state = ATTACHED
            elif token.text in {"и", "and"}:
                state = state if state != ATTACHED else ATTACHED
            states.append(state)
            unknown_before.append(unknown_here)
            continue
        fresh = False
        word = token.word
        russian_noun = token.script == "ru" and word.noun
        if leading and russian_noun and not (word.adjective and not word.nominative):
            if word.nominative and (served > 0 or not word.genitive):
                state, leading = FREE, False
            served += 1
        here = state
        packer = not packers.isdisjoint(word.lemmas)
        if state == FREE and russian_noun and previous_noun is not None and word.genitive and not word.adjective:
            here = MAYBE_DEPENDENT if word.nominative else DEPENDENT
        elif state == FREE and russian_noun and not word.nominative and not word.adjective:
            here = DEPENDENT if previous_noun is not None else MAYBE_DEPENDENT
        states.append(here)
        unknown_before.append(unknown_here)
        if russian_noun and state == FREE and not word.adjective:
            if packer:
                previous_noun = None
            elif empty.isdisjoint(word.lemmas):
                previous_noun = position
                if here == FREE and position not in explained and word.known:
                    unknown_here = True
                    unknown_head = position if unknown_head is None else unknown_head
            else:
                previous_noun = None
    return Grammar(tuple(states), tuple(unknown_before), unknown_head, governed_from)


def counted(tokens: Sequence[Token]) -> int:
    """How many pieces a title sells: "100 шт", "5 пар", "10 pcs"; 1 when it says nothing. The larger end of a range."""
    best = 1
    for position, token in enumerate(tokens):
        if token.script == "num" and token.text.isdigit():
            for behind in tokens[position + 1 : position + _COUNTED]:
                if behind.text in {"шт", "штук", "штуки", "pcs", "pieces", "pc", "пар", "пары", "комплектов", "листов", "наборов"}:
                    best = max(best, min(int(token.text), 100_000))
                    break
                if behind.script != "num":
                    break
    return best
