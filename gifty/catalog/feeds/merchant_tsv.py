"""Google Merchant as a table: tab-separated, columns named as the fields, "image link" or "image_link"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from gifty.catalog.feeds.csv_rows import Table
from gifty.catalog.feeds.items import Entry, Feed, FeedOptions, NotAFeed, RawItem, context_key, fingerprint
from gifty.catalog.feeds.merchant import merchant_item
from gifty.catalog.models import Reject


def merchant_tsv_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Rows of the table. Raises `NotAFeed` without the columns id, title and link."""
    return _TsvFeed(stream, options)


def field_name(header: str) -> str:
    """The field of a column: lower case, words joined, without `g:`."""
    return header.strip().lower().removeprefix("g:").replace(" ", "_")


class _TsvFeed:
    def __init__(self, stream: BinaryIO, options: FeedOptions) -> None:
        self._table = Table(stream)
        self._names = [field_name(header) for header in self._table.headers]
        if missing := [name for name in ("id", "title", "link") if name not in self._names]:
            raise NotAFeed(f"the table has no column {', '.join(missing)}")
        self._id_at = self._names.index("id")
        self._options = options
        self._key = context_key("tsv", self._names, options)

    def entries(self) -> Iterator[Entry | Reject]:
        for row in self._table.rows():
            if isinstance(row, Reject):
                yield row
                continue
            line, cells = row
            content = "\x1f".join(cells).encode("utf-8", "surrogatepass")
            yield Entry(line, cells[self._id_at].strip(), fingerprint(content, self._key), cells)

    def unpack(self, entry: Entry) -> RawItem | Reject:
        given = {name: cell for name, cell in zip(self._names, entry.packed, strict=True) if cell.strip()}
        pictures = [link for link in given.get("additional_image_link", "").split(",") if link.strip()]
        return merchant_item(given, pictures, self._options, None)
