"""Which column or key means what, by the names that shops give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gifty.catalog.feeds.items import FeedOptions, NotAFeed, RawItem, truth
from gifty.catalog.feeds.merchant import category_path

ATTRIBUTE_PREFIX: Final = "attr."
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "external_id": ("product_id", "external_id", "offer_id", "item_id", "sku", "артикул", "article", "id", "код"),
    "url": ("url", "link", "product_url", "product_link", "href", "ссылка", "ссылка_на_товар"),
    "title": ("title", "name", "product_name", "product_title", "название", "наименование", "товар"),
    "description": ("description", "описание", "body", "text", "annotation"),
    "price": ("price", "цена", "cost", "стоимость"),
    "currency": ("currency", "currency_id", "currencyid", "валюта"),
    "old_price": ("old_price", "oldprice", "compare_at_price", "list_price", "старая_цена", "цена_до_скидки"),
    "image_url": ("image_url", "image", "picture", "image_link", "img", "photo", "изображение", "картинка", "фото"),
    "merchant": ("merchant", "store", "shop", "seller", "магазин", "продавец"),
    "brand": ("brand", "vendor", "manufacturer", "бренд", "производитель"),
    "category": ("category", "category_name", "product_type", "категория"),
    "available": ("available", "availability", "in_stock", "stock_status", "наличие"),
    "attr.marketplace": ("marketplace", "маркетплейс"),
    "attr.color": ("color", "colour", "цвет"),
    "attr.material": ("material", "материал"),
    "attr.size": ("size", "размер"),
    "attr.gender": ("gender", "пол"),
    "attr.age_group": ("age_group", "возраст"),
}  # fmt: skip
FIELDS: Final = tuple(name for name in _NAMES if not name.startswith(ATTRIBUTE_PREFIX))
_PRICE_IN = re.compile(r"price_([a-z]{3})")


class Columns:
    """Which key holds which field. What `options.columns` names wins over what names suggest."""

    def __init__(self, headers: Sequence[str], options: FeedOptions, needed: Sequence[str] = ("title", "url")) -> None:
        """Raises `NotAFeed` when a needed field cannot be found, or a named field or column does not exist."""
        known = {_plain(header): header for header in reversed(headers)}
        self.currency = options.currency
        self.keys: dict[str, str] = {}
        for name, candidates in _NAMES.items():
            found = next((known[candidate] for candidate in candidates if candidate in known), None)
            if found is not None:
                self.keys[name] = found
        for plain, header in known.items():
            if "price" not in self.keys and (match := _PRICE_IN.fullmatch(plain)):
                self.keys["price"] = header
                self.currency = self.currency or match[1].upper()
        for name, column in options.columns.items():
            self._put(name, column, headers, strict=bool(needed))
        missing = [name for name in needed if name not in self.keys]
        if missing:
            shown = ", ".join(headers[:20]) or "none"
            raise NotAFeed(f"no column for {' and '.join(missing)}; name it with --map (columns: {shown})"[:500])
        self._merchant = options.merchant

    def _put(self, name: str, column: str, headers: Sequence[str], *, strict: bool) -> None:
        if name not in FIELDS and not name.startswith(ATTRIBUTE_PREFIX):
            raise NotAFeed(f"--map: there is no field {name!r}; fields are {', '.join(FIELDS)} and attr.NAME")
        if column not in headers:
            if not strict:
                return
            raise NotAFeed(f"--map: there is no column {column!r}; columns are {', '.join(headers[:20])}"[:500])
        self.keys[name] = column

    def item(self, given: Mapping[str, Any]) -> RawItem:
        """The item of one row or object."""
        values = {name: _text(given.get(key)) for name, key in self.keys.items()}
        get = values.get
        attributes: dict[str, Any] = {
            name.removeprefix(ATTRIBUTE_PREFIX): value
            for name, value in values.items()
            if value and name.startswith(ATTRIBUTE_PREFIX)
        }
        return RawItem(
            external_id=get("external_id"),
            url=get("url"),
            title=get("title"),
            description=get("description"),
            price=get("price"),
            currency=get("currency") or self.currency,
            old_price=get("old_price"),
            image_url=get("image_url"),
            merchant=get("merchant") or self._merchant,
            brand=get("brand"),
            category=category_path(get("category")),
            available=truth(get("available")),
            attributes=attributes,
        )


def _plain(header: str) -> str:
    return re.sub(r"[\s\-]+", "_", header.strip().lower())


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(value, ".10f").rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if isinstance(value, list):
        return " > ".join(str(part) for part in value if part is not None) or None
    return None
