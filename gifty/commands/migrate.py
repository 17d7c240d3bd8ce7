"""`gifty migrate`: brings the database's schema up to date."""

from __future__ import annotations

import argparse

from gifty.core import migrations
from gifty.settings import Settings
from gifty.storage import database_address


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "migrate", help="apply pending schema changes", epilog="Examples: gifty migrate; gifty migrate --check"
    )
    parser.add_argument("--check", action="store_true", help="only list what is pending; exit 1 if there is any")
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when the schema is up to date at the end, 1 when `--check` found something pending."""
    async with database_address(settings) as dsn:
        if arguments.check:
            names = await migrations.pending(dsn)
            print("\n".join(f"pending  {name}" for name in names) or "up to date")
            return 1 if names else 0
        names = await migrations.migrate(dsn)
        print("\n".join(f"applied  {name}" for name in names) or "up to date")
        return 0
