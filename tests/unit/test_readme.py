"""The commands of the README, run as they stand there."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.unit.test_command_line import Shell, address_of

README = Path(__file__).resolve().parents[2] / "README.md"
FEED = """<?xml version="1.0" encoding="UTF-8"?>
<yml_catalog date="2026-11-01 10:00"><shop><name>Shop</name><currencies><currency id="RUB" rate="1"/></currencies>
<categories><category id="1">Посуда</category></categories><offers>
<offer id="1" available="true"><url>https://shop.example/1</url><price>1500</price><currencyId>RUB</currencyId>
<categoryId>1</categoryId><name>Чайник заварочный</name></offer></offers></shop></yml_catalog>"""
TABLE = "name,price_rub,link\nТермокружка,1200,https://other.example/1\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def commands(program: str) -> list[str]:
    lines = "\n".join(blocks("sh")).replace("\\\n", " ")
    # A quoted body may span lines.
    return [line for line in re.findall(r"^(?:[^'\n]|'[^']*')+", lines, re.MULTILINE) if line.startswith(program)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the two feeds that the README speaks of, and the program where it says."""
    (tmp_path / "feed.xml").write_text(FEED, encoding="utf-8")
    (tmp_path / "products.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "gifty").symlink_to(Path(sys.executable).with_name("gifty"))
    return tmp_path


async def run(command: str, folder: Path, environ: dict[str, str]) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_shell(
        command, stdout=pipe, stderr=pipe, cwd=folder, env={**os.environ, **environ}
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, f"{command}\n{err.decode()}"
    return out.decode()


async def test_the_commands_of_the_readme_do_what_it_says(shop: Path, starter_dsn: str) -> None:
    shell = Shell(shop / "home", DATABASE_URL=starter_dsn)
    server = await shell.start("serve")
    try:
        address = await address_of(server, [])
        for command in commands(".venv/bin/gifty"):
            assert await run(command, shop, shell.environ), command
        requests = commands("curl")
        assert len(requests) >= 2
        for request in requests:
            answer = await run(request.replace("http://127.0.0.1:8080/", address), shop, {})
            assert '"gifts"' in answer, request
    finally:
        server.terminate()
        await server.communicate()


def test_the_pictures_and_files_it_points_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target


def test_the_folders_it_describes_exist() -> None:
    (tree,) = blocks("text")
    for line in tree.splitlines():
        assert (README.parent / line.split()[0]).is_dir(), line
