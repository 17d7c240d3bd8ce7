"""Gift profiles: what each gift is like, as a scorer judged it. Scorers write here, search and ranking read."""

from __future__ import annotations

from collections.abc import Sequence

from gifty.catalog.profile_models import GiftProfile, UnscoredGift
from gifty.catalog.profile_repository import ProfileRepository


class ProfileService:
    """Hands out gifts that need a profile and takes the profiles in."""

    def __init__(self, repository: ProfileRepository) -> None:
        self._repository = repository

    async def unscored(self, model: str, version: int, *, after: str = "", limit: int = 500) -> list[UnscoredGift]:
        """Gifts without a profile of their present content, or with one of an older version of this model.

        In order of their ids, from behind `after`. What another model made of the present content is left alone.
        """
        return await self._repository.unscored(model, version, after=after, limit=limit)

    async def save(self, profiles: Sequence[GiftProfile]) -> int:
        """Stores profiles and returns how many; those of gifts that changed or went away meanwhile are dropped."""
        return await self._repository.save(profiles) if profiles else 0

    async def count(self, model: str, version: int) -> int:
        """How many gifts carry a profile of this model and version."""
        return await self._repository.count(model, version)
