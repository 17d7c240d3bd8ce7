"""Reads the knowledge files into one immutable Ontology, strictly, and keeps a compiled copy for fast starts."""

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from gifty.ontology import entries
from gifty.ontology.entries import OntologyError
from gifty.ontology.models import Cue, Franchise, Interest, Kind, Shelf
from gifty.ontology.phrases import MIN_PREFIX, Phrase, PhraseIndex, phrases_of
from gifty.ontology.text import Language

__all__ = ["DATA", "Ontology", "OntologyError", "load_ontology"]

DATA: Final = Path(__file__).parent / "data"
FORMAT: Final = 5
"""Raise when the compiled form changes its shape or the code that makes phrases changes its result."""
KINDS: Final = "kinds"
NOT_BEFORE: Final = "!"
"""Index of the phrases that turn a kind's form into something else."""


@dataclass(frozen=True, slots=True)
class Ontology:
    """Everything Gifty knows about kinds of things, interests, franchises, cues and shop shelves."""

    language: Language
    kinds: Mapping[str, Kind]
    interests: Mapping[str, Interest]
    franchises: Mapping[str, Franchise]
    cues: Mapping[str, Cue]
    shelves: Mapping[str, Shelf]
    grammar: Mapping[str, frozenset[str]]
    """Word lists of the reader by name, lemmatised."""
    kind_forms: PhraseIndex
    not_before: PhraseIndex
    interest_forms: PhraseIndex
    """How people say an interest."""
    motifs: PhraseIndex
    """Words in a product's title that make it fit an interest."""
    franchise_forms: PhraseIndex
    cue_forms: PhraseIndex
    shelf_forms: PhraseIndex
    forms: Mapping[str, tuple[str, ...]]
    """Surface forms as written, under "interest:<id>" and "kind:<id>": for concept vectors and query expansion."""
    stamp: str
    """Changes whenever the knowledge changes; part of the version of scores."""

    def parents(self, kind_id: str) -> list[Kind]:
        """The kind itself and what it is, nearest first."""
        line: list[Kind] = []
        current: str | None = kind_id
        while current is not None:
            kind = self.kinds[current]
            line.append(kind)
            current = kind.parent
        return line

    def family(self, kind_id: str) -> str:
        """The broad group of a kind: the second of its line from the top, or itself when it stands there."""
        line = self.parents(kind_id)
        return line[max(0, len(line) - 2)].id

    def is_a(self, kind_id: str, ancestor: str) -> bool:
        """Whether a kind is the given one or inherits from it."""
        return any(kind.id == ancestor for kind in self.parents(kind_id))


def load_ontology(data: Path = DATA, cache: Path | None = None) -> Ontology:
    """The ontology in `data`; a folder given as `cache` keeps its compiled form between starts.

    Raises OntologyError that names file and entry of every problem found.
    """
    files = sorted([*data.glob("*.toml"), *(data / KINDS).glob("*.toml")])
    if not files:
        raise OntologyError([f"{data}: no knowledge files"])
    raw = {path.relative_to(data).as_posix(): path.read_bytes() for path in files}
    stamp = _stamp(raw)
    kept = cache / f"ontology-{stamp}.json" if cache is not None else None
    language = Language()
    compiled = _read_cache(kept) if kept is not None else None
    if compiled is None:
        compiled = _compile(raw, language)
        if kept is not None:
            _write_cache(kept, compiled)
    return _build(compiled, language, stamp)


