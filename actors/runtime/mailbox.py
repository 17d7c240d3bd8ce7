"""The bounded mailbox of one actor, with a lane for control that overtakes data, and the references to reach it by."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .errors import ActorStopped, AskTimeout, MailboxFull
from .messages import Ask, Message, R, Reason, Terminated
from .spec import ActorSnapshot, MailboxPolicy, Overflow

if TYPE_CHECKING:
    from .cell import Cell
    from .supervisor import Region
    from .system import ActorSystem

# The system that the running task is an actor of.
INSIDE: ContextVar[ActorSystem | None] = ContextVar("actor system", default=None)


class Envelope(NamedTuple):
    """An asked message and the future of its reply; a told message travels bare."""

    message: Any
    reply: asyncio.Future[Any]

    def refuse(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)


class Slot(NamedTuple):
    """The place in the queue of whatever is newest under one coalescing key."""

    key: Hashable


class Mailbox:
    """Messages in order of arrival, never more than the policy allows; beyond that, callers wait in line."""

    def __init__(self, system: ActorSystem, meter: ActorSnapshot, policy: MailboxPolicy) -> None:
        self.data: deque[Any] = deque()
        self.notices: deque[Terminated] = deque()
        self.urgent = self.closed = False
        self._system, self._meter, self._policy = system, meter, policy
        self._newest: dict[Hashable, Any] = {}
        self._line: OrderedDict[asyncio.Future[bool], Any] = OrderedDict()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        return self._waiter is not None and not self.data and not self.urgent

    @property
    def refuses(self) -> bool:
        """Whether this caller is refused; a system that closes still lets its own actors send."""
        return self.closed or (self._system.closing and INSIDE.get() is not self._system)

    def offer(self, item: Any) -> bool:
        """Take the item at once; False if this caller is refused. Raises MailboxFull if it would have to wait."""
        if self.closed or (self._system.closing and self.refuses):
            return False
        room = len(self.data) < self._policy.capacity and not self._line
        if not self._place(item, room=room or self._policy.overflow is Overflow.DROP_OLDEST):
            raise MailboxFull(self._meter.path)
        if len(self.data) > self._policy.capacity:
            self._meter.dropped += 1
            oldest = self.data.popleft()
            if type(oldest) is Envelope:
                oldest.refuse(MailboxFull("pushed out by a newer message"))
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
                self._meter.coalesced += 1
                return True
            if room and key is not None:
                self._newest[key] = item
                item = Slot(key)
        if room:
            self.data.append(item)
            if self._waiter is not None:
                self._wake()
        return room

    def take(self) -> Any:
        item = self.data.popleft()
        if type(item) is Slot:
            item = self._newest.pop(item.key)
        while self._line and len(self.data) < self._policy.capacity:
            ticket, waiting = self._line.popitem(last=False)
            if not ticket.done():
                ticket.set_result(True)
                self._place(waiting, room=True)
        return item

    async def wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def interrupt(self) -> None:
        self.urgent = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def close(self) -> list[Any]:
        """Refuse everything from now on, and hand over what was waiting; who stands in line learns for himself."""
        self.closed = True
        for ticket in self._line:
            if not ticket.done():
                ticket.set_result(False)
        self._line.clear()
        return [self.take() for _ in range(len(self.data))]


class Ref:
    """A reference to the actor at a path, or to whichever holds a key when a message arrives; it outlives restarts.

    For a key, ``tell`` and ``ask`` wait for room among the live keys as well, ``tell_nowait`` raises KeysExhausted.
    """

    def __init__(self, cell: Cell, path: str, region: Region | None = None) -> None:
        self._cell, self.path, self._region = cell, path, region

    def locate_now(self) -> Cell:
        return self._cell if self._region is None else self._region.activate_now(self.path)

    async def tell(self, message: Message) -> bool:
        """Send, and wait for room if that is the policy, or raise MailboxFull if it is to fail fast.

        True: accepted. False: the actor is stopped, and the message is a dead letter already.
        """
        cell = self._cell if self._region is None else await self._region.activate(self.path)
        return await cell.mailbox.put(message) or self._refused(cell, message)

    def tell_nowait(self, message: Message) -> bool:
        """Send without ever waiting; as ``tell``, but raises MailboxFull in a blocking mailbox too."""
        cell = self.locate_now()
        return cell.mailbox.offer(message) or self._refused(cell, message)

    def _refused(self, cell: Cell, message: Message) -> bool:
        cell.bury(message, Reason.STOPPED, path=self.path)
        return False

    async def ask(self, message: Ask[R], *, timeout: float) -> R:
        """Send and wait for the reply, at most ``timeout`` seconds in all; if cancelled, the message is skipped.

        Raises AskTimeout, ActorStopped, MailboxFull, Unhandled, or AskFailed when the handler raised.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                cell = self._cell if self._region is None else await self._region.activate(self.path)
                if not await cell.mailbox.put(Envelope(message, reply)):
                    raise ActorStopped(self.path)
                return cast("R", await reply)
        except TimeoutError:
            raise AskTimeout(f"{self.path} did not reply within {timeout:g} s") from None
        finally:
            reply.cancel()
