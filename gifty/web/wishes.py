"""The five questions, and the answers to them as the page's address carries them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from multidict import MultiMapping

from gifty.web.texts import Texts

FILE: Final = Path(__file__).with_name("questions.toml")
SHOWN: Final = 11
MORE: Final = 9
MOST_SHOWN: Final = SHOWN + 2 * MORE
"""The first card is two wide; these numbers fill whole rows of two and of three."""
LONGEST_ABOUT: Final = 300

_LARGEST_PRICE: Final = 10_000_000
_TAPPED: Final = ("person", "occasion", "age", "budget")


@dataclass(frozen=True, slots=True)
class Questions:
    """What can be answered. `briefs` maps question and answer to what they add to the body of a generate request."""

    briefs: Mapping[str, Mapping[str, Mapping[str, Any]]]
    interests: tuple[str, ...]
    more_interests: tuple[str, ...]
    tags: tuple[str, ...]


def load_questions(file: Path = FILE) -> Questions:
    """Reads the questions."""
    document = tomllib.loads(file.read_text("utf-8"))
    return Questions(
        briefs=MappingProxyType({name: {one["id"]: one["brief"] for one in document[name]} for name in _TAPPED}),
        interests=tuple(document["interests"]["first"]),
        more_interests=tuple(document["interests"]["more"]),
        tags=tuple(document["wishes"]["tags"]),
    )


@dataclass(frozen=True, slots=True)
class Wishes:
    """The answers so far."""

    tapped: Mapping[str, str]
    interests: tuple[str, ...] = ()
    about: str = ""
    low: int | None = None
    high: int | None = None
    tags: tuple[str, ...] = ()
    shown: int = SHOWN
    lang: str = ""

    @classmethod
    def read(cls, query: MultiMapping[str], questions: Questions) -> Wishes:
        """The answers in an address. Whatever makes no sense is passed over: an old link must still open."""
        known = {*questions.interests, *questions.more_interests}
        tapped = {name: query.get(name, "") for name in _TAPPED}
        about = "".join(letter for letter in query.get("about", "") if letter.isprintable())
        return cls(
            tapped={name: answer for name, answer in tapped.items() if answer in questions.briefs[name]},
            interests=tuple(dict.fromkeys(one for one in query.getall("interest", []) if one in known)),
            about=about.strip()[:LONGEST_ABOUT],
            low=_price(query.get("min")),
            high=_price(query.get("max")),
            tags=tuple(dict.fromkeys(tag for tag in query.getall("wish", []) if tag in questions.tags)),
            shown=min(max(_price(query.get("show")) or SHOWN, 1), MOST_SHOWN),
            lang=query.get("lang", "") if query.get("lang") in {"ru", "en"} else "",
        )

    def brief(self, questions: Questions, lang: str) -> dict[str, Any]:
        """The body of a generate request."""
        body: dict[str, Any] = {"language": lang, "top_n": self.shown}
        for name in _TAPPED:
            if name in self.tapped:
                body |= questions.briefs[name][self.tapped[name]]
        if self.interests:
            body["interests"] = list(self.interests)
        if self.about:
            body["interests_description"] = self.about
        bounds = {"min_price": self.low, "max_price": self.high, "tags": list(self.tags)}
        if constraints := {name: value for name, value in bounds.items() if value}:
            body["constraints"] = constraints
        return body

    def address(self, **changes: str | int | None) -> str:
        """The address of the page with these answers; `changes` replaces or (None) drops single parameters."""
        pairs: list[tuple[str, str | int | None]] = [*self.tapped.items()]
        pairs += [("interest", one) for one in self.interests]
        pairs += [("about", self.about or None), ("min", self.low), ("max", self.high)]
        pairs += [("wish", tag) for tag in self.tags]
        pairs += [("show", None if self.shown == SHOWN else self.shown), ("lang", self.lang or None)]
        kept = [(name, value) for name, value in pairs if name not in changes and value is not None]
        kept += [(name, value) for name, value in changes.items() if value is not None]
        return f"/?{urlencode(kept)}" if kept else "/"

    def heading(self, texts: Texts) -> str:
        """The answers as a title."""
        parts = {name: texts[f"{name}_phrase"][answer] for name, answer in self.tapped.items() if name in _PHRASED}
        if "budget" in self.tapped:
            parts["budget"] = texts["budget"]["phrase"].format(texts.money(self.tapped["budget"]))
        return texts.heading(start=texts["results"]["start"], **parts)

    @property
    def refined(self) -> int:
        """How many refinements are set."""
        return len(self.tags) + (self.low is not None) + (self.high is not None)


_PHRASED: Final = frozenset({"person", "occasion"})


def _price(text: str | None) -> int | None:
    digits = "".join((text or "").split())
    if not digits.isascii() or not digits.isdigit() or len(digits) > len(str(_LARGEST_PRICE)):
        return None
    return min(int(digits), _LARGEST_PRICE)
