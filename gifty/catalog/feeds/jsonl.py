"""JSON objects, one a line or in one array, keys named as columns would be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import orjson

from gifty.catalog.feeds.columns import Columns
from gifty.catalog.feeds.items import (
    Entry,
    Feed,
    FeedIncomplete,
    FeedOptions,
    RawItem,
    context_key,
    excerpt,
    fingerprint,
)
from gifty.catalog.feeds.json_items import json_objects
from gifty.catalog.models import Reject

_MAX_LINE: Final = 1 << 20


def jsonl_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Objects of a JSONL file. The keys of the first object decide which key is which field."""
    return _JsonFeed(_lines(stream), options)


def json_array_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Objects of one JSON array."""
    return _JsonFeed(((None, value) for value in json_objects(stream, "item")), options)


class _JsonFeed:
    def __init__(self, objects: Iterator[tuple[int | None, Any]], options: FeedOptions) -> None:
        self._objects = objects
        self._options = options
        self._shapes: dict[tuple[str, ...], Columns] = {}
        self._key = context_key("json", options)

    def entries(self) -> Iterator[Entry | Reject]:
        for line, value in self._objects:
            if isinstance(value, Reject):
                yield value
            elif not isinstance(value, dict):
                yield Reject(line, None, "item", "is not a JSON object", excerpt(value))
            else:
                given = {str(key): inner for key, inner in value.items()}
                columns = self._columns(given)
                identity = columns.item(given).external_id
                yield Entry(line, identity, fingerprint(orjson.dumps(given), self._key), given)

    def unpack(self, entry: Entry) -> RawItem | Reject:
        given: dict[str, Any] = entry.packed
        item = self._columns(given).item(given)
        for name in ("attributes", "params"):
            if isinstance(given.get(name), dict):
                item.attributes.update(
                    {str(key): str(value) for key, value in given[name].items() if value is not None}
                )
        return item

    def _columns(self, given: dict[str, Any]) -> Columns:
        keys = tuple(given)
        if keys not in self._shapes:
            if len(self._shapes) > 1_000:  # noqa: PLR2004
                self._shapes.clear()
            self._shapes[keys] = Columns(keys, self._options, needed=() if self._shapes else ("title", "url"))
        return self._shapes[keys]


def _lines(stream: BinaryIO) -> Iterator[tuple[int | None, Any]]:
    number = 0
    while line := stream.readline(_MAX_LINE):
        number += 1
        whole = line.endswith(b"\n")
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            yield number, orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if not whole and len(line) < _MAX_LINE:
                raise FeedIncomplete(f"the feed ends in the middle of line {number}") from None
            while not whole and (rest := stream.readline(_MAX_LINE)):
                whole = rest.endswith(b"\n")
            yield (
                number,
                Reject(number, None, "row", f"is not JSON: {error}"[:200], excerpt(text.decode(errors="replace"))),
            )
