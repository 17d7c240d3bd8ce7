"""Keeps gift profiles current: scores what is new or changed, batch by batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from actors.runtime import Actor, handles
from gifty.core.errors import Unavailable
from gifty.scoring.service import ScoringService

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 30.0
POLL_JITTER: Final = 5.0


@dataclass(frozen=True, slots=True)
class ScoreGifts:
    """Gifts may be unscored: look behind the id `after`."""

    after: str = ""


class Scorer(Actor):
    """Scores one batch per message and tells itself to go on, so that others are heard in between.

    Rows decide what is to do; a lost message costs a poll's wait and nothing else. While the database is away the actor
    waits for the next poll. Several processes may score side by side: the second write of a profile is the same as the
    first.
    """

    def __init__(self, scoring: ScoringService) -> None:
        self._scoring = scoring

    async def started(self) -> None:
        """Begins at once, then looks again every half minute."""
        self.context.every(POLL_SECONDS, ScoreGifts(), jitter=POLL_JITTER)
        self.context.self.tell_nowait(ScoreGifts())

    @handles(ScoreGifts)
    async def score(self, message: ScoreGifts) -> None:
        """Scores a batch; while there is more, goes on behind it."""
        try:
            _stored, following = await self._scoring.score_batch(message.after)
        except Unavailable as error:
            log.warning("gifts wait for their profiles: %s", error)
            return
        if following is not None and not self.context.closing:
            self.context.self.tell_nowait(ScoreGifts(following))
