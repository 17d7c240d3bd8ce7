import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gifty.core.lifecycle import Lifecycle, StopSignals


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_cuts_a_start_short_and_what_had_started_is_stopped(number: signal.Signals) -> None:
    log: list[str] = []
    with StopSignals() as stop:
        async with Lifecycle(lambda _line: None) as life:
            await life.start("database", part("database", log))
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        await stop.wait()
    assert log == ["start database", "stop database"]


async def test_a_signal_after_the_start_ends_the_wait_and_another_does_not_cut_the_stop_short() -> None:
    with StopSignals() as stop:
        waiting = asyncio.create_task(stop.wait())
        await asyncio.sleep(0)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
        await waiting


async def test_other_cancellations_pass() -> None:
    async def start() -> None:
        with StopSignals():
            await asyncio.sleep(60)

    starting = asyncio.create_task(start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
