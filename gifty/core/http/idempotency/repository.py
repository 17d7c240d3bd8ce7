"""The table of idempotency keys."""

from __future__ import annotations

import uuid
from datetime import datetime

from gifty.core.database import Database
from gifty.core.http.idempotency.models import Claim, KeyedRequest, KnownKey, StoredAnswer

# A row may be taken over when its day is past, or when whoever worked on the very same request is gone.
_CLAIM = """
INSERT INTO idempotency_keys AS held (scope, key, fingerprint, token, leased_until, expires_at)
VALUES ($1, $2, $3, $4, $6, $7)
ON CONFLICT (scope, key) DO UPDATE
SET fingerprint = excluded.fingerprint, token = excluded.token, leased_until = excluded.leased_until,
    expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL
WHERE held.expires_at <= $5
   OR (held.status IS NULL AND held.leased_until <= $5 AND held.fingerprint = excluded.fingerprint)
RETURNING true
"""

_KNOWN = "SELECT fingerprint, leased_until, status, headers, body FROM idempotency_keys WHERE scope = $1 AND key = $2"

_COMPLETE = """
UPDATE idempotency_keys SET status = $4, headers = $5, body = $6
WHERE scope = $1 AND key = $2 AND token = $3 AND status IS NULL
"""

_RELEASE = "DELETE FROM idempotency_keys WHERE scope = $1 AND key = $2 AND token = $3 AND status IS NULL"

_PURGE = """
DELETE FROM idempotency_keys WHERE (scope, key) IN
    (SELECT scope, key FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
"""


class IdempotencyRepository:
    """Claims, answers and their end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, request: KeyedRequest, *, now: datetime, leased_until: datetime, expires_at: datetime
    ) -> Claim | None:
        """Takes the key in one statement, or None when it is taken."""
        token = uuid.uuid4()
        taken = await self._database.fetchval(
            _CLAIM, request.scope, request.key, request.fingerprint, token, now, leased_until, expires_at
        )
        return Claim(request, token) if taken else None

    async def known(self, request: KeyedRequest) -> KnownKey | None:
        """Who has the key."""
        row = await self._database.fetchrow(_KNOWN, request.scope, request.key)
        if row is None:
            return None
        answer = None if row["status"] is None else StoredAnswer(row["status"], row["headers"], row["body"])
        return KnownKey(row["fingerprint"], row["leased_until"], answer)

    async def complete(self, claim: Claim, answer: StoredAnswer) -> None:
        """Keeps the answer, unless somebody took the key over."""
        request = claim.request
        await self._database.execute(
            _COMPLETE, request.scope, request.key, claim.token, answer.status, dict(answer.headers), answer.body
        )

    async def release(self, claim: Claim) -> None:
        """Gives the key back as if it had never been used."""
        await self._database.execute(_RELEASE, claim.request.scope, claim.request.key, claim.token)

    async def purge(self, now: datetime, most: int) -> int:
        """Removes keys whose day is past, at most so many; returns how many."""
        tag = await self._database.execute(_PURGE, now, most)
        return int(tag.rpartition(" ")[2])
