"""The one way into the catalogue, for feeds, parsers and workers alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, TypeAlias

from gifty.catalog.feeds.items import Entry, Feed, FeedIncomplete, RawItem, context_key, fingerprint
from gifty.catalog.import_session import Holder, ImportSession, Placed
from gifty.catalog.ingestion_repository import IngestionRepository
from gifty.catalog.models import ImportRun, Reject, RunCounts, RunStatus, Source
from gifty.catalog.normalise.items import Candidate, check
from gifty.core.errors import GiftyError
from gifty.core.ids import new_id

BATCH: Final = 1_000
MAX_KEPT_REJECTS: Final = 1_000
IDEAS: Final = "ideas"

Progress: TypeAlias = Callable[[RunCounts], None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose items these are. `is_whole` says that they are all the source has, so that missing ones are gone."""

    site_key: str
    kind: str
    name: str | None = None
    url: str | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `rejects` holds the first thousand."""

    source: Source
    run: ImportRun
    rejects: Sequence[Reject]


class Items:
    """Items that are already in memory, as a feed."""

    def __init__(self, items: Sequence[RawItem]) -> None:
        self._items = items
        self._key = context_key("items")

    def entries(self) -> Iterator[Entry | Reject]:
        """The items in their order, numbered from one."""
        for number, item in enumerate(self._items, 1):
            identity = item.external_id.strip() if item.external_id else None
            yield Entry(number, identity, fingerprint(repr(item).encode("utf-8", "replace"), self._key), item)

    def unpack(self, entry: Entry) -> RawItem | Reject:
        """The item itself."""
        item: RawItem = entry.packed
        return item


@dataclass(slots=True)
class _Batch:
    """Some items of a feed, read as far as needed. `known` maps gift ids to their entry; `error` ends the feed."""

    received: int
    known: dict[str, Entry] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    error: FeedIncomplete | None = None


class IngestionService:
    """Takes feeds in, one batch after the other, each checked item by item and stored in one transaction."""

    def __init__(self, repository: IngestionRepository) -> None:
        self._repository = repository

    def on_change(self, heard: Callable[[str], object]) -> asyncio.Task[None]:
        """Calls `heard` after every import that changed the catalogue, on any process, until the task is cancelled."""
        return self._repository.on_change(heard)

    async def ingest(self, origin: Origin, feed: Feed, progress: Progress | None = None) -> ImportReport:
        """Brings a source in step with what its feed lists.

        Items that the feed no longer lists are retired, but only when it was read to its end and everything in it could
        be told apart. Raises `Conflict` while another import of the source runs, `NotAFeed` when the feed is refused,
        `StorageFull` and `DatabaseUnavailable`; the run is marked failed then, and complete batches stay.
        """
        name = origin.name or origin.site_key
        source = await self._repository.put_source(origin.site_key, name, origin.kind, origin.url)
        rejects: list[Reject] = []
        run_id: int | None = None
        try:
            async with self._repository.session(source) as session:
                run_id = session.run_id
                await _Import(self._repository, session, source, origin, progress, rejects).run(feed)
        except BaseException as error:
            if run_id is not None:
                reason = error.message if isinstance(error, GiftyError) else _reason(error)
                await asyncio.shield(self._repository.fail_run(run_id, reason))
            raise
        return ImportReport(source, await self._repository.run(run_id), rejects)


def _reason(error: BaseException) -> str:
    return "interrupted" if isinstance(error, asyncio.CancelledError | KeyboardInterrupt) else type(error).__name__


class _Import:
    """One run over one feed."""

    def __init__(
        self,
        repository: IngestionRepository,
        session: ImportSession,
        source: Source,
        origin: Origin,
        progress: Progress | None,
        rejects: list[Reject],
    ) -> None:
        self._repository = repository
        self._session = session
        self._source = source
        self._origin = origin
        self._progress = progress
        self._rejects = rejects
        self._counts = RunCounts()
        self._unidentified = 0

    async def run(self, feed: Feed) -> None:
        """Reads batch after batch; the next one is prepared while one is stored."""
        trouble: str | None = None
        async with _ahead(self._batches(feed)) as batches:
            async for batch in batches:
                await self._store(batch)
                if batch.error:
                    trouble = batch.error.message
        await self._finish(trouble)

    async def _finish(self, trouble: str | None) -> None:
        taken = self._counts.created + self._counts.changed + self._counts.unchanged
        if not taken:
            status, error = RunStatus.FAILED, trouble or "nothing in the feed could be imported"
        elif trouble:
            status, error = RunStatus.PARTIAL, f"incomplete: {trouble}"
        elif self._unidentified:
            status, error = RunStatus.PARTIAL, f"{self._unidentified} item(s) had no readable id"
        else:
            status, error = RunStatus.COMPLETE, None
        retire = status is RunStatus.COMPLETE and self._origin.is_whole
        await self._session.finish(status, error, retire=retire)

    async def _batches(self, feed: Feed) -> AsyncIterator[_Batch]:
        entries = feed.entries()
        error: FeedIncomplete | None = None
        while error is None:
            taken, error = await asyncio.to_thread(_take, entries)
            if not taken and error is None:
                return
            yield await self._prepared(feed, taken, error)

    async def _prepared(self, feed: Feed, taken: list[Entry | Reject], error: FeedIncomplete | None) -> _Batch:
        batch = _Batch(len(taken), error=error)
        entries = _first_of_each(taken, batch.rejects)
        named = [entry for entry in entries if entry.external_id]
        unchanged = await self._repository.unchanged(
            self._source.id, [(entry.external_id or "", entry.fingerprint) for entry in named]
        )
        batch.known = {gift_id: named[place] for place, gift_id in unchanged.items()}
        if len(batch.known) < len(entries):
            same = {id(entry) for entry in batch.known.values()}
            unknown = [entry for entry in entries if id(entry) not in same]
            await asyncio.to_thread(_read, feed, unknown, batch)
        return batch

    async def _store(self, batch: _Batch) -> None:
        session = self._session
        async with session.batch():
            again = await session.mark_seen(batch.known)
            batch.rejects += [_repeated(batch.known[gift_id]) for gift_id in again]
            items = await self._placed(batch)
            created = changed = 0
            if items:
                await session.categories(candidate.category for _, _, candidate in items if candidate.category)
                created, changed = await session.merge(items, are_ideas=self._origin.kind == IDEAS)
            await self._keep_rejects(batch.rejects)
            before = self._counts
            self._counts = RunCounts(
                received=before.received + batch.received,
                created=before.created + created,
                changed=before.changed + changed,
                unchanged=before.unchanged + len(batch.known) - len(again) + len(items) - created - changed,
                rejected=before.rejected + len(batch.rejects),
            )
            await session.count(self._counts)
        if self._progress:
            self._progress(self._counts)

    async def _placed(self, batch: _Batch) -> list[Placed]:
        """Each candidate with the gift it is. Second items with an id or a link are rejected."""
        if not batch.candidates:
            return []
        holders = await self._session.holders(batch.candidates)
        placing = _Placing(batch.candidates, holders)
        placed = placing.place(batch.rejects)
        if placing.freed:
            await self._session.free_links(sorted(placing.freed))
        return placed

    async def _keep_rejects(self, rejects: Sequence[Reject]) -> None:
        if not rejects:
            return
        unreadable = [reject for reject in rejects if reject.field not in _REPEATED]
        self._unidentified += sum(1 for reject in unreadable if reject.external_id is None)
        if identified := [reject.external_id for reject in unreadable if reject.external_id]:
            await self._session.spare(identified)
        room = MAX_KEPT_REJECTS - len(self._rejects)
        if room > 0:
            self._rejects += rejects[:room]
            await self._session.add_rejects(rejects[:room])


_REPEATED: Final = frozenset({"repeated"})


class _Placing:
    """Decides which gift each candidate is: by its id, or, when the shop renumbered it, by its link."""

    def __init__(self, candidates: Sequence[Candidate], holders: dict[int, Holder]) -> None:
        self._candidates = candidates
        self._holders = holders
        self._own = {holder.own_id for holder in holders.values() if holder.own_id}
        self._links: dict[str, str] = {}
        self._gifts: set[str] = set()
        self.freed: set[str] = set()

    def place(self, rejects: list[Reject]) -> list[Placed]:
        """All that are kept; the others are added to `rejects`."""
        placed = []
        for place, candidate in enumerate(self._candidates):
            holder = self._holders.get(place)
            problem = self._problem(candidate, holder)
            if problem:
                rejects.append(Reject(candidate.line, candidate.external_id, "repeated", problem, candidate.url))
                continue
            known = self._gift(holder) if holder else None
            gift_id = known or new_id("gft")
            self._links[candidate.url] = candidate.external_id
            self._gifts.add(gift_id)
            placed.append(Placed(gift_id, known is not None, candidate))
        return placed

    def _problem(self, candidate: Candidate, holder: Holder | None) -> str | None:
        if holder and holder.own_id and (holder.own_seen or holder.own_id in self._gifts):
            return _SAME_ID
        other = self._links.get(candidate.url)
        if other is None and holder and holder.holder_id != holder.own_id and holder.holder_seen:
            other = holder.holder_external_id
        return f"has the same link as item {other}" if other is not None else None

    def _gift(self, holder: Holder) -> str | None:
        if holder.holder_id and holder.holder_id != holder.own_id:
            renumbered = not holder.own_id and holder.holder_id not in self._own | self._gifts
            if renumbered:
                return holder.holder_id
            self.freed.add(holder.holder_id)
        return holder.own_id


_SAME_ID: Final = "has the same id as an earlier item"


def _repeated(entry: Entry) -> Reject:
    return Reject(entry.line, entry.external_id, "repeated", _SAME_ID)


def _take(entries: Iterator[Entry | Reject]) -> tuple[list[Entry | Reject], FeedIncomplete | None]:
    taken: list[Entry | Reject] = []
    try:
        for entry in islice(entries, BATCH):
            taken.append(entry)  # noqa: PERF402 - what came before an error must not be lost
    except FeedIncomplete as error:
        return taken, error
    return taken, None


def _first_of_each(taken: Sequence[Entry | Reject], rejects: list[Reject]) -> list[Entry]:
    entries: list[Entry] = []
    names: set[str] = set()
    for entry in taken:
        if isinstance(entry, Reject):
            rejects.append(entry)
        elif entry.external_id and entry.external_id in names:
            rejects.append(_repeated(entry))
        else:
            entries.append(entry)
            if entry.external_id:
                names.add(entry.external_id)
    return entries


def _read(feed: Feed, entries: Sequence[Entry], batch: _Batch) -> None:
    for entry in entries:
        raw = feed.unpack(entry)
        checked = raw if isinstance(raw, Reject) else check(raw, entry)
        if isinstance(checked, Reject):
            batch.rejects.append(replace(checked, external_id=checked.external_id or entry.external_id))
        else:
            batch.candidates.append(checked)


@asynccontextmanager
async def _ahead(batches: AsyncIterator[_Batch]) -> AsyncIterator[AsyncIterator[_Batch]]:
    """The same batches, one of them always being prepared while the last one is used."""

    async def prepare() -> _Batch | None:
        return await anext(batches, None)

    upcoming = [asyncio.create_task(prepare())]

    async def iterate() -> AsyncIterator[_Batch]:
        while (batch := await upcoming[0]) is not None:
            upcoming[0] = asyncio.create_task(prepare())
            yield batch

    try:
        yield iterate()
    finally:
        upcoming[0].cancel()
        await asyncio.gather(upcoming[0], return_exceptions=True)
