"""Who is calling: the client's address, seen through trusted proxies only."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final, NamedTuple, TypeAlias

from aiohttp import hdrs, web

from gifty.core.http.settings import Network

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_CACHED: Final = 8192
_LOCAL: Final = "local"


class Client(NamedTuple):
    """An address as text, the group it is limited in (IPv6 by /64), and whether it is this machine or a trusted one."""

    address: str
    group: str
    trusted: bool


class Addresses:
    """Finds the client of a request.

    `X-Forwarded-For` counts only when the peer is a trusted proxy, and is read from the right: the first address that
    is no trusted proxy is the client. Whatever stands left of it was written by strangers.
    """

    def __init__(self, trusted: tuple[Network, ...] = ()) -> None:
        self._trusted = trusted
        self._client_of = functools.lru_cache(maxsize=_CACHED)(self._read_client)

    def client_of(self, request: web.Request) -> Client:
        """The client. A peer without an address (a unix socket) is `local`."""
        peer = request.remote or ""
        if not self._trusted:
            client = self._client_of(peer)
            if client.trusted and hdrs.X_FORWARDED_FOR in request.headers:
                return client._replace(trusted=False)
            return client
        forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
        return self._behind_proxies(peer, ",".join(forwarded))

    def _behind_proxies(self, peer: str, forwarded: str) -> Client:
        client = self._client_of(peer)
        if not forwarded:
            return client
        if not self._is_proxy(peer):
            return client._replace(trusted=False)
        for hop in reversed(forwarded.split(",")):
            address = _without_port(hop.strip())
            if _parse(address) is None:
                return client._replace(trusted=False)
            client = self._client_of(address)
            if not self._is_proxy(address):
                return client
        return client

    def _is_proxy(self, address: str) -> bool:
        parsed = _parse(address)
        return address == "" if parsed is None else any(parsed in network for network in self._trusted)

    def _read_client(self, address: str) -> Client:
        parsed = _parse(address)
        if parsed is None:
            return Client(_LOCAL, _LOCAL, trusted=True)
        trusted = parsed.is_loopback or any(parsed in network for network in self._trusted)
        if isinstance(parsed, ipaddress.IPv6Address):
            return Client(str(parsed), str(ipaddress.IPv6Network((parsed, 64), strict=False)), trusted)
        return Client(str(parsed), str(parsed), trusted)


def _parse(text: str) -> Address | None:
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    if hop.count(":") == 1:
        return hop.partition(":")[0]
    return hop
