"""The life of one actor: incarnations come and go, its mailbox, figures and place in the tree remain."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .dead_letters import Reason, describe
from .errors import ActorStopped, ActorStuck
from .incarnation import live
from .mailbox import Envelope, Mailbox
from .messages import Terminated
from .ref import Ref
from .snapshot import ActorSnapshot, Meter, State
from .supervisor import Supervisor
from .timers import Timers

if TYPE_CHECKING:
    from .spec import Beyond, ChildSpec
    from .system import ActorSystem

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
        self.halting = False
        self.paused = False
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
        self.closing = self.halting = self.passivating = False
        self.mailbox.reopen(to_insiders_only=self.system.closing)
        # Stop, pause and notices may have come while nobody was there to see them.
        self.mailbox.urgent = True
        self.supervisor.reopen()
        self.began_at = self.idle_since = self.clock.now()
        self.enter(State.STARTING)
        self._task = self.system.own_task(live(self, cause), self.path)
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
        self.paused = True
        self.mailbox.interrupt()

    def resume(self) -> None:
        """Handle messages again."""
        self.paused = False
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
        self.halting = True
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

    # -- endings ----------------------------------------------------------------------------------

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
        if error is not None and not (task.cancelled() and self.halting):
            self.note_failure(error)
        self.system.note_end(self.path)
        if self.state is not State.FAILED:
            self.enter(State.SUSPENDED)
        if not self.halting and self.parent is not None:
            supervisor = self.parent.supervisor
            epoch = self.epoch
            supervisor.post(lambda: supervisor.child_ended(self, epoch, error))
