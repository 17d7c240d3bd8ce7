"""Why a gift was found, in a few words of the query's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gifty.catalog.embeddings.concepts import ConceptLexicon
from gifty.catalog.search_models import GiftFilter
from gifty.ontology.text import Language, Token, fold

MOST_NAMED: Final = 3
LIKE: Final = 0.25
"""Cosine from which a gift without common words or concepts is still called similar."""
_NAMED_FROM: Final = 0.45
_CACHED_TITLES: Final = 8_192
_CACHED_WORDS: Final = 65_536
_BEGINNING: Final = 4
_WORD: Final = re.compile(r"[a-zа-я]+|\d+")
_CYRILLIC: Final = re.compile("[а-я]")
_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "ru": {
        "words": "совпали слова: {}",
        "concepts": "по смыслу: {}",
        "mended": "исправлена опечатка: {}",
        "like": "похоже по описанию",
        "age": "подходит по возрасту: {}",
        "price": "укладывается в цену",
    },
    "en": {
        "words": "matching words: {}",
        "concepts": "related to: {}",
        "mended": "typing error mended: {}",
        "like": "similar by description",
        "age": "suits the age: {}",
        "price": "within the price",
    },
}


@dataclass(frozen=True, slots=True)
class Read:
    """A text as reasons compare it."""

    lemmas: Mapping[str, str]
    """Lemma -> the word as written."""
    concepts: Mapping[str, float]
    unread: tuple[str, ...] = ()
    """Words that no dictionary has; reading one takes as long as the rest of the text."""


class Explainer:
    """Compares a query with titles."""

    def __init__(self, language: Language, lexicon: ConceptLexicon) -> None:
        self._language = language
        self._lexicon = lexicon
        self._is_known = lru_cache(maxsize=_CACHED_WORDS)(language.is_known)
        self._title = lru_cache(maxsize=_CACHED_TITLES)(self._read_title)

    def query(self, text: str) -> Read:
        """A query, read once for all its results."""
        return self._read(text)

    def language_of(self, text: str) -> str:
        """Which language to answer in; Russian when there is nothing to go by."""
        return "en" if text and not _CYRILLIC.search(text.lower()) else "ru"

    def reasons(
        self,
        query: Read,
        title: str,
        language: str,
        similarity: float | None,
        mended: Mapping[str, str],
        where: GiftFilter,
    ) -> tuple[str, ...]:
        """At most a handful of short reasons, the strongest first."""
        texts, found = _TEXTS[language], self._title(title)
        lemmas = found.lemmas.keys() | self._similar(query, found, mended)
        reasons: list[str] = []
        common = [word for lemma, word in query.lemmas.items() if lemma in lemmas]
        common += [right for right in mended.values() if self._lemma(right) in lemmas]
        if common:
            reasons.append(texts["words"].format(", ".join(dict.fromkeys(common))))
        concepts = self._common_concepts(query, found, language)
        if concepts:
            reasons.append(texts["concepts"].format(", ".join(concepts)))
        used = [f"{wrong} → {right}" for wrong, right in mended.items() if self._lemma(right) in lemmas]
        if used:
            reasons.append(texts["mended"].format(", ".join(used)))
        if not reasons and similarity is not None and similarity >= LIKE:
            reasons.append(texts["like"])
        if where.age is not None:
            reasons.append(texts["age"].format(where.age))
        if where.max_price is not None:
            reasons.append(texts["price"])
        return tuple(reasons)

    def _common_concepts(self, query: Read, found: Read, language: str) -> list[str]:
        strengths = {
            concept: strength * found.concepts[concept]
            for concept, strength in query.concepts.items()
            if found.concepts.get(concept, 0.0) >= _NAMED_FROM and strength >= _NAMED_FROM
        }
        names = (
            self._lexicon.name(concept, language) for concept in sorted(strengths, key=lambda c: (-strengths[c], c))
        )
        return [name for name in dict.fromkeys(names) if name][:MOST_NAMED]

    def _lemma(self, word: str) -> str:
        return self._language.word(word).lemmas[0]

    def _similar(self, query: Read, found: Read, mended: Mapping[str, str]) -> set[str]:
        """Lemmas of the title's unread words that begin like a word that was looked for."""
        if not found.unread:
            return set()
        beginnings = {word[:_BEGINNING] for word in (*query.lemmas.values(), *mended.values())}
        return {self._lemma(word) for word in found.unread if word[:_BEGINNING] in beginnings}

    def _read(self, text: str) -> Read:
        return self._reading(dict.fromkeys(_WORD.findall(fold(text))), ())

    def _read_title(self, text: str) -> Read:
        words = dict.fromkeys(_WORD.findall(fold(text)))
        unread = tuple(word for word in words if "а" <= word[0] <= "я" and not self._is_known(word))
        return self._reading([word for word in words if word not in unread], unread)

    def _reading(self, words: Iterable[str], unread: tuple[str, ...]) -> Read:
        known = {word: self._language.word(word) for word in words}
        tokens = [
            Token(word, read, 0, "num" if word[0].isdigit() else "ru", joined=False) for word, read in known.items()
        ]
        lemmas = {read.lemmas[0]: word for word, read in known.items() if len(word) > 1}
        return Read(lemmas, self._lexicon.concepts_of(tokens), unread)
