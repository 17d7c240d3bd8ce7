"""The bounded mailbox of one actor, with a lane for control that overtakes data."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from .errors import MailboxFull
from .messages import Terminated
from .spec import MailboxPolicy, Overflow


class Envelope(NamedTuple):
    """An asked message and the future of its reply; a told message travels bare."""

    message: Any
    reply: asyncio.Future[Any]

    def refuse(self, error: Exception) -> None:
        """Let the asker raise the error, if it still waits."""
        if not self.reply.done():
            self.reply.set_exception(error)


class Slot(NamedTuple):
    """The place in the queue of whatever is newest under one coalescing key."""

    key: Hashable


class Mailbox:
    """Messages in order of arrival, never more than the policy allows; beyond that, callers wait in line.

    The owner looks at ``urgent`` and ``notices`` before it takes from ``data``.
    """

    def __init__(self, path: str, policy: MailboxPolicy, accepts: Callable[[], bool]) -> None:
        self.data: deque[Any] = deque()
        self.notices: deque[Terminated] = deque()
        self.urgent = False
        self.closed = False
        self.dropped = 0
        self.coalesced = 0
        self._path = path
        self._policy = policy
        self._capacity = policy.capacity
        self._accepts = accepts
        self._newest: dict[Hashable, Any] = {}
        self._line: OrderedDict[asyncio.Future[bool], Any] = OrderedDict()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether the owner waits here with nothing to do."""
        return self._waiter is not None and not self.data and not self.urgent

    @property
    def refuses(self) -> bool:
        """Whether this caller is refused, however much room there is."""
        return self.closed or not self._accepts()

    def offer(self, item: Any) -> bool:
        """Take the item at once; False if this caller is refused. Raises MailboxFull if it would have to wait."""
        if self.closed or not self._accepts():
            return False
        room = len(self.data) < self._capacity and not self._line
        if not self._place(item, room=room or self._policy.overflow is Overflow.DROP_OLDEST):
            raise MailboxFull(self._path)
        if not room:
            self._drop_oldest()
        return True

    async def put(self, item: Any) -> bool:
        """As ``offer``, but waits in line if that is the policy; a cancelled caller loses its place."""
        try:
            return self.offer(item)
        except MailboxFull:
            if self._policy.overflow is Overflow.FAIL_FAST:
                raise
        ticket: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line[ticket] = item
        try:
            return await ticket
        finally:
            self._line.pop(ticket, None)

    def _place(self, item: Any, *, room: bool) -> bool:
        """Let the item replace one of the same key, or else take room, if there is some."""
        if self._policy.key is not None and type(item) is not Envelope:
            key = self._policy.key(item)
            if key in self._newest:
                self._newest[key] = item
                self.coalesced += 1
                return True
            if room and key is not None:
                self._newest[key] = item
                item = Slot(key)
        if room:
            self.data.append(item)
            if self._waiter is not None:
                self._wake()
        return room

    def _drop_oldest(self) -> None:
        if len(self.data) > self._capacity:
            oldest = self.data.popleft()
            self.dropped += 1
            if type(oldest) is Envelope:
                oldest.refuse(MailboxFull("pushed out by a newer message"))

    def take(self) -> Any:
        """The oldest item; those who wait in line take the room that becomes free."""
        item = self._unwrap(self.data.popleft())
        while self._line and len(self.data) < self._capacity:
            ticket, waiting = self._line.popitem(last=False)
            if not ticket.done():
                ticket.set_result(True)
                self._place(waiting, room=True)
        return item

    def _unwrap(self, item: Any) -> Any:
        return self._newest.pop(item.key) if type(item) is Slot else item

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
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def close(self) -> list[Any]:
        """Refuse everything from now on, and hand over what was waiting; who stands in line learns for himself."""
        self.closed = True
        left = [self._unwrap(item) for item in self.data]
        self.data.clear()
        for ticket in self._line:
            if not ticket.done():
                ticket.set_result(False)
        self._line.clear()
        return left