def _stamp(raw: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(f"{FORMAT} {version('pymorphy3')} {version('pymorphy3-dicts-ru')}".encode())
    for name, content in raw.items():
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _read_cache(path: Path) -> dict[str, Any] | None:
    try:
        compiled = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return compiled if isinstance(compiled, dict) and compiled.get("format") == FORMAT else None


def _write_cache(path: Path, compiled: Mapping[str, Any]) -> None:
    """Writes beside and renames: nobody sees half a file. A cache that cannot be kept is done without."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as handle:
            handle.write(orjson.dumps(compiled))
        os.replace(handle.name, path)  # noqa: PTH105
        for older in path.parent.glob("ontology-*.json"):
            if older != path:
                older.unlink(missing_ok=True)
    except OSError:
        return


def _compile(raw: Mapping[str, bytes], language: Language) -> dict[str, Any]:
    documents: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for name, content in raw.items():
        try:
            documents[name] = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"{name}: not valid TOML: {error}")
    if problems:
        raise OntologyError(problems)
    checked = entries.check(documents)
    phrases: dict[str, list[list[Any]]] = {}
    prefixes: dict[str, dict[str, list[str]]] = {}
    for index, payload, form, where in checked.pop("forms"):
        if form.endswith("*"):
            prefix = form[:-1].strip().lower().replace("ё", "е")
            if len(prefix) < MIN_PREFIX or " " in prefix:
                problems.append(f"{where}: prefix {form!r} must be one word of at least {MIN_PREFIX} letters")
            prefixes.setdefault(index, {}).setdefault(prefix, []).append(payload)
            continue
        try:
            made = phrases_of(payload, form, language)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        phrases.setdefault(index, []).extend([p.payload, p.head, p.loose, p.tail] for p in made)
    if problems:
        raise OntologyError(problems)
    grammar = {
        name: sorted({lemma for word in words for lemma in _lemmas_of(word, language)})
        for name, words in checked.pop("grammar").items()
    }
    return {"format": FORMAT, "phrases": phrases, "prefixes": prefixes, "grammar": grammar, **checked}


def _lemmas_of(word: str, language: Language) -> Iterable[str]:
    tokens = language.tokens(word)
    return (
        language.dictionary_forms(tokens[0].text)
        if len(tokens) == 1 and tokens[0].script == "ru"
        else (lemma for token in tokens for lemma in token.word.lemmas)
    )


def _build(compiled: Mapping[str, Any], language: Language, stamp: str) -> Ontology:
    def index(name: str) -> PhraseIndex:
        rows: Sequence[Sequence[Any]] = compiled["phrases"].get(name, ())
        return PhraseIndex(
            (Phrase(payload, head, tuple(loose), tuple(tail)) for payload, head, loose, tail in rows),
            compiled["prefixes"].get(name, {}),
        )

    return Ontology(
        language=language,
        kinds=_table(compiled["kinds"], _kind),
        interests=_table(compiled["interests"], _interest),
        franchises=_table(compiled["franchises"], _franchise),
        cues=_table(compiled["cues"], _cue),
        shelves=_table(compiled["shelves"], _shelf),
        grammar=MappingProxyType({name: frozenset(words) for name, words in compiled["grammar"].items()}),
        kind_forms=index("kind"),
        not_before=index(NOT_BEFORE),
        interest_forms=index("interest"),
        motifs=index("motif"),
        franchise_forms=index("franchise"),
        cue_forms=index("cue"),
        shelf_forms=index("shelf"),
        forms=MappingProxyType({key: tuple(forms) for key, forms in compiled["surface"].items()}),
        stamp=stamp,
    )


def _table(rows: Sequence[Mapping[str, Any]], make: Any) -> Mapping[str, Any]:
    return MappingProxyType({row["id"]: make(row) for row in rows})


def _frozen(mapping: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType(dict(mapping))


def _pair(ages: Sequence[int] | None) -> tuple[int, int] | None:
    return None if ages is None else (ages[0], ages[1])


def _kind(row: Mapping[str, Any]) -> Kind:
    return Kind(
        id=row["id"],
        ru=row["ru"],
        en=row["en"],
        parent=row["is"],
        domain=row["domain"],
        role=row["role"],
        gift=row["gift"],
        gender=row["gender"],
        ages=(row["ages"][0], row["ages"][1]),
        closeness=row["closeness"],
        interests=_frozen(row["interests"]),
        needs=tuple(row["needs"]),
        occasions=tuple(row["occasions"]),
        vibes=tuple(row["vibes"]),
        rooms=tuple(row["rooms"]),
        gaps=tuple(row["gaps"]),
        axes=_frozen(row["axes"]),
        breaks=frozenset(row["breaks"]),
    )


def _interest(row: Mapping[str, Any]) -> Interest:
    return Interest(
        row["id"],
        row["ru"],
        row["en"],
        _frozen(row["near"]),
        tuple(row["needs"]),
        tuple(row["vibes"]),
        row["polarising"],
    )


def _franchise(row: Mapping[str, Any]) -> Franchise:
    return Franchise(row["id"], row["name"], _frozen(row["interests"]), row["kind"], row["bonus"])


def _cue(row: Mapping[str, Any]) -> Cue:
    return Cue(
        id=row["id"],
        group=row["group"],
        breaks=frozenset(row["breaks"]),
        interests=_frozen(row["interests"]),
        gift=row["gift"],
        axes=_frozen(row["axes"]),
        gender=row["gender"],
        ages=_pair(row["ages"]),
        closeness=row["closeness"],
        governs=row["governs"],
    )


def _shelf(row: Mapping[str, Any]) -> Shelf:
    return Shelf(
        row["id"], tuple(row["domains"]), row["gift"], _frozen(row["interests"]), row["gender"], _pair(row["ages"])
    )
