"""Getting a feed from an address that a stranger may have written: never from our own network, never without an end."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

import gifty
from gifty.core.errors import GiftyError

Lookup: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

_PIECE: Final = 1 << 16
_WRITTEN_AT_ONCE: Final = 1 << 20
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_IPV4_COMPATIBLE: Final = ipaddress.ip_network("::/96")


class FetchFailed(GiftyError):
    """The address did not give a feed; the message says why in one line."""

    type = "fetch_failed"
    status = 502


class FetchRefused(FetchFailed):
    """The address, or one that it redirects to, may not be asked."""

    type = "fetch_refused"
    status = 422


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one download; times in seconds."""

    max_bytes: int = 2 << 30
    max_redirects: int = 5
    connect_seconds: float = 10
    idle_seconds: float = 30
    total_seconds: float = 1_800


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came. `path` is None when nothing is newer than what the validators stand for."""

    path: Path | None
    url: str
    etag: str | None = None
    last_modified: str | None = None
    is_whole: bool = True


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large, also when an IPv4 one hides in an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if hidden is None and any(ip in network for network in (*_NAT64, _IPV4_COMPATIBLE)):
            hidden = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if hidden is not None:
            return is_public(str(hidden))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def system_lookup(host: str, port: int) -> list[str]:
    """The addresses of a host as this machine knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class _VettedResolver(AbstractResolver):
    """Hands the connector only addresses that were looked at, so that what was checked is what is connected to."""

    def __init__(self, lookup: Lookup, is_allowed: Callable[[str], bool]) -> None:
        self._lookup = lookup
        self._is_allowed = is_allowed

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - every family is welcome
    ) -> list[ResolveResult]:
        try:
            addresses = await self._lookup(host, port)
        except OSError:
            raise FetchFailed(f"{host} is not known to the name service") from None
        if not all(map(self._is_allowed, addresses)):
            raise FetchRefused(f"{host} is an address inside a private network, which is refused")
        if not addresses:
            raise FetchFailed(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class Fetcher:
    """Downloads to files. Redirects are followed by hand, each one checked like the first address."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        limits: Limits | None = None,
        lookup: Lookup = system_lookup,
        is_allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self._is_allowed = _anywhere if allow_private else is_allowed
        self._limits = limits or Limits()
        self._lookup = lookup

    async def fetch(
        self, url: str, into: Path, *, etag: str | None = None, last_modified: str | None = None
    ) -> Fetched:
        """Downloads to the file `into`, still packed if it came packed.

        Raises `FetchRefused` for an address that may not be asked, `FetchFailed` for everything else that goes wrong. A
        connection that breaks off in the middle is no failure: what came is kept, and `is_whole` is false.
        """
        headers = {"User-Agent": f"Gifty/{gifty.__version__}", "Accept-Encoding": "gzip, identity"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        try:
            async with asyncio.timeout(self._limits.total_seconds), self._session() as session:
                return await self._follow(session, self._address(url), headers, into)
        except TimeoutError:
            raise FetchFailed(f"{_shown(url)} took too long to answer") from None
        except aiohttp.ClientError as error:
            if isinstance(error.__cause__, FetchFailed):
                raise error.__cause__ from None
            raise FetchFailed(f"{_shown(url)} cannot be reached: {_why(error)}") from None

    def _session(self) -> aiohttp.ClientSession:
        resolver = _VettedResolver(self._lookup, self._is_allowed)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=2, force_close=True),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._limits.connect_seconds, sock_read=self._limits.idle_seconds
            ),
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _address(self, url: str) -> URL:
        try:
            address = URL(url)
            port = address.port
        except ValueError:
            raise FetchRefused(f"{url[:200]} is no address") from None
        if address.scheme not in ("http", "https") or not address.host or port is None:
            raise FetchRefused(f"{_shown(url)} is no http or https address")
        if address.user or address.password:
            raise FetchRefused("an address with a user name or password in it is refused")
        # aiohttp does not ask the resolver about hosts that look like addresses already, not even about 127.1.
        if _is_numeric(address.host) and not self._is_allowed(address.host):
            raise FetchRefused(f"{address.host} is an address inside a private network, which is refused")
        return address

    async def _follow(
        self, session: aiohttp.ClientSession, address: URL, headers: dict[str, str], into: Path
    ) -> Fetched:
        for _ in range(self._limits.max_redirects + 1):
            async with session.get(address, headers=headers, allow_redirects=False) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    address = self._address(str(address.join(_location(response))))
                    continue
                if response.status == 304:  # noqa: PLR2004
                    return Fetched(None, str(address), headers.get("If-None-Match"), headers.get("If-Modified-Since"))
                if response.status != 200:  # noqa: PLR2004
                    raise FetchFailed(f"{_shown(str(address))} answered {response.status}")
                is_whole = await self._save(response, into)
                got = response.headers
                return Fetched(into, str(address), got.get("ETag"), got.get("Last-Modified"), is_whole)
        raise FetchFailed(f"{_shown(str(address))}: more than {self._limits.max_redirects} redirects")

    async def _save(self, response: aiohttp.ClientResponse, into: Path) -> bool:
        limit = self._limits.max_bytes
        too_large = f"the answer is larger than {limit >> 20} MB"
        if (response.content_length or 0) > limit:
            raise FetchFailed(too_large)
        total = 0
        buffer = bytearray()
        try:
            with await asyncio.to_thread(into.open, "wb") as file:
                try:
                    async for piece in response.content.iter_chunked(_PIECE):
                        total += len(piece)
                        if total > limit:
                            raise FetchFailed(too_large)
                        buffer += piece
                        if len(buffer) >= _WRITTEN_AT_ONCE:
                            await _write(file, buffer)
                except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionResetError):
                    return False
                finally:
                    await _write(file, buffer)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise FetchFailed(f"the disk is full: {into.parent} has no room for the feed") from None
            raise FetchFailed(f"cannot write {into}: {error.strerror}") from None
        return True


async def _write(file: IO[bytes], buffer: bytearray) -> None:
    data = bytes(buffer)
    buffer.clear()
    if data:
        await asyncio.to_thread(file.write, data)


def _location(response: aiohttp.ClientResponse) -> URL:
    try:
        return URL(response.headers["Location"])
    except ValueError:
        raise FetchRefused("the redirect leads to no address") from None


def _anywhere(_address: str) -> bool:
    return True


def _is_numeric(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _shown(url: str) -> str:
    """The address without its parameters, which may carry a key."""
    return url.partition("?")[0][:200]


def _why(error: BaseException) -> str:
    cause = error.__cause__ or error
    return (getattr(cause, "strerror", None) or str(cause) or type(error).__name__)[:200]
