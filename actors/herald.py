"""Brings the database's notice of a changed catalogue to the actors that work on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from actors.runtime import Actor, ActorSystem, MailboxFull
from actors.runtime.messages import Message

Subscribe: TypeAlias = Callable[[Callable[[str], object]], asyncio.Task[None]]


class Herald(Actor):
    """Listens for as long as it lives. Those it tells also look by themselves, so a lost notice costs only time."""

    def __init__(self, subscribe: Subscribe, system: ActorSystem, notices: Sequence[tuple[str, Message]]) -> None:
        self._subscribe = subscribe
        self._system = system
        self._notices = notices
        self._listening: asyncio.Task[None] | None = None

    async def started(self) -> None:
        """Begins to listen."""
        self._listening = self._subscribe(lambda _payload: self._tell())

    async def stopping(self) -> None:
        """Stops listening."""
        if self._listening:
            self._listening.cancel()

    def _tell(self) -> None:
        for path, message in self._notices:
            try:
                self._system.ref(path).tell_nowait(message)
            except MailboxFull:
                continue
