"""Shopify `products.json`: one gift per product, priced at its cheapest variant that can be bought."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import orjson

from gifty.catalog.feeds.items import (
    MAX_PICTURES,
    Entry,
    Feed,
    FeedOptions,
    NotAFeed,
    RawItem,
    context_key,
    excerpt,
    fingerprint,
)
from gifty.catalog.feeds.json_items import json_objects
from gifty.catalog.models import Reject


def shopify_feed(stream: BinaryIO, options: FeedOptions) -> Feed:
    """Products of a shop. Raises `NotAFeed` when nobody says where the shop is."""
    return _ShopifyFeed(stream, options)


class _ShopifyFeed:
    def __init__(self, stream: BinaryIO, options: FeedOptions) -> None:
        if not options.base_url:
            raise NotAFeed("a Shopify export does not say whose it is; give the shop with --site shop.example")
        self._stream = stream
        self._base = options.base_url.rstrip("/")
        self._merchant = options.merchant or urlsplit(self._base).netloc
        self._currency = options.currency or "RUB"
        self._key = context_key("shopify", options)

    def entries(self) -> Iterator[Entry | Reject]:
        for place, product in enumerate(json_objects(self._stream, "products.item"), 1):
            if not isinstance(product, dict):
                yield Reject(None, None, "product", f"product {place} is not an object", excerpt(product))
                continue
            identity = product.get("id")
            content = orjson.dumps({**product, "updated_at": None}, option=orjson.OPT_NON_STR_KEYS)
            yield Entry(None, None if identity is None else str(identity), fingerprint(content, self._key), product)

    def unpack(self, entry: Entry) -> RawItem | Reject:
        product: dict[str, Any] = entry.packed
        variants = [variant for variant in _list(product, "variants") if isinstance(variant, dict)]
        on_sale = [variant for variant in variants if variant.get("available", True)] or variants
        cheapest = min(on_sale, key=_price, default={})
        dearest = max(on_sale, key=_price, default={})
        pictures = [image["src"] for image in _list(product, "images") if isinstance(image, dict) and image.get("src")]
        attributes: dict[str, Any] = {
            str(option["name"]): ", ".join(str(value) for value in _list(option, "values")[:20])
            for option in _list(product, "options")
            if isinstance(option, dict) and option.get("name") not in (None, "Title")
        }
        if _price(dearest) > _price(cheapest):
            attributes["price_max"] = str(dearest["price"])
        if len(pictures) > 1:
            attributes["pictures"] = pictures[1:MAX_PICTURES]
        if tags := product.get("tags"):
            attributes["tags"] = [str(tag) for tag in tags][:30] if isinstance(tags, list) else str(tags)
        handle = product.get("handle")
        old = cheapest.get("compare_at_price")
        return RawItem(
            external_id=entry.external_id,
            url=f"{self._base}/products/{quote(str(handle))}" if handle else None,
            title=_text(product.get("title")),
            description=_text(product.get("body_html")),
            price=_text(cheapest.get("price")),
            currency=self._currency,
            old_price=_text(old),
            image_url=pictures[0] if pictures else None,
            merchant=self._merchant,
            brand=_text(product.get("vendor")),
            category=(str(product["product_type"]),) if product.get("product_type") else (),
            available=any(variant.get("available", True) for variant in variants) if variants else None,
            attributes=attributes,
        )


def _list(product: dict[str, Any], name: str) -> list[Any]:
    value = product.get(name)
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _price(variant: dict[str, Any]) -> float:
    try:
        return float(variant.get("price", "inf"))
    except (TypeError, ValueError):
        return float("inf")
