"""The commands, as an operator runs them: in processes of their own."""

import asyncio
import dataclasses
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from gifty.core.database import Database
from gifty.operations.models import Undelivered
from gifty.operations.service import DeadLetters

CSV = """id,title,category,price,url
1,Чайник заварочный стеклянный,Кухня,"1 999,50 ₽",https://shop.example/1
2,Шарф из кашемира женский,Одежда,3500,https://shop.example/2
"""
DIED_AT = datetime(2026, 11, 1, tzinfo=UTC)
CSV_WITH_REJECTS = CSV + "3,Лампа,Дом,free,https://shop.example/3\n4,Книга,Книги,700,\n"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class Shell:
    """Runs `gifty` with one home."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        path = os.environ["PATH"]
        self.environ = {"PATH": path, "GIFTY_HOME": str(home), "GIFTY_PORT": "0", **environ}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "gifty", *arguments)
        return await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=pipe, env=self.environ, cwd=self.home.parent
        )

    async def run(self, *arguments: str) -> Ended:
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
def shell(tmp_path: Path, dsn: str) -> Shell:
    return Shell(tmp_path / "home", DATABASE_URL=dsn)


@dataclass
class Server:
    address: str
    process: asyncio.subprocess.Process
    lines: list[str]


@pytest.fixture
async def server(shell: Shell) -> AsyncIterator[Server]:
    process = await shell.start("serve")
    lines: list[str] = []
    try:
        yield Server(await address_of(process, lines), process, lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def address_of(process: asyncio.subprocess.Process, lines: list[str]) -> str:
    assert process.stdout
    async with asyncio.timeout(60):
        async for line in process.stdout:
            lines.append(line.decode().rstrip())
            if match := re.search(r"http://\S+", lines[-1]):
                return match[0]
    raise AssertionError("\n".join(lines))


async def test_serve_prints_what_starts_and_stops_it_in_reverse_order_on_sigterm(server: Server) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{server.address}api/v1/ready") as answer:
        assert answer.status == 200
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout
    async with asyncio.timeout(5):
        rest = (await server.process.stdout.read()).decode().splitlines()
        assert await server.process.wait() == 0
    started = [re.split(r"  +", line)[2] for line in server.lines if line.startswith("  ready")]
    stopped = [re.split(r"  +", line)[2] for line in rest if line.startswith("  stopped")]
    names = [name.rpartition(" (")[0] for name in started]
    assert names
    assert [name.rpartition(" (")[0] for name in stopped] == names[::-1]


async def test_import_then_search_and_recommend_in_a_terminal(shell: Shell, tmp_path: Path) -> None:
    feed = tmp_path / "shop.csv"
    feed.write_text(CSV, encoding="utf-8")
    imported = await shell.run("import", str(feed))
    assert (imported.code, imported.err) == (0, "")
    assert "2 new" in imported.out

    found = await shell.run("search", "чайники", "--json", "--limit", "3")
    assert json.loads(found.out)["gifts"][0]["title"] == "Чайник заварочный стеклянный"

    recommended = await shell.run(
        "recommend", "--relation", "parent", "--interests", "чай", "--budget", "2500", "--json"
    )
    titles = [gift["title"] for gift in json.loads(recommended.out)["gifts"]]
    assert "Чайник заварочный стеклянный" in titles


async def test_rejected_rows_are_listed_and_the_exit_code_tells(shell: Shell, tmp_path: Path) -> None:
    feed = tmp_path / "shop.csv"
    feed.write_text(CSV_WITH_REJECTS, encoding="utf-8")
    imported = await shell.run("import", str(feed))
    assert imported.code == 3
    assert "2 rejected" in imported.out
    assert re.search(r"item 3: price .*free", imported.out)
    assert re.search(r"item 4: url", imported.out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "/nowhere/feed.xml"], "/nowhere/feed.xml"),
        (["import", "http://169.254.169.254/feed.xml"], "169.254.169.254"),
        (["recommend", "--age", "-5"], "--age"),
        (["recommend", "--tags", "no_dragons"], "kids_safe"),
    ],
)
async def test_a_failure_is_one_clear_line_without_a_traceback(
    shell: Shell, arguments: list[str], message: str
) -> None:
    ended = await shell.run(*arguments)
    assert ended.code == 1
    assert ended.err.startswith("gifty: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err


async def test_an_unreachable_database_is_a_clear_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    for command in ("serve", "migrate", "search tea"):
        ended = await shell.run(*command.split())
        assert ended.code == 1
        assert "not reachable" in ended.err
        assert ended.err.count("\n") == 1


async def test_production_does_not_start_on_missing_secrets(shell: Shell) -> None:
    shell.environ["GIFTY_ENV"] = "production"
    ended = await shell.run("serve")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 4
    assert all(line.startswith("gifty: ") for line in ended.err.splitlines())


async def test_doctor_finds_a_well_installation_well(shell: Shell) -> None:
    assert (await shell.run("migrate")).code == 0
    ended = await shell.run("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert "FAIL" not in ended.out
    assert re.search(r"DATABASE_URL +\(set\)", ended.out)
    assert re.search(rf"GIFTY_HOME +{re.escape(str(shell.home))}", ended.out)


async def test_migrate_check_tells_by_its_exit_code(tmp_path: Path, empty_dsn: str) -> None:
    shell = Shell(tmp_path / "home", DATABASE_URL=empty_dsn)
    assert (await shell.run("migrate", "--check")).code == 1
    assert (await shell.run("migrate")).code == 0
    assert (await shell.run("migrate", "--check")).code == 0


@pytest.mark.parametrize(
    "command", ["serve", "worker", "migrate", "import", "search", "recommend", "dead-letters", "openapi", "doctor"]
)
async def test_every_command_has_help_with_an_example(shell: Shell, command: str) -> None:
    ended = await shell.run(command, "--help")
    assert ended.code == 0
    assert "xample" in ended.out


async def test_dead_letters_are_listed_and_replayed_once(shell: Shell, database: Database) -> None:
    empty = await shell.run("dead-letters", "list")
    assert (empty.code, empty.out) == (0, "No dead letters.\n")

    died = Undelivered("/catalogue/scorer", "ScoreGifts", {"type": "x"}, "failed", "ValueError: 13", None, DIED_AT)
    await DeadLetters(database).keep([died, dataclasses.replace(died, payload=None)])
    listed = await shell.run("dead-letters", "list")
    assert listed.code == 0
    assert re.search(
        r"^ +2 .*cannot be replayed\n.*\n +1 .*/catalogue/scorer .*can be replayed\n +ValueError: 13", listed.out
    )
    older = await shell.run("dead-letters", "list", "--before", "2", "--limit", "1")
    assert re.findall(r"^ +(\d+) ", older.out, re.MULTILINE) == ["1"]

    requested = await shell.run("dead-letters", "replay", "1")
    assert (requested.code, requested.out) == (0, "requested  1\n")
    assert [letter.id for letter in await DeadLetters(database).claim_requested()] == [1]
    refused = await shell.run("dead-letters", "replay", "1", "2", "99")
    assert refused.code == 1
    assert re.fullmatch(r"gifty: cannot be replayed.*: 1, 2, 99\n", refused.err)


async def test_the_worker_runs_its_actors_until_told_to_stop(shell: Shell) -> None:
    process = await shell.start("worker", "--only", "scorer")
    assert process.stdout
    lines: list[bytes] = []
    async with asyncio.timeout(60):
        while not (lines and b"scorer" in lines[-1]):
            lines.append(await process.stdout.readline())
            assert lines[-1], b"".join(lines)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 6) == 0
