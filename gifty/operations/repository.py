"""SQL of the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gifty.core.database import Database, Record
from gifty.operations.models import DeadLetter, Undelivered

REPLAYS: Final = "gifty_replays"
_COLUMNS: Final = "id, path, message, payload, reason, cause, traceback, died_at, replayed_at"


class DeadLetterRepository:
    """The table `dead_letters`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, letters: Sequence[Undelivered]) -> None:
        """Keeps the letters."""
        await self._database.execute(
            "INSERT INTO dead_letters (path, message, payload, reason, cause, traceback, died_at)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::text[], $5::text[], $6::text[],"
            " $7::timestamptz[])",
            [letter.path for letter in letters],
            [letter.message for letter in letters],
            [letter.payload for letter in letters],
            [letter.reason for letter in letters],
            [letter.cause for letter in letters],
            [letter.traceback for letter in letters],
            [letter.died_at for letter in letters],
        )

    async def page(self, before: int | None, limit: int) -> list[DeadLetter]:
        """The newest letters, or those older than letter `before`."""
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM dead_letters WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
            before,
            limit,
        )
        return [_letter(row) for row in rows]

    async def request_replay(self, ids: Sequence[int]) -> list[int]:
        """Marks those that can be replayed and have not been, tells every process, and returns their ids."""
        rows = await self._database.fetch(
            "WITH marked AS (UPDATE dead_letters SET replay_requested_at = now()"
            "  WHERE id = ANY($1::bigint[]) AND payload IS NOT NULL AND replayed_at IS NULL RETURNING id)"
            " SELECT id, pg_notify($2, '') FROM marked ORDER BY id",
            ids,
            REPLAYS,
        )
        return [row["id"] for row in rows]

    async def claim_requested(self, limit: int) -> list[DeadLetter]:
        """Takes letters that wait for their replay, oldest first; each is taken by one process alone."""
        rows = await self._database.fetch(
            "UPDATE dead_letters SET replayed_at = now() WHERE id IN ("
            "  SELECT id FROM dead_letters WHERE replay_requested_at IS NOT NULL AND replayed_at IS NULL"
            "  ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)"
            f" RETURNING {_COLUMNS}",
            limit,
        )
        return sorted((_letter(row) for row in rows), key=lambda letter: letter.id)

    async def give_back(self, letter_id: int) -> None:
        """Undoes the claim of a letter that nobody took; it waits for another request."""
        await self._database.execute(
            "UPDATE dead_letters SET replayed_at = NULL, replay_requested_at = NULL WHERE id = $1", letter_id
        )


def _letter(row: Record) -> DeadLetter:
    return DeadLetter(**row)
