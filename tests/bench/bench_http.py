"""What the HTTP core costs: a trivial JSON route through everything, beside bare aiohttp in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import psutil
import uvloop
from aiohttp import web
from marshmallow import Schema, fields

from gifty.core.clock import SystemClock
from gifty.core.http import HttpSettings, Readiness, Runner, install
from gifty.core.http.answers import answer, json_answer
from gifty.core.http.endpoint import Limit, endpoint, query_of
from gifty.core.logs import logging_to
from gifty.core.metrics import Metrics

_CONNECTIONS: Final = 32
_SECONDS: Final = 1
_ROUNDS: Final = 7
_READY_SECONDS: Final = 15.0


class Hello(Schema):
    """The answer."""

    message = fields.String()
    items = fields.List(fields.Integer())


class SearchQuery(Schema):
    """A query that is validated."""

    query = fields.String(required=True)
    limit = fields.Integer(load_default=20)


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    url: str
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        times = self.process.cpu_times()
        return times.user + times.system


@dataclass(slots=True)
class Measured:
    """Rates of one address, round by round: requests by the clock, and by the server's own processor time."""

    by_clock: list[float] = field(default_factory=list)
    by_cpu: list[float] = field(default_factory=list)

    def take(self, server: Server, path: str) -> None:
        """One round."""
        before = server.cpu()
        rate = _load(server.url + path, _SECONDS)
        self.by_clock.append(rate)
        self.by_cpu.append(rate * _SECONDS / max(server.cpu() - before, 0.01))


def run() -> list[dict[str, Any]]:
    """Medians of alternating rounds, so that both sides see the same machine."""
    bare, plain, search = Measured(), Measured(), Measured()
    with _served(_bare) as bare_server, _served(_full) as full_server:
        _load(f"{bare_server.url}/api/hello", 1)
        _load(f"{full_server.url}/api/hello", 1)
        for _ in range(_ROUNDS):
            bare.take(bare_server, "/api/hello")
            plain.take(full_server, "/api/hello")
            search.take(full_server, "/api/v1/search?query=tea&limit=5")
    return [
        _row("HTTP: trivial JSON route through everything", plain.by_clock, bare.by_clock, "requests/s", 0.6),
        _row("HTTP: the same, by the server's processor time", plain.by_cpu, bare.by_cpu, "requests/cpu s", 0.6),
        _row("HTTP: under /api/v1, validated query, ETag", search.by_clock, bare.by_clock, "requests/s", None),
    ]


def _row(name: str, values: list[float], baseline: list[float], unit: str, goal: float | None) -> dict[str, Any]:
    value, bare = statistics.median(values), statistics.median(baseline)
    return {
        "name": name,
        "value": round(value),
        "unit": unit,
        "baseline": round(bare),
        "baseline_name": "bare aiohttp",
        "ratio": round(value / bare, 3),
        "goal": goal,
    }


async def _bare(port: int) -> None:
    """aiohttp and nothing else."""

    async def hello(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=orjson.dumps({"message": "hello", "items": [1, 2, 3]}), content_type="application/json"
        )

    app = web.Application()
    app.router.add_get("/api/hello", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


async def _full(port: int) -> None:
    """The HTTP core with everything on: limits, CORS, log, measures, deadline, security headers."""

    @endpoint("GET", "/api/hello", tag="Bench", summary="Hello", answers={200: Hello})
    async def hello(_request: web.Request) -> web.StreamResponse:
        return json_answer({"message": "hello", "items": [1, 2, 3]})

    @endpoint("GET", "/api/search", tag="Bench", summary="Search", query=SearchQuery, answers={200: Hello}, etag="weak")
    async def search(request: web.Request) -> web.StreamResponse:
        return answer(Hello, {"message": query_of(request)["query"], "items": [1, 2, 3]})

    clock = SystemClock()
    app = web.Application()
    settings = HttpSettings(
        secret_key=b"k" * 32,
        production=True,
        cors_origins=("https://shop.example",),
        limits=(Limit(1_000_000, 2), Limit(1_000_000, 1)),
    )
    install(app, routes=[hello, search], settings=settings, clock=clock, metrics=Metrics(), readiness=Readiness(clock))
    runner = Runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


def _serve(start: Callable[[int], Any], port: int) -> None:
    async def main() -> None:
        await start(port)
        await asyncio.Event().wait()

    with open("/dev/null", "w") as nowhere, logging_to(nowhere):  # noqa: PTH123
        uvloop.run(main())


@contextlib.contextmanager
def _served(start: Callable[[int], Any]) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(start, port), daemon=True)
    process.start()
    try:
        _wait_for(port)
        yield Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
    finally:
        process.kill()
        process.join()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server of the benchmark did not start")


def _load(url: str, seconds: int) -> float:
    """Requests per second, by wrk where it is installed, else by raw sockets from this process."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(_raw_load(url, seconds))
    command = [wrk, "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"the server refused requests:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None
    return float(found[1])


async def _raw_load(url: str, seconds: int) -> float:
    _, _, rest = url.partition("//")
    address, _, path = rest.partition("/")
    host, _, port = address.partition(":")
    request = f"GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
    until = time.monotonic() + seconds
    done = 0

    async def client() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.monotonic() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            done += 1
        writer.close()

    started = time.monotonic()
    await asyncio.gather(*(client() for _ in range(_CONNECTIONS)))
    return done / (time.monotonic() - started)


if __name__ == "__main__":
    for row in run():
        print(row)
