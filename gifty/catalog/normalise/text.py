"""Shop text made plain: no markup, entities, control characters, emoji or runs of spaces."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

MAX_TITLE: Final = 300
MAX_DESCRIPTION: Final = 4_000
MAX_NAME: Final = 120

_EMOJI = (
    "\u2190-\u21ff\u2300-\u23ff\u2580-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3297\u3299\U0001f000-\U0001faff\U000e0000-\U000e007f"
)
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\uffff\ud800-\udfff\ue000-\uf8ff"
)
_PLAIN = re.compile(
    "[ -%'-;=?-~\u00a1-\u00ac\u00ae-\u017f\u0400-\u045f\u2010-\u2027\u2030-\u205e\u20ac\u20bd\u2116\u2122]*"
)
_NOISE = re.compile(rf"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f{_EMOJI}]")
_HIDDEN = re.compile(rf"[{_INVISIBLE}]")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SCRIPT = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->|<![^<>]*>|<\?[^<>]*>", re.DOTALL)
_REPEATS = re.compile(r"([!?*~_=+#])\1{2,}")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_PASSES: Final = 8


def clean(text: str, limit: int) -> str:
    """Plain text of at most `limit` characters, cut between words where possible. Cleaning twice changes nothing."""
    text = text.strip()
    if not _is_plain(text):
        text = _scrubbed(text[: limit * 8])
    return text if len(text) <= limit else _cut(text, limit)


def language(text: str) -> str:
    """`ru` when the text has Cyrillic letters, else `en`."""
    return "ru" if _CYRILLIC.search(text) else "en"


def name_key(name: str) -> str:
    """What makes two names of a category or shop the same."""
    return " ".join(name.lower().split())


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and "  " not in text and not _has_triple(text)


def _has_triple(text: str) -> bool:
    return (
        "!!!" in text or "???" in text or "***" in text or "~~~" in text
        or "___" in text or "===" in text or "+++" in text or "###" in text
    )  # fmt: skip


def _scrubbed(text: str) -> str:
    for _ in range(_PASSES):
        before = text
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        text = _TAG.sub(" ", _SCRIPT.sub(" ", text))
        text = _NOISE.sub(" ", _HIDDEN.sub("", text))
        text = _REPEATS.sub(r"\1", unicodedata.normalize("NFC", text))
        text = " ".join(text.split())
        if text == before:
            return text
    # Nested beyond any honest use: what is left of the markup goes.
    return " ".join(re.sub(r"[<>&]", " ", text).split())


def _cut(text: str, limit: int) -> str:
    head = text[:limit]
    space = head.rfind(" ", limit * 3 // 4)
    return (head[:space] if space > 0 and text[limit] != " " else head).rstrip()
