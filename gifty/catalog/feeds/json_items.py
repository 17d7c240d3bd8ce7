"""Objects out of one large JSON document, one by one and within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import ijson

from gifty.catalog.feeds.items import FeedIncomplete, NotAFeed

_MAX_OBJECT_BYTES: Final = 8 << 20


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


def json_objects(stream: BinaryIO, prefix: str) -> Iterator[Any]:
    """The values at `prefix` ("products.item"). Raises `FeedIncomplete` when the document ends early or breaks off."""
    bounded = _Bounded(stream)
    try:
        for value in ijson.items(bounded, prefix, use_float=True):
            bounded.since_last = 0
            yield value
    except ijson.IncompleteJSONError as error:
        raise FeedIncomplete(
            f"the feed ends in the middle or is malformed: {str(error).splitlines()[0]}"[:300]
        ) from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise FeedIncomplete(f"the feed is malformed: {str(error).splitlines()[0]}"[:300]) from None
