"""Opening a feed: unpacking, recognising its format by its content, and handing it to its reader."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from gifty.catalog.feeds.csv_mapping import csv_feed
from gifty.catalog.feeds.csv_rows import delimiter_of, text_encoding
from gifty.catalog.feeds.items import Entry, Feed, FeedIncomplete, FeedOptions, NotAFeed, RawItem
from gifty.catalog.feeds.jsonl import json_array_feed, jsonl_feed
from gifty.catalog.feeds.merchant_tsv import field_name, merchant_tsv_feed
from gifty.catalog.feeds.merchant_xml import merchant_xml_feed
from gifty.catalog.feeds.shopify import shopify_feed
from gifty.catalog.feeds.xml_items import xml_encoding
from gifty.catalog.feeds.yml import yml_feed
from gifty.catalog.models import Reject

MAX_UNPACKED_BYTES: Final = 8 << 30
PROMOTIONS: Final = "promotions"
_HEAD: Final = 1 << 16
_MAX_LAYERS: Final = 2
_ROOT = re.compile(r"<(?:\w{1,20}:)?([A-Za-z_][\w.-]*)")
_PROLOGUE = re.compile(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_READERS: Final = {
    "yml": yml_feed,
    "google": merchant_xml_feed,
    "google_tsv": merchant_tsv_feed,
    "shopify": shopify_feed,
    "csv": csv_feed,
    "jsonl": jsonl_feed,
    "json": json_array_feed,
}
_ROOTS: Final = {"yml_catalog": "yml", "rss": "google", "feed": "google"}
FORMATS: Final = ("auto", "yml", "google", "shopify", "csv", "jsonl")


class FeedFile(io.RawIOBase):
    """A file read as plain bytes, whether packed by gzip or not; it gives up beyond `limit` unpacked bytes."""

    def __init__(self, path: Path, limit: int = MAX_UNPACKED_BYTES) -> None:
        """Raises `NotAFeed` when there is no such file or it may not be read."""
        super().__init__()
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise NotAFeed(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        self._limit = self._left = limit
        self._stream: io.BufferedReader = io.BufferedReader(self._file)
        for _ in range(_MAX_LAYERS):
            if not self._packed():
                break
            unpacked = gzip.GzipFile(mode="rb", fileobj=self._stream)
            self._stream = io.BufferedReader(cast("io.RawIOBase", unpacked), _HEAD)

    @property
    def position(self) -> int:
        """How many bytes of the file on disk were read."""
        return 0 if self._file.closed else self._file.tell()

    def head(self) -> bytes:
        """The beginning of the content."""
        try:
            return self._stream.peek(_HEAD)[:_HEAD]
        except (EOFError, OSError, zlib.error) as error:
            raise NotAFeed(f"the gzip archive is broken: {error}") from None

    def plain(self) -> BinaryIO:
        """The content, to be read once."""
        return io.BufferedReader(self, _HEAD)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fills the buffer. Raises `FeedIncomplete` when the archive is cut, `NotAFeed` beyond the limit."""
        try:
            count = self._stream.readinto1(buffer)  # type: ignore[arg-type]
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise FeedIncomplete("the gzip archive ends in the middle or is damaged") from None
        except OSError as error:
            raise FeedIncomplete(f"the file could not be read to its end: {error}") from None
        self._left -= count
        if self._left < 0:
            raise NotAFeed(f"the feed unpacks to more than {self._limit >> 20} MB")
        return count

    def close(self) -> None:
        """Closes the file on disk too."""
        self._stream.close()
        self._file.close()
        super().close()

    def _packed(self) -> bool:
        try:
            return self._stream.peek(2)[:2] == b"\x1f\x8b"
        except (EOFError, OSError, zlib.error):
            return False


def detect(head: bytes) -> str:
    """The format of a feed that begins with `head`. Raises `NotAFeed` and says what it is instead, if that is plain."""
    if not head.strip():
        raise NotAFeed("the file is empty")
    if head.startswith(
        (b"PK\x03\x04", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xd0\xcf\x11\xe0")
    ):
        raise NotAFeed("this is an archive, document or picture; give the feed itself (plain or .gz)")
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and b"\0" in head:
        raise NotAFeed("this is no text")
    encoding = xml_encoding(head) if head.lstrip()[:5] == b"<?xml" else text_encoding(head)
    text = head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return _xml_format(text)
    if text.startswith("["):
        return "json"
    if text.startswith("{"):
        return "shopify" if re.match(r'\{\s*"products"\s*:\s*\[', text) else "jsonl"
    return _table_format(text)


def _xml_format(text: str) -> str:
    match = _ROOT.search(_PROLOGUE.sub("", text))
    root = match[1] if match else ""
    if root.lower() in ("html", "head", "body", "div") or re.match(r"<!doctype\s+html", text, re.IGNORECASE):
        raise NotAFeed("this is a web page, not a feed")
    kind = _ROOTS.get(root) or ("yml" if root in ("shop", "offers") else None)
    if kind is None:
        raise NotAFeed(f"this XML is no feed we know: its root is <{root[:40]}>, not yml_catalog, rss or feed")
    return kind


def _table_format(text: str) -> str:
    header = text.split("\n", 1)[0].rstrip("\r")
    delimiter = delimiter_of(header)
    names = {field_name(name.strip('"')) for name in header.split(delimiter)}
    if delimiter not in header:
        raise NotAFeed("this is no feed: neither XML nor JSON nor a table")
    if {"discount_type", "coupon"} <= names or {"promotion_type", "discount_value"} <= names:
        return PROMOTIONS
    return "google_tsv" if delimiter == "\t" and {"id", "title", "link"} <= names else "csv"


def open_feed(file: FeedFile, kind: str, options: FeedOptions) -> Feed:
    """The reader of a format as `detect` names it (or `google`, whose XML and TSV are told apart here)."""
    if kind == "google" and not file.head().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        kind = "google_tsv"
    if kind == "jsonl" and file.head().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        kind = "json"
    return _READERS[kind](file.plain(), options)


class Pages:
    """One feed out of several files of the same format."""

    def __init__(self, files: Sequence[FeedFile], kind: str, options: FeedOptions) -> None:
        self._feeds = [open_feed(file, kind, options) for file in files]

    def entries(self) -> Iterator[Entry | Reject]:
        """The products of all files, in order."""
        for feed in self._feeds:
            yield from feed.entries()

    def unpack(self, entry: Entry) -> RawItem | Reject:
        """What the product says."""
        return self._feeds[0].unpack(entry)
