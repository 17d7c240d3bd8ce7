"""Google Merchant XML: RSS 2.0 with `item`, or Atom with `entry`, fields prefixed `g:`."""

from __future__ import annotations

import re
from typing import BinaryIO

from gifty.catalog.feeds.items import Feed, FeedOptions, RawItem, context_key
from gifty.catalog.feeds.merchant import merchant_item
from gifty.catalog.feeds.xml_items import Attributes, Element, XmlFeed


def merchant_xml_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Items of RSS or entries of Atom; the title of the channel is the shop."""
    return XmlFeed(stream, _Merchant(options))


class _Merchant:
    item_tags = ("item", "entry")
    kept_tags = frozenset({"title"})
    id_pattern = re.compile(rb"<(?:\w{1,20}:)?id>\s*(?:<!\[CDATA\[)?([^<&\]]+)")

    def __init__(self, options: FeedOptions) -> None:
        self._options = options
        self._shop: str | None = None
        self._key = context_key("merchant", options, None)

    def context(self) -> bytes:
        return self._key

    def outside(self, tag: str, parent: str, attributes: Attributes, text: str) -> None:  # noqa: ARG002
        if parent in ("channel", "feed") and self._shop is None:
            self._shop = text.strip() or None
            self._key = context_key("merchant", self._options, self._shop)

    def item(self, element: Element) -> RawItem:
        given: dict[str, str] = {}
        pictures: list[str] = []
        for tag, own, text in element.fields:
            prefix, _, name = tag.rpartition(":")
            if name == "additional_image_link":
                pictures.append(text)
            elif name == "link" and not text.strip() and own.get("rel", "alternate") == "alternate":
                given.setdefault(name, own.get("href", ""))
            elif name not in given or (prefix and name != "product_type"):
                given[name] = text
        return merchant_item(given, pictures, self._options, self._shop)
