"""`gifty worker`: the heavy actors alone, for another machine."""

from __future__ import annotations

import argparse
import functools

from gifty.app import WORKER_ACTORS, work
from gifty.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "worker", help="the heavy actors without HTTP", epilog="Example: gifty worker --only embedder"
    )
    parser.add_argument(
        "--only", type=_names, default=WORKER_ACTORS, metavar="NAME,...", help=f"some of {', '.join(WORKER_ACTORS)}"
    )
    parser.set_defaults(run=run)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in WORKER_ACTORS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(WORKER_ACTORS)}")
    return names


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 after a clean stop."""
    await work(settings, only=arguments.only, report=functools.partial(print, flush=True))
    return 0
