"""Coupons and discounts of shops: taken in from their list, shown with the gifts of their shop while they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Final, TypeVar

from gifty.catalog.feeds.csv_rows import Table
from gifty.catalog.feeds.items import FeedIncomplete, NotAFeed, excerpt
from gifty.catalog.ingestion import MAX_KEPT_REJECTS, ImportReport, Origin
from gifty.catalog.ingestion_repository import IngestionRepository
from gifty.catalog.models import Promotion, Reject, RunCounts, RunStatus
from gifty.catalog.normalise.text import MAX_NAME, MAX_TITLE, clean
from gifty.catalog.promotions_repository import NewPromotion, PromotionRepository
from gifty.core.clock import Clock

_MAX_PROMOTIONS: Final = 100_000
_MAX_COUPON: Final = 60

_Value = TypeVar("_Value")


@dataclass(slots=True)
class _List:
    promotions: dict[str, NewPromotion] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    trouble: str | None = None


class PromotionService:
    """Promotions of shops."""

    def __init__(self, repository: PromotionRepository, imports: IngestionRepository, clock: Clock) -> None:
        self._repository = repository
        self._imports = imports
        self._clock = clock

    async def of_shops(self, shops: Collection[str]) -> Mapping[str, Sequence[Promotion]]:
        """Promotions that hold now and give something (a coupon, or a discount above zero), by shop as given.

        A promotion belongs to the shop of its name; one without a shop to its whole marketplace. Case does not matter.
        At most three each, coupons first.
        """
        return await self._repository.valid(list(shops), self._clock.now()) if shops else {}

    async def ingest(self, origin: Origin, stream: BinaryIO) -> ImportReport:
        """Brings a source's promotions in step with a list in CSV. Raises `NotAFeed`, `Conflict`, `StorageFull`."""
        read = await asyncio.to_thread(_read, stream)
        source = await self._imports.put_source(
            origin.site_key, origin.name or origin.site_key, origin.kind, origin.url
        )
        promotions = list(read.promotions.values())
        received = len(promotions) + len(read.rejects)
        async with self._imports.session(source) as session:
            status, error = RunStatus.COMPLETE, read.trouble
            if not promotions:
                status, error = RunStatus.FAILED, read.trouble or "nothing in the list could be imported"
            elif read.trouble:
                status = RunStatus.PARTIAL
            async with session.batch():
                is_whole = status is RunStatus.COMPLETE and origin.is_whole
                created, changed, withdrawn = await session.put_promotions(promotions, is_whole=is_whole)
                await session.add_rejects(read.rejects[:MAX_KEPT_REJECTS])
                unchanged = len(promotions) - created - changed
                await session.count(RunCounts(received, created, changed, unchanged, len(read.rejects)))
            await session.finish(status, error, retire=False, retired=withdrawn)
        return ImportReport(source, await self._imports.run(session.run_id), read.rejects[:MAX_KEPT_REJECTS])


def _read(stream: BinaryIO) -> _List:
    table = Table(stream)
    names = [name.strip().lower() for name in table.headers]
    if missing := [name for name in ("id", "title") if name not in names]:
        raise NotAFeed(f"the list of promotions has no column {', '.join(missing)}")
    read = _List()
    try:
        for row in table.rows():
            if isinstance(row, Reject):
                read.rejects.append(row)
                continue
            line, cells = row
            _add(read, line, dict(zip(names, (cell.strip() for cell in cells), strict=True)))
            if len(read.promotions) > _MAX_PROMOTIONS:
                raise NotAFeed(f"there are more than {_MAX_PROMOTIONS} promotions in one list")
    except FeedIncomplete as error:
        read.trouble = error.message
    return read


def _add(read: _List, line: int, given: dict[str, str]) -> None:
    identity = clean(given["id"], MAX_NAME)
    problems: dict[str, str] = {}
    if not identity:
        problems["id"] = "is missing"
    elif identity in read.promotions:
        problems["repeated"] = "has the same id as an earlier promotion"
    title = clean(given["title"], MAX_TITLE)
    if not title:
        problems["title"] = "is missing"
    discount = _read_field(given, "discount_value", _discount, problems) or Decimal(0)
    starts = _read_field(given, "start_date", _moment, problems)
    ends = _read_field(given, "end_date", _moment, problems)
    if starts and ends and ends < starts:
        problems["end_date"] = "lies before start_date"
    if problems:
        name, problem = next(iter(problems.items()))
        read.rejects.append(Reject(line, identity or None, name, problem, excerpt(given.get(name, "")) or None))
        return
    read.promotions[identity] = NewPromotion(
        external_id=identity,
        title=title,
        kind=clean(given.get("promotion_type", ""), MAX_NAME) or "sale",
        marketplace=clean(given.get("marketplace", ""), MAX_NAME) or None,
        store=clean(given.get("store", ""), MAX_NAME) or None,
        discount_kind=clean(given.get("discount_type", ""), MAX_NAME).lower() or None,
        discount_value=discount,
        starts_at=starts,
        ends_at=ends,
        coupon=clean(given.get("coupon", ""), _MAX_COUPON) or None,
    )


def _read_field(
    given: dict[str, str], name: str, read: Callable[[str], _Value], problems: dict[str, str]
) -> _Value | None:
    if not given.get(name):
        return None
    try:
        return read(given[name])
    except ValueError as error:
        problems[name] = str(error)
        return None


def _discount(text: str) -> Decimal:
    try:
        value = Decimal(text.rstrip("% ").replace(",", "."))
    except InvalidOperation:
        raise ValueError("is not a number") from None
    if not value.is_finite() or not 0 <= value < 1_000_000_000:  # noqa: PLR2004
        raise ValueError("is no discount")
    return round(value, 2)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
