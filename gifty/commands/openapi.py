"""`gifty openapi`: the OpenAPI document, without starting anything."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gifty.app import document
from gifty.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "openapi", help="print the OpenAPI document", epilog="Example: gifty openapi --out openapi.json"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there instead of to the terminal")
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Always 0."""
    text = document(settings)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_text(text, encoding="utf-8")
    return 0
