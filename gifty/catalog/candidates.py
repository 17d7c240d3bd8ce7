"""Candidates: the few hundred gifts that a recommendation ranks, picked by kind, by what titles point to, and by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gifty.catalog.candidate_repository import CandidateRepository
from gifty.core.database import Record


@dataclass(frozen=True, slots=True)
class CandidateFilter:
    """Bounds that no candidate crosses."""

    low_price: float
    high_price: float | None
    priced_in: str | None
    """The currency of the bounds; None when there are none."""
    age_low: int
    age_high: int
    also_age: int | None
    """Another age whose things suit as well: a newborn's for a mother to be."""
    gender: str | None
    """Gifts for the other gender stay out; None lets all in, "other" only those for anybody."""
    closeness: int
    tags: frozenset[str]
    exclude_words: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    exclude_merchants: tuple[str, ...] = ()
    least_giftability: float = 0.06


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """How many gifts to take of each kind and of each motif, and which ones by id."""

    kinds: Mapping[str, int]
    motifs: Mapping[str, int]
    ids: Sequence[str]
    where: CandidateFilter


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gift with as much of its profile as ranking needs."""

    gift_id: str
    kind: str | None
    giftability: float
    quality: float
    gender: str
    age_min: int
    age_max: int
    closeness: int
    motifs: Sequence[str]
    title: str
    is_idea: bool
    price: float | None
    currency: str
    category: str | None


@dataclass(frozen=True, slots=True)
class GiftCard:
    """What people see of a gift beside its candidate, and its gift matrix."""

    gift_id: str
    description: str
    url: str
    image_url: str | None
    merchant: str | None
    old_price: float | None
    axes: Sequence[float]
    price: float | None
    available: bool


class CandidateService:
    """Reads candidates for ranking, and the cards of those that were picked."""

    def __init__(self, repository: CandidateRepository) -> None:
        self._repository = repository

    async def candidates(self, query: CandidateQuery) -> list[Candidate]:
        """The candidates of a query, in one round trip."""
        return _unique(await self._repository.candidates(query))

    async def any_candidates(self, where: CandidateFilter, limit: int) -> list[Candidate]:
        """The most giftable candidates of any kind, for when nothing better is left."""
        return _unique(await self._repository.any_candidates(where, limit))

    async def cards(self, gift_ids: Sequence[str]) -> dict[str, GiftCard]:
        """The cards of gifts by id; those that went away are missing."""
        rows = await self._repository.cards(gift_ids) if gift_ids else []
        return {row["gift_id"]: GiftCard(**row) for row in rows}


def _unique(rows: Sequence[Record]) -> list[Candidate]:
    seen: dict[str, Candidate] = {}
    for row in rows:
        if row[0] not in seen:
            seen[row[0]] = Candidate(*row)
    return list(seen.values())
