"""How a Gifty process gets the embedded server, and keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from gifty.core.embedded.cluster import READY, Cluster, binaries

log = logging.getLogger(__name__)

_START_SECONDS: Final = 90.0
_RETRY_SECONDS: Final = 0.05
_REJOIN_SECONDS: Final = 2.0
_MOST_REFUSALS: Final = 2
_LOG_TAIL: Final = 12


class EmbeddedPostgresFailed(Exception):
    """The embedded server did not start; the message carries the end of its log."""


class EmbeddedPostgres:
    """Keeps the server of the cluster under `home` running from `start` to `stop`.

    Several processes may do so for one `home`; they share one server. A killed keeper is replaced.
    """

    def __init__(self, home: Path, options: Mapping[str, str] | None = None) -> None:
        self._cluster = Cluster(home.resolve(), dict(options or {}))
        self._writer: asyncio.StreamWriter | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def dsn(self) -> str:
        """How to connect to the database."""
        return self._cluster.dsn

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when the server accepts connections. Raises `EmbeddedPostgresFailed`, `BinariesMissing`."""
        binaries()
        reader = await self._join()
        self._watching = asyncio.create_task(self._watch(reader), name="embedded-postgres")

    async def stop(self) -> None:
        """Lets go of the server; it stops soon after its last user has done so."""
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._let_go()

    async def _join(self) -> asyncio.StreamReader:
        refusals = 0
        try:
            async with asyncio.timeout(_START_SECONDS):
                while refusals < _MOST_REFUSALS:
                    try:
                        return await self._connect()
                    except (FileNotFoundError, ConnectionRefusedError):
                        await asyncio.to_thread(self._ensure_keeper)
                        await asyncio.sleep(_RETRY_SECONDS)
                    except ConnectionError:
                        refusals += 1
        except TimeoutError as error:
            raise EmbeddedPostgresFailed(
                f"the embedded PostgreSQL was not ready within {_START_SECONDS:.0f} s\n{self._log_tail()}"
            ) from error
        raise EmbeddedPostgresFailed(f"the embedded PostgreSQL does not start\n{self._log_tail()}")

    async def _connect(self) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_unix_connection(self._cluster.keeper_socket)
        try:
            said = await reader.readline()
        except BaseException:
            writer.close()
            raise
        if said != READY:
            writer.close()
            raise ConnectionResetError
        self._writer = writer
        return reader

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            self._let_go()
            reader = await self._join_again()

    async def _join_again(self) -> asyncio.StreamReader:
        while True:
            try:
                return await self._join()
            except (EmbeddedPostgresFailed, OSError) as error:
                log.warning("the embedded PostgreSQL was lost; trying again: %s", error)
                await asyncio.sleep(_REJOIN_SECONDS)

    def _let_go(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None

    def _ensure_keeper(self) -> None:
        self._cluster.log_file.parent.mkdir(parents=True, exist_ok=True)
        options = [part for name, value in self._cluster.options.items() for part in ("--option", f"{name}={value}")]
        with self._cluster.log_file.open("ab") as log:
            # A session of its own: Ctrl-C in a terminal stops Gifty first, and the server after it.
            launched = subprocess.run(
                [sys.executable, "-m", "gifty.core.embedded.keeper", str(self._cluster.home), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=False,
                cwd=Path(__file__).parents[3],
            )
        if launched.returncode:
            raise EmbeddedPostgresFailed(f"the embedded PostgreSQL cannot be set up\n{self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self._cluster.log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL:])
