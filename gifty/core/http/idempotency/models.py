"""What an idempotency key stands for."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A caller's key, and a digest of what was asked with it."""

    scope: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a request until its lease runs out."""

    request: KeyedRequest
    token: uuid.UUID


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it left the house."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that is taken: by which request, until when it is worked on, and the answer once there is one."""

    fingerprint: bytes
    leased_until: datetime
    answer: StoredAnswer | None
