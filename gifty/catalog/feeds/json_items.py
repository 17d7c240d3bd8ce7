"""Objects out of one large JSON document, one by one and within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import ijson

from gifty.catalog.feeds.items import FeedIncomplete, NotAFeed

_MAX_OBJECT_BYTES: Final = 8 << 20
_MAX_DEPTH: Final = 100
_OPENING: Final = frozenset({"start_map", "start_array"})
_CLOSING: Final = frozenset({"end_map", "end_array"})


class _Bounded:
    """A stream that refuses to give much more before an object is complete."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.since_last = 0

    def read(self, size: int) -> bytes:
        if self.since_last > _MAX_OBJECT_BYTES:
            raise NotAFeed("a single object is larger than 8 MB")
        data = self._stream.read(size)
        self.since_last += len(data)
        return data


def _shallow(events: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The events of a document that does not nest for ever: each level costs memory for the path to it."""
    depth = 0
    for name, value in events:
        if name in _OPENING:
            depth += 1
            if depth > _MAX_DEPTH:
                raise NotAFeed(f"the feed is nested more than {_MAX_DEPTH} levels deep")
        elif name in _CLOSING:
            depth -= 1
        yield name, value


def json_objects(stream: BinaryIO, prefix: str) -> Iterator[Any]:
    """The values at `prefix` ("products.item"). Raises `FeedIncomplete` when the document ends early or breaks off."""
    bounded = _Bounded(stream)
    try:
        events = _shallow(ijson.basic_parse(bounded, use_float=True))
        for value in ijson.items(ijson.parse(events), prefix):
            bounded.since_last = 0
            yield value
    except ijson.IncompleteJSONError as error:
        raise FeedIncomplete(
            f"the feed ends in the middle or is malformed: {str(error).splitlines()[0]}"[:300]
        ) from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise FeedIncomplete(f"the feed is malformed: {str(error).splitlines()[0]}"[:300]) from None
