"""The keeper: one small process per cluster that owns the server for as long as anybody needs it.

A process that needs the server connects to the keeper's socket, reads the line `ready`, and stays connected. The kernel
closes that connection however the process ends, so nobody is forgotten; the server carries a parent-death signal, so it
does not outlive a killed keeper either.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from gifty.core.embedded.cluster import READY, Cluster
from gifty.core.embedded.privileges import Owner, becoming

_LINGER_SECONDS: Final = 1.0
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_RESTART_SECONDS: Final = 0.2
_POLL_SECONDS: Final = 0.02


class Keeper:
    """Runs the server of one cluster while it has users."""

    def __init__(self, cluster: Cluster, owner: Owner) -> None:
        self._cluster = cluster
        self._owner = owner
        self._ready = asyncio.Event()
        self._users: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._leaving = False

    async def run(self) -> None:
        """Serves until the last user has gone, or a signal says stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        self._cluster.keeper_socket.unlink(missing_ok=True)
        listener = await asyncio.start_unix_server(self._serve, self._cluster.keeper_socket)
        server = asyncio.create_task(self._keep_running(), name="server")
        idle = asyncio.create_task(self._until_unused(), name="idle")
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        await asyncio.wait({server, idle, stop}, return_when=asyncio.FIRST_COMPLETED)
        self._cluster.keeper_socket.unlink(missing_ok=True)
        listener.close()
        for task in (idle, stop, server):
            task.cancel()
        await asyncio.gather(idle, stop, server, return_exceptions=True)
        await self._dismiss_users()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._users.add(writer)
        self._changed.set()
        try:
            await self._ready.wait()
            if not self._leaving:
                writer.write(READY)
                await reader.read()
        except ConnectionError:
            pass
        finally:
            self._users.discard(writer)
            self._changed.set()
            writer.close()

    async def _dismiss_users(self) -> None:
        self._leaving = True
        self._ready.set()
        for writer in self._users:
            writer.close()
        while self._users:
            self._changed.clear()
            await self._changed.wait()

    async def _until_unused(self) -> None:
        while True:
            self._changed.clear()
            if self._users:
                await self._changed.wait()
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), _LINGER_SECONDS)
            except TimeoutError:
                return

    async def _keep_running(self) -> None:
        while True:
            process = await self._start()
            try:
                if not await self._is_ready(process):
                    # Whoever waits for the server learns of it by losing its connection to us.
                    await asyncio.sleep(_LINGER_SECONDS)
                    return
                self._ready.set()
                await process.wait()
            finally:
                self._ready.clear()
                await self._end(process)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _start(self) -> asyncio.subprocess.Process:
        with self._cluster.log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._cluster.server_command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=becoming(self._owner),
            )

    async def _is_ready(self, process: asyncio.subprocess.Process) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.returncode is None:
            if self._cluster.is_ready(process.pid):
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def main() -> int:
    """Sets the cluster up and leaves a keeper for it in the background, unless it has one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    cluster = Cluster(arguments.home, dict(option.split("=", 1) for option in arguments.option))
    lock = os.open(cluster.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    owner = cluster.prepare()
    if os.fork() == 0:
        asyncio.run(Keeper(cluster, owner).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
