"""The theory as data: gaps and their subtypes, needs, occasions, relations and vibes, in Russian and English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gifty.ontology.entries import Entry, OntologyError
from gifty.ontology.loader import Ontology
from gifty.ontology.models import AXES, GAPS, NEEDS
from gifty.ontology.phrases import Phrase, PhraseIndex, phrases_of

FOLDER: Final = Path(__file__).parent / "knowledge"
TABLES: Final = ("gap", "subtype", "need", "occasion", "relation", "person", "vibe")
_KEYS: Final = {
    "gap": {"id", "ru", "en", "axes", "needs"},
    "subtype": {"id", "gap", "ru", "en", "forms"},
    "need": {"id", "ru", "en", "forms"},
    "occasion": {"id", "ru", "en", "forms", "gaps", "axes", "themes", "rooms"},
    "relation": {"id", "ru", "en", "forms", "closeness", "ages", "gaps", "axes", "interests"},
    "person": {"gender", "forms"},
    "vibe": {"id", "ru", "en", "forms", "kinds", "axes", "interests", "price"},
}
MAX_PRICE_PULL: Final = 2.0


@dataclass(frozen=True, slots=True)
class Notion:
    """One entry of the theory; fields that its table does not have stay empty."""

    id: str
    ru: str
    en: str
    gap: str = ""
    axes: Mapping[str, float] = field(default_factory=dict)
    gaps: Mapping[str, float] = field(default_factory=dict)
    kinds: Mapping[str, float] = field(default_factory=dict)
    interests: Mapping[str, float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    themes: frozenset[str] = frozenset()
    rooms: frozenset[str] = frozenset()
    closeness: int = 1
    ages: tuple[int, int] | None = None
    price: float = 1.0
    gender: str = ""

    def name(self, language: str) -> str:
        """Its name for people."""
        return self.en if language == "en" else self.ru


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All notions by table and id, and how people say them."""

    notions: Mapping[str, Mapping[str, Notion]]
    forms: Mapping[str, PhraseIndex]

    def __getitem__(self, table: str) -> Mapping[str, Notion]:
        return self.notions[table]


def load_knowledge(ontology: Ontology, folder: Path = FOLDER) -> Knowledge:
    """Reads and checks the knowledge files. Raises OntologyError that names file and entry of every problem."""
    problems: list[str] = []
    tables: dict[str, dict[str, Notion]] = {name: {} for name in TABLES}
    phrases: dict[str, list[Phrase]] = {name: [] for name in TABLES}
    for path in sorted(folder.glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        for table, listed in document.items():
            if table not in tables:
                problems.append(f"{path.name}: unknown table {table!r}")
                continue
            for number, raw in enumerate(listed, 1):
                identity = str(raw.get("id", raw.get("gender", number)))
                entry = Entry(raw, f"{path.name} [[{table}]] {identity!r}", problems)
                entry.only(frozenset(_KEYS[table]))
                if identity in tables[table]:
                    entry.problem("is there twice")
                tables[table][identity] = _notion(entry, identity, ontology)
                for form in entry.words("forms"):
                    phrases[table].extend(phrases_of(identity, form, ontology.language))
    if problems:
        raise OntologyError(problems)
    return Knowledge(
        MappingProxyType({name: MappingProxyType(found) for name, found in tables.items()}),
        MappingProxyType({name: PhraseIndex(listed, {}) for name, listed in phrases.items()}),
    )


def _notion(entry: Entry, identity: str, ontology: Ontology) -> Notion:
    axes, interests = frozenset(AXES), frozenset(ontology.interests)
    ages = entry.ages()
    kinds: Any = entry.table.get("kinds", {})
    return Notion(
        id=identity,
        ru=entry.text("ru", identity),
        en=entry.text("en", identity),
        gap=entry.choice("gap", frozenset(GAPS), "mirror") if "gap" in entry.table else "",
        axes=MappingProxyType(entry.weights("axes", axes)),
        gaps=MappingProxyType(entry.weights("gaps", frozenset(GAPS))),
        kinds=MappingProxyType(entry.weights("kinds", frozenset(kinds))),
        interests=MappingProxyType(entry.weights("interests", interests)),
        needs=tuple(entry.words("needs", NEEDS)),
        themes=frozenset(entry.words("themes")),
        rooms=frozenset(entry.words("rooms")),
        closeness=int(entry.number("closeness", 1, 0, 3)),
        ages=None if ages is None else (ages[0], ages[1]),
        price=entry.number("price", 1.0, 0.5, MAX_PRICE_PULL),
        gender=entry.choice("gender", frozenset({"female", "male", ""}), ""),
    )
