"""The life of one actor: incarnations come and go, its mailbox, figures and place in the tree remain."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .context import Context
from .dead_letters import Reason, describe
from .errors import ActorStopped, ActorStuck, AskFailed, Unhandled
from .mailbox import Envelope, Mailbox
from .messages import Terminated
from .ref import Ref
from .snapshot import RING, ActorSnapshot, Meter, State
from .supervisor import Supervisor
from .timers import Timers

if TYPE_CHECKING:
    from .actor import Actor
    from .spec import Beyond, ChildSpec
    from .system import ActorSystem

# An actor with a never-empty mailbox lets the others run after this many messages.
BATCH = 128
# Seconds for a cancelled task to unwind when there is no time left.
LAST_GRACE = 0.05


class Cell:
    """Runs the incarnations of one actor, one at a time, each in a task of its own."""

    def __init__(self, system: ActorSystem, parent: Cell | None, spec: ChildSpec, beyond: Beyond) -> None:
        self.system = system
        self.clock = system.clock
        self.parent = parent
        self.spec = spec
        self.path: str = f"{parent.path.rstrip('/')}/{spec.name}" if parent else "/"
        self.mailbox: Mailbox = Mailbox(spec.mailbox, system.is_insider)
        self.meter = Meter()
        self.ref = Ref(self)
        self.timers = Timers(self)
        self.supervisor = Supervisor(self, beyond)
        self.watchers: dict[Cell, None] = {}
        self.retired: Callable[[], None] | None = None
        self.kind = ""
        self.state = State.SUSPENDED
        self.since = self.clock.wall()
        self.epoch = 0
        self.failures_in_a_row = 0
        self.began_at = self.clock.now()
        self.idle_since = self.began_at
        self.passivating = False
        self.closing = False
        self._halting = False
        self._paused = False
        self._task: asyncio.Task[None] | None = None

    # -- from outside -----------------------------------------------------------------------------

    def begin(self, cause: BaseException | None = None) -> None:
        """Start an incarnation: a first one, or one that follows the cause.

        While the last one ignores its cancellation there is no other: the actor is failed instead.
        """
        if self._task is not None:
            self.retire(error=ActorStuck(self.path))
            return
        self.epoch += 1
        self.closing = self._halting = self.passivating = False
        self.mailbox.reopen(to_insiders_only=self.system.closing)
        # Stop, pause and notices may have come while nobody was there to see them.
        self.mailbox.urgent = True
        self.supervisor.reopen()
        self.began_at = self.idle_since = self.clock.now()
        self.enter(State.STARTING)
        self._task = self.system.own_task(self._live(cause), self.path)
        self._task.add_done_callback(self._ended)

    def request_end(self) -> None:
        """Ask the incarnation to end after the message in hand."""
        self.closing = True
        self.mailbox.interrupt()

    def passivate(self) -> None:
        """Ask an idle incarnation to end; if a message comes meanwhile another will follow."""
        self.passivating = True
        self.request_end()

    def pause(self) -> None:
        """Handle no messages after the one in hand; control goes on."""
        self._paused = True
        self.mailbox.interrupt()

    def resume(self) -> None:
        """Handle messages again."""
        self._paused = False
        self.mailbox.interrupt()

    async def halt(self, until: float = math.inf) -> None:
        """End the incarnation and before it its children: politely, then by cancelling.

        One that ignores being cancelled, or is not done by ``until`` (clock time), is left behind as stuck.
        """
        self.epoch += 1
        await self.supervisor.shut(until)
        task = self._task
        if task is None:
            return
        self._halting = True
        self.enter(State.STOPPING)
        self.request_end()
        grace = self.spec.stop_timeout
        if await self._await_end(task, min(grace, until - self.clock.now())):
            return
        task.cancel()
        # The stopping hook has a grace of its own; once that is over it is cancelled too.
        if await self._await_end(task, min(2 * grace, until - self.clock.now())):
            return
        task.cancel()
        if not await self._await_end(task, LAST_GRACE):
            self.system.leave_behind(self.path)

    @staticmethod
    async def _await_end(task: asyncio.Task[None], seconds: float) -> bool:
        await asyncio.wait({task}, timeout=max(0.0, seconds))
        return task.done()

    def retire(self, *, error: BaseException | None = None) -> None:
        """Stop for good, once halted: leftovers become dead letters and watchers are told.

        With an error the state is failed instead of stopped.
        """
        self.epoch += 1
        for child in reversed(self.supervisor.children.values()):
            child.retire(error=error)
        if error is not None:
            self.meter.last_error = describe(error)
        self.enter(State.STOPPED if error is None else State.FAILED)
        for item in self.mailbox.close():
            self._refuse(item)
        for watcher in self.watchers:
            watcher.notify(Terminated(self.path, failed=error is not None))
        self.watchers.clear()
        if self.retired is not None:
            self.retired()

    def watched_by(self, watcher: Cell) -> None:
        """Tell the watcher when this actor stops for good."""
        if self.state in (State.STOPPED, State.FAILED):
            watcher.notify(Terminated(self.path, failed=self.state is State.FAILED))
        else:
            self.watchers[watcher] = None

    def notify(self, notice: Terminated) -> None:
        """Put a notice into the control lane."""
        self.mailbox.notices.append(notice)
        self.mailbox.interrupt()

    @property
    def quiet(self) -> bool:
        """Whether there is nothing in hand or waiting that could still be handled."""
        match self.state:
            case State.RUNNING:
                return self.mailbox.idle
            case State.STARTING | State.STOPPING:
                return False
            case State.BACKOFF:
                return not self.mailbox.data
        return True

    def enter(self, state: State) -> None:
        """Change state."""
        if state is not self.state:
            self.state = state
            self.since = self.clock.wall()
            self.system.observe(self.path, state.value)

    def family(self) -> Iterator[Cell]:
        """This cell and everything below it."""
        yield self
        for child in list(self.supervisor.children.values()):
            yield from child.family()

    def snapshot(self) -> ActorSnapshot:
        """How this actor and everything below it is, now."""
        meter, mailbox = self.meter, self.mailbox
        return ActorSnapshot(
            path=self.path,
            actor=self.kind,
            state=self.state,
            since=self.since,
            mailbox_depth=len(mailbox.data),
            mailbox_capacity=self.spec.mailbox.capacity,
            handled=meter.handled,
            failed=meter.failed,
            skipped=meter.skipped,
            dropped=mailbox.dropped,
            coalesced=mailbox.coalesced,
            dead_letters=meter.dead_letters,
            restarts=meter.restarts,
            p50_ms=1000 * meter.quantile(0.50),
            p95_ms=1000 * meter.quantile(0.95),
            last_error=meter.last_error,
            children=tuple(child.snapshot() for child in self.supervisor.children.values()),
        )

    # -- inside the incarnation's task ------------------------------------------------------------

    async def _live(self, cause: BaseException | None) -> None:
        actor = self.spec.factory()
        actor.context = Context(self)
        self.kind = type(actor).__name__
        self.system.codec.register(*type(actor).handlers)
        try:
            await (actor.started() if cause is None else actor.restarted(cause))
            self.supervisor.retire_orphans()
            await self._serve(actor)
        finally:
            self.timers.cancel_all()
            await self._close(actor)

    async def _close(self, actor: Actor) -> None:
        try:
            async with asyncio.timeout(self.spec.stop_timeout):
                await actor.stopping()
        except Exception as error:
            # Why the incarnation ended matters more than that its farewell went wrong.
            self.meter.last_error = describe(error)
            self.system.log.exception("%s: the stopping hook failed", self.path)

    async def _serve(self, actor: Actor) -> None:
        mailbox, meter, stopwatch = self.mailbox, self.meter, self.clock.stopwatch
        data, durations, handlers = mailbox.data, meter.durations, type(actor).handlers
        while True:
            began = stopwatch()
            for _ in range(BATCH):
                if mailbox.urgent and not await self._attend(actor):
                    return
                if not data:
                    self.idle_since = self.clock.now()
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
                    elif not await self._handle_with_care(actor, message):
                        continue
                except BaseException as error:
                    self._drop_in_hand(message, error)
                    raise
                now = stopwatch()
                durations[meter.handled % RING] = now - began
                meter.handled += 1
                began = now
            else:
                await asyncio.sleep(0)

    async def _attend(self, actor: Actor) -> bool:
        """See to the control lane; False when it says to end."""
        mailbox = self.mailbox
        while True:
            mailbox.urgent = False
            while mailbox.notices:
                await self._handle_notice(actor, mailbox.notices.popleft())
            if self.closing:
                return False
            if not self._paused:
                self.enter(State.RUNNING)
                return True
            self.enter(State.PAUSED)
            await mailbox.wait()

    async def _handle_notice(self, actor: Actor, notice: Terminated) -> None:
        try:
            await self._handle_with_care(actor, notice)
        except BaseException as error:
            self._drop_in_hand(notice, error)
            raise

    async def _handle_with_care(self, actor: Actor, item: Any) -> bool:
        """Handle what is not simply a told message of a known type; False if there was nothing to do."""
        envelope = item if type(item) is Envelope else None
        message = item if envelope is None else envelope.message
        if envelope is not None and envelope.reply.done():
            self.meter.skipped += 1
            return False
        handler = type(actor).handlers.get(type(message))
        if handler is None:
            error = Unhandled(f"{self.path} has no handler for {type(message).__qualname__}")
            self.bury(message, Reason.UNHANDLED, error)
            if envelope is not None:
                envelope.refuse(error)
            return False
        result = await handler(actor, message)
        if envelope is not None and not envelope.reply.done():
            envelope.reply.set_result(result)
        return True

    # -- endings ----------------------------------------------------------------------------------

    def _drop_in_hand(self, item: Any, error: BaseException) -> None:
        cancelled = isinstance(error, asyncio.CancelledError) and self._halting
        if type(item) is Envelope:
            refusal: Exception = ActorStopped(self.path) if cancelled else AskFailed(f"{self.path}: {describe(error)}")
            refusal.__cause__ = error
            item.refuse(refusal)
            item = item.message
        self.bury(item, Reason.CANCELLED if cancelled else Reason.FAILED, error)

    def _refuse(self, item: Any) -> None:
        if type(item) is not Envelope:
            self.bury(item, Reason.STOPPED)
        elif item.reply.done():
            self.meter.skipped += 1
        else:
            # The asker learns of it, so that no letter is needed.
            item.refuse(ActorStopped(self.path))

    def bury(self, message: Any, reason: Reason, error: BaseException | None = None) -> None:
        """Make the message a dead letter."""
        self.meter.dead_letters += 1
        self.system.bury(self.path, message, reason, error)

    def note_failure(self, error: BaseException) -> None:
        """Remember that an incarnation failed, and why."""
        self.meter.failed += 1
        self.meter.last_error = describe(error)
        self.system.log.error("%s failed: %s", self.path, self.meter.last_error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not (task.cancelled() and self._halting):
            self.note_failure(error)
        self.system.note_end(self.path)
        if self.state is not State.FAILED:
            self.enter(State.SUSPENDED)
        if not self._halting and self.parent is not None:
            supervisor = self.parent.supervisor
            epoch = self.epoch
            supervisor.post(lambda: supervisor.child_ended(self, epoch, error))
