"""Mends misspelt words of a quiz by the words the ontology knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from gifty.ontology.loader import Ontology
from gifty.ontology.text import PREPOSITIONS, Token

SHORTEST: Final = 5
LONG: Final = 8
CACHED: Final = 4_096
LEAST_LIKENESS: Final = 0.4


class Speller:
    """Knows every single word of the forms of interests and kinds; a word one or two letters off is read as it."""

    def __init__(self, ontology: Ontology) -> None:
        self._language = ontology.language
        words = {
            token.text
            for forms in ontology.forms.values()
            for form in forms
            for token in ontology.language.tokens(form.rstrip("*"))
            if token.script != "num"
        }
        self._words = frozenset(words)
        self._by_gram: dict[str, list[str]] = defaultdict(list)
        for word in sorted(words):
            if len(word) >= SHORTEST - 1:
                for gram in _grams(word):
                    self._by_gram[gram].append(word)
        self.nearest = lru_cache(maxsize=CACHED)(self._nearest)

    def mend(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens with misspelt words replaced."""
        return [self._mended(token) for token in tokens]

    def _mended(self, token: Token) -> Token:
        if (
            len(token.text) < SHORTEST
            or token.script == "num"
            or token.text in self._words
            or token.text in PREPOSITIONS
            or (token.script == "ru" and token.word.known)
        ):
            return token
        near = self.nearest(token.text)
        return token if near is None else replace(token, text=near, word=self._language.word(near))

    def _nearest(self, word: str) -> str | None:
        shared: dict[str, int] = defaultdict(int)
        grams = _grams(word)
        for gram in grams:
            for other in self._by_gram.get(gram, ()):
                shared[other] += 1
        allowed = 2 if len(word) >= LONG else 1
        best: tuple[int, int, str] | None = None
        for other, count in shared.items():
            if abs(len(other) - len(word)) > allowed or 2 * count < LEAST_LIKENESS * (len(grams) + len(other) + 1):
                continue
            distance = _distance(word, other, allowed)
            if distance <= allowed and (best is None or (distance, -count, other) < best):
                best = (distance, -count, other)
        return None if best is None else best[2]


def _grams(word: str) -> set[str]:
    padded = f" {word} "
    return {padded[i : i + 2] for i in range(len(padded) - 1)}


def _distance(one: str, other: str, bound: int) -> int:
    """Optimal string alignment distance (insert, delete, replace, swap), given up above `bound`."""
    previous2: list[int] = []
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, previous2[j - 2] + 1)
            current.append(cost)
        if min(current) > bound:
            return bound + 1
        previous2, previous = previous, current
    return previous[-1]
