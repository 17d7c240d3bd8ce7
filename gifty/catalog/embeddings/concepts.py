"""Concepts behind words: what lets "чайник" meet "teapot", and a coffee lover a coffee maker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, Protocol

from gifty.ontology.loader import Ontology
from gifty.ontology.text import Token

BEGINNING: Final = 4
CACHED_WORDS: Final = 65_536
KIND_INTEREST: Final = 0.6
"""How strongly a thing of a kind stands for an interest that the kind serves fully."""
PARENT: Final = 0.5
"""What is left of a kind's weight one step up."""
NEAR: Final = 0.4
"""How strongly a query for one interest also means its neighbours."""
HEAD: Final = 0.7
"""How strongly a kind stands for the noun that heads its forms: "teapot" and "kettle" are both a "чайник"."""
PART: Final = 0.3
"""What is left of a phrase's weight inside a longer phrase: "phone" in "phone case"."""
_CYRILLIC: Final = re.compile("[а-я]")
_FAINT: Final = 0.1
_USUAL_HEAD: Final = 0.25
_SHORTEST_PREFIX: Final = 3


class ConceptLexicon(Protocol):
    """Knows which concepts the words of a text name."""

    @property
    def version(self) -> str:
        """Changes with the knowledge."""
        ...

    def concepts_of(self, tokens: Sequence[Token], *, query: bool = False) -> dict[str, float]:
        """Concepts and how strongly (0..1) the words name them; a `query` also names what is near."""
        ...

    def may_name(self, word: str) -> bool:
        """Whether some word of the lexicon begins like this one; a word of which that is false names no concept."""
        ...

    def name(self, concept: str, language: str) -> str | None:
        """What people call a concept in "ru" or "en"."""
        ...


class NoConcepts:
    """Knows nothing; leaves an embedder with words and letters."""

    version = "none"

    def concepts_of(self, tokens: Sequence[Token], *, query: bool = False) -> dict[str, float]:  # noqa: ARG002
        """No concepts."""
        return {}

    def may_name(self, word: str) -> bool:  # noqa: ARG002
        """No word does."""
        return False

    def name(self, concept: str, language: str) -> str | None:  # noqa: ARG002
        """No names."""
        return None


class _Form:
    """A surface form: the lemmas that must all be there."""

    __slots__ = ("concept", "lemmas")

    def __init__(self, concept: str, lemmas: frozenset[str]) -> None:
        self.concept = concept
        self.lemmas = lemmas


class OntologyConcepts:
    """The kinds and interests of the ontology, found by their surface forms in any order and word form.

    A kind stands for itself, more faintly for what it is, and for the interests it serves.
    """

    def __init__(self, ontology: Ontology) -> None:
        self.version = ontology.stamp
        self._forms: dict[str, list[_Form]] = {}
        self._prefixes: dict[str, list[str]] = {}
        frequency: Counter[str] = Counter()
        heads: dict[str, Counter[str]] = {}
        forms: list[_Form] = []
        for table, index in (
            ("kind", ontology.kind_forms), ("interest", ontology.interest_forms), ("interest", ontology.motifs)
        ):  # fmt: skip
            for phrase in index.phrases():
                concept = f"{table}:{phrase.payload}"
                form = _Form(concept, frozenset((phrase.head, *phrase.loose, *phrase.tail)))
                forms.append(form)
                frequency.update(form.lemmas)
                if _CYRILLIC.match(phrase.head):
                    heads.setdefault(concept, Counter())[phrase.head] += 1
            for prefix, payloads in index.prefixes().items():
                self._prefixes.setdefault(prefix, []).extend(f"{table}:{payload}" for payload in payloads)
        for form in forms:
            rarest = min(form.lemmas, key=lambda lemma: (frequency[lemma], lemma))
            self._forms.setdefault(rarest, []).append(form)
        self._beginnings = frozenset(word[:BEGINNING] for word in (*frequency, *self._prefixes))
        self._longest_prefix = max(map(len, self._prefixes), default=0)
        self._prefixed = lru_cache(maxsize=CACHED_WORDS)(self._find_prefixed)
        self._names = {f"kind:{kind.id}": (kind.ru, kind.en) for kind in ontology.kinds.values()} | {
            f"interest:{interest.id}": (interest.ru, interest.en) for interest in ontology.interests.values()
        }
        self._meaning = {
            concept: dict(_meaning(ontology, concept, heads.get(concept, Counter()))) for concept in self._names
        }
        self._near = {
            f"interest:{interest.id}": {f"interest:{other}": NEAR * weight for other, weight in interest.near.items()}
            for interest in ontology.interests.values()
        }

    def concepts_of(self, tokens: Sequence[Token], *, query: bool = False) -> dict[str, float]:
        """Concepts and how strongly the words name them."""
        present = dict.fromkeys(lemma for token in tokens for lemma in token.word.lemmas).keys()
        hits = [
            form for lemma in present if lemma in self._forms for form in self._forms[lemma] if form.lemmas <= present
        ]
        named: dict[str, float] = {}
        for hit in hits:
            inside = len(hits) > 1 and any(hit.lemmas < other.lemmas for other in hits)
            weight = PART if inside else 1.0
            named[hit.concept] = max(named.get(hit.concept, 0.0), weight)
        for token in tokens:
            for concept in self._prefixed(token.text):
                named[concept] = 1.0
        meant: dict[str, float] = {}
        for concept, weight in named.items():
            for other, strength in self._meaning[concept].items():
                meant[other] = max(meant.get(other, 0.0), weight * strength)
        if query:
            for concept in tuple(meant):
                for other, strength in self._near.get(concept, {}).items():
                    if meant[concept] * strength >= _FAINT:
                        meant[other] = max(meant.get(other, 0.0), meant[concept] * strength)
        return meant

    def may_name(self, word: str) -> bool:
        """Whether some word of the lexicon begins like this one."""
        return word[:BEGINNING] in self._beginnings or word[:_SHORTEST_PREFIX] in self._beginnings

    def name(self, concept: str, language: str) -> str | None:
        """What people call a concept in "ru" or "en"."""
        names = self._names.get(concept)
        return None if names is None else names[language == "en"]

    def _find_prefixed(self, word: str) -> tuple[str, ...]:
        lengths = range(_SHORTEST_PREFIX, min(len(word), self._longest_prefix) + 1)
        return tuple(concept for length in lengths for concept in self._prefixes.get(word[:length], ()))


def _meaning(ontology: Ontology, concept: str, heads: Counter[str]) -> Iterator[tuple[str, float]]:
    """A concept and what it stands for besides, each with its strength."""
    yield concept, 1.0
    table, _, identity = concept.partition(":")
    if table != "kind":
        return
    strength = 1.0
    for parent in ontology.parents(identity)[1:]:
        strength *= PARENT
        if strength < _FAINT:
            break
        yield f"kind:{parent.id}", strength
    for interest, weight in ontology.kinds[identity].interests.items():
        if KIND_INTEREST * weight >= _FAINT:
            yield f"interest:{interest}", KIND_INTEREST * weight
    for head, times in heads.items():
        if times >= _USUAL_HEAD * heads.total():
            yield f"head:{head}", HEAD
