from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gifty.core.lifecycle import Lifecycle


@asynccontextmanager
async def part(name: str, log: list[str], *, fails: bool = False) -> AsyncIterator[str]:
    if fails:
        raise OSError(f"no {name}")
    log.append(f"start {name}")
    yield name
    log.append(f"stop {name}")


async def test_parts_stop_in_reverse_order_and_each_step_is_reported() -> None:
    log: list[str] = []
    report: list[str] = []
    async with Lifecycle(report.append) as life:
        assert await life.start("database", part("database", log)) == "database"
        await life.start("web", part("web", log))
    assert log == ["start database", "start web", "stop web", "stop database"]
    assert [line.split()[:2] for line in report] == [
        ["ready", "database"],
        ["ready", "web"],
        ["stopped", "web"],
        ["stopped", "database"],
    ]


async def test_a_part_that_fails_to_start_stops_those_before_it() -> None:
    log: list[str] = []
    async with Lifecycle(lambda _line: None) as life:
        await life.start("database", part("database", log))
        with pytest.raises(OSError, match="no web"):
            await life.start("web", part("web", log, fails=True))
    assert log == ["start database", "stop database"]
