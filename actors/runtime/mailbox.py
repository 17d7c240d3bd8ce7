"""The bounded mailbox of one actor, with a lane for control that overtakes data."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from .errors import MailboxFull
from .messages import Terminated
from .spec import MailboxPolicy, Overflow


@dataclass(slots=True, eq=False)
class Envelope:
    """An asked message and the future of its reply; a told message travels bare."""

    message: Any
    reply: asyncio.Future[Any]

    def refuse(self, error: Exception) -> None:
        """Let the asker raise the error, if it still waits."""
        if not self.reply.done():
            self.reply.set_result(Refusal(error))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the place of a reply: a future that nobody awaits any more must not complain of it."""

    error: Exception


@dataclass(slots=True, eq=False)
class Slot:
    """The place in the queue of whatever is newest under one coalescing key."""

    key: Hashable
    message: Any


class Door(Enum):
    """Who may still put messages in."""

    OPEN = auto()
    INSIDERS = auto()
    CLOSED = auto()


class Mailbox:
    """Messages in order of arrival, never more than the policy allows.

    ``offer`` never waits; ``admit`` does, first come, first served. The owner reads ``data`` directly and
    calls ``let_in`` while the mailbox is ``crowded``.
    """

    __slots__ = (
        "_capacity",
        "_door",
        "_easy",
        "_insider",
        "_line",
        "_overflow",
        "_policy",
        "_slots",
        "_waiter",
        "coalesced",
        "crowded",
        "data",
        "dropped",
        "notices",
        "urgent",
    )

    def __init__(self, policy: MailboxPolicy, insider: Callable[[], bool]) -> None:
        self.data: deque[Any] = deque()
        self.notices: deque[Terminated] = deque()
        self.urgent = False
        self.crowded = False
        self.dropped = 0
        self.coalesced = 0
        self._policy = policy
        self._capacity = policy.capacity
        self._overflow = policy.overflow
        self._insider = insider
        self._slots: dict[Hashable, Slot] = {}
        self._line: deque[tuple[Any, asyncio.Future[bool] | None]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._door = Door.OPEN
        self._easy = False
        self.reopen()

    @property
    def idle(self) -> bool:
        """Whether the owner waits here with nothing to do."""
        return self._waiter is not None and not self.data and not self.urgent

    def offer(self, item: Any) -> bool:
        """Take the item if that needs no waiting."""
        if self._easy and len(self.data) < self._capacity:
            self.data.append(item)
            if self._waiter is not None:
                self._wake()
            return True
        return self._offer_with_care(item)

    def _offer_with_care(self, item: Any) -> bool:
        if self.closed:
            return False
        key = self._key_of(item)
        slot = self._slots.get(key)
        if slot is not None:
            slot.message = item
            self.coalesced += 1
            return True
        if self.crowded:
            return False
        if len(self.data) >= self._capacity:
            if self._overflow is not Overflow.DROP_OLDEST:
                return False
            self._drop_oldest()
        self._append(item, key)
        return True

    def _key_of(self, item: Any) -> Hashable | None:
        if self._policy.key is None or type(item) is Envelope:
            return None
        return self._policy.key(item)

    def _append(self, item: Any, key: Hashable | None) -> None:
        if key is not None:
            item = self._slots[key] = Slot(key, item)
        self.data.append(item)
        if self._waiter is not None:
            self._wake()

    def _drop_oldest(self) -> None:
        oldest = self.data.popleft()
        self.dropped += 1
        if type(oldest) is Envelope:
            oldest.refuse(MailboxFull("pushed out by a newer message"))

    @property
    def closed(self) -> bool:
        """Whether this caller is refused, however much room there is."""
        return self._door is Door.CLOSED or (self._door is Door.INSIDERS and not self._insider())

    @property
    def waits(self) -> bool:
        """Whether the policy for a full mailbox is to wait for room."""
        return self._overflow in (Overflow.BLOCK, Overflow.COALESCE)

    async def admit(self, message: Any) -> bool:
        """Wait for room; False if the mailbox was closed first. A cancelled caller loses its place."""
        ticket = asyncio.get_running_loop().create_future()
        self._stand_in_line(message, ticket)
        return bool(await ticket)

    def admit_later(self, envelope: Envelope) -> None:
        """Put an asked message in line; its asker waits for the reply alone."""
        self._stand_in_line(envelope, None)

    def _stand_in_line(self, item: Any, ticket: asyncio.Future[bool] | None) -> None:
        self._line.append((item, ticket))
        self.crowded = True
        self._easy = False

    def let_in(self) -> None:
        """Let those who wait take the room that has become free."""
        while self._line and len(self.data) < self._capacity:
            item, ticket = self._line.popleft()
            if ticket is None:
                if not item.reply.done():
                    self._append(item, None)
            elif not ticket.done():
                ticket.set_result(True)
                self._enter_from_line(item)
        self.crowded = bool(self._line)
        self._settle()

    def _enter_from_line(self, item: Any) -> None:
        key = self._key_of(item)
        slot = self._slots.get(key)
        if slot is None:
            self._append(item, key)
        else:
            slot.message = item
            self.coalesced += 1

    def unwrap(self, item: Any) -> Any:
        """What a queue entry carries: the newest message of a slot, or the entry itself."""
        if type(item) is not Slot:
            return item
        del self._slots[item.key]
        return item.message

    async def wait(self) -> None:
        """Return when there may be something to do."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def interrupt(self) -> None:
        """Make the owner look at control before the next message."""
        self.urgent = True
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def reopen(self, *, to_insiders_only: bool = False) -> None:
        """Accept messages: from everybody, or from actors of the same system only."""
        self._door = Door.INSIDERS if to_insiders_only else Door.OPEN
        self._settle()

    def restrict(self) -> None:
        """Accept messages from actors of the same system only, if from anybody."""
        if self._door is not Door.CLOSED:
            self.reopen(to_insiders_only=True)

    def close(self) -> list[Any]:
        """Refuse everything from now on, and hand over what was waiting."""
        self._door = Door.CLOSED
        self._settle()
        left = [self.unwrap(item) for item in self.data]
        for item, ticket in self._line:
            if ticket is None:
                left.append(item)
            elif not ticket.done():
                ticket.set_result(False)
                left.append(item)
        self.data.clear()
        self._line.clear()
        self.crowded = False
        return left

    def _settle(self) -> None:
        self._easy = self._door is Door.OPEN and not self.crowded and self._policy.key is None
