"""Reading a query, and planning how to answer it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gifty.catalog.census import Census
from gifty.catalog.search_models import GiftFilter, Space
from gifty.catalog.search_sql import Scan, Words
from gifty.ontology.text import Language, fold

QUERY_CHARACTERS: Final = 300
MOST_WORDS: Final = 12
MOST_SUSPECTS: Final = 4
EXACT_ROWS: Final = 2_500
"""Up to here every matching row is compared: a millisecond per thousand."""
EXACT_SHARE: Final = 0.08
"""Below this share of what an index holds HNSW would lose too many of the nearest, and take longer than comparing."""
EXACT_UNDER_CATEGORY: Final = 25_000
"""The same for a category without an index of its own: a query foreign to it would walk the common graph in vain."""
FEW: Final = 5_000
"""Up to here all rows are compared after all when a walk finds nothing near; beyond, the walk is repeated wider."""
MOST_EXACT_ROWS: Final = 50_000
MANY: Final = 1_500
MOST_FRESH: Final = 10_000
SPARE: Final = 4
"""How many times more rows than expected HNSW may look at before a search goes on without it."""
LEAST_SCAN, MOST_SCAN = 256, 8_192
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
    """Chooses between comparing every matching row and walking an HNSW graph."""

    exact_rows: int = EXACT_ROWS
    exact_share: float = EXACT_SHARE
    exact_under_category: int = EXACT_UNDER_CATEGORY

    def scan(
        self, space: Space, census: Census, where: GiftFilter, category_ids: Sequence[int] | None, depth: int
    ) -> Scan | None:
        """The walk to take for `depth` gifts, or None to compare every row that meets the conditions.

        Its length is a power of two.
        """
        # Vectors outside HNSW are compared in any case, and dearer than all rows together when there are many.
        if space.segment is None or census.fresh > MOST_FRESH:
            return None
        matching, category, held, few = census.count(where), None, census.size, self.exact_rows
        if category_ids is not None:
            if len(category_ids) == 1 and category_ids[0] in space.categories:
                category = category_ids[0]
                held = census.count(GiftFilter(category=where.category))
            else:
                few = max(few, self.exact_under_category)
        if matching <= max(few, min(int(self.exact_share * held), MOST_EXACT_ROWS)):
            return None
        needed = int(SPARE * depth * held / matching)
        rows = min(1 << max(needed, LEAST_SCAN).bit_length(), MOST_SCAN)
        return Scan(rows, category, few=matching <= FEW)


def depth_for(limit: int) -> int:
    """How many gifts each leg contributes, so that one page never outruns it."""
    return SHALLOW if limit < SHALLOW else DEEP
