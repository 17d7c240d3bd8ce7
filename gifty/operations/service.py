"""The rules of the dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from gifty.core.database import Database
from gifty.operations.models import DeadLetter, Undelivered
from gifty.operations.repository import REPLAYS, DeadLetterRepository

_BATCH: Final = 50


class DeadLetters:
    """Keeps messages that died and hands them out again on request."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._letters = DeadLetterRepository(database)

    async def keep(self, letters: Sequence[Undelivered]) -> None:
        """Stores the letters. Raises `DatabaseUnavailable`."""
        await self._letters.add(letters)

    async def page(self, before: int | None = None, limit: int = 50) -> list[DeadLetter]:
        """The newest letters, or those older than letter `before`."""
        return await self._letters.page(before, limit)

    async def request_replay(self, ids: Sequence[int]) -> list[int]:
        """Asks the running processes to deliver these again; returns the ids of those that can be."""
        return await self._letters.request_replay(ids)

    async def claim_requested(self) -> list[DeadLetter]:
        """A batch of letters to deliver again, each given to one process alone."""
        return await self._letters.claim_requested(_BATCH)

    async def give_back(self, letter: DeadLetter) -> None:
        """Says that nobody took the letter."""
        await self._letters.give_back(letter.id)

    def on_replay_requested(self, wake: Callable[[], object]) -> asyncio.Task[None]:
        """Calls `wake` whenever a replay is requested, until the task is cancelled."""
        return self._database.listen(REPLAYS, lambda _payload: wake())
