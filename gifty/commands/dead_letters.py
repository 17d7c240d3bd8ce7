"""`gifty dead-letters`: the messages that no actor could handle, and their second chance."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gifty.core.database import Database
from gifty.core.errors import NotFound
from gifty.core.migrations import migrate
from gifty.operations.models import DeadLetter
from gifty.operations.service import DeadLetters
from gifty.settings import Settings
from gifty.storage import database_address

MOST: Final = 1_000
_LARGEST: Final = 2**63 - 1


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "dead-letters",
        help="list messages that no actor could handle, or have them delivered again",
        epilog="Examples: gifty dead-letters list; gifty dead-letters list --before 120; gifty dead-letters replay 7 9",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest first", epilog="Example: gifty dead-letters list --limit 10")
    listing.add_argument("--before", type=_number, metavar="ID", help="only those older than this one")
    listing.add_argument("--limit", type=_count, default=50, metavar="N", help=f"how many, 1 to {MOST} (50)")
    listing.set_defaults(run=show)
    again = actions.add_parser(
        "replay", help="ask the running processes to deliver them again", epilog="Example: gifty dead-letters replay 7"
    )
    again.add_argument("ids", type=_number, nargs="+", metavar="ID", help="as `list` shows it")
    again.set_defaults(run=replay)


async def show(arguments: argparse.Namespace, settings: Settings) -> int:
    """Always 0; an empty list is good news."""
    async with _open(settings) as letters:
        page = await letters.page(arguments.before, arguments.limit)
    for line in table(page):
        print(line)
    return 0


async def replay(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when all of them will be delivered again. Raises `NotFound` that names those that cannot be."""
    async with _open(settings) as letters:
        asked = await letters.request_replay(arguments.ids)
    for number in asked:
        print(f"requested  {number}")
    if refused := sorted(set(arguments.ids) - set(asked)):
        names = ", ".join(map(str, refused))
        raise NotFound(f"cannot be replayed, being unknown, replayed already or without a message: {names}")
    return 0


def table(letters: Sequence[DeadLetter]) -> list[str]:
    """The list for people: number, time in UTC, what happened to which message, and why."""
    if not letters:
        return ["No dead letters."]
    lines = []
    for letter in letters:
        can = "can" if letter.payload is not None else "cannot"
        fate = "replayed" if letter.replayed_at else f"{can} be replayed"
        died_at = f"{letter.died_at:%Y-%m-%d %H:%M:%S}"
        lines.append("  ".join((f"{letter.id:>6}", died_at, letter.path, letter.message, letter.reason, fate)))
        if letter.cause:
            lines.append(f"{'':8}{' '.join(letter.cause.split())}")
    return lines


@contextlib.asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[DeadLetters]:
    async with database_address(settings) as dsn:
        await migrate(dsn)
        database = await Database.open(dsn, min_size=1, max_size=1)
        try:
            yield DeadLetters(database)
        finally:
            await database.close()


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST:
        raise argparse.ArgumentTypeError("the number of a dead letter")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST}")
    return int(text)
