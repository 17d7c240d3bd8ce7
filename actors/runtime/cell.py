"""The life of one actor: incarnations come and go, its mailbox, figures and place in the tree remain."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .context import Context
from .dead_letters import Reason, describe
from .errors import ActorError, ActorStopped, AskFailed, Unhandled
from .mailbox import Envelope, Mailbox
from .messages import Terminated
from .ref import Ref
from .snapshot import ActorSnapshot, Meter, State, quantile

if TYPE_CHECKING:
    from .actor import Actor
    from .spec import ChildSpec
    from .supervisor import Supervisor
    from .system import ActorSystem

# An actor with a never-empty mailbox lets the others run after this many messages.
BATCH = 128
# Seconds for a cancelled task to unwind when there is no time left.
LAST_GRACE = 0.05
# The states in which an incarnation that ends has been told to.
DISMISSED = (State.STOPPING, State.STOPPED, State.FAILED)


class Cell:
    """Runs the incarnations of one actor, one at a time, each in a task of its own."""

    def __init__(
        self, system: ActorSystem, parent: Cell | None, spec: ChildSpec, supervise: Callable[[Cell], Supervisor]
    ) -> None:
        self.system = system
        self.clock = system.clock
        self.parent = parent
        self.spec = spec
        self.path: str = f"{parent.path.rstrip('/')}/{spec.name}" if parent else "/"
        self.mailbox = Mailbox(self.path, spec.mailbox, system.accepts)
        self.meter = Meter()
        self.durations: deque[float] = deque(maxlen=256)
        self.ref = Ref(self)
        self.context = Context(self)
        self.supervisor = supervise(self)
        self.watchers: dict[Cell, None] = {}
        self.kind = ""
        self.state = State.SUSPENDED
        self.since = self.clock.wall()
        # Changes whenever something is decided about this actor, so that older decisions can tell they are stale.
        self.epoch = 0
        self.failures_in_a_row = 0
        self.began_at = self.idle_since = self.clock.now()
        self.closing = False
        self.paused = False
        self._task: asyncio.Task[None] | None = None

    # -- from outside -----------------------------------------------------------------------------

    def begin(self, cause: BaseException | None = None) -> None:
        """Start an incarnation: a first one, or one that follows the cause.

        While the last one ignores its cancellation there is no other: the actor is failed instead.
        """
        self.epoch += 1
        self.meter.restarts += cause is not None
        if self._task is not None:
            self.retire(ActorError(f"{self.path} ignores being cancelled"))
            return
        self.closing = self.mailbox.closed = False
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

    def pause(self, paused: bool) -> None:
        """Handle no messages after the one in hand, or handle them again; control goes on."""
        self.paused = paused
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
        self.enter(State.STOPPING)
        self.request_end()
        # Once the message in hand has had its time it is cancelled; the stopping hook then has a grace of its own.
        for grace in (self.spec.stop_timeout, 2 * self.spec.stop_timeout):
            await asyncio.wait({task}, timeout=max(0.0, min(grace, until - self.clock.now())))
            if task.done():
                return
            task.cancel()
        await asyncio.wait({task}, timeout=LAST_GRACE)
        if not task.done():
            self.system.leave_behind(self.path)

    def retire(self, error: BaseException | None = None) -> None:
        """Stop for good, once halted: leftovers become dead letters and watchers are told.

        With an error the state is failed instead of stopped.
        """
        self.epoch += 1
        self.supervisor.retire(error)
        if error is not None:
            self.meter.last_error = describe(error)
        self.enter(State.STOPPED if error is None else State.FAILED)
        for item in self.mailbox.close():
            if type(item) is not Envelope:
                self.bury(item, Reason.STOPPED)
            elif item.reply.done():
                self.meter.skipped += 1
            else:
                # The asker learns of it, so that no letter is needed.
                item.refuse(ActorStopped(self.path))
        for watcher in self.watchers:
            watcher.notify(Terminated(self.path, failed=error is not None))
        self.watchers.clear()

    def report(self, error: BaseException | None) -> None:
        """Let the parent decide what is to become of this actor, which has ended or failed."""
        if error is not None:
            self.note_failure(error)
        if self.parent is not None:
            self.parent.supervisor.attend(self, error)

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
    def idle(self) -> bool:
        """Whether it runs and waits for a message."""
        return self.state is State.RUNNING and self.mailbox.idle

    @property
    def quiet(self) -> bool:
        """Whether there is nothing in hand or waiting that could still be handled."""
        match self.state:
            case State.RUNNING:
                return self.mailbox.idle
            case State.STARTING | State.STOPPING:
                return False
            case State.PAUSED:
                return True
        return not self.mailbox.data

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
        return ActorSnapshot(
            path=self.path,
            actor=self.kind,
            state=self.state,
            since=self.since,
            mailbox_depth=len(self.mailbox.data),
            mailbox_capacity=self.spec.mailbox.capacity,
            dropped=self.mailbox.dropped,
            coalesced=self.mailbox.coalesced,
            p50_ms=1000 * quantile(0.50, self.durations),
            p95_ms=1000 * quantile(0.95, self.durations),
            children=tuple(child.snapshot() for child in self.supervisor.children.values()),
            **vars(self.meter),
        )

    def bury(
        self, message: Any, reason: Reason, error: BaseException | None = None, *, path: str | None = None
    ) -> None:
        """Make the message a dead letter, meant for this actor or for another path it stands in for."""
        self.meter.dead_letters += 1
        self.system.bury(path or self.path, message, reason, error)

    def note_failure(self, error: BaseException) -> None:
        """Remember that an incarnation failed, and why."""
        self.meter.failed += 1
        self.meter.last_error = describe(error)
        self.system.log.error("%s failed: %s", self.path, self.meter.last_error)

    # -- one incarnation --------------------------------------------------------------------------

    async def _live(self, cause: BaseException | None) -> None:
        """Run an incarnation to its end; whatever its factory, a hook or a handler raises comes out."""
        actor = self.spec.factory()
        actor.context = self.context = Context(self)
        self.kind = type(actor).__name__
        self.system.codec.register(*actor.handlers)
        try:
            await (actor.started() if cause is None else actor.restarted(cause))
            self.supervisor.retire_orphans()
            await self._serve(actor)
        finally:
            self.context.cancel_timers()
            try:
                async with asyncio.timeout(self.spec.stop_timeout):
                    await actor.stopping()
            except Exception as error:
                # Why the incarnation ended matters more than that its farewell went wrong.
                self.meter.last_error = describe(error)
                self.system.log.exception("%s: the stopping hook failed", self.path)

    async def _serve(self, actor: Actor) -> None:
        mailbox, stopwatch = self.mailbox, self.clock.stopwatch
        while True:
            if mailbox.urgent and not mailbox.notices:
                mailbox.urgent = False
                if self.closing:
                    return
                self.enter(State.PAUSED if self.paused else State.RUNNING)
            if mailbox.notices:
                item: Any = mailbox.notices.popleft()
            elif mailbox.data and not self.paused:
                item = mailbox.take()
            else:
                self.idle_since = self.clock.now()
                await mailbox.wait()
                continue
            began = stopwatch()
            if await self._handle(actor, item):
                self.durations.append(stopwatch() - began)
                self.meter.handled += 1
                if self.meter.handled % BATCH == 0:
                    await asyncio.sleep(0)

    async def _handle(self, actor: Actor, item: Any) -> bool:
        """Handle one message; False if there was nobody to answer, or no handler."""
        message, reply = item if type(item) is Envelope else (item, None)
        handler = actor.handlers.get(type(message))
        if reply is not None and reply.done():
            self.meter.skipped += 1
            return False
        if handler is None:
            self._leave_unhandled(item, message)
            return False
        try:
            result = await handler(actor, message)
        except BaseException as error:
            self._drop_in_hand(item, message, error)
            raise
        if reply is not None and not reply.done():
            reply.set_result(result)
        return True

    def _leave_unhandled(self, item: Any, message: Any) -> None:
        error = Unhandled(f"{self.path} has no handler for {type(message).__qualname__}")
        self.bury(message, Reason.UNHANDLED, error)
        if type(item) is Envelope:
            item.refuse(error)

    def _drop_in_hand(self, item: Any, message: Any, error: BaseException) -> None:
        cancelled = isinstance(error, asyncio.CancelledError) and self.state in DISMISSED
        if type(item) is Envelope:
            refusal = ActorStopped(self.path) if cancelled else AskFailed(f"{self.path}: {describe(error)}")
            refusal.__cause__ = error
            item.refuse(refusal)
        self.bury(message, Reason.CANCELLED if cancelled else Reason.FAILED, error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        dismissed = self.state in DISMISSED
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self.system.note_end(self.path)
        if self.state not in (State.STOPPED, State.FAILED):
            self.enter(State.SUSPENDED)
        if not dismissed:
            self.report(error)
        elif error is not None and not task.cancelled():
            self.note_failure(error)
