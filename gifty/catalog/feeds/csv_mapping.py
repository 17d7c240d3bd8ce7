"""CSV with columns named by the shop, or by the caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from gifty.catalog.feeds.columns import Columns
from gifty.catalog.feeds.csv_rows import Table
from gifty.catalog.feeds.items import Entry, Feed, FeedOptions, RawItem, context_key, fingerprint
from gifty.catalog.models import Reject


def csv_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Rows whose columns are found by name or by `options.columns`. Raises `NotAFeed` when they cannot be."""
    return _CsvFeed(stream, options)


class _CsvFeed:
    def __init__(self, stream: BinaryIO, options: FeedOptions) -> None:
        self._table = Table(stream)
        headers = self._table.headers
        self._columns = Columns(headers, options)
        self._key = context_key("csv", headers, self._columns.keys, options)
        self._places = {header: place for place, header in reversed(list(enumerate(headers)))}
        identity = self._columns.keys.get("external_id")
        self._id_at = None if identity is None else self._places[identity]
        self._used = sorted({self._places[key] for key in self._columns.keys.values()})

    def entries(self) -> Iterator[Entry | Reject]:
        identity, key, used = self._id_at, self._key, self._used
        for row in self._table.rows():
            if isinstance(row, Reject):
                yield row
                continue
            line, cells = row
            content = "\x1f".join([cells[place] for place in used]).encode("utf-8", "surrogatepass")
            yield Entry(
                line, cells[identity].strip() if identity is not None else None, fingerprint(content, key), cells
            )

    def unpack(self, entry: Entry) -> RawItem | Reject:
        return self._columns.item({header: entry.packed[place] for header, place in self._places.items()})
