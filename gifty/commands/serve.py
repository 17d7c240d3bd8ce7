"""`gifty serve`: the one process."""

from __future__ import annotations

import argparse
import dataclasses
import functools

from gifty.app import serve
from gifty.settings import LAST_PORT, Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "serve", help="HTTP and actors in one process", epilog="Example: gifty serve --host 0.0.0.0 --port 8080"
    )
    parser.add_argument("--host", help="address to listen on (GIFTY_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=_port, metavar="PORT", help="port to listen on, 0 for any (GIFTY_PORT, 8080)")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"it takes a number from 0 to {LAST_PORT}")
    return port


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 after a clean stop."""
    host = settings.host if arguments.host is None else arguments.host
    port = settings.port if arguments.port is None else arguments.port
    await serve(dataclasses.replace(settings, host=host, port=port), report=functools.partial(print, flush=True))
    return 0
