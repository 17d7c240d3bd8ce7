import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from gifty.core.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, client
from gifty.core.embedded.cluster import Cluster

FAST = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture
async def home() -> AsyncIterator[Path]:
    """A folder that only its owner can walk through, like `/root`."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        yield home
        await until_gone(home)


def processes(home: Path) -> list[psutil.Process]:
    """The keeper and the postmaster of `home`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(home) in command or str(home / "postgres" / "data") in command:
            found.append(process)
    return found


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


async def until_gone(home: Path) -> None:
    async with asyncio.timeout(20):
        while processes(home):
            await asyncio.sleep(0.02)


async def write(dsn: str, value: int) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def read(dsn: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    values = [row["value"] for row in await connection.fetch("SELECT value FROM kept ORDER BY value")]
    await connection.close()
    return values


async def read_after_restart(dsn: str) -> list[int]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await read(dsn)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)


async def test_russian_text_is_folded_and_stemmed(home: Path) -> None:
    async with EmbeddedPostgres(home, FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT lower('ПРИВЕТ ЁЖ')") == "привет ёж"
        assert await connection.fetchval("SELECT to_tsvector('russian', 'КРУЖКИ')::text") == "'кружк':1"
        await connection.execute("CREATE EXTENSION vector")
        await connection.close()


async def test_two_users_share_one_server_and_the_last_one_turns_it_off(home: Path) -> None:
    first, second = EmbeddedPostgres(home, FAST), EmbeddedPostgres(home, FAST)
    await asyncio.gather(first.start(), second.start())
    assert len(processes(home)) == 2
    await write(first.dsn, 1)
    await first.stop()
    assert await read(second.dsn) == [1]
    await second.stop()
    await until_gone(home)


async def test_a_second_start_finds_what_the_first_one_wrote(home: Path) -> None:
    for value in (1, 2):
        async with EmbeddedPostgres(home, FAST) as server:
            await write(server.dsn, value)
        await until_gone(home)
    async with EmbeddedPostgres(home, FAST) as server:
        assert await read(server.dsn) == [1, 2]


async def test_a_killed_server_comes_back_with_its_rows(home: Path) -> None:
    async with EmbeddedPostgres(home, FAST) as server:
        await write(server.dsn, 1)
        os.kill(postmaster(home), signal.SIGKILL)
        assert await read_after_restart(server.dsn) == [1]


async def test_a_killed_keeper_is_replaced(home: Path) -> None:
    async with EmbeddedPostgres(home, FAST) as server:
        await write(server.dsn, 1)
        server_pid = postmaster(home)
        (keeper,) = (process for process in processes(home) if process.pid != server_pid)
        keeper.kill()
        async with asyncio.timeout(20):
            while psutil.pid_exists(server_pid):
                await asyncio.sleep(0.02)
        assert await read_after_restart(server.dsn) == [1]


async def test_a_killed_user_leaves_no_server_behind(home: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from gifty.core.embedded import EmbeddedPostgres\n"
        "async def main():\n"
        "    await EmbeddedPostgres(Path(sys.argv[1])).start(); print('up', flush=True); await asyncio.sleep(3600)\n"
        "asyncio.run(main())"
    )
    user = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(home), stdout=subprocess.PIPE)
    assert user.stdout
    assert await user.stdout.readline() == b"up\n"
    user.kill()
    await user.wait()
    await until_gone(home)


async def test_a_start_killed_in_the_middle_of_set_up_is_repaired(home: Path) -> None:
    unfinished = home / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18")
    async with EmbeddedPostgres(home, FAST) as server:
        await write(server.dsn, 1)


async def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    with pytest.raises(EmbeddedPostgresFailed, match="no_such_setting"):
        await EmbeddedPostgres(home, {"no_such_setting": "1"}).start()


async def test_a_home_may_have_any_name(home: Path) -> None:
    home /= "дом + 100% & co"
    async with EmbeddedPostgres(home, FAST) as server:
        await write(server.dsn, 1)
        assert await read(server.dsn) == [1]
    await until_gone(home)


async def test_a_server_that_cannot_be_started_again_just_now_is_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_REJOIN_SECONDS", 0.01)
    failures = [EmbeddedPostgresFailed("no room"), PermissionError("not just now")]
    async with EmbeddedPostgres(home, FAST) as server:
        await write(server.dsn, 1)
        join = server._join

        async def fails_at_first() -> asyncio.StreamReader:
            if failures:
                raise failures.pop()
            return await join()

        monkeypatch.setattr(server, "_join", fails_at_first)
        server_pid = postmaster(home)
        (keeper,) = (process for process in processes(home) if process.pid != server_pid)
        keeper.kill()
        async with asyncio.timeout(20):
            while psutil.pid_exists(server_pid):
                await asyncio.sleep(0.02)
        assert await read_after_restart(server.dsn) == [1]
        assert not failures


def test_a_deep_home_gets_a_socket_folder_that_fits(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("deep" * 40))
    assert len(os.fsencode(cluster.keeper_socket)) < 100


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody to become")
async def test_root_keeps_its_folders_to_itself(home: Path) -> None:
    async with EmbeddedPostgres(home, FAST):
        assert home.parent.stat().st_mode & 0o077 == 0
        assert psutil.Process(postmaster(home)).uids().real != 0
