"""The words of the pages, by language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from aiohttp import hdrs, web

Language: TypeAlias = Literal["ru", "en"]

LANGUAGES: Final[tuple[Language, ...]] = ("ru", "en")
FOLDER: Final = Path(__file__).parent / "texts"

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_SIGNS: Final = MappingProxyType({"RUB": "₽", "USD": "$", "EUR": "€", "GBP": "£", "KZT": "₸", "UAH": "₴", "TRY": "₺"})
_MARKS: Final = MappingProxyType({"ru": str.maketrans(",.", f"{_NO_BREAK},"), "en": str.maketrans("", "")})
_SLOT: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Texts:
    """Everything the pages say in one language."""

    lang: Language
    words: Mapping[str, Any]

    def __getitem__(self, section: str) -> Any:
        return self.words[section]

    def money(self, amount: Decimal | float | str, currency: str = "RUB") -> str:
        """An amount with its currency: `1 999 ₽`; kopecks only where there are any."""
        rounded = Decimal(str(amount)).quantize(Decimal("0.01"), ROUND_HALF_UP)
        text = f"{rounded:,.2f}" if rounded % 1 else f"{rounded:,.0f}"
        text = text.translate(_MARKS[self.lang])
        return f"{text}{_NO_BREAK}{_SIGNS.get(currency, currency)}"

    def count(self, number: int) -> str:
        """`12 ideas`, in the right plural form."""
        form: str = self.words["states"][f"count_{_plural(self.lang, number)}"]
        return form.format(number)

    def heading(self, **parts: str) -> str:
        """The answers so far as a title; parts that are not known yet are left out."""
        filled = _SLOT.sub(lambda slot: parts.get(slot[1], ""), self.words["results"]["heading"])
        line = " ".join(filled.split())
        return line[:1].upper() + line[1:]


def load_texts(folder: Path = FOLDER) -> Mapping[Language, Texts]:
    """Reads the texts of all languages."""
    return MappingProxyType(
        {lang: Texts(lang, tomllib.loads((folder / f"{lang}.toml").read_text("utf-8"))) for lang in LANGUAGES}
    )


def language_of(request: web.Request) -> Language:
    """The language of the address, else the best one that the browser accepts, else Russian."""
    asked = request.query.get("lang", "")
    for lang in LANGUAGES:
        if asked == lang:
            return lang
    ranked = sorted(enumerate(request.headers.get(hdrs.ACCEPT_LANGUAGE, "").split(",")), key=_rank)
    for _, choice in ranked:
        for lang in LANGUAGES:
            if choice.strip().lower().startswith(lang):
                return lang
    return "ru"


def _rank(numbered: tuple[int, str]) -> tuple[float, int]:
    place, choice = numbered
    weight = re.search(r";\s*q=([01](?:\.\d+)?)", choice)
    return -(float(weight[1]) if weight else 1.0), place


def _plural(lang: Language, number: int) -> str:
    """The plural form by the rules of CLDR, as browsers know them."""
    if lang == "en":
        return "one" if number == 1 else "many"
    last, tens = number % 10, number % 100
    if last == 1 and tens != 11:  # noqa: PLR2004
        return "one"
    return "few" if last in {2, 3, 4} and tens not in {12, 13, 14} else "many"
