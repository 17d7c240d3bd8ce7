"""What every reader yields, and how a feed says that it is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Protocol

from gifty.catalog.models import Reject
from gifty.core.errors import GiftyError

MAX_ITEM_BYTES: Final = 1 << 20
MAX_EXCERPT: Final = 120
MAX_PICTURES: Final = 10
MAX_ATTRIBUTES: Final = 60


class NotAFeed(GiftyError):
    """The content is none of the formats we read, or one that we refuse."""

    type = "not_a_feed"
    status = 422


class FeedIncomplete(GiftyError):
    """The feed ended early or was broken in places. What could be read was; nothing follows from what is missing."""

    type = "feed_incomplete"
    status = 422


@dataclass(slots=True)
class RawItem:
    """One product as the feed wrote it. None means that the feed did not say; nothing is checked yet."""

    external_id: str | None = None
    url: str | None = None
    title: str | None = None
    description: str | None = None
    price: str | None = None
    currency: str | None = None
    old_price: str | None = None
    image_url: str | None = None
    merchant: str | None = None
    brand: str | None = None
    category: tuple[str, ...] = ()  # from the root to the leaf
    available: bool | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    lang: str | None = None


@dataclass(slots=True)
class Entry:
    """One product still packed. Equal fingerprints mean equal products, so what is known need not be unpacked."""

    line: int | None
    external_id: str | None
    fingerprint: bytes
    packed: Any


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What the caller knows and the feed may not say."""

    currency: str | None = None
    merchant: str | None = None
    base_url: str | None = None  # where product pages live, for exports that carry none
    columns: Mapping[str, str] = field(default_factory=dict)  # field -> column


class Feed(Protocol):
    """One feed being read. `entries` and `unpack` may run in different threads."""

    def entries(self) -> Iterator[Entry | Reject]:
        """Products in the order of the feed. Raises `NotAFeed`, or `FeedIncomplete` after the last whole product."""
        ...

    def unpack(self, entry: Entry) -> RawItem | Reject:
        """What the product says."""
        ...


def fingerprint(content: bytes, context: bytes) -> bytes:
    """16 bytes that tell the same product in the same context again."""
    return blake2b(content, digest_size=16, key=context).digest()


def context_key(*parts: object) -> bytes:
    """What readings depend on besides the product itself, as a key for `fingerprint`."""
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=32).digest()


def excerpt(text: object) -> str:
    """The beginning of a value, fit for a report."""
    return " ".join(str(text)[: MAX_EXCERPT * 2].split())[:MAX_EXCERPT]


def truth(text: str | None) -> bool | None:
    """What a feed means by its word for availability; None when it says nothing that is understood."""
    return _TRUTH.get(text.strip().lower().replace(" ", "_")) if text else None


_YES: Final = (
    "true",
    "1",
    "yes",
    "да",
    "in_stock",
    "instock",
    "available",
    "есть",
    "preorder",
    "backorder",
    "в_наличии",
    "limited",
)
_NO: Final = (
    "false",
    "0",
    "no",
    "нет",
    "out_of_stock",
    "outofstock",
    "unavailable",
    "нет_в_наличии",
    "soldout",
    "sold_out",
    "discontinued",
)
_TRUTH: Final = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}
