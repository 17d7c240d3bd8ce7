"""Actors by key: activated by their first message, passivated when idle, one at most for each key."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .actor import Actor
from .errors import KeysExhausted
from .ref import Ref
from .spec import ChildSpec
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .cell import Cell

# Seconds that floating-point time may fall short of a moment that has come.
CLOCK_GRAIN = 1e-3


class Region(Supervisor):
    """Supervises the actors of one keyed class; each is named by its percent-encoded key, and given up alone."""

    isolates = True

    def __init__(
        self, cell: Cell, template: ChildSpec, factory: Callable[[str], Actor], idle_after: float, max_live: int
    ) -> None:
        super().__init__(cell)
        self._template = template
        self._factory = factory
        self._idle_after = idle_after
        self._max_live = max_live
        self._waiting: deque[asyncio.Future[None]] = deque()

    def ref(self, name: str) -> Ref:
        """A reference to whichever actor holds the key when a message arrives."""
        return KeyedRef(self, self._cell, name)

    def activate_now(self, name: str) -> Cell:
        """The cell of a key; raises KeysExhausted if that needs waiting.

        When no more keys are activated it is the cell of the region, which is closed and refuses for them all.
        """
        if name in self.children:
            return self.children[name]
        if self._cell.mailbox.refuses:
            return self._cell
        if not self.open or len(self.children) >= self._max_live:
            self._evict()
            raise KeysExhausted(self._cell.path)
        return self._activate(replace(self._template, name=name, factory=lambda: self._factory(unquote(name))))

    async def activate(self, name: str) -> Cell:
        """As ``activate_now``, but waits for room among the live keys."""
        while True:
            try:
                return self.activate_now(name)
            except KeysExhausted:
                room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(room)
                try:
                    await room
                except asyncio.CancelledError:
                    # The room that was meant for this caller is the next one's.
                    self._make_room()
                    raise

    def _activate(self, spec: ChildSpec) -> Cell:
        cell = self.spawn(spec)
        self._watch_idleness(cell)
        return cell

    def _make_room(self, *, for_everybody: bool = False) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                if not for_everybody:
                    return

    def _evict(self) -> None:
        idle = min(
            (cell for cell in self.children.values() if cell.idle), key=lambda cell: cell.idle_since, default=None
        )
        if idle is not None:
            idle.request_end()

    def _watch_idleness(self, cell: Cell) -> None:
        if self.children.get(cell.spec.name) is not cell:
            return
        remaining = self._idle_after - (cell.clock.now() - cell.idle_since if cell.idle else 0.0)
        if remaining <= CLOCK_GRAIN:
            cell.request_end()
            remaining = self._idle_after
        cell.clock.call_later(remaining, self._watch_idleness, cell)

    # -- where it differs from other supervisors ---------------------------------------------------

    def retire_orphans(self) -> None:
        """Activate again the keys whose messages are still waiting, and forget the others."""
        for child in self.orphans():
            if child.mailbox.data:
                self._activate(child.spec)
        super().retire_orphans()
        self._make_room(for_everybody=True)

    def retire(self, error: BaseException | None) -> None:
        """Stop all keys for good; whoever waits for room learns that there will be none."""
        super().retire(error)
        self._make_room(for_everybody=True)

    async def shut(self, until: float = math.inf) -> None:
        """Freeze, and halt all keys at once: they do not depend on one another, and there may be thousands."""
        await self.freeze()
        await asyncio.gather(*(child.halt(until) for child in self.children.values()))

    def _remove(self, child: Cell, error: BaseException | None = None) -> None:
        super()._remove(child, error)
        self._make_room()

    def _starts_again(self, child: Cell, error: BaseException | None) -> bool:
        if error is None and child.mailbox.data:
            # It ended because it was idle, and a message came meanwhile.
            child.begin()
            return False
        return super()._starts_again(child, error)

    def _give_up(self, child: Cell, error: BaseException) -> None:
        self._remove(child, error)


class KeyedRef(Ref):
    """A reference to whichever actor holds the key when a message arrives.

    ``tell`` and ``ask`` wait for room among the live keys as well, ``tell_nowait`` raises KeysExhausted.
    """

    __slots__ = ("_name", "_region")

    def __init__(self, region: Region, cell: Cell, name: str) -> None:
        super().__init__(cell)
        self._region = region
        self._name = name

    @property
    def path(self) -> str:
        """Where the actor lives while it lives; the key is percent-encoded."""
        return f"{self._cell.path}/{self._name}"

    async def _locate(self) -> Cell:
        return await self._region.activate(self._name)

    def _locate_now(self) -> Cell:
        return self._region.activate_now(self._name)
