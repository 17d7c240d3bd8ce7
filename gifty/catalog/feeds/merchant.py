"""What Google Merchant fields mean, shared by its XML and its TSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gifty.catalog.feeds.items import MAX_PICTURES, FeedOptions, RawItem, truth

_KEPT: Final = (
    "color", "material", "size", "pattern", "gender", "age_group", "gtin", "mpn", "condition", "item_group_id"
)  # fmt: skip


def merchant_item(given: Mapping[str, str], pictures: Sequence[str], options: FeedOptions, shop: str | None) -> RawItem:
    """The item from fields named as specified, without prefix. A sale price is the price, the other the old one."""
    get = given.get
    price, old = get("price"), None
    if get("sale_price"):
        price, old = get("sale_price"), price
    attributes: dict[str, Any] = {name: given[name].strip() for name in _KEPT if given.get(name)}
    if pictures:
        attributes["pictures"] = list(pictures[: MAX_PICTURES - 1])
    return RawItem(
        external_id=get("id") or get("guid"),
        url=get("link"),
        title=get("title"),
        description=get("description") or get("summary") or get("content"),
        price=price,
        currency=options.currency,
        old_price=old,
        image_url=get("image_link"),
        merchant=options.merchant or shop,
        brand=get("brand"),
        category=category_path(get("product_type") or _named(get("google_product_category"))),
        available=truth(get("availability")),
        attributes=attributes,
    )


def category_path(text: str | None) -> tuple[str, ...]:
    """The levels of "Home > Kitchen > Mugs"."""
    return tuple(part.strip() for part in text.split(">") if part.strip()) if text else ()


def _named(category: str | None) -> str | None:
    return None if category is None or category.strip().isdigit() else category
