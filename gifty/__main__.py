"""The command line: `gifty COMMAND`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from types import ModuleType
from typing import Any, Final

import uvloop

import gifty
from gifty.commands import dead_letters, doctor, import_feed, migrate, openapi, recommend, search, serve, worker
from gifty.core.embedded import EmbeddedPostgresFailed
from gifty.core.embedded.cluster import BinariesMissing
from gifty.core.errors import GiftyError
from gifty.core.migrations import MigrationError
from gifty.settings import SettingsError, load_settings

COMMANDS: Final[tuple[ModuleType, ...]] = (
    serve,
    worker,
    migrate,
    import_feed,
    search,
    recommend,
    dead_letters,
    openapi,
    doctor,
)
EXPECTED: Final = (GiftyError, MigrationError, EmbeddedPostgresFailed, BinariesMissing, OSError)
_INTERRUPTED: Final = 130


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(
        prog="gifty",
        description="Finds the right gift for a person.",
        epilog="Begin with: gifty serve. Or ask at once: gifty recommend --age 30 --relation partner --interests tea",
    )
    top.add_argument("--version", action="version", version=f"gifty {gifty.__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; a failure is one line on stderr."""
    arguments = parser().parse_args(argv)
    run: Callable[..., Coroutine[Any, Any, int]] = arguments.run
    try:
        settings = load_settings()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run(arguments, settings))
    except KeyboardInterrupt:
        print("gifty: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SettingsError as error:
        for problem in error.problems:
            print(f"gifty: {problem}", file=sys.stderr)
        return 1
    except EXPECTED as error:
        return _failed(str(error), arguments)
    except Exception as error:  # noqa: BLE001 - nobody at a terminal is helped by a traceback they did not ask for
        return _failed(f"unexpected {type(error).__name__}: {error}; run it with --debug to see where", arguments)


def _failed(message: str, arguments: argparse.Namespace) -> int:
    if arguments.debug:
        traceback.print_exc()
    print(f"gifty: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
