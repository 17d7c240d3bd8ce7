"""The rules of repeated requests."""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import timedelta
from typing import Final

from aiohttp import web

from gifty.core.clock import Clock
from gifty.core.errors import Conflict, InvalidInput, Unavailable
from gifty.core.http.idempotency.models import Claim, KeyedRequest, StoredAnswer
from gifty.core.http.idempotency.repository import IdempotencyRepository

log = logging.getLogger(__name__)

_KEPT: Final = timedelta(hours=24)
_PURGE_SECONDS: Final = 600.0
_PURGE_BATCH: Final = 1000
_ATTEMPTS: Final = 3
_REFUSALS: Final = frozenset({401, 403, 408, 429})


class InProgress(Conflict):
    """The first request with this key is still being worked on."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the first request with this Idempotency-Key is still being worked on")
        self.retry_after = retry_after


class IdempotencyService:
    """Lets one of several equal requests through and repeats its answer to the others for 24 hours.

    What is stored: every outcome below 500, and a failure after the handler said `mark_effect`. Any other failure, and
    a refusal that says nothing about the request itself (401, 403, 408, 429), gives the key back: nothing was done, and
    a retry should be a real one. A process that dies with a key in its hands loses it when the lease ends; the next
    equal request then starts anew.
    """

    def __init__(self, repository: IdempotencyRepository, clock: Clock, *, lease_seconds: float = 60.0) -> None:
        self._repository = repository
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)

    async def begin(self, request: KeyedRequest) -> Claim | StoredAnswer:
        """The right to go ahead, or the answer of the first request.

        Raises `InProgress` while the first request runs, `InvalidInput` when the key belongs to another request.
        """
        for _ in range(_ATTEMPTS):
            now = self._clock.now()
            claim = await self._repository.claim(
                request, now=now, leased_until=now + self._lease, expires_at=now + _KEPT
            )
            if claim is not None:
                return claim
            known = await self._repository.known(request)
            if known is None:
                continue
            if known.fingerprint != request.fingerprint:
                raise InvalidInput.of("Idempotency-Key", "This key was used for another request.")
            if known.answer is not None:
                return known.answer
            raise InProgress(min(5.0, math.ceil(max(0.0, (known.leased_until - now).total_seconds()))))
        raise InProgress(1.0)

    async def end(self, claim: Claim, answer: StoredAnswer, *, effect: bool) -> None:
        """Keeps the answer, or gives the key back after a failure without an effect."""
        is_outcome = answer.status < web.HTTPInternalServerError.status_code and answer.status not in _REFUSALS
        if is_outcome or effect:
            await self._repository.complete(claim, answer)
        else:
            await self._repository.release(claim)

    async def purge(self) -> int:
        """Removes what is older than 24 hours; returns how many keys."""
        removed = 0
        while batch := await self._repository.purge(self._clock.now(), _PURGE_BATCH):
            removed += batch
        return removed


IDEMPOTENCY: Final = web.AppKey("idempotency", IdempotencyService)


async def purge_regularly(app: web.Application) -> None:
    """Removes expired keys for ever; its owner cancels it."""
    while True:
        service = app.get(IDEMPOTENCY)
        if service is not None:
            try:
                await service.purge()
            except Unavailable:
                log.warning("expired idempotency keys could not be removed; trying again later")
            except Exception:
                log.exception("expired idempotency keys could not be removed; trying again later")
        await asyncio.sleep(_PURGE_SECONDS)
