"""The life of one actor: incarnations come and go, its mailbox, figures and place in the tree remain."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .actor import Actor, Context
from .errors import ActorError, ActorStopped, AskFailed, Unhandled
from .mailbox import INSIDE, Envelope, Mailbox, Ref
from .messages import DeadLetter, Reason, Terminated, describe
from .spec import ActorSnapshot, ChildSpec, State

if TYPE_CHECKING:
    from .supervisor import Supervisor
    from .system import ActorSystem

# An actor with a never-empty mailbox lets the others run after this many messages.
BATCH = 128
# Seconds for a cancelled task to unwind when there is no time left.
LAST_GRACE = 0.05
# The states of an incarnation that has been told to end.
DISMISSED = (State.STOPPING, State.STOPPED, State.FAILED)


class Cell:
    """Runs the incarnations of one actor, one at a time, each in a task of its own."""

    def __init__(
        self, system: ActorSystem, parent: Cell | None, spec: ChildSpec, supervise: Callable[[Cell], Supervisor]
    ) -> None:
        self.system, self.parent, self.spec = system, parent, spec
        self.clock = system.clock
        self.path: str = f"{parent.path.rstrip('/')}/{spec.name}" if parent else "/"
        self.state = State.SUSPENDED
        self.meter = ActorSnapshot(self.path, self.state, self.clock.wall(), spec.mailbox.capacity)
        self.mailbox = Mailbox(system, self.meter, spec.mailbox)
        self.ref = Ref(self, self.path)
        self.context = Context(self)
        self.supervisor = supervise(self)
        self.watchers: dict[Cell, None] = {}
        # Changes whenever something is decided about this actor, so that older decisions can tell they are stale.
        self.epoch = self.failures_in_a_row = 0
        self.began_at = self.idle_since = self.clock.now()
        self.closing = self.paused = False
        self._durations: deque[float] = deque(maxlen=256)
        self._task: asyncio.Task[None] | None = None

    def begin(self, cause: BaseException | None = None) -> None:
        """Start an incarnation, which may follow a cause; while the last one ignores its cancellation, fail instead."""
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
        self.closing = True
        self.mailbox.interrupt()

    async def halt(self, until: float = math.inf) -> None:
        """End the children, then the incarnation: politely, then by cancelling, then (or by ``until``) not at all."""
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
            self.system.stuck.append(self.path)
            self.system.log.critical("%s ignores being cancelled", self.path)

    def retire(self, error: BaseException | None = None) -> None:
        """Stop for good, once halted, or fail with the error: leftovers are buried and watchers told."""
        self.epoch += 1
        self.supervisor.retire(error)
        if error is not None:
            self.meter.last_error = describe(error)
        self.enter(State.STOPPED if error is None else State.FAILED)
        for item in self.mailbox.close():
            if type(item) is Envelope:
                # The asker learns of it, so that no letter is needed.
                self.meter.skipped += item.reply.done()
                item.refuse(ActorStopped(self.path))
            else:
                self.bury(item, Reason.STOPPED)
        self._notify_watchers()

    def watched_by(self, watcher: Cell) -> None:
        self.watchers[watcher] = None
        if self.state in (State.STOPPED, State.FAILED):
            self._notify_watchers()

    def _notify_watchers(self) -> None:
        for watcher in self.watchers:
            watcher.mailbox.notices.append(Terminated(self.path, failed=self.state is State.FAILED))
            watcher.mailbox.interrupt()
        self.watchers.clear()

    @property
    def idle(self) -> bool:
        return self.state is State.RUNNING and self.mailbox.idle

    @property
    def quiet(self) -> bool:
        """Whether there is nothing in hand or waiting that could still be handled."""
        if self.state in (State.STARTING, State.RUNNING, State.STOPPING):
            return self.idle
        return self.paused or not self.mailbox.data

    def enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self.meter.since = self.clock.wall()
            self.system.observe(self.path, state.value)

    def family(self) -> Iterator[Cell]:
        yield self
        for child in list(self.supervisor.children.values()):
            yield from child.family()

    def snapshot(self) -> ActorSnapshot:
        ordered = sorted(self._durations) or [0.0]
        return replace(
            self.meter,
            state=self.state,
            mailbox_depth=len(self.mailbox.data),
            p50_ms=1000 * ordered[len(ordered) // 2],
            p95_ms=1000 * ordered[len(ordered) * 95 // 100],
            children=tuple(child.snapshot() for child in self.supervisor.children.values()),
        )

    def bury(self, message: Any, reason: Reason, error: BaseException | None = None, path: str = "") -> None:
        """Make the message a dead letter, meant for this actor or for another path it stands in for."""
        self.meter.dead_letters += 1
        self.system.buried += 1
        # As text, so that no frame is kept alive by a letter.
        cause, trace = (describe(error), "".join(traceback.format_exception(error))) if error else (None, None)
        try:
            self.system.sink.put(DeadLetter(path or self.path, message, reason, self.clock.wall(), cause, trace))
        except Exception:
            self.system.log.exception("the dead-letter sink failed on a %s", type(message).__qualname__)

    def report(self, error: BaseException | None, *, decide: bool = True) -> None:
        """Note a failure, and let the parent decide what is to become of this actor, which has ended or failed."""
        if error is not None:
            self.meter.failed += 1
            self.meter.last_error = describe(error)
            self.system.log.error("%s failed: %s", self.path, self.meter.last_error)
        if decide and self.parent is not None:
            self.parent.supervisor.attend(self, error)

    async def _live(self, cause: BaseException | None) -> None:
        INSIDE.set(self.system)
        actor = self.spec.factory()
        actor.context = self.context = Context(self)
        self.meter.actor = type(actor).__name__
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
        mailbox, now = self.mailbox, self.clock.now
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
                self.idle_since = now()
                await mailbox.wait()
                continue
            began = now()
            if await self._handle(actor, item):
                self._durations.append(now() - began)
                self.meter.handled += 1
                if self.meter.handled % BATCH == 0:
                    await asyncio.sleep(0)

    async def _handle(self, actor: Actor, item: Any) -> bool:
        message, reply = item if type(item) is Envelope else (item, None)
        handler = actor.handlers.get(type(message))
        if reply is not None and reply.done():
            self.meter.skipped += 1
            return False
        if handler is None:
            error = Unhandled(f"{self.path} has no handler for {type(message).__qualname__}")
            self._drop(item, Reason.UNHANDLED, error, error)
            return False
        try:
            result = await handler(actor, message)
        except BaseException as error:
            if self.state in DISMISSED and isinstance(error, asyncio.CancelledError):
                self._drop(item, Reason.CANCELLED, error, ActorStopped(self.path))
            else:
                self._drop(item, Reason.FAILED, error, AskFailed(f"{self.path}: {describe(error)}"))
            raise
        if reply is not None and not reply.done():
            reply.set_result(result)
        return True

    def _drop(self, item: Any, reason: Reason, error: BaseException, refusal: Exception) -> None:
        if type(item) is Envelope:
            refusal.__cause__ = error if error is not refusal else None
            item.refuse(refusal)
            item = item.message
        self.bury(item, reason, error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        dismissed = self.state in DISMISSED
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self.system.observe(self.path, "ended")
        if self.state not in (State.STOPPED, State.FAILED):
            self.enter(State.SUSPENDED)
        self.report(None if dismissed and task.cancelled() else error, decide=not dismissed)
