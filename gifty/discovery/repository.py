"""SQL of quiz runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gifty.core.database import Database

SAVE = """
INSERT INTO quiz_runs (id, engine_version, request, understood, relaxed, gift_ids)
SELECT id, engine_version, request, understood, relaxed, gift_ids
FROM jsonb_to_recordset($1::jsonb) AS t(
    id text, engine_version text, request jsonb, understood jsonb, relaxed text[], gift_ids text[])
ON CONFLICT (id) DO NOTHING
"""

SWEEP = """
DELETE FROM quiz_runs WHERE id IN (
    SELECT id FROM quiz_runs WHERE created_at < now() - make_interval(days => $1) ORDER BY created_at LIMIT $2)
"""


class QuizRunRepository:
    """Writes quiz runs, and forgets them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Stores runs; one that is there already is left alone."""
        await self._database.execute(SAVE, list(runs))

    async def sweep(self, days: int, limit: int) -> int:
        """Deletes the oldest runs that are older than so many days, at most `limit`; returns how many."""
        tag = await self._database.execute(SWEEP, days, limit)
        return int(tag.rsplit(" ", 1)[1])
