"""Dead letters on their way into the database, and back to an actor."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import deque
from datetime import UTC, datetime
from typing import Final

import orjson

from actors.runtime import Actor, ActorError, ActorSystem, DeadLetter, NotSerialisable, handles
from gifty.core.errors import Unavailable
from gifty.operations.models import Undelivered
from gifty.operations.service import DeadLetters

log = logging.getLogger(__name__)

_CAPACITY: Final = 10_000
_BATCH: Final = 500
_RETRY_SECONDS: Final = 2.0
_REPLAY_POLL_SECONDS: Final = 30.0
_DELIVERY_SECONDS: Final = 5.0


class DeadLetterBox:
    """The sink of the actor system. A task of its own carries the letters into the database.

    While the database is away, letters wait in memory; beyond `capacity` the oldest are logged and let go.
    """

    def __init__(self, letters: DeadLetters, capacity: int = _CAPACITY) -> None:
        self._letters = letters
        self._capacity = capacity
        self._waiting: deque[Undelivered] = deque()
        self._arrived = asyncio.Event()
        self._system: ActorSystem | None = None

    def serve(self, system: ActorSystem) -> None:
        """Tells the box whose messages it keeps, so that it can write them down."""
        self._system = system

    def put(self, letter: DeadLetter) -> None:
        """Takes a letter."""
        log.warning("dead letter for %s: %s %s %r", letter.path, letter.message_name, letter.reason, letter.cause)
        if len(self._waiting) >= self._capacity:
            log.error("letting go of a dead letter for %s: too many wait", self._waiting.popleft().path)
        self._waiting.append(self._written(letter))
        self._arrived.set()

    def _written(self, letter: DeadLetter) -> Undelivered:
        payload = None
        if self._system is not None:
            with contextlib.suppress(NotSerialisable):
                payload = self._system.codec.encode(letter.message)
        return Undelivered(
            path=letter.path,
            message=letter.message_name,
            payload=payload if _is_storable(payload) else None,
            reason=letter.reason.value,
            cause=_storable(letter.cause),
            traceback=_storable(letter.traceback),
            died_at=datetime.fromtimestamp(letter.at, UTC),
        )

    async def run(self) -> None:
        """Carries letters until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                try:
                    await self.flush()
                except Unavailable:
                    await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self) -> None:
        """Stores what waits. Raises `DatabaseUnavailable`, and then keeps it."""
        most = _BATCH
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            try:
                await self._letters.keep(batch)
            except (Unavailable, asyncio.CancelledError):
                self._waiting.extendleft(reversed(batch))
                raise
            except Exception:
                if len(batch) == 1:
                    log.exception("letting go of a dead letter for %s: it cannot be stored", batch[0].path)
                else:
                    # One letter that cannot be stored must not hold up the others.
                    self._waiting.extendleft(reversed(batch))
                    most = 1


def _is_storable(payload: dict[str, object] | None) -> bool:
    """Whether it fits into jsonb, which knows no NUL and no half of a surrogate pair."""
    try:
        return b"\\u0000" not in orjson.dumps(payload)
    except TypeError:
        return False


def _storable(text: str | None) -> str | None:
    return text and text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """Look for letters to deliver again."""


class Postmaster(Actor):
    """Delivers dead letters again when somebody asks for it."""

    def __init__(self, letters: DeadLetters, system: ActorSystem) -> None:
        self._letters = letters
        self._system = system
        self._listening: asyncio.Task[None] | None = None

    async def started(self) -> None:
        """Wakes by notification, and by a timer for a notification that got lost."""
        self._listening = self._letters.on_replay_requested(lambda: self.context.self.tell_nowait(Replay()))
        self.context.every(_REPLAY_POLL_SECONDS, Replay())

    async def stopping(self) -> None:
        """Stops listening."""
        if self._listening:
            self._listening.cancel()

    @handles(Replay)
    async def replay(self, _message: Replay) -> None:
        """Delivers every letter that waits for it; while the database is away they wait for the next look."""
        try:
            while letters := await self._letters.claim_requested():
                for letter in letters:
                    if not await self._deliver(letter.path, letter.payload):
                        await self._letters.give_back(letter)
        except Unavailable as error:
            log.warning("dead letters wait for their replay: %s", error)

    async def _deliver(self, path: str, payload: dict[str, object] | None) -> bool:
        try:
            message = self._system.codec.decode(payload or {"type": ""})
            async with asyncio.timeout(_DELIVERY_SECONDS):
                return await self._system.ref(path).tell(message)
        except (ActorError, NotSerialisable, TimeoutError) as error:
            log.warning("a dead letter for %s cannot be delivered again: %r", path, error)
            return False
