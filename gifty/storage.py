"""Where the data lives: the configured one, or the embedded one for as long as the command runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gifty.core.embedded import EmbeddedPostgres
from gifty.settings import Settings


@asynccontextmanager
async def database_address(settings: Settings) -> AsyncIterator[str]:
    """The address to connect to. Raises `EmbeddedPostgresFailed`, `BinariesMissing`."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    async with EmbeddedPostgres(settings.home) as server:
        yield server.dsn
