"""The default embedder: words, letters and concepts hashed into 384 dimensions, in-process, without any download.

Feature hashing with signed random projections (Weinberger et al., 2009): every feature is a fixed sparse +-1 vector,
so unrelated texts are nearly orthogonal. Three parts are made apart and then mixed: lemmas (meaning without endings),
letter n-grams (typos, endings, brands) and concepts of the ontology (synonyms, two languages, interests).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gifty.catalog.embeddings.concepts import ConceptLexicon
from gifty.catalog.embeddings.protocol import GiftText, Vector, Vectors, unit_rows, version_of
from gifty.ontology.text import Language, Token, Word, fold

DIMENSIONS: Final = 384
REVISION: Final = "1"
"""Raise whenever the same text would get another vector."""

WORDS, LETTERS, CONCEPTS = range(3)
MIX: Final = np.array([0.6, 0.4, 0.7], dtype=np.float32)
"""Share of lemmas, letters and concepts in a text that has all three."""
DESCRIPTION: Final = 0.4
"""Weight of the description beside the title."""
CATEGORY: Final = 0.25
"""Weight of the category's words beside the title."""

CACHED_WORDS: Final = 50_000
"""About 60 MB when full of long words; a catalogue of 100,000 gifts has 20,000 to 60,000 different ones."""
TITLE_CHARACTERS: Final = 300
DESCRIPTION_CHARACTERS: Final = 600

_CHUNK: Final = 128
_CACHED_CATEGORIES: Final = 1_000
_WORD_PLACES: Final = 6
_CONCEPT_PLACES: Final = 12
_GRAMS: Final = (3, 4)
_NOUN, _ADJECTIVE, _OTHER, _NUMBER, _FILLER = 1.0, 0.55, 0.7, 0.3, 0.1
_FIRST_NOUN: Final = 1.4
_WORD: Final = re.compile(r"[a-zа-я]+|\d+")
_FILLERS: Final = frozenset(
    "и в на с со для к ко от до по из за у о об не а но или как что это же ли при без под над его ее их наш ваш "  # noqa: SIM905
    "свой весь этот тот который быть мочь очень "
    "the a an of for with to from in on at by and or as is are be it this that your our "
    "подарок подарить подарочный идея новый новинка хит акция скидка распродажа товар штука шт размер цвет стиль "
    "модный стильный качество качественный оригинальный популярный универсальный "
    "gift gifts present idea ideas new hot sale best style fashion quality original piece pcs size color".split()
)


