"""Prices as shops write them. Amounts are whole hundredths of the currency."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

MAX_MINOR: Final = 100_000_000_000  # a thousand million of any currency

_MACHINE = re.compile(r"(\d{1,15})(?:\.(\d+))?", re.ASCII)
_SPACES = re.compile(r"[\s\u00a0\u2009\u202f'\u2019]+")
_FROM = re.compile(r"^(?:от|from)(?=\d)", re.IGNORECASE)
_HUMAN = re.compile(r"([^\d,+-]*)([+-]?\d(?:[\d.,]*\d)?)([^\d,+-]*)", re.ASCII)
_NAMES: Final = {
    "RUB": ("₽", "р", "р.", "руб", "руб.", "рублей", "rub", "rub.", "rur"),
    "USD": ("$", "us$", "usd"),
    "EUR": ("€", "eur"),
    "GBP": ("£", "gbp"),
    "KZT": ("₸", "тг", "тенге", "kzt"),
    "BYN": ("br", "byn"),
    "UAH": ("₴", "грн", "грн.", "uah"),
    "CNY": ("¥", "cny"),
}
_MARKS: Final = {name: code for code, names in _NAMES.items() for name in names}
_HUNDREDTHS: Final = 2
_GROUP: Final = 3
_MAX_TEXT: Final = 60
_CODE = re.compile(r"[a-z]{3}", re.IGNORECASE | re.ASCII)


def parse_price(text: str) -> tuple[int, str | None]:
    """The amount in hundredths and the currency when the text names one: "1 999,50 ₽" is (199950, "RUB").

    Raises ValueError with a reason when the text is no single price above zero.
    """
    if machine := _MACHINE.fullmatch(text):
        whole, part = machine.groups()
        if part is None:
            return _checked(int(whole) * 100), None
        if len(part) <= _HUNDREDTHS:
            return _checked(int(whole) * 100 + int(part.ljust(_HUNDREDTHS, "0"))), None
        return _checked(_minor(text[:40])), None
    compact = _FROM.sub("", _SPACES.sub("", text[:_MAX_TEXT]))
    match = _HUMAN.fullmatch(compact)
    if match is None or len(text) > _MAX_TEXT:
        raise ValueError("is not a price")
    before, number, after = match.groups()
    if number.startswith("-"):
        raise ValueError("is below zero")
    mark = (before + after).casefold()
    currency = _MARKS.get(mark) if mark else None
    if mark and currency is None:
        if not _CODE.fullmatch(mark):
            raise ValueError("is not a price")
        currency = mark.upper()
    return _checked(_minor(_dotted(number.lstrip("+")))), currency


def currency_code(text: str) -> str:
    """The ISO 4217 code of a currency as feeds name it (RUR is RUB). Raises ValueError for anything else."""
    known = _MARKS.get(text.strip().casefold())
    if known:
        return known
    if not _CODE.fullmatch(text.strip()):
        raise ValueError("is not a three-letter currency")
    return text.strip().upper()


def _dotted(number: str) -> str:
    """The number with a decimal point and no group separators."""
    comma, dot = number.rfind(","), number.rfind(".")
    if comma >= 0 and dot >= 0:
        decimal, group = (",", ".") if comma > dot else (".", ",")
        return number.replace(group, "").replace(decimal, ".")
    separator = "," if comma >= 0 else "."
    head, *groups = number.split(separator)
    if len(groups) > 1 or (groups and len(groups[0]) == _GROUP and head not in ("", "0")):
        if any(len(group) != _GROUP for group in groups):
            raise ValueError("is not a price")
        return head + "".join(groups)
    return number.replace(separator, ".")


def _minor(number: str) -> int:
    try:
        return int((Decimal(number) * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    except ArithmeticError:
        raise ValueError("is not a price") from None


def _checked(minor: int) -> int:
    if minor <= 0:
        raise ValueError("must be above zero")
    if minor > MAX_MINOR:
        raise ValueError("is impossibly high")
    return minor
