"""Strict checking of knowledge entries: every problem is collected with its file and entry, none is guessed away."""

import re
from collections.abc import Mapping
from typing import Any, Final

from gifty.ontology.models import AXES, GAPS, GENDERS, MAX_AGE, NEEDS, ROLES, WISH_TAGS

DERIVED_AXES: Final = frozenset({"age_suitability", "gender_bias"})
DEFAULT_AXES: Final = {
    "wow": 0.3, "warmth": 0.4, "romance": 0.1, "practicality": 0.4, "usage_frequency": 0.4,
    "occasion_versatility": 0.6, "aesthetics": 0.4, "social_risk": 0.2,
}  # fmt: skip
INHERITED: Final[Mapping[str, Any]] = {
    "role": "thing", "gift": 0.4, "gender": "any", "ages": [12, 99], "closeness": 0, "interests": {}, "needs": [],
    "occasions": [], "vibes": [], "rooms": [], "gaps": [], "axes": {}, "breaks": [],
}  # fmt: skip
KIND_KEYS: Final = frozenset({"id", "ru", "en", "is", "forms", "not_before", *INHERITED})
SHOWN_PROBLEMS: Final = 40

_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class OntologyError(ValueError):
    """The knowledge files contradict their format; `problems` names file and entry of each."""

    def __init__(self, problems: list[str]) -> None:
        shown = problems[:SHOWN_PROBLEMS]
        more = [f"… and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        super().__init__("\n".join(["the knowledge files have problems:", *shown, *more]))
        self.problems = tuple(problems)


class Entry:
    """One table of a knowledge file, read field by field; problems go to a shared list."""

    def __init__(self, table: Mapping[str, Any], where: str, problems: list[str]) -> None:
        self.table = table
        self.where = where
        self._problems = problems

    def problem(self, message: str) -> None:
        """Notes a problem of this entry."""
        self._problems.append(f"{self.where}: {message}")

    def only(self, known: frozenset[str]) -> None:
        """Refuses keys that are not known."""
        for key in self.table:
            if key not in known:
                self.problem(f"unknown key {key!r} (known: {', '.join(sorted(known))})")

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.table.get(key, default)
        if not isinstance(value, str) or not value.strip():
            self.problem(f"{key} must be a text")
            return ""
        return value.strip()

    def number(self, key: str, default: float, low: float = 0.0, high: float = 1.0) -> float:
        """A number within bounds."""
        return self._number(key, self.table.get(key, default), low, high)

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.problem(f"{key} must be a number from {low:g} to {high:g}, not {value!r}")
            return low
        return float(value)

    def words(self, key: str, known: frozenset[str] | None = None) -> list[str]:
        """A list of texts, each one of `known` when that is given."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or any(not isinstance(word, str) or not word.strip() for word in value):
            self.problem(f"{key} must be a list of texts")
            return []
        words = list(dict.fromkeys(word.strip() for word in value))
        for word in words:
            if known is not None and word not in known:
                self.problem(f"{key} has unknown {word!r}")
        return words

    def weights(self, key: str, known: frozenset[str]) -> dict[str, float]:
        """Weights 0..1 by id, from a table or from a list of "id" and "id:0.5"."""
        value = self.table.get(key, {})
        pairs: dict[str, Any] = {}
        if isinstance(value, dict):
            pairs = value
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            for item in value:
                name, _, weight = item.partition(":")
                try:
                    pairs[name.strip()] = float(weight) if weight else 1.0
                except ValueError:
                    self.problem(f"{key} has a weight that is no number: {item!r}")
        else:
            self.problem(f"{key} must be a list of ids or a table of weights")
        for name in pairs:
            if name not in known:
                self.problem(f"{key} has unknown {name!r}")
        return {
            name: self._number(f"{key}.{name}", weight, 0.0, 1.0) for name, weight in pairs.items() if name in known
        }

    def choice(self, key: str, known: frozenset[str], default: str) -> str:
        """One of the known words."""
        value = self.table.get(key, default)
        if value not in known:
            self.problem(f"{key} must be one of {', '.join(sorted(known))}, not {value!r}")
            return default
        return str(value)

    def ages(self, key: str = "ages") -> list[int] | None:
        """A pair [youngest, oldest]."""
        value = self.table.get(key)
        if value is None:
            return None
        good = isinstance(value, list) and len(value) == 2 and all(type(age) is int for age in value)  # noqa: PLR2004
        if not good or not 0 <= value[0] <= value[1] <= MAX_AGE:
            self.problem(f"{key} must be [youngest, oldest] within 0..{MAX_AGE}, not {value!r}")
            return None
        return list(value)


def check(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Checked and resolved entries of all files, ready to be compiled. Raises OntologyError."""
    problems: list[str] = []
    forms: list[tuple[str, str, str, str]] = []
    surface: dict[str, list[str]] = {}
    tables: dict[str, list[Entry]] = {name: [] for name in ("kind", "interest", "franchise", "cue", "shelf")}
    grammar: dict[str, list[str]] = {}
    for name, document in documents.items():
        for key, listed in document.items():
            if key == "grammar" and isinstance(listed, dict):
                grammar.update({word: Entry(listed, f"{name} [grammar]", problems).words(word) for word in listed})
            elif key in tables and isinstance(listed, list):
                tables[key].extend(
                    Entry(table, f"{name} [[{key}]] {table.get('id', f'number {number}')!r}", problems)
                    for number, table in enumerate(listed, 1)
                )
            else:
                problems.append(f"{name}: unknown table {key!r} (known: {', '.join(sorted(tables))}, grammar)")
    ids = {name: _ids(name, listed) for name, listed in tables.items()}
    interests = frozenset(ids["interest"])
    kinds = _kinds(ids["kind"], interests, forms, surface)
    checked = {
        "interests": [_interest(entry, interests, forms, surface) for entry in ids["interest"].values()],
        "kinds": kinds,
        "franchises": [
            _franchise(entry, interests, frozenset(ids["kind"]), forms) for entry in ids["franchise"].values()
        ],
        "cues": [_cue(entry, interests, forms) for entry in ids["cue"].values()],
        "shelves": [_shelf(entry, interests, forms) for entry in ids["shelf"].values()],
        "grammar": grammar,
        "forms": list(dict.fromkeys(forms)),
        "surface": surface,
    }
    if problems:
        raise OntologyError(problems)
    return checked


def _ids(name: str, listed: list[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in listed:
        identity = entry.table.get("id")
        if not isinstance(identity, str) or not _ID.fullmatch(identity):
            entry.problem("id must be snake_case English")
        elif identity in found:
            entry.problem(f"the {name} {identity!r} is already in {found[identity].where}")
        else:
            found[identity] = entry
    return found


def _kinds(
    listed: Mapping[str, Entry],
    interests: frozenset[str],
    forms: list[tuple[str, str, str, str]],
    surface: dict[str, list[str]],
) -> list[dict[str, Any]]:
    own: dict[str, dict[str, Any]] = {}
    for identity, entry in listed.items():
        entry.only(KIND_KEYS)
        own[identity] = _own(entry, interests)
        parent = entry.table.get("is")
        if parent is not None and parent not in listed:
            entry.problem(f"is names an unknown kind {parent!r}")
        written = entry.words("forms")
        surface[f"kind:{identity}"] = written
        forms.extend(("kind", identity, form, entry.where) for form in written)
        forms.extend(("!", identity, form, entry.where) for form in entry.words("not_before"))
    rows = []
    for identity, entry in listed.items():
        line: list[str] = []
        current: Any = identity
        while isinstance(current, str) and current in listed:
            if current in line:
                entry.problem(f"is runs in a circle: {' -> '.join([*line, current])}")
                break
            line.append(current)
            current = listed[current].table.get("is")
        row: dict[str, Any] = {
            key: next((own[name][key] for name in line if key in own[name]), default)
            for key, default in INHERITED.items()
        }
        row["axes"] = DEFAULT_AXES | {k: v for name in reversed(line) for k, v in own[name].get("axes", {}).items()}
        row["breaks"] = sorted({tag for name in line for tag in own[name].get("breaks", ())})
        row |= {
            "id": identity, "ru": entry.text("ru", identity), "en": entry.text("en", identity),
            "is": entry.table.get("is"), "domain": entry.where.split(" ")[0].rpartition("/")[2].removesuffix(".toml"),
        }  # fmt: skip
        rows.append(row)
    return rows


def _own(entry: Entry, interests: frozenset[str]) -> dict[str, Any]:
    readers: dict[str, Any] = {
        "role": lambda: entry.choice("role", ROLES, "thing"),
        "gift": lambda: entry.number("gift", 0.4),
        "gender": lambda: entry.choice("gender", GENDERS, "any"),
        "ages": lambda: entry.ages() or INHERITED["ages"],
        "closeness": lambda: int(entry.number("closeness", 0, 0, 3)),
        "interests": lambda: entry.weights("interests", interests),
        "needs": lambda: entry.words("needs", NEEDS),
        "occasions": lambda: entry.words("occasions"),
        "vibes": lambda: entry.words("vibes"),
        "rooms": lambda: entry.words("rooms"),
        "gaps": lambda: entry.words("gaps", frozenset(GAPS)),
        "axes": lambda: entry.weights("axes", frozenset(AXES) - DERIVED_AXES),
        "breaks": lambda: entry.words("breaks", frozenset(WISH_TAGS)),
    }
    return {key: read() for key, read in readers.items() if key in entry.table}


def _interest(
    entry: Entry, interests: frozenset[str], forms: list[tuple[str, str, str, str]], surface: dict[str, list[str]]
) -> dict[str, Any]:
    entry.only(frozenset({"id", "ru", "en", "forms", "motifs", "near", "needs", "vibes", "polarising"}))
    identity = entry.table["id"]
    said, motifs = entry.words("forms"), entry.words("motifs")
    surface[f"interest:{identity}"] = list(dict.fromkeys([*said, *motifs]))
    forms.extend(("interest", identity, form, entry.where) for form in [identity.replace("_", " "), *said])
    forms.extend(("motif", identity, form, entry.where) for form in motifs)
    return {
        "id": identity, "ru": entry.text("ru"), "en": entry.text("en"), "near": entry.weights("near", interests),
        "needs": entry.words("needs", NEEDS), "vibes": entry.words("vibes"),
        "polarising": entry.number("polarising", 0.0),
    }  # fmt: skip


def _franchise(
    entry: Entry, interests: frozenset[str], kinds: frozenset[str], forms: list[tuple[str, str, str, str]]
) -> dict[str, Any]:
    entry.only(frozenset({"id", "name", "forms", "interests", "kind", "bonus"}))
    identity = entry.table["id"]
    kind = entry.table.get("kind")
    if kind is not None and kind not in kinds:
        entry.problem(f"kind names an unknown kind {kind!r}")
    forms.extend(("franchise", identity, form, entry.where) for form in entry.words("forms"))
    return {
        "id": identity, "name": entry.text("name"), "interests": entry.weights("interests", interests), "kind": kind,
        "bonus": entry.number("bonus", 0.1, 0.0, 0.5),
    }  # fmt: skip


def _cue(entry: Entry, interests: frozenset[str], forms: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    entry.only(
        frozenset(
            {"id", "group", "forms", "breaks", "interests", "gift", "axes", "gender", "ages", "closeness", "governs"}
        )
    )
    forms.extend(("cue", entry.table["id"], form, entry.where) for form in entry.words("forms"))
    governs = entry.table.get("governs", True)
    if not isinstance(governs, bool):
        entry.problem("governs must be true or false")
    return {
        "id": entry.table["id"], "group": entry.text("group"), "breaks": entry.words("breaks", frozenset(WISH_TAGS)),
        "interests": entry.weights("interests", interests), "gift": entry.number("gift", 1.0, 0.0, 2.0),
        "axes": entry.weights("axes", frozenset(AXES)), "gender": entry.choice("gender", GENDERS, "any"),
        "ages": entry.ages(), "closeness": int(entry.number("closeness", 0, 0, 3)), "governs": bool(governs),
    }  # fmt: skip


def _shelf(entry: Entry, interests: frozenset[str], forms: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    entry.only(frozenset({"id", "forms", "domains", "gift", "interests", "gender", "ages"}))
    forms.extend(("shelf", entry.table["id"], form, entry.where) for form in entry.words("forms"))
    return {
        "id": entry.table["id"], "domains": entry.words("domains"), "gift": entry.number("gift", 0.3),
        "interests": entry.weights("interests", interests), "gender": entry.choice("gender", GENDERS, "any"),
        "ages": entry.ages(),
    }  # fmt: skip
