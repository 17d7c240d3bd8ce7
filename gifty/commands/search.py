"""`gifty search`: the search of the API, for a terminal."""

from __future__ import annotations

import argparse
import shutil
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Final

import orjson

from gifty.catalog.api import shown
from gifty.catalog.search_models import FoundGift, GiftFilter, GiftList, GiftSearch
from gifty.services import open_services
from gifty.settings import Settings

MOST: Final = 100
_NARROWEST: Final = 60
_PRICE_WIDTH: Final = 12
_SIGNS: Final = {"RUB": "₽", "EUR": "€", "USD": "$"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "search",
        help="search the catalogue",
        epilog='Examples: gifty search "подарок кофеману" --max-price 5000; gifty search teapot --limit 5 --json',
    )
    parser.add_argument("text", metavar="TEXT", help="what to look for, Russian or English")
    parser.add_argument("--limit", type=_count, default=10, metavar="N", help="how many gifts, 1 to 100 (10)")
    parser.add_argument("--max-price", type=_money, metavar="X", help="the dearest price")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when something was found, 1 otherwise."""
    asked = GiftSearch(query=arguments.text, filter=GiftFilter(max_price=arguments.max_price), limit=arguments.limit)
    async with open_services(settings) as services:
        found = await services.search.search(asked)
    if arguments.json:
        listed = {"gifts": [shown(gift) for gift in found.gifts], "total": found.total}
        print(orjson.dumps(listed, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
    else:
        for line in table(found, shutil.get_terminal_size().columns):
            print(line)
    return 0 if found.gifts else 1


def table(found: GiftList, width: int) -> list[str]:
    """The list for people: number, price, title, and why it is there."""
    if not found.gifts:
        return ["Nothing found."]
    lines = [f"Read as: {wrong} → {right}" for wrong, right in found.corrections.items()]
    room = max(width, _NARROWEST) - _PRICE_WIDTH - 6
    for number, gift in enumerate(found.gifts, 1):
        lines.append(f"{number:>3}  {_price(gift):>{_PRICE_WIDTH}}  {fitted(gift.title, room)}")
        notes = [note for note in (gift.merchant, gift.category, *gift.reasons) if note]
        lines.append(f"{'':{_PRICE_WIDTH + 7}}{fitted(' · '.join(notes), room)}")
        lines.append(f"{'':{_PRICE_WIDTH + 7}}{gift.product_url}")
    return lines


def fitted(text: str, room: int) -> str:
    """The text within so many columns; wide characters take two."""
    used = 0
    for place, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
        if used > room:
            return text[: place - 1].rstrip() + "…"
    return text


def _price(gift: FoundGift) -> str:
    if gift.price is None:
        return "—"
    whole = f"{gift.price:,.2f}".removesuffix(".00").replace(",", "\N{NO-BREAK SPACE}").replace(".", ",")
    return f"{whole}\N{NO-BREAK SPACE}{_SIGNS.get(gift.currency, gift.currency)}"


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST}")
    return int(text)


def _money(text: str) -> Decimal:
    try:
        price = Decimal(text.replace(",", ".").replace(" ", ""))
    except InvalidOperation:
        raise argparse.ArgumentTypeError("an amount such as 1999.50") from None
    if not price.is_finite() or not 0 <= price <= 10**9:
        raise argparse.ArgumentTypeError("an amount from 0 to a thousand million")
    return price
