"""Actors by key: activated by their first message, passivated when idle, one at most for each key."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from .actor import Actor
from .dead_letters import Reason
from .errors import ActorStopped, AskTimeout, KeysExhausted
from .messages import Message, Question
from .snapshot import State
from .spec import ChildSpec

if TYPE_CHECKING:
    from .cell import Cell

R = TypeVar("R")

# Seconds that floating-point time may fall short of a moment that has come.
CLOCK_GRAIN = 1e-3


class Region(Actor):
    """The parent of all actors of one keyed class."""

    def __init__(self, template: ChildSpec, factory: Callable[[str], Actor], idle_after: float, max_live: int) -> None:
        self.cell: Cell
        self._template = template
        self._factory = factory
        self._idle_after = idle_after
        self._max_live = max_live
        self._waiting: deque[asyncio.Future[None]] = deque()

    def settle_in(self, cell: Cell) -> None:
        """Take the cell whose children the keyed actors are."""
        self.cell = cell
        cell.supervisor.removed = self._room
        cell.retired = self._wake_everybody

    async def restarted(self, _: BaseException) -> None:
        """Activate the keys whose messages are still waiting."""
        for child in list(self.cell.supervisor.children.values()):
            if child.mailbox.data:
                self._watch_idleness(self.cell.supervisor.spawn(child.spec))
        self._wake_everybody()

    def find(self, name: str) -> Cell | None:
        """The live cell of a key, by its quoted name."""
        return self.cell.supervisor.children.get(name)

    def activate_now(self, name: str, key: str) -> Cell:
        """The cell of a key; raises KeysExhausted if that needs waiting, ActorStopped if it will not be."""
        cell = self.find(name)
        if cell is not None:
            return cell
        if self.cell.mailbox.closed:
            raise ActorStopped(self.cell.path)
        if not self.cell.supervisor.open or len(self.cell.supervisor.children) >= self._max_live:
            self._evict()
            raise KeysExhausted(self.cell.path)
        spec = replace(self._template, name=name, factory=partial(self._factory, key))
        cell = self.cell.supervisor.spawn(spec)
        self._watch_idleness(cell)
        return cell

    async def activate(self, name: str, key: str) -> Cell:
        """The cell of a key, waiting for room if there is none; raises ActorStopped."""
        while True:
            try:
                return self.activate_now(name, key)
            except KeysExhausted:
                room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(room)
                try:
                    await room
                except asyncio.CancelledError:
                    # The room that was meant for this caller is the next one's.
                    self._room()
                    raise

    def _room(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def _wake_everybody(self) -> None:
        while self._waiting:
            self._room()

    def _idle(self) -> list[Cell]:
        cells = self.cell.supervisor.children.values()
        return [cell for cell in cells if cell.state is State.RUNNING and cell.mailbox.idle]

    def _evict(self) -> None:
        idle = min(self._idle(), key=lambda cell: cell.idle_since, default=None)
        if idle is not None:
            idle.passivate()

    def _watch_idleness(self, cell: Cell) -> None:
        if self.find(cell.spec.name) is not cell:
            return
        idle = cell.state is State.RUNNING and cell.mailbox.idle
        remaining = self._idle_after - (cell.clock.now() - cell.idle_since if idle else 0.0)
        if remaining <= CLOCK_GRAIN:
            cell.passivate()
            remaining = self._idle_after
        cell.clock.call_later(remaining, self._watch_idleness, cell)


class KeyedRef:
    """A reference to whichever actor holds the key when a message arrives."""

    __slots__ = ("_key", "_name", "_region")

    def __init__(self, region: Region, key: str) -> None:
        self._region = region
        self._key = key
        self._name = quote(key, safe="")

    def __repr__(self) -> str:
        return f"<KeyedRef {self.path}>"

    @property
    def path(self) -> str:
        """Where the actor lives while it lives; the key is percent-encoded."""
        return f"{self._region.cell.path}/{self._name}"

    async def tell(self, message: Message) -> bool:
        """See RecipientRef.tell; waits for room among the live keys as well."""
        try:
            cell = self._region.find(self._name) or await self._region.activate(self._name, self._key)
        except ActorStopped:
            return self._refused(message)
        return await cell.ref.tell(message)

    def tell_nowait(self, message: Message) -> bool:
        """See RecipientRef.tell_nowait; raises KeysExhausted when there is no room for the key."""
        try:
            cell = self._region.activate_now(self._name, self._key)
        except ActorStopped:
            return self._refused(message)
        return cell.ref.tell_nowait(message)

    def _refused(self, message: Message) -> bool:
        self._region.cell.system.bury(self.path, message, Reason.STOPPED)
        return False

    async def ask(self, message: Question[R], *, timeout: float) -> R:
        """See RecipientRef.ask; waiting for room among the live keys counts."""
        cell = self._region.find(self._name)
        if cell is None:
            clock = self._region.cell.clock
            began = clock.now()
            try:
                async with asyncio.timeout(timeout):
                    cell = await self._region.activate(self._name, self._key)
            except TimeoutError:
                raise AskTimeout(f"no room for {self.path} within {timeout:g} s") from None
            timeout -= clock.now() - began
        return await cell.ref.ask(message, timeout=timeout)
