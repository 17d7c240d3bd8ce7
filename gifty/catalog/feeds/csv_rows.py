"""Tables in CSV or TSV: dialect and encoding found from the content, broken rows reported one by one."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, Final, cast

from gifty.catalog.feeds.items import FeedIncomplete, NotAFeed, excerpt
from gifty.catalog.feeds.xml_items import is_utf8
from gifty.catalog.models import Reject

_MAX_LINE: Final = 1 << 20
_SNIFFED: Final = 1 << 18
_MAX_COLUMNS: Final = 1_000


def text_encoding(head: bytes) -> str:
    """UTF-8 or UTF-16 by its mark, UTF-8 when the bytes are, else windows-1251."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if is_utf8(head) else "cp1251"


def delimiter_of(header: str) -> str:
    """What stands between the names of the columns."""
    return max("\t;|,", key=lambda mark: (header.count(mark), mark == ","))


class Table:
    """Rows of a table with a header line."""

    def __init__(self, stream: BinaryIO) -> None:
        """Reads the header. Raises `NotAFeed` when there is none."""
        buffered = io.BufferedReader(cast("io.RawIOBase", stream), _SNIFFED)
        head = buffered.peek(_SNIFFED)[:_SNIFFED]
        self._text = io.TextIOWrapper(buffered, text_encoding(head), errors="replace", newline="")
        self._ends_whole = True
        first = self._text.readline(_MAX_LINE)
        self.delimiter = delimiter_of(first)
        self._reader = csv.reader(self._lines(first), delimiter=self.delimiter)
        try:
            self.headers = [name.strip() for name in next(self._reader, [])]
        except csv.Error as error:
            raise NotAFeed(f"the header of the table cannot be read: {error}") from None
        if len(self.headers) < 2 or len(self.headers) > _MAX_COLUMNS or not any(self.headers):  # noqa: PLR2004
            raise NotAFeed("this is no table: its first line names no columns")

    def _lines(self, first: str) -> Iterator[str]:
        line = first
        while line:
            self._ends_whole = line.endswith(("\n", "\r"))
            yield line
            line = self._text.readline(_MAX_LINE)

    def rows(self) -> Iterator[tuple[int, list[str]] | Reject]:
        """(line, cells) with as many cells as there are headers. Raises `FeedIncomplete` when the last row is cut."""
        width = len(self.headers)
        line = self._reader.line_num + 1
        while True:
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Reject(line, None, "row", str(error))
            else:
                if len(row) > width and not any(row[width:]):
                    del row[width:]
                if len(row) == width:
                    yield line, row
                elif row and not self._ends_whole and len(row) < width:
                    raise FeedIncomplete(f"the table ends in the middle of line {line}")
                elif row:
                    reason = f"has {len(row)} cells where the header has {width}"
                    yield Reject(line, None, "row", reason, excerpt(self.delimiter.join(row)))
            line = self._reader.line_num + 1
