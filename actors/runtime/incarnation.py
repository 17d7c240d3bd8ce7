"""One incarnation of an actor: from its factory to its stopping hook, one message at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .context import Context
from .dead_letters import Reason, describe
from .errors import ActorStopped, AskFailed, Unhandled
from .mailbox import Envelope
from .messages import Terminated
from .snapshot import RING, State

if TYPE_CHECKING:
    from .actor import Actor
    from .cell import Cell

# An actor with a never-empty mailbox lets the others run after this many messages.
BATCH = 128


async def live(cell: Cell, cause: BaseException | None) -> None:
    """Run an incarnation to its end; whatever its factory, a hook or a handler raises comes out."""
    actor = cell.spec.factory()
    actor.context = Context(cell)
    cell.kind = type(actor).__name__
    cell.system.codec.register(*type(actor).handlers)
    try:
        await (actor.started() if cause is None else actor.restarted(cause))
        cell.supervisor.retire_orphans()
        await _serve(cell, actor)
    finally:
        cell.timers.cancel_all()
        await _close(cell, actor)


async def _close(cell: Cell, actor: Actor) -> None:
    try:
        async with asyncio.timeout(cell.spec.stop_timeout):
            await actor.stopping()
    except Exception as error:
        # Why the incarnation ended matters more than that its farewell went wrong.
        cell.meter.last_error = describe(error)
        cell.system.log.exception("%s: the stopping hook failed", cell.path)


async def _serve(cell: Cell, actor: Actor) -> None:
    mailbox, meter, stopwatch = cell.mailbox, cell.meter, cell.clock.stopwatch
    data, durations, handlers = mailbox.data, meter.durations, type(actor).handlers
    while True:
        began = stopwatch()
        for _ in range(BATCH):
            if mailbox.urgent and not await _attend(cell, actor):
                return
            if not data:
                cell.idle_since = cell.clock.now()
                await mailbox.wait()
                break
            message = data.popleft()
            if mailbox.crowded:
                mailbox.let_in()
            handler = handlers.get(type(message))
            if handler is None:
                message = mailbox.unwrap(message)
            try:
                if handler is not None:
                    await handler(actor, message)
                elif not await _handle_with_care(cell, actor, message):
                    continue
            except BaseException as error:
                _drop_in_hand(cell, message, error)
                raise
            now = stopwatch()
            durations[meter.handled % RING] = now - began
            meter.handled += 1
            began = now
        else:
            await asyncio.sleep(0)


async def _attend(cell: Cell, actor: Actor) -> bool:
    """See to the control lane; False when it says to end."""
    mailbox = cell.mailbox
    while True:
        mailbox.urgent = False
        while mailbox.notices:
            await _handle_notice(cell, actor, mailbox.notices.popleft())
        if cell.closing:
            return False
        if not cell.paused:
            cell.enter(State.RUNNING)
            return True
        cell.enter(State.PAUSED)
        await mailbox.wait()


async def _handle_notice(cell: Cell, actor: Actor, notice: Terminated) -> None:
    try:
        await _handle_with_care(cell, actor, notice)
    except BaseException as error:
        _drop_in_hand(cell, notice, error)
        raise


async def _handle_with_care(cell: Cell, actor: Actor, item: Any) -> bool:
    """Handle what is not simply a told message of a known type; False if there was nothing to do."""
    envelope = item if type(item) is Envelope else None
    message = item if envelope is None else envelope.message
    if envelope is not None and envelope.reply.done():
        cell.meter.skipped += 1
        return False
    handler = type(actor).handlers.get(type(message))
    if handler is None:
        error = Unhandled(f"{cell.path} has no handler for {type(message).__qualname__}")
        cell.bury(message, Reason.UNHANDLED, error)
        if envelope is not None:
            envelope.refuse(error)
        return False
    result = await handler(actor, message)
    if envelope is not None and not envelope.reply.done():
        envelope.reply.set_result(result)
    return True


def _drop_in_hand(cell: Cell, item: Any, error: BaseException) -> None:
    cancelled = isinstance(error, asyncio.CancelledError) and cell.halting
    if type(item) is Envelope:
        refusal: Exception = ActorStopped(cell.path) if cancelled else AskFailed(f"{cell.path}: {describe(error)}")
        refusal.__cause__ = error
        item.refuse(refusal)
        item = item.message
    cell.bury(item, Reason.CANCELLED if cancelled else Reason.FAILED, error)
