"""`gifty import`: a feed, a table or a list of promotions into the catalogue."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gifty.catalog.feeds.detect import FORMATS, PROMOTIONS, FeedFile
from gifty.catalog.importing import ImportProgress, ImportRequest
from gifty.catalog.ingestion import ImportReport
from gifty.catalog.models import RunCounts, RunStatus
from gifty.services import Services, open_services
from gifty.settings import Settings

AfterImport: TypeAlias = Callable[[Services, ImportReport], Awaitable[None]]

_SHOWN_REJECTS: Final = 20
_ALL_IN, _NOTHING_IN, _SOME_REJECTED = 0, 1, 3


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "import",
        help="import a feed into the catalogue",
        description=(
            "Imports a feed: Yandex YML, Google Merchant (XML, TSV), Shopify products.json, CSV, JSONL; plain or .gz."
        ),
        epilog=(
            "Examples: gifty import takprodam_products.csv; gifty import https://shop.example/feed.yml --site shop; "
            "gifty import goods.csv --map title=Product,url=Page,price=Cost. "
            "Exit code 0: all in, 3: some rejected or the feed incomplete, 1: nothing imported."
        ),
    )
    parser.add_argument("where", metavar="PATH_OR_URL")
    parser.add_argument("--site", metavar="KEY", help="the source's key (default: the file's name or the host)")
    parser.add_argument("--format", choices=FORMATS, default="auto")
    parser.add_argument(
        "--map", type=_columns, default={}, metavar="FIELD=COLUMN,...", help="which column holds which field"
    )
    parser.add_argument("--currency", metavar="CODE", help="the currency of prices that name none")
    parser.add_argument("--merchant", metavar="NAME", help="the shop, where the feed does not say")
    parser.set_defaults(run=run)


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(mark and name.strip() and column.strip() for name, mark, column in pairs):
        raise argparse.ArgumentTypeError("write field=column, several divided by commas")
    return {name.strip(): column.strip() for name, _, column in pairs}


async def learn(services: Services, report: ImportReport) -> None:
    """Reads what came in, so that it can be searched and recommended at once."""
    counts = report.run.counts
    if counts.created or counts.changed or counts.retired:
        await services.scoring.score_all()
        await services.embedding.catch_up()


async def run(arguments: argparse.Namespace, settings: Settings, after_import: AfterImport = learn) -> int:
    """0 when everything is in, 3 when something was rejected or missing, 1 when nothing could be imported."""
    request = ImportRequest(
        arguments.where, arguments.site, arguments.format, arguments.map, arguments.currency, arguments.merchant
    )
    if not request.is_remote:
        FeedFile(request.path()).close()  # a wrong name should not wait for a database to start
    async with open_services(settings) as services:
        with _progress() as progress:
            report = await services.importer.run(request, progress)
        if report is None:
            print("not modified since the last complete import")
            return _ALL_IN
        _summarise(report)
        if report.source.kind != PROMOTIONS:
            await after_import(services, report)
    counts = report.run.counts
    if not counts.created + counts.changed + counts.unchanged:
        print(f"gifty: nothing was imported: {report.run.error}", file=sys.stderr)
        return _NOTHING_IN
    return _SOME_REJECTED if counts.rejected or report.run.status is not RunStatus.COMPLETE else _ALL_IN


@contextmanager
def _progress() -> Iterator[ImportProgress | None]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("importing"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("import", total=None, told="")

        def report(counts: RunCounts, read: int, total: int) -> None:
            told = f"{counts.received:,} items, {counts.rejected:,} rejected"
            bar.update(task, completed=read, total=total or None, told=told)

        yield report


def _summarise(report: ImportReport) -> None:
    counts, run = report.run.counts, report.run
    print(f"{report.source.site_key} ({report.source.kind}): {run.status.value}")
    print(
        f"  {counts.received} received: {counts.created} new, {counts.changed} changed, "
        f"{counts.unchanged} unchanged, {counts.rejected} rejected; {counts.retired} retired"
    )
    if run.error:
        print(f"  {run.error}")
    for reject in report.rejects[:_SHOWN_REJECTS]:
        where = f"line {reject.line}" if reject.line else "somewhere"
        item = f", item {reject.external_id}" if reject.external_id else ""
        value = f": {reject.excerpt}" if reject.excerpt else ""
        print(f"  {where}{item}: {reject.field} {reject.reason}{value}")
    if counts.rejected > _SHOWN_REJECTS:
        print(f"  and {counts.rejected - _SHOWN_REJECTS} more")
