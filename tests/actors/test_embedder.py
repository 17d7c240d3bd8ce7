"""The actor that keeps vectors current."""

from __future__ import annotations

import asyncio

from actors.embedder import EmbeddingKeeper
from actors.runtime import ActorSystem, ChildSpec
from gifty.catalog.embeddings import EmbeddingFailed
from gifty.catalog.messages import CatalogueChanged


class Steps:
    """An embedding service whose steps are counted."""

    def __init__(self, *, waiting: int, fails: bool = False) -> None:
        self.waiting = waiting
        self.done = 0
        self.fails = fails
        self.rested = asyncio.Event()

    async def advance(self) -> bool:
        if self.fails:
            self.rested.set()
            raise EmbeddingFailed("away")
        if not self.waiting:
            self.rested.set()
            return False
        self.waiting -= 1
        self.done += 1
        return True

    async def rest(self) -> None:
        await asyncio.wait_for(self.rested.wait(), 10)
        self.rested.clear()


async def test_works_until_nothing_is_left_and_again_when_told() -> None:
    steps = Steps(waiting=5)
    system = ActorSystem()
    keeper = system.spawn(ChildSpec("embedder", lambda: EmbeddingKeeper(steps)))  # type: ignore[arg-type]
    await steps.rest()
    assert steps.done == 5
    steps.waiting = 2
    await keeper.tell(CatalogueChanged())
    await steps.rest()
    assert steps.done == 7
    await system.stop(deadline=5)


async def test_an_embedder_that_is_away_does_not_end_the_actor() -> None:
    steps = Steps(waiting=3, fails=True)
    system = ActorSystem()
    keeper = system.spawn(ChildSpec("embedder", lambda: EmbeddingKeeper(steps)))  # type: ignore[arg-type]
    await steps.rest()
    steps.fails = False
    await keeper.tell(CatalogueChanged())
    await steps.rest()
    assert steps.done == 3
    await system.stop(deadline=5)
