"""References: the only way to reach an actor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from .dead_letters import Reason
from .errors import ActorStopped, AskTimeout, MailboxFull
from .mailbox import Envelope, Mailbox, Refusal
from .messages import Message, Question

if TYPE_CHECKING:
    from .cell import Cell

R = TypeVar("R")


class RecipientRef(Protocol):
    """Whatever messages can be sent to: an actor, or the actor of a key."""

    @property
    def path(self) -> str:
        """Where the recipient lives in the tree."""

    async def tell(self, message: Message) -> bool:
        """Send without expecting a reply; waits while the mailbox is full and its policy is to block.

        True: accepted. False: the actor is stopped, and the message is a dead letter already.
        Raises MailboxFull if the policy is to fail fast.
        """

    def tell_nowait(self, message: Message) -> bool:
        """Send without ever waiting; as ``tell``, but raises MailboxFull in a blocking mailbox too."""

    async def ask(self, message: Question[R], *, timeout: float) -> R:
        """Send and wait for the reply, at most ``timeout`` seconds in all.

        Raises AskTimeout, ActorStopped, MailboxFull, Unhandled, or AskFailed when the handler raised.
        Cancelling the caller cancels the ask: a message still queued is skipped.
        """


class Ref:
    """A reference to one actor. It stays valid across restarts, and is all that may leave an actor."""

    __slots__ = ("_cell", "_mailbox")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._mailbox: Mailbox = cell.mailbox

    def __repr__(self) -> str:
        return f"<Ref {self.path}>"

    @property
    def path(self) -> str:
        """Where the actor lives in the tree, such as ``/catalog/embedder``."""
        return self._cell.path

    async def tell(self, message: Message) -> bool:
        """See RecipientRef.tell."""
        mailbox = self._mailbox
        if mailbox.offer(message):
            return True
        if mailbox.waits and not mailbox.closed:
            # Whoever closes the mailbox under a waiting caller buries its message too.
            return await mailbox.admit(message)
        return self._refused(message)

    def tell_nowait(self, message: Message) -> bool:
        """See RecipientRef.tell_nowait."""
        return self._mailbox.offer(message) or self._refused(message)

    def _refused(self, message: Message) -> bool:
        if not self._mailbox.closed:
            raise MailboxFull(self.path)
        self._cell.bury(message, Reason.STOPPED)
        return False

    async def ask(self, message: Question[R], *, timeout: float) -> R:
        """See RecipientRef.ask."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        envelope = Envelope(message, reply)
        mailbox = self._mailbox
        if not mailbox.offer(envelope):
            if mailbox.closed:
                raise ActorStopped(self.path)
            if not mailbox.waits:
                raise MailboxFull(self.path)
            mailbox.admit_later(envelope)
        deadline = self._cell.clock.call_later(timeout, _expire, envelope, self.path, timeout)
        try:
            outcome = await reply
        finally:
            deadline.cancel()
        if type(outcome) is Refusal:
            raise outcome.error
        return cast("R", outcome)


def _expire(envelope: Envelope, path: str, timeout: float) -> None:
    envelope.refuse(AskTimeout(f"{path} did not reply within {timeout:g} s"))
