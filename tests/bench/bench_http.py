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
from typing import Any, Final

import orjson
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
_SECONDS: Final = 3.0
_ROUNDS: Final = 3
_READY_SECONDS: Final = 15.0


class Hello(Schema):
    """The answer."""

    message = fields.String()
    items = fields.List(fields.Integer())


class SearchQuery(Schema):
    """A query that is validated."""

    query = fields.String(required=True)
    limit = fields.Integer(load_default=20)


def run() -> list[dict[str, Any]]:
    """Requests per second, medians of alternating rounds so that both sides see the same machine."""
    with _served(_bare) as bare, _served(_full) as full:
        rates: dict[str, list[float]] = {"bare": [], "get": [], "search": []}
        _load(f"{bare}/api/hello", 1.0)
        _load(f"{full}/api/hello", 1.0)
        for _ in range(_ROUNDS):
            rates["bare"].append(_load(f"{bare}/api/hello", _SECONDS))
            rates["get"].append(_load(f"{full}/api/hello", _SECONDS))
            rates["search"].append(_load(f"{full}/api/v1/search?query=tea&limit=5", _SECONDS))
    bare_rate = statistics.median(rates["bare"])
    return [
        _row("HTTP: trivial JSON route through everything", statistics.median(rates["get"]), bare_rate, 0.6),
        _row(
            "HTTP: under /api/v1, with a validated query and an ETag",
            statistics.median(rates["search"]),
            bare_rate,
            None,
        ),
    ]


def _row(name: str, value: float, baseline: float, goal: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value),
        "unit": "requests/s",
        "baseline": round(baseline),
        "baseline_name": "bare aiohttp",
        "ratio": round(value / baseline, 3),
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
def _served(start: Callable[[int], Any]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(start, port), daemon=True)
    process.start()
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
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


def _load(url: str, seconds: float) -> float:
    """Requests per second, by wrk where it is installed, else by raw sockets from this process."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(_raw_load(url, seconds))
    command = [wrk, "-t1", f"-c{_CONNECTIONS}", f"-d{max(1, round(seconds))}s", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"the server refused requests:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None
    return float(found[1])


async def _raw_load(url: str, seconds: float) -> float:
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
