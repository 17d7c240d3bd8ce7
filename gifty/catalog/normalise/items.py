"""From what a feed wrote to what the catalogue keeps, or to the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gifty.catalog.feeds.items import MAX_ATTRIBUTES, MAX_PICTURES, Entry, RawItem, excerpt
from gifty.catalog.models import Reject
from gifty.catalog.normalise.links import canonical_url, image_url
from gifty.catalog.normalise.money import currency_code, parse_price
from gifty.catalog.normalise.text import MAX_DESCRIPTION, MAX_NAME, MAX_TITLE, clean, language

_MAX_EXTERNAL_ID: Final = 200
_MAX_LEVELS: Final = 8
_MAX_VALUE: Final = 300
_MAX_VALUES: Final = 30


@dataclass(slots=True)
class Candidate:
    """A checked item. None means that the feed did not say, and that what is known stays."""

    line: int | None
    external_id: str
    url: str
    title: str
    description: str | None
    image_url: str | None
    merchant: str | None
    brand: str | None
    category: tuple[str, ...]
    lang: str
    attributes: Mapping[str, Any] | None
    price_minor: int | None
    currency: str | None
    old_price_minor: int | None
    available: bool | None
    item_hash: bytes


class _Bad(Exception):
    def __init__(self, field: str, reason: str, value: object) -> None:
        super().__init__(reason)
        self.field, self.reason, self.value = field, reason, value


def check(raw: RawItem, entry: Entry) -> Candidate | Reject:
    """The item in the form of the catalogue, or the first field that is wrong and why.

    A link and a title are required. A price that is given must be one; a picture or old price that is not is left out.
    """
    try:
        return _checked(raw, entry)
    except _Bad as bad:
        return Reject(entry.line, _identity(raw), bad.field, bad.reason, excerpt(bad.value) or None)


def _identity(raw: RawItem) -> str | None:
    """What the item would be known by: its id, or its link where the source gives no ids."""
    if raw.external_id:
        return clean(raw.external_id, _MAX_EXTERNAL_ID) or None
    try:
        return canonical_url(raw.url or "")[:_MAX_EXTERNAL_ID]
    except ValueError:
        return None


def _checked(raw: RawItem, entry: Entry) -> Candidate:
    url = _url(raw.url)
    title = clean(raw.title, MAX_TITLE) if raw.title else ""
    if not title:
        raise _Bad("title", "is missing", raw.title or url)
    external_id = clean(raw.external_id, _MAX_EXTERNAL_ID + 1) if raw.external_id else url[:_MAX_EXTERNAL_ID]
    if len(external_id) > _MAX_EXTERNAL_ID:
        raise _Bad("external_id", f"is longer than {_MAX_EXTERNAL_ID} characters", external_id)
    price, currency = _price(raw)
    return Candidate(
        line=entry.line,
        external_id=external_id or url[:_MAX_EXTERNAL_ID],
        url=url,
        title=title,
        description=(clean(raw.description, MAX_DESCRIPTION) or None) if raw.description else None,
        image_url=_picture(raw.image_url),
        merchant=_name(raw.merchant),
        brand=_name(raw.brand),
        category=tuple(name for name in (clean(level, MAX_NAME) for level in raw.category[:_MAX_LEVELS]) if name),
        lang=raw.lang or language(title),
        attributes=_attributes(raw.attributes) or None,
        price_minor=price,
        currency=currency,
        old_price_minor=_old_price(raw.old_price, price),
        available=raw.available,
        item_hash=entry.fingerprint,
    )


def _url(given: str | None) -> str:
    if not given or not given.strip():
        raise _Bad("url", "is missing", "")
    try:
        return canonical_url(given)
    except ValueError as error:
        raise _Bad("url", str(error), given) from None


def _price(raw: RawItem) -> tuple[int | None, str | None]:
    if not raw.price or not raw.price.strip():
        return None, None
    try:
        price, currency = parse_price(raw.price.strip())
    except ValueError as error:
        raise _Bad("price", str(error), raw.price) from None
    if currency is None and raw.currency:
        try:
            currency = currency_code(raw.currency)
        except ValueError as error:
            raise _Bad("currency", str(error), raw.currency) from None
    return price, currency


def _old_price(given: str | None, price: int | None) -> int | None:
    if not given or price is None:
        return None
    try:
        old, _ = parse_price(given.strip())
    except ValueError:
        return None
    return old if old > price else None


def _picture(given: str | None) -> str | None:
    if not given or not given.strip():
        return None
    try:
        return image_url(given)
    except ValueError:
        return None


def _name(given: str | None) -> str | None:
    return (clean(given, MAX_NAME) or None) if given else None


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in list(given.items())[:MAX_ATTRIBUTES]:
        key = clean(name, MAX_NAME)
        if key == "pictures":
            checked: Any = [link for link in map(_picture, value[:MAX_PICTURES]) if link]
        elif isinstance(value, str):
            checked = clean(value, _MAX_VALUE)
        elif isinstance(value, list | tuple):
            checked = [clean(part, _MAX_VALUE) if isinstance(part, str) else part for part in value[:_MAX_VALUES]]
        else:
            checked = value
        if key and checked not in ("", [], None):
            kept[key] = checked
    return kept
