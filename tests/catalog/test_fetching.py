"""Fetching from addresses that strangers write: what is refused, what is bounded, what is kept."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gifty.catalog.fetching import Fetched, Fetcher, FetchFailed, FetchRefused, Limits, is_public

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
METADATA = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """Serves one handler on loopback and returns its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            server = await stack.enter_async_context(TestServer(app))
            return str(server.make_url("/"))

        yield start


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
        "fd00:ec2::254",
        "192.0.2.1",
        "240.0.0.1",
        "not an address",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        METADATA,
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://127.0.0.1./",
        "http://0/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "http://user:pw@93.184.215.14/",
        "http://",
        "http://shop.example:99999/",
        "gopher://x/",
    ],
)
async def test_addresses_that_are_never_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchRefused):
        await Fetcher().fetch(url, tmp_path / "feed")
    assert not (tmp_path / "feed").exists()


async def _loopback_named(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::ffff:169.254.169.254"]])
async def test_a_name_that_leads_inside_is_refused(answer: list[str], tmp_path: Path) -> None:
    async def lookup(_host: str, _port: int) -> list[str]:
        return answer

    with pytest.raises(FetchRefused, match="private network"):
        await Fetcher(lookup=lookup).fetch("http://shop.example/", tmp_path / "feed")


async def test_a_name_that_is_not_known(tmp_path: Path) -> None:
    async def lookup(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(FetchFailed, match="not known"):
        await Fetcher(lookup=lookup).fetch("http://shop.example/", tmp_path / "feed")


async def test_a_redirect_to_the_metadata_service_is_refused(
    serve: Callable[[Handler], Awaitable[str]], tmp_path: Path
) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(METADATA)

    address = await serve(handler)
    with pytest.raises(FetchRefused, match="private network"):
        await _guarded_after_first().fetch(address.replace("127.0.0.1", "shop.example"), tmp_path / "feed")


def _guarded_after_first() -> Fetcher:
    """A fetcher that takes 127.0.0.1 for public when it is called shop.example, and guards everything else."""
    return Fetcher(lookup=_loopback_named, is_allowed=lambda ip: ip == "127.0.0.1" or is_public(ip))


async def test_a_name_that_changes_its_address_between_redirects_is_refused(
    serve: Callable[[Handler], Awaitable[str]], tmp_path: Path
) -> None:
    lookups: list[str] = []

    async def rebinding(host: str, _port: int) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["10.0.0.1"]

    async def handler(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(request.url.with_path("/next"))

    address = await serve(handler)
    fetcher = Fetcher(lookup=rebinding, is_allowed=lambda ip: ip == "127.0.0.1")
    with pytest.raises(FetchRefused, match="private network"):
        await fetcher.fetch(address.replace("127.0.0.1", "shop.example"), tmp_path / "feed")
    assert lookups == ["shop.example", "shop.example"]


async def test_what_was_checked_is_what_is_asked(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path) -> None:
    """One look-up for each connection: a second answer, however different, is never used."""
    lookups = 0

    async def lookup(_host: str, _port: int) -> list[str]:
        nonlocal lookups
        lookups += 1
        return ["127.0.0.1"] if lookups == 1 else ["203.0.113.1"]

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.host)

    address = (await serve(handler)).replace("127.0.0.1", "shop.example")
    fetched = await Fetcher(lookup=lookup, is_allowed=lambda _ip: True).fetch(address, tmp_path / "feed")
    assert fetched.path is not None
    assert fetched.path.read_text().startswith("shop.example:")
    assert lookups == 1


async def _fetch(address: str, folder: Path, limits: Limits | None = None, **validators: str) -> Fetched:
    return await Fetcher(allow_private=True, limits=limits).fetch(address, folder / "feed", **validators)


async def test_redirects_are_followed_but_not_for_ever(
    serve: Callable[[Handler], Awaitable[str]], tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        left = int(request.path.strip("/") or 0)
        if left:
            raise web.HTTPFound(f"/{left - 1}")
        return web.Response(text="feed")

    address = await serve(handler)
    fetched = await _fetch(address + "5", tmp_path)
    assert (fetched.path is not None, fetched.url, fetched.is_whole) == (True, address + "0", True)
    with pytest.raises(FetchFailed, match="more than 5 redirects"):
        await _fetch(address + "6", tmp_path)


async def test_a_redirect_to_a_file_is_refused(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "file:///etc/passwd"})

    with pytest.raises(FetchRefused):
        await _fetch(await serve(handler), tmp_path)


async def test_an_answer_of_five_gigabytes_is_refused_before_it_is_read(
    serve: Callable[[Handler], Awaitable[str]], tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(5 << 30)})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            while True:
                await response.write(b"<offer/>" * 8192)
        return response

    with pytest.raises(FetchFailed, match="larger than 2048 MB"):
        await _fetch(await serve(handler), tmp_path)
    assert not (tmp_path / "feed").exists()


async def test_an_endless_answer_is_stopped(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            while True:
                await response.write(b"<offer/>" * 8192)
        return response

    with pytest.raises(FetchFailed, match="larger than 4 MB"):
        await _fetch(await serve(handler), tmp_path, Limits(max_bytes=4 << 20))


async def test_a_silent_server_is_left(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path) -> None:
    release = asyncio.Event()

    async def handler(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    address = await serve(handler)
    with pytest.raises(FetchFailed, match=r"took too long|cannot be reached"):
        await _fetch(address, tmp_path, Limits(idle_seconds=0.05))
    with pytest.raises(FetchFailed, match="took too long"):
        await _fetch(address, tmp_path, Limits(total_seconds=0.05))
    release.set()


async def test_a_connection_that_breaks_keeps_what_came(
    serve: Callable[[Handler], Awaitable[str]], tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(1 << 30)})
        await response.prepare(request)
        await response.write(b"x" * (16 << 20))
        assert request.transport is not None
        request.transport.close()
        return response

    fetched = await _fetch(await serve(handler), tmp_path)
    assert fetched.path is not None
    assert not fetched.is_whole
    assert 0 < fetched.path.stat().st_size <= 16 << 20


async def test_what_came_packed_stays_packed(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"feed"), headers={"Content-Encoding": "gzip"})

    fetched = await _fetch(await serve(handler), tmp_path)
    assert fetched.path is not None
    assert gzip.decompress(fetched.path.read_bytes()) == b"feed"


async def test_only_what_is_newer_is_sent(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304)
        return web.Response(text="feed", headers={"ETag": '"1"', "Last-Modified": "Sun, 01 Nov 2026 10:00:00 GMT"})

    address = await serve(handler)
    first = await _fetch(address, tmp_path)
    assert first.path is not None
    assert (first.etag, first.last_modified) == ('"1"', "Sun, 01 Nov 2026 10:00:00 GMT")
    again = await _fetch(address, tmp_path, etag='"1"')
    assert (again.path, again.etag) == (None, '"1"')


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
async def test_other_answers_are_named(serve: Callable[[Handler], Awaitable[str]], tmp_path: Path, status: int) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    address = await serve(handler)
    with pytest.raises(FetchFailed, match=f"answered {status}") as caught:
        await _fetch(address + "?key=secret", tmp_path)
    assert "secret" not in caught.value.message


async def test_a_closed_port_is_one_line(unused_tcp_port: int, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await _fetch(f"http://127.0.0.1:{unused_tcp_port}/", tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
async def test_a_full_disk_is_named(serve: Callable[[Handler], Awaitable[str]]) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 10_000)

    with pytest.raises(FetchFailed, match="disk is full"):
        await Fetcher(allow_private=True).fetch(await serve(handler), Path("/dev/full"))
