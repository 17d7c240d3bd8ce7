"""From a path or an address to the catalogue: fetching, recognising, reading and taking in."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

import orjson
from yarl import URL

from gifty.catalog.feeds.detect import PROMOTIONS, FeedFile, Pages, detect
from gifty.catalog.feeds.items import Entry, Feed, FeedIncomplete, FeedOptions, RawItem
from gifty.catalog.fetching import Fetched, Fetcher, FetchFailed
from gifty.catalog.ingestion import ImportReport, IngestionService, Origin
from gifty.catalog.ingestion_repository import IngestionRepository
from gifty.catalog.models import Reject, RunCounts, RunStatus
from gifty.catalog.promotions import PromotionService

_MAX_PAGES: Final = 100
_PAGE_SIZE: Final = 250
_MAX_EMPTY_PAGE: Final = 1_000
_SUFFIXES = re.compile(r"(\.(?:gz|xml|yml|csv|tsv|txt|json|jsonl|ndjson))+$", re.IGNORECASE)

ImportProgress: TypeAlias = Callable[[RunCounts, int, int], None]
"""Called with the counts so far, the bytes read and the bytes in all."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and what is known of it."""

    where: str
    site_key: str | None = None
    format: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None
    merchant: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether it must be fetched."""
        return "://" in self.where

    def path(self) -> Path:
        """Where the file is."""
        return Path(self.where).expanduser()

    def key(self) -> str:
        """The source's key: the given one, else the host of the address or the name of the file."""
        name = self.site_key or (
            urlsplit(self.where).hostname if self.is_remote else _SUFFIXES.sub("", Path(self.where).name)
        )
        return re.sub(r"[^\w.-]+", "_", (name or "").strip().lower())[:100] or "feed"

    def shop_address(self) -> str | None:
        """Where product pages live, as far as the address or the key tells."""
        if self.is_remote:
            return str(URL(self.where).origin())
        return f"https://{self.site_key}" if self.site_key and "." in self.site_key else None


@dataclass(frozen=True, slots=True)
class _Content:
    paths: tuple[Path, ...]
    is_whole: bool = True
    fetched: Fetched | None = None


class FeedImporter:
    """Imports feeds and lists of promotions, wherever they are."""

    def __init__(
        self,
        ingestion: IngestionService,
        promotions: PromotionService,
        repository: IngestionRepository,
        fetcher: Fetcher,
    ) -> None:
        self._ingestion = ingestion
        self._promotions = promotions
        self._repository = repository
        self._fetcher = fetcher

    async def run(self, request: ImportRequest, progress: ImportProgress | None = None) -> ImportReport | None:
        """Imports it and reports; None when the address says that nothing changed since the last complete import.

        Raises `NotAFeed`, `FetchFailed`, `Conflict`, `StorageFull` and `DatabaseUnavailable`.
        """
        if not request.is_remote:
            return await self._import(request, _Content((request.path(),)), progress)
        with tempfile.TemporaryDirectory(prefix="gifty-feed-") as folder:
            content = await self._fetch(request, Path(folder))
            return await self._import(request, content, progress) if content else None

    async def _fetch(self, request: ImportRequest, folder: Path) -> _Content | None:
        address = URL(request.where)
        if address.path.endswith("/products.json"):
            return await self._fetch_pages(address, folder)
        etag, last_modified = (None, None) if request.columns else await self._repository.validators(request.key())
        fetched = await self._fetcher.fetch(request.where, folder / "feed", etag=etag, last_modified=last_modified)
        return _Content((fetched.path,), fetched.is_whole, fetched) if fetched.path else None

    async def _fetch_pages(self, address: URL, folder: Path) -> _Content:
        """All pages of a Shopify shop. Beyond 25,000 products it answers 400, which leaves the list incomplete."""
        paths: list[Path] = []
        for number in range(1, _MAX_PAGES + 1):
            path = folder / f"page{number}"
            page = address.update_query({"limit": str(_PAGE_SIZE), "page": str(number)})
            try:
                fetched = await self._fetcher.fetch(str(page), path)
            except FetchFailed:
                if not paths:
                    raise
                return _Content(tuple(paths), is_whole=False)
            is_end = bool(paths) and await asyncio.to_thread(_is_empty_page, path)
            if is_end:
                return _Content(tuple(paths))
            paths.append(path)
            if not fetched.is_whole:
                return _Content(tuple(paths), is_whole=False)
        return _Content(tuple(paths), is_whole=False)

    async def _import(self, request: ImportRequest, content: _Content, progress: ImportProgress | None) -> ImportReport:
        with ExitStack() as stack:
            files = [stack.enter_context(await asyncio.to_thread(FeedFile, path)) for path in content.paths]
            head = await asyncio.to_thread(files[0].head)
            kind = detect(head) if request.format == "auto" else request.format
            origin = Origin(request.key(), kind, url=request.where if request.is_remote else None)
            if kind == PROMOTIONS:
                return await self._promotions.ingest(origin, files[0].plain())
            options = FeedOptions(request.currency, request.merchant, request.shop_address(), request.columns)
            feed: Feed = await asyncio.to_thread(Pages, files, kind, options)
            if not content.is_whole:
                feed = _CutShort(feed)
            report = await self._ingestion.ingest(origin, feed, _reporter(files, progress))
        await self._remember(content.fetched, report)
        return report

    async def _remember(self, fetched: Fetched | None, report: ImportReport) -> None:
        if fetched is None:
            return
        complete = report.run.status is RunStatus.COMPLETE
        await self._repository.put_validators(
            report.source.id, fetched.etag if complete else None, fetched.last_modified if complete else None
        )


class _CutShort:
    """A feed whose download broke off."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def entries(self) -> Iterator[Entry | Reject]:
        yield from self._feed.entries()
        raise FeedIncomplete("the download broke off")

    def unpack(self, entry: Entry) -> RawItem | Reject:
        return self._feed.unpack(entry)


def _reporter(files: Sequence[FeedFile], progress: ImportProgress | None) -> Callable[[RunCounts], None] | None:
    if progress is None:
        return None
    told = progress
    total = sum(file.size for file in files)
    return lambda counts: told(counts, sum(file.position for file in files), total)


def _is_empty_page(path: Path) -> bool:
    if path.stat().st_size > _MAX_EMPTY_PAGE:
        return False
    with FeedFile(path) as file:
        try:
            return not cast("dict[str, object]", orjson.loads(file.plain().read())).get("products")
        except (orjson.JSONDecodeError, AttributeError):
            return False
