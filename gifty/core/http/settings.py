"""What the HTTP core is told by the composition root."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gifty.core.http.route import Limit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

CALLER_LIMITS: Final = (Limit(100, 60), Limit(20, 1))


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Decided once at the start."""

    secret_key: bytes = field(repr=False)
    internal_token: str = field(default="", repr=False)
    production: bool = False
    public_url: str = ""
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    rate_limit: bool = True
    rate_limit_store: str = field(default="memory", repr=False)
    limits: tuple[Limit, ...] = CALLER_LIMITS
    tracked_callers: int = 10_000
    body_limit: int = 1 << 20
    """Bytes."""
    request_seconds: float = 30.0
    """How long a handler may take."""
    body_seconds: float = 15.0
    """How long a client may take to send a body."""
    session_cookies: tuple[str, ...] = ("gifty_session", "access_token")
    """Cookies that say who the caller is."""
    access_lines_per_second: int = 20
    """Ordinary requests written to the access log; failures are written besides."""
