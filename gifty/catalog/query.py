"""Reading a query, and planning how to answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gifty.catalog.search_models import Space
from gifty.catalog.search_sql import Words
from gifty.ontology.text import Language, fold

QUERY_CHARACTERS: Final = 300
MOST_WORDS: Final = 12
MOST_SUSPECTS: Final = 4
EXACT_ROWS: Final = 8_000
"""Up to here every matching row is compared: a millisecond per thousand, as long as HNSW takes under such a filter."""
EXACT_SHARE: Final = 0.03
"""Below this share of the catalogue HNSW would lose too many of the nearest."""
MOST_EXACT_ROWS: Final = 50_000
MOST_FRESH: Final = 10_000
SPARE: Final = 8
"""How many times more rows than expected HNSW may look at before a search goes on without it."""
LEAST_SCAN, MOST_SCAN = 512, 16_384
SHALLOW, DEEP = 64, 128
"""How many gifts each leg contributes to a page of usual, and of great length."""

_WORD: Final = re.compile(r"[a-zа-я]+|\d+")
_SHORTEST_SUSPECT: Final = 4
_GIFTS: Final = frozenset(("подарок", "подарить", "подарочный", "идея", "gift", "present", "idea"))


class QueryReader:
    """Takes the words out of what somebody typed."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def words(self, text: str) -> Words | None:
        """The words to look for, or None without any. "Gift" says nothing among gifts unless it stands alone."""
        every = list(dict.fromkeys(_WORD.findall(fold(text[:QUERY_CHARACTERS]))))[:MOST_WORDS]
        telling = [word for word in every if self._language.word(word).lemmas[0] not in _GIFTS] or every
        if not telling:
            return None
        suspects = [word for word in telling if self._is_suspect(word)]
        return Words(tuple(telling), tuple(suspects[:MOST_SUSPECTS]))

    def _is_suspect(self, word: str) -> bool:
        return len(word) >= _SHORTEST_SUSPECT and word.isalpha() and not self._language.word(word).known


@dataclass(frozen=True, slots=True)
class Planner:
    """Chooses between comparing every matching row and walking the HNSW graph."""

    exact_rows: int = EXACT_ROWS
    exact_share: float = EXACT_SHARE

    def scan(self, matching: int, total: int, depth: int, space: Space, fresh: int = 0) -> int | None:
        """How many rows HNSW may look at for `depth` that match, or None to compare every matching row instead.

        A power of two, so that few different statements are prepared. `fresh` vectors outside HNSW are compared one by
        one in any case, dearer than all rows together when there are many.
        """
        few = max(self.exact_rows, min(self.exact_share * total, MOST_EXACT_ROWS))
        if space.segment is None or fresh > MOST_FRESH or matching <= few:
            return None
        needed = SPARE * depth * total / matching
        return min(1 << max(int(needed), LEAST_SCAN).bit_length(), MOST_SCAN)


def depth_for(limit: int) -> int:
    """How many gifts each leg contributes, so that one page never outruns it."""
    return SHALLOW if limit < SHALLOW else DEEP
