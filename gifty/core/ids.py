"""Prefixed ids that sort by their time of birth and cannot be guessed."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS = 9
_RANDOM_BITS = 85


def new_id(prefix: str) -> str:
    """`prefix_` and 26 base-32 characters: 45 bits of milliseconds, then 85 random bits (the layout of a ULID)."""
    value = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    digits = [_ALPHABET[(value >> shift) & 31] for shift in range((_TIME_CHARS + 17 - 1) * 5, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
