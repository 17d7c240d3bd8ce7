"""One asyncpg pool with deadlines, codecs and errors in our own terms."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias

import asyncpg
import orjson
from pgvector.asyncpg import register_vector

from gifty.core.errors import Unavailable

log = logging.getLogger(__name__)

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = asyncpg.Connection
Listener: TypeAlias = Callable[[str], object]

ACQUIRE_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 1.0
# How often a listener makes sure that its connection still leads somewhere.
HEARTBEAT_SECONDS: Final = 30.0
MINIMUM_SERVER_VERSION: Final = (15, 0)

# asyncpg raises InternalClientError when the server dies in the middle of its own state change.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    OSError,
    TimeoutError,
)
# What only a server or the way to it can have raised, and never the code around a statement.
_SURELY_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or did not answer in time."""


@contextlib.contextmanager
def _in_our_terms() -> Iterator[None]:
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise DatabaseUnavailable("the database took too long to answer") from error
    except _LOST as error:
        raise DatabaseUnavailable("the database is not reachable") from error


@contextlib.contextmanager
def _in_our_terms_if_lost(connection: Connection) -> Iterator[None]:
    """The same around code of a caller, whose own troubles with files, sockets and deadlines stay its own."""
    try:
        yield
    except (asyncpg.QueryCanceledError, *_SURELY_LOST):
        with _in_our_terms():
            raise
    except _LOST:
        if not _is_gone(connection):
            raise
        with _in_our_terms():
            raise


def _is_gone(connection: Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back already, as it does when the server hangs up
        return True


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )
    if await connection.fetchval("SELECT 1 FROM pg_type WHERE typname = 'vector'"):
        await register_vector(connection)


class _Pooled(asyncpg.Connection):  # type: ignore[misc]
    """A connection that goes back to the pool without a round trip when it was lent for one statement only."""

    _touched = False

    def touch(self) -> None:
        """Says that the session may have been changed, so that it is reset before others use it."""
        self._touched = True

    def get_reset_query(self) -> str:
        """Nothing, unless the session was touched."""
        query: str = super().get_reset_query() if self._touched else ""
        self._touched = False
        return query


class Database:
    """A pool of connections. Every wait has a deadline; trouble with the server raises `DatabaseUnavailable`."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._listening: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, dsn: str, *, min_size: int = 2, max_size: int = 8, server_settings: Mapping[str, str] | None = None
    ) -> Self:
        """Connects and checks the server. Raises `DatabaseUnavailable`, in plain words, when it is away or too old."""
        settings = {"application_name": "gifty", "jit": "off", "timezone": "UTC", **(server_settings or {})}
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=min_size,
                max_size=max_size,
                command_timeout=STATEMENT_SECONDS,
                timeout=ACQUIRE_SECONDS,
                max_inactive_connection_lifetime=300,
                server_settings=settings,
                init=_prepare,
                connection_class=_Pooled,
            )
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise DatabaseUnavailable("the database refused the user or password of DATABASE_URL") from error
        except asyncpg.InvalidCatalogNameError as error:
            raise DatabaseUnavailable("the database named in DATABASE_URL does not exist") from error
        except _LOST as error:
            raise DatabaseUnavailable("the database is not reachable; check DATABASE_URL and that it runs") from error
        database = cls(pool, dsn)
        try:
            await database._check_version()
        except BaseException:
            await database.close()
            raise
        return database

    async def _check_version(self) -> None:
        number = int(await self.fetchval("SHOW server_version_num"))
        if number < MINIMUM_SERVER_VERSION[0] * 10_000:
            raise DatabaseUnavailable(
                f"PostgreSQL {number // 10_000} is too old; Gifty needs {MINIMUM_SERVER_VERSION[0]} or newer"
            )

    async def close(self) -> None:
        """Gives every connection back; those still busy after a second are cut."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        try:
            await asyncio.wait_for(self._pool.close(), timeout=CLOSE_SECONDS)
        except TimeoutError:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """One connection for several statements.

        Inside, `DatabaseUnavailable` is what the loss of the connection becomes; any other error stays as it is,
        and so does the `TimeoutError` of a statement over its deadline.
        """
        async with self._lend() as connection:
            connection.touch()
            with _in_our_terms_if_lost(connection):
                yield connection

    @contextlib.asynccontextmanager
    async def _lend(self) -> AsyncIterator[Connection]:
        with _in_our_terms():
            connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        try:
            yield connection
        finally:
            # A release cut short by a cancellation would leak the connection (asyncpg#1156).
            await asyncio.shield(self._release(connection))

    @contextlib.asynccontextmanager
    async def _lend_for_one(self) -> AsyncIterator[Connection]:
        async with self._lend() as connection:
            with _in_our_terms():
                yield connection

    async def _release(self, connection: Connection) -> None:
        try:
            await self._pool.release(connection, timeout=ACQUIRE_SECONDS)
        except _LOST:
            log.warning("a database connection was lost on its way back to the pool")

    @contextlib.asynccontextmanager
    async def transaction(self, *, isolation: str | None = None) -> AsyncIterator[Connection]:
        """One connection inside one transaction; an exception rolls it back."""
        async with self.acquire() as connection, connection.transaction(isolation=isolation):
            yield connection

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        """All rows."""
        async with self._lend_for_one() as connection:
            rows: list[Record] = await connection.fetch(sql, *args, timeout=timeout)
            return rows

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        """The first row, or None."""
        async with self._lend_for_one() as connection:
            return await connection.fetchrow(sql, *args, timeout=timeout)

    async def fetchval(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        """The first column of the first row, or None."""
        async with self._lend_for_one() as connection:
            return await connection.fetchval(sql, *args, timeout=timeout)

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        """Runs one statement and returns its command tag."""
        async with self._lend_for_one() as connection:
            connection.touch()
            tag: str = await connection.execute(sql, *args, timeout=timeout)
            return tag

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]], timeout: float | None = None) -> None:
        """Runs one statement for many rows in one transaction."""
        async with self._lend_for_one() as connection:
            connection.touch()
            await connection.executemany(sql, rows, timeout=timeout)

    async def notify(self, channel: str, payload: str = "") -> None:
        """Tells every listener on every process."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    def listen(self, channel: str, heard: Listener, *, retry_seconds: float = 2.0) -> asyncio.Task[None]:
        """Calls `heard(payload)` for each notification, reconnecting until the task is cancelled."""
        task = asyncio.create_task(self._listen(channel, heard, retry_seconds), name=f"listen:{channel}")
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)
        return task

    async def _listen(self, channel: str, heard: Listener, retry_seconds: float) -> None:
        while True:
            try:
                # A connection of its own: the pool's are for those who come and go.
                connection = await asyncpg.connect(self._dsn, timeout=ACQUIRE_SECONDS, command_timeout=ACQUIRE_SECONDS)
                try:
                    await self._hear(connection, channel, heard)
                finally:
                    connection.terminate()
            except Exception as error:  # noqa: BLE001 - whatever it is, a listener that gives up is never missed
                log.warning("cannot listen on %s just now: %s", channel, type(error).__name__)
            await asyncio.sleep(retry_seconds)

    async def _hear(self, connection: Connection, channel: str, heard: Listener) -> None:
        gone = asyncio.Event()

        def on_notify(_connection: Connection, _pid: int, _channel: str, payload: str) -> None:
            heard(payload)

        def on_termination(_connection: Connection) -> None:
            gone.set()

        connection.add_termination_listener(on_termination)
        await connection.add_listener(channel, on_notify)
        while not gone.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), HEARTBEAT_SECONDS)
                return
            await connection.execute("SELECT 1")
