"""Counts of the catalogue kept in memory: exact totals and facets for any filter in microseconds, and what to plan by.

Prices stand sorted inside groups of equal category, currency and ages, so a price range is two binary searches per
group. Eight bytes a gift; one statement fills it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gifty.catalog.models import Category
from gifty.catalog.search_models import CategoryCount, Facets, GiftFilter, PriceRange

HUNDREDTHS: Final = 100
MOST_CATEGORIES: Final = 50
_KEPT: Final = 256
_PRICE_BITS: Final = 43
_DEAREST: Final = (1 << _PRICE_BITS) - 1


def category_key(name: str) -> str:
    """How a category's name is compared: lower case, single blanks."""
    return " ".join(name.lower().split())


def hundredths(price: Decimal) -> int:
    """A price as the catalogue stores it for search."""
    return int(price * HUNDREDTHS)


@dataclass(frozen=True, slots=True)
class CensusRow:
    """One group: its common properties, and the sorted prices in hundredths as big-endian 64-bit integers."""

    category_id: int | None
    currency: str
    age_min: int
    age_max: int
    unpriced: int
    prices: bytes


class Census:
    """The counts as they were at one revision of the catalogue."""

    def __init__(
        self, revision: int, rows: Sequence[CensusRow], categories: Iterable[Category], *, fresh: int = 0
    ) -> None:
        self.revision: Final = revision
        self.fresh: Final = fresh
        """Vectors outside HNSW."""
        self._categories = {category.id: category for category in categories}
        self._ids_of = _ids_by_key(self._categories)
        self._category = np.array([row.category_id or 0 for row in rows], dtype=np.int64)
        self._kinds, self._place = np.unique(self._category, return_inverse=True)
        self._currency = np.array([row.currency for row in rows], dtype="U8")
        self._age_min = np.array([row.age_min for row in rows], dtype=np.int16)
        self._age_max = np.array([row.age_max for row in rows], dtype=np.int16)
        self._unpriced = np.array([row.unpriced for row in rows], dtype=np.int64)
        lists = [np.frombuffer(row.prices, dtype=">i8").astype(np.int64) for row in rows]
        self._cheapest = np.array([prices[0] if len(prices) else _DEAREST for prices in lists], dtype=np.int64)
        self._dearest = np.array([prices[-1] if len(prices) else -1 for prices in lists], dtype=np.int64)
        self._base = np.arange(len(rows), dtype=np.int64) << _PRICE_BITS
        keys = [base + np.minimum(prices, _DEAREST) for base, prices in zip(self._base, lists, strict=True)]
        self._keys: NDArray[np.int64] = np.concatenate(keys) if keys else np.zeros(0, np.int64)
        self._counts = lru_cache(maxsize=_KEPT)(self._count_groups)
        self.size: Final = int(len(self._keys) + self._unpriced.sum())

    def category_ids(self, name: str) -> list[int]:
        """The category of this name and those below it; empty when there is none."""
        return self._ids_of.get(category_key(name), [])

    def count(self, where: GiftFilter) -> int:
        """How many gifts meet all conditions."""
        return int(self._counts(where.min_price, where.max_price)[self._matching(where)].sum())

    def facets(self, where: GiftFilter) -> Facets:
        """Counts by category without the category's condition, prices without the price's condition."""
        anywhere = self._matching(where, category=False)
        counts = np.where(anywhere, self._counts(where.min_price, where.max_price), 0)
        totals = np.bincount(self._place, counts, len(self._kinds))
        found = {int(self._kinds[place]): int(totals[place]) for place in np.flatnonzero(totals)}
        named = [
            CategoryCount(self._categories[category].name, count)
            for category, count in found.items()
            if category in self._categories
        ]
        named.sort(key=lambda item: (-item.count, item.name))
        here = self._matching(where) & (self._dearest >= 0)
        price = PriceRange(None, None)
        if here.any():
            price = PriceRange(
                int(self._cheapest[here].min()) / HUNDREDTHS, int(self._dearest[here].max()) / HUNDREDTHS
            )
        return Facets(tuple(named[:MOST_CATEGORIES]), price)

    def _matching(self, where: GiftFilter, *, category: bool = True) -> NDArray[np.bool_]:
        mask = np.ones(len(self._base), dtype=np.bool_)
        if where.currency is not None:
            mask &= self._currency == where.currency
        if where.age is not None:
            mask &= (self._age_min <= where.age) & (self._age_max >= where.age)
        if category and where.category is not None:
            mask &= np.logical_or.reduce(
                [self._category == identity for identity in self.category_ids(where.category)], axis=0, initial=False
            )
        return mask

    def _count_groups(self, low_price: Decimal | None, high_price: Decimal | None) -> NDArray[np.int64]:
        low = 0 if low_price is None else min(-int(-low_price * HUNDREDTHS // 1), _DEAREST)
        high = _DEAREST if high_price is None else min(hundredths(high_price), _DEAREST)
        first = np.searchsorted(self._keys, self._base + low, "left")
        last = np.searchsorted(self._keys, self._base + high, "right")
        priced = np.maximum(last - first, 0)
        unfiltered = low_price is None and high_price is None
        counts: NDArray[np.int64] = priced + self._unpriced if unfiltered else priced
        return counts


def _ids_by_key(categories: Mapping[int, Category]) -> dict[str, list[int]]:
    below: dict[int, list[int]] = {}
    for category in categories.values():
        if category.parent_id is not None:
            below.setdefault(category.parent_id, []).append(category.id)
    found: dict[str, list[int]] = {}
    for category in categories.values():
        line = [category.id]
        for identity in line:
            line.extend(child for child in below.get(identity, ()) if child not in line)
        found[category_key(category.name)] = line
    return found


def census_row(record: Mapping[str, Any]) -> CensusRow:
    """A row of the counting statement."""
    return CensusRow(
        category_id=record["category_id"],
        currency=record["currency"],
        age_min=record["age_min"],
        age_max=record["age_max"],
        unpriced=record["unpriced"],
        prices=record["prices"] or b"",
    )
