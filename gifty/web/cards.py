"""A gift as a card shows it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gifty.web.texts import Texts

FILE: Final = Path(__file__).with_name("drawings.toml")
MOST_REASONS: Final = 2

_WORD: Final = re.compile(r"[\w-]+")
_GIFT: Final = ("gift", "rose")


@dataclass(frozen=True, slots=True)
class Drawings:
    """Which drawing stands in for a missing picture."""

    table: tuple[tuple[str, str, tuple[str, ...]], ...]

    def find(self, title: str, category: str | None) -> tuple[str, str]:
        """Drawing and tone: the first word that begins with a known stem decides."""
        words = f"{title} {category or ''}".lower().replace("ё", "е")
        for word in _WORD.findall(words):
            for drawing, tone, stems in self.table:
                if word.startswith(stems):
                    return drawing, tone
        return _GIFT


def load_drawings(file: Path = FILE) -> Drawings:
    """Reads the table."""
    listed = tomllib.loads(file.read_text("utf-8"))["drawing"]
    return Drawings(tuple((one["id"], one["tone"], tuple(one["stems"])) for one in listed))


@dataclass(frozen=True, slots=True)
class Coupon:
    """A promotion as a card shows it."""

    title: str
    code: str
    discount: str
    until: str


@dataclass(frozen=True, slots=True)
class Card:
    """One gift, in words that are ready to be shown."""

    gift_id: str
    title: str
    url: str
    image: str
    drawing: str
    tone: str
    price: str
    old_price: str
    go: str
    is_idea: bool
    reasons: tuple[str, ...]
    coupon: Coupon | None


def card_of(gift: Mapping[str, Any], texts: Texts, drawings: Drawings) -> Card:
    """The card of a gift as the API describes it."""
    said = texts["results"]
    is_idea = bool(gift.get("is_idea"))
    drawing, tone = drawings.find(gift["title"], gift.get("category"))
    price, currency = gift.get("price"), gift.get("currency") or "RUB"
    shown = said["no_price"] if price is None else texts.money(price, currency)
    old, merchant = gift.get("old_price"), gift.get("merchant")
    if is_idea:
        go = said["search"]
    else:
        go = said["open_at"].format(merchant) if merchant else said["open"]
    promotions = gift.get("promotions") or ()
    return Card(
        gift_id=gift["gift_id"],
        title=gift["title"],
        url=_web_address(gift.get("product_url")),
        image=_web_address(gift.get("image_url")),
        drawing=drawing,
        tone=tone,
        price=said["idea_price"].format(shown) if is_idea and price is not None else shown,
        old_price=texts.money(old, currency) if old and price is not None and old > price else "",
        go=go,
        is_idea=is_idea,
        reasons=tuple((gift.get("reasons") or ())[:MOST_REASONS]),
        coupon=_coupon(promotions[0], texts) if promotions else None,
    )


def _coupon(promotion: Mapping[str, Any], texts: Texts) -> Coupon:
    ends = promotion.get("ends_at")
    day = datetime.fromisoformat(ends) if isinstance(ends, str) else ends
    return Coupon(
        title=promotion.get("title") or "",
        code=promotion.get("coupon") or "",
        discount=str(promotion.get("discount") or ""),
        until=texts["results"]["until"].format(f"{day:%d.%m.%Y}") if day else "",
    )


def _web_address(url: Any) -> str:
    """The address when a browser may safely follow it."""
    return url if isinstance(url, str) and urlsplit(url).scheme in {"http", "https"} else ""