@dataclass(frozen=True, slots=True)
class _Feature:
    """What one word adds: places in the words' and letters' parts, and the signed weights put there."""

    token: Token
    noun: bool
    places: NDArray[np.intp]
    values: NDArray[np.float32]
    extra: NDArray[np.float32]
    """What the first noun of a text adds once more."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """The words of one text, and the concepts they name."""

    features: Sequence[_Feature]
    concepts: Mapping[str, float]


class LocalEmbedder:
    """Deterministic vectors from words, letters and concepts. Safe to use from several threads."""

    model: Final = "local"
    dimensions: Final = DIMENSIONS

    def __init__(self, language: Language, lexicon: ConceptLexicon, *, cached_words: int = CACHED_WORDS) -> None:
        self._language = language
        self._lexicon = lexicon
        self._cached_words = cached_words
        self._features: dict[str, _Feature] = {}
        self._categories: dict[str, NDArray[np.float32]] = {}
        self._concepts: dict[str, tuple[NDArray[np.intp], NDArray[np.float32]]] = {}
        self.version: Final = version_of(REVISION, lexicon.version)

    async def embed_gifts(self, texts: Sequence[GiftText]) -> Vectors:
        """One row per gift, made in a worker thread."""
        return await asyncio.to_thread(self.gift_vectors, texts)

    async def embed_query(self, text: str) -> Vector:
        """One vector; well under a millisecond, so it is made at once."""
        return self.query_vector(text)

    def gift_vectors(self, texts: Sequence[GiftText]) -> Vectors:
        """One row per gift."""
        chunks = [self._chunk(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]
        return unit_rows(np.concatenate(chunks)) if chunks else np.zeros((0, DIMENSIONS), dtype=np.float32)

    def query_vector(self, text: str) -> Vector:
        """The vector of what somebody is looking for."""
        parts = self._parts([self._reading(text[:DESCRIPTION_CHARACTERS], query=True)])
        vector: Vector = unit_rows((MIX @ parts[0])[np.newaxis])[0]
        return vector

    def _chunk(self, texts: Sequence[GiftText]) -> Vectors:
        titles = self._parts([self._reading(text.title[:TITLE_CHARACTERS]) for text in texts])
        described = [self._features_of(text.description[:DESCRIPTION_CHARACTERS]) for text in texts]
        descriptions = self._parts([_Reading(features, {}) for features in described])
        categories = np.stack([self._category(text.category) for text in texts])
        rows: Vectors = np.einsum("p,npd->nd", MIX, titles + DESCRIPTION * descriptions + CATEGORY * categories)
        return rows

    def _category(self, name: str) -> NDArray[np.float32]:
        parts = self._categories.get(name)
        if parts is None:
            parts = self._parts([self._reading(name[:TITLE_CHARACTERS])])[0]
            if len(self._categories) >= _CACHED_CATEGORIES:
                self._categories = {}
            self._categories[name] = parts
        return parts

    def _reading(self, text: str, *, query: bool = False) -> _Reading:
        features = self._features_of(text)
        return _Reading(features, self._lexicon.concepts_of([feature.token for feature in features], query=query))

    def _features_of(self, text: str) -> list[_Feature]:
        known = self._features
        features: list[_Feature] = []
        for word in dict.fromkeys(_WORD.findall(fold(text))):
            feature = known.get(word)
            features.append(self._learn(word) if feature is None else feature)
        return features

    def _parts(self, readings: Sequence[_Reading]) -> NDArray[np.float32]:
        """Words, letters and concepts of each text, each of unit length or zero. All texts are summed in one sweep."""
        places: list[NDArray[np.intp]] = []
        values: list[NDArray[np.float32]] = []
        ends: list[int] = []
        for reading in readings:
            for feature in reading.features:
                places.append(feature.places)
                values.append(feature.values)
            first = next((feature for feature in reading.features if feature.noun), None)
            if first is not None:
                places.append(first.places)
                values.append(first.extra)
            for concept, weight in reading.concepts.items():
                where, signs = self._concept(concept)
                places.append(where)
                values.append(weight * signs)
            ends.append(len(places))
        size = 3 * DIMENSIONS
        if not places:
            return np.zeros((len(readings), 3, DIMENSIONS), dtype=np.float32)
        sizes = np.fromiter(map(len, places), dtype=np.intp, count=len(places))
        per_text = np.diff(np.concatenate(([0], np.cumsum(sizes)))[[0, *ends]])
        offsets = np.repeat(np.arange(len(readings)) * size, per_text)
        sums = np.bincount(np.concatenate(places) + offsets, np.concatenate(values), size * len(readings))
        parts = sums.reshape(len(readings), 3, DIMENSIONS).astype(np.float32)
        lengths = np.sqrt(np.einsum("npd,npd->np", parts, parts))
        lengths[lengths == 0] = 1
        scaled: NDArray[np.float32] = parts / lengths[:, :, np.newaxis]
        return scaled

    def _concept(self, concept: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        found = self._concepts.get(concept)
        if found is None:
            found = self._concepts[concept] = _hashed([concept], _CONCEPT_PLACES, CONCEPTS)
        return found

    def _word(self, word: str) -> Word:
        """What grammar knows of a word.

        Guessing at one that no dictionary has takes longer than the rest of a text, so it is done only where the
        lexicon may know it; else letters alone tell its forms.
        """
        if word[0] < "а" or self._language.is_known(word) or self._lexicon.may_name(word):
            return self._language.word(word)
        return Word((word,), noun=True, adjective=False, nominative=True, genitive=False, known=False)

    def _learn(self, word: str) -> _Feature:
        known = self._word(word)
        script = "num" if word[0].isdigit() else ("ru" if "а" <= word[0] <= "я" else "en")
        filler = word in _FILLERS or known.lemmas[0] in _FILLERS
        if filler:
            weight = _FILLER
        elif script == "num":
            weight = _NUMBER
        elif known.noun:
            weight = _NOUN
        else:
            weight = _ADJECTIVE if known.adjective else _OTHER
        words = _hashed(known.lemmas[:1], _WORD_PLACES, WORDS)
        letters = _hashed(_grams(word), 1, LETTERS)
        values = np.concatenate([words[1], letters[1]]) * np.float32(weight)
        feature = _Feature(
            token=Token(word, known, 0, script, joined=False),
            noun=known.noun and not filler and script != "num",
            places=np.concatenate([words[0], letters[0]]),
            values=values,
            extra=values * np.float32(_FIRST_NOUN - 1),
        )
        if len(self._features) >= self._cached_words:
            self._features = {}
        self._features[word] = feature
        return feature


def _grams(word: str) -> list[str]:
    framed = f"^{word}$"
    return [framed[start : start + size] for size in _GRAMS for start in range(max(1, len(framed) - size + 1))]


def _hashed(features: Iterable[str], places: int, part: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Each feature as `places` signed entries of one part; all features together have about unit length."""
    listed = list(features)
    digests = b"".join(
        hashlib.blake2b(f"{part}:{feature}".encode(), digest_size=4 * places).digest() for feature in listed
    )
    numbers = np.frombuffer(digests, dtype="<u4")
    signs = np.where(numbers & 0x8000_0000, np.float32(-1), np.float32(1))
    where = part * DIMENSIONS + (numbers & 0x7FFF_FFFF) % DIMENSIONS
    return where.astype(np.intp), (signs / np.sqrt(max(len(numbers), 1))).astype(np.float32)
