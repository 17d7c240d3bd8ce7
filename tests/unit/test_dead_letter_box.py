"""Letters on their way into the database, with a database that misbehaves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from actors.dead_letters import DeadLetterBox
from actors.runtime import ActorSystem, DeadLetter, Reason
from gifty.core.database import Database, DatabaseUnavailable
from gifty.operations.models import Undelivered
from gifty.operations.service import DeadLetters


@dataclass(frozen=True, slots=True)
class Note:
    text: str


@dataclass
class Shelf:
    """Keeps letters, unless told that it is away or that one of them cannot be kept."""

    kept: list[str] = field(default_factory=list)
    away: bool = False
    unkeepable: str = ""
    busy: asyncio.Event | None = None

    async def keep(self, letters: Sequence[Undelivered]) -> None:
        if self.busy is not None:
            await self.busy.wait()
        if self.away:
            raise DatabaseUnavailable("away")
        if any(letter.path == self.unkeepable for letter in letters):
            raise ValueError("cannot be kept")
        self.kept += [letter.path for letter in letters]


def letter(path: str, text: str = "", cause: str | None = None) -> DeadLetter:
    return DeadLetter(path, Note(text), Reason.FAILED, 0.0, cause, cause)


async def test_one_letter_that_cannot_be_kept_does_not_hold_up_the_others() -> None:
    shelf = Shelf(unkeepable="/b")
    box = DeadLetterBox(shelf)  # type: ignore[arg-type]
    for path in ("/a", "/b", "/c"):
        box.put(letter(path))
    await box.flush()
    assert shelf.kept == ["/a", "/c"]


async def test_letters_wait_while_the_database_is_away() -> None:
    shelf = Shelf(away=True)
    box = DeadLetterBox(shelf)  # type: ignore[arg-type]
    for path in ("/a", "/b"):
        box.put(letter(path))
    with pytest.raises(DatabaseUnavailable):
        await box.flush()
    shelf.away = False
    await box.flush()
    assert shelf.kept == ["/a", "/b"]


async def test_letters_that_come_while_others_are_being_written_push_out_none_of_them() -> None:
    shelf = Shelf(busy=asyncio.Event())
    box = DeadLetterBox(shelf, capacity=2)  # type: ignore[arg-type]
    for path in ("/a", "/b"):
        box.put(letter(path))
    flushing = asyncio.create_task(box.flush())
    await asyncio.sleep(0)
    for path in ("/c", "/d"):
        box.put(letter(path))
    assert shelf.busy
    shelf.busy.set()
    await flushing
    assert shelf.kept == ["/a", "/b", "/c", "/d"]


@pytest.mark.parametrize("text", ["nul \0", "half \ud83d"], ids=["a NUL", "half a surrogate pair"])
async def test_text_that_postgresql_refuses_is_kept_as_far_as_it_goes(database: Database, text: str) -> None:
    letters = DeadLetters(database)
    box = DeadLetterBox(letters)
    async with ActorSystem(dead_letters=box) as system:
        system.codec.register(Note)
        box.serve(system)
        box.put(letter("/a", text, cause=text))
        box.put(letter("/b", "plain", cause="plain"))
        await box.flush()
    plain, strange = await letters.page()
    assert plain.payload is not None
    assert (strange.path, strange.payload) == ("/a", None)
    assert strange.cause
    assert strange.cause.startswith(text.split(maxsplit=1)[0])
