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
_CYRILLIC: Final = re.compile("[а-яё]", re.IGNORECASE)
_GIFT: Final = ("gift", "rose")


@dataclass(frozen=True, slots=True)
class Drawings:
    """Which drawing stands in for a missing picture."""

    by_stem: Mapping[str, tuple[str, str]]

    def find(self, title: str, category: str | None) -> tuple[str, str]:
        """Drawing and tone: the first word that begins with a known stem decides, by its longest stem."""
        words = f"{title} {category or ''}".lower().replace("ё", "е")
        for word in _WORD.findall(words):
            for end in range(len(word), 1, -1):
                if found := self.by_stem.get(word[:end]):
                    return found
        return _GIFT

    def by_drawing(self) -> list[tuple[str, str, str]]:
        """Drawing, tone and the stems in one text: the table as the page's script reads it."""
        stems: dict[tuple[str, str], list[str]] = {}
        for stem, drawing in self.by_stem.items():
            stems.setdefault(drawing, []).append(stem)
        return [(*drawing, " ".join(found)) for drawing, found in stems.items()]


def load_drawings(file: Path = FILE) -> Drawings:
    """Reads the table."""
    listed = tomllib.loads(file.read_text("utf-8"))["drawing"]
    return Drawings({stem: (one["id"], one["tone"]) for one in listed for stem in one["stems"]})


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
    title_lang: str
    """The language of the title where it is not the page's."""
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
    shop = said["open_at"].format(merchant) if merchant else said["open"]
    promotions = gift.get("promotions") or ()
    return Card(
        gift_id=gift["gift_id"],
        title=gift["title"],
        title_lang="ru" if texts.lang != "ru" and _CYRILLIC.search(gift["title"]) else "",
        url=_web_address(gift.get("product_url")),
        image=_web_address(gift.get("image_url")),
        drawing=drawing,
        tone=tone,
        price=said["idea_price"].format(shown) if is_idea and price is not None else shown,
        old_price=texts.money(old, currency) if old and price is not None and old > price else "",
        go=said["search"] if is_idea else shop,
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
