"""References: the only way to reach an actor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .dead_letters import Reason
from .errors import ActorStopped, AskTimeout
from .mailbox import Envelope
from .messages import Ask, Message

if TYPE_CHECKING:
    from .cell import Cell

R = TypeVar("R")


class Ref:
    """A reference to one actor. It stays valid across restarts, and is all that may leave an actor."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    @property
    def path(self) -> str:
        """Where the actor lives in the tree, such as ``/catalog/embedder``."""
        return self._cell.path

    async def _locate(self) -> Cell:
        return self._cell

    def _locate_now(self) -> Cell:
        return self._cell

    async def tell(self, message: Message) -> bool:
        """Send without expecting a reply; waits while the mailbox is full and its policy is to block.

        True: accepted. False: the actor is stopped, and the message is a dead letter already.
        Raises MailboxFull if the policy is to fail fast.
        """
        cell = await self._locate()
        return await cell.mailbox.put(message) or self._refused(cell, message)

    def tell_nowait(self, message: Message) -> bool:
        """Send without ever waiting; as ``tell``, but raises MailboxFull in a blocking mailbox too."""
        cell = self._locate_now()
        return cell.mailbox.offer(message) or self._refused(cell, message)

    def _refused(self, cell: Cell, message: Message) -> bool:
        cell.bury(message, Reason.STOPPED, path=self.path)
        return False

    async def ask(self, message: Ask[R], *, timeout: float) -> R:
        """Send and wait for the reply, at most ``timeout`` seconds in all.

        Raises AskTimeout, ActorStopped, MailboxFull, Unhandled, or AskFailed when the handler raised.
        Cancelling the caller cancels the ask: a message still queued is skipped.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                cell = await self._locate()
                if not await cell.mailbox.put(Envelope(message, reply)):
                    raise ActorStopped(self.path)
                return cast("R", await reply)
        except TimeoutError:
            raise AskTimeout(f"{self.path} did not reply within {timeout:g} s") from None
        finally:
            reply.cancel()
