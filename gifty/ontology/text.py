"""Words of shop titles and of people: tokens, lemmas and the grammar the reader needs."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import pymorphy3
import Stemmer

CACHED_WORDS: Final = 65_536
MOST_LEMMAS: Final = 4
MAX_TEXT: Final = 4_000
"""Characters of one text that are looked at; the rest of a longer text is ignored."""

PREPOSITIONS: Final = frozenset(
    {
        "для", "к", "ко", "от", "с", "со", "из", "на", "под", "в", "во", "без", "за", "над", "по", "при", "о", "об",
        "около", "вокруг", "против", "через", "между", "до", "после", "for", "with", "of",
        "to", "from", "in", "on", "under",
        "without", "by", "at", "as", "like", "and",
    }
)  # fmt: skip
GOVERNING: Final = frozenset({"для", "под", "к", "ко", "for", "to", "of"})
"""Prepositions after which a noun names what the product serves, not what it is."""

_WORD: Final = re.compile(r"[a-zа-я]+(?:['’][a-zа-я]+)*|\d+(?:[.,]\d+)?\+?|[.,;:!?|/()\[\]«»\"+&%№-]")
_LOOKALIKE: Final = str.maketrans("aceopxyktmhb", "асеорхукtмнв")
_CYRILLIC: Final = re.compile(r"[а-я]")
_LATIN: Final = re.compile(r"[a-z]")
_BREAKS: Final = frozenset('.,;:!?|()[]«»"')


@dataclass(frozen=True, slots=True)
class Word:
    """What grammar knows about one word form, apart from its place in a text."""

    lemmas: tuple[str, ...]
    noun: bool
    adjective: bool
    nominative: bool
    """May stand in the nominative; true for everything that is not a Russian noun or adjective."""
    genitive: bool
    known: bool
    animate: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A word in its place: `segment` counts the parts between commas, brackets and full stops."""

    text: str
    word: Word
    segment: int
    script: str
    """ru, en or num."""
    joined: bool
    """Joined to the token before by a hyphen."""

    @property
    def lemma(self) -> str:
        """The likeliest lemma."""
        return self.word.lemmas[0]


def fold(text: str) -> str:
    """Lower case, NFKC, ё as е, typographic dashes and non-breaking blanks as plain ones."""
    text = unicodedata.normalize("NFKC", text[:MAX_TEXT]).lower().replace("ё", "е")
    return re.sub(r"[„“”]", '"', re.sub(r"[‐-―−]", "-", text))


class Language:
    """Tokens and lemmas of Russian and English, with a bounded memory of words.

    Russian word forms come from pymorphy3's dictionary, English ones from the Snowball stemmer.
    """

    def __init__(self, cached_words: int = CACHED_WORDS) -> None:
        self._russian = pymorphy3.MorphAnalyzer()
        self._english = Stemmer.Stemmer("english")
        self.word = lru_cache(maxsize=cached_words)(self._word)

    def tokens(self, text: str) -> list[Token]:
        """The words and numbers of a text in order, punctuation turned into segment numbers."""
        tokens: list[Token] = []
        segment = 0
        joined = False
        last_end = -1
        folded = fold(text)
        for found in _WORD.finditer(folded):
            piece = found.group()
            if piece in _BREAKS:
                segment += 1
                joined = False
                continue
            if piece == "-":
                joined = found.start() == last_end
                if not joined:
                    segment += 1
                continue
            if piece == "/":
                segment += _between_words(folded, found.start())
                joined = False
                continue
            if not piece[0].isalnum():
                continue
            for part, script in _scripts(piece):
                tokens.append(Token(part, self.word(part), segment, script, joined))
                joined = False
            last_end = found.end()
        return tokens

    def lemmas(self, text: str) -> list[str]:
        """The likeliest lemma of every word of a text."""
        return [token.lemma for token in self.tokens(text)]

    def is_known(self, word: str) -> bool:
        """Whether a Russian dictionary has this word form; much quicker than reading a word that none has."""
        return bool(self._russian.word_is_known(word))

    def dictionary_forms(self, word: str) -> tuple[str, ...]:
        """Lemmas under which a word written by an author of knowledge is filed.

        A word that is itself a dictionary form ("духи") stands for that alone, any other ("носки") for all its lemmas.
        """
        lemmas = self.word(word).lemmas
        return (word,) if word in lemmas else lemmas

    def _word(self, text: str) -> Word:
        if text[0].isdigit():
            return Word((text,), noun=False, adjective=False, nominative=True, genitive=False, known=True)
        if not _CYRILLIC.search(text):
            return Word(
                (self._english.stemWord(text),),
                noun=True,
                adjective=False,
                nominative=True,
                genitive=False,
                known=False,
            )
        lemmas: list[str] = []
        noun = adjective = nominative = genitive = known = animate = False
        for parse in self._russian.parse(text)[:12]:
            tag = parse.tag
            lemma = parse.normal_form.replace("ё", "е")
            if lemma not in lemmas and len(lemmas) < MOST_LEMMAS:
                lemmas.append(lemma)
            is_noun = "NOUN" in tag and "Surn" not in tag and "Name" not in tag
            noun |= is_noun
            adjective |= "ADJF" in tag or "PRTF" in tag
            if is_noun or "ADJF" in tag or "PRTF" in tag:
                nominative |= "nomn" in tag
                genitive |= "gent" in tag
            known |= parse.is_known
            animate |= is_noun and "anim" in tag
        if not noun and not adjective:
            nominative = True
        return Word(tuple(lemmas), noun, adjective, nominative, genitive, known, animate)


def _between_words(text: str, place: int) -> bool:
    """Whether a slash parts two Russian words ("шапка/шарф"), not numbers or codes."""
    return bool(_CYRILLIC.match(text[place - 1 : place]) and _CYRILLIC.match(text[place + 1 : place + 2]))


def _scripts(piece: str) -> list[tuple[str, str]]:
    """A piece as (text, script); look-alike Latin letters inside a Cyrillic word are mended, true mixtures are cut."""
    if piece[0].isdigit():
        return [(piece, "num")]
    if not _CYRILLIC.search(piece):
        return [(piece, "en")]
    if not _LATIN.search(piece):
        return [(piece, "ru")]
    mended = piece.translate(_LOOKALIKE)
    if not _LATIN.search(mended):
        return [(mended, "ru")]
    return [(part, "ru" if _CYRILLIC.search(part) else "en") for part in re.findall(r"[a-z]+|[а-я]+", piece)]
