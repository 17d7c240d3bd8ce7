"""Yandex Market Language: `yml_catalog/shop` with categories, then offers."""

from __future__ import annotations

import re
from typing import Any, BinaryIO, Final

from gifty.catalog.feeds.items import MAX_ATTRIBUTES, MAX_PICTURES, Feed, FeedOptions, RawItem, context_key, truth
from gifty.catalog.feeds.xml_items import Attributes, Element, XmlFeed

_MAX_LEVELS: Final = 8
# What kinds of offers say besides the common fields, kept under its own name.
_KEPT: Final = frozenset(
    {
        "author",
        "publisher",
        "series",
        "year",
        "isbn",
        "artist",
        "director",
        "media",
        "starring",
        "country",
        "worldRegion",
        "region",
        "days",
        "place",
        "hall",
        "date",
        "country_of_origin",
        "barcode",
        "model",
        "age",
        "weight",
        "group_id",
    }
)


def yml_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Offers of every type, their category as its path from the root."""
    return XmlFeed(stream, _Yml(options))


class _Yml:
    item_tags = ("offer",)
    kept_tags = frozenset({"name", "company", "category"})
    id_pattern = re.compile(rb"""^<[^>]*?\sid\s*=\s*["']([^"'<&]*)["']""")

    def __init__(self, options: FeedOptions) -> None:
        self._merchant = options.merchant
        self._currency = options.currency or "RUB"
        self._categories: dict[str, tuple[str, str | None]] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        self._key: bytes | None = None

    def context(self) -> bytes:
        if self._key is None:
            self._key = context_key("yml", self._merchant, self._currency, self._categories)
        return self._key

    def outside(self, tag: str, parent: str, attributes: Attributes, text: str) -> None:
        self._key = None
        if tag == "category":
            self._categories[attributes.get("id", "")] = (text.strip(), attributes.get("parentId"))
            self._paths.clear()
        elif parent == "shop" and text.strip():
            self._merchant = self._merchant or text.strip()

    def item(self, element: Element) -> RawItem:
        given: dict[str, str] = {}
        attributes: dict[str, Any] = {}
        pictures: list[str] = []
        for tag, own, text in element.fields:
            if tag == "param":
                _add_param(attributes, own, text)
            elif tag == "picture":
                pictures.append(text)
            elif tag not in given:
                given[tag] = text
        get = given.get
        for tag in _KEPT.intersection(given):
            attributes[tag] = given[tag].strip()
        if len(pictures) > 1:
            attributes["pictures"] = pictures[1:MAX_PICTURES]
        kind = element.attributes.get("type")
        if kind:
            attributes["offer_type"] = kind
        available = element.attributes.get("available")
        return RawItem(
            element.attributes.get("id"),
            get("url"),
            _title(given, kind),
            get("description"),
            get("price"),
            get("currencyId", self._currency),
            get("oldprice"),
            pictures[0] if pictures else None,
            self._merchant,
            get("vendor"),
            self._path(get("categoryId")),
            truth(available if available is not None else get("available")),
            attributes,
        )

    def _path(self, category: str | None) -> tuple[str, ...]:
        if category is None:
            return ()
        path = self._paths.get(category)
        if path is None:
            names: list[str] = []
            identity: str | None = category.strip()
            while identity in self._categories and len(names) < _MAX_LEVELS:
                name, identity = self._categories[identity]
                names.append(name)
            path = self._paths[category] = tuple(reversed(names))
        return path


def _title(given: dict[str, str], kind: str | None) -> str | None:
    if name := given.get("name"):
        if kind in ("book", "audiobook") and given.get("author"):
            return f"{given['author'].strip()}. {name}"
        return name
    if kind == "artist.title" or "title" in given:
        return " — ".join(part for part in (given.get("artist"), given.get("title")) if part) or None
    parts = [given[tag].strip() for tag in ("typePrefix", "vendor", "model") if given.get(tag)]
    return " ".join(parts) or None


def _add_param(attributes: dict[str, Any], own: Attributes, text: str) -> None:
    name = own.get("name", "").strip()
    if not name or len(attributes) >= MAX_ATTRIBUTES:
        return
    value = f"{text.strip()} {own['unit']}" if own.get("unit") else text.strip()
    before = attributes.get(name)
    attributes[name] = f"{before}, {value}" if isinstance(before, str) else value
