"""Scores what the catalogue holds unscored, batch by batch, without ever holding the event loop for long."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from gifty.catalog.profile_models import GiftProfile, UnscoredGift
from gifty.catalog.profiles import ProfileService

BATCH: Final = 400
SLICE: Final = 40
"""Gifts read between two breaths of the event loop: about 10 ms."""


class Scorer(Protocol):
    """Judges one gift at a time."""

    model: str
    version: int

    def profile(self, gift: UnscoredGift) -> GiftProfile:
        """The profile of one gift."""
        ...


class ScoringService:
    """Keeps the profiles of all gifts current with one scorer."""

    def __init__(self, profiles: ProfileService, scorer: Scorer) -> None:
        self._profiles = profiles
        self._scorer = scorer

    @property
    def version(self) -> tuple[str, int]:
        """Model and version that profiles are made with."""
        return self._scorer.model, self._scorer.version

    async def score_batch(self, after: str = "", limit: int = BATCH) -> tuple[int, str | None]:
        """Scores one page of unscored gifts behind the id `after`.

        Returns how many profiles were stored and the id to go on from, or None when nothing is left behind `after`.
        """
        gifts = await self._profiles.unscored(self._scorer.model, self._scorer.version, after=after, limit=limit)
        if not gifts:
            return 0, None
        made: list[GiftProfile] = []
        for position, gift in enumerate(gifts, 1):
            made.append(self._scorer.profile(gift))
            if position % SLICE == 0:
                await asyncio.sleep(0)
        stored = await self._profiles.save(made)
        return stored, gifts[-1].id

    async def score_all(self) -> int:
        """Scores everything that is unscored or out of date. Returns how many profiles were stored."""
        total, after = 0, ""
        while True:
            stored, following = await self.score_batch(after)
            total += stored
            if following is None:
                return total
            after = following
