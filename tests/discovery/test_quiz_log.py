"""The record of quiz runs, with runs and databases that misbehave."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gifty.core.database import Database, DatabaseUnavailable
from gifty.discovery import runs as module
from gifty.discovery.repository import QuizRunRepository
from gifty.discovery.runs import RunRecorder


def run(name: str, said: str = "tea") -> dict[str, Any]:
    return {
        "id": name,
        "engine_version": "1",
        "request": {"interests": [said]},
        "understood": {},
        "relaxed": [],
        "gift_ids": [],
    }


async def written(database: Database) -> list[str]:
    return [row["id"] for row in await database.fetch("SELECT id FROM quiz_runs ORDER BY id")]


class Away:
    """A repository that never answers."""

    async def save(self, _runs: Sequence[Mapping[str, Any]]) -> None:
        await asyncio.Event().wait()

    async def sweep(self, _days: int, _limit: int) -> int:
        raise DatabaseUnavailable("away")


async def test_a_run_that_cannot_be_stored_costs_no_other_and_ends_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0)
    async with RunRecorder(QuizRunRepository(database)) as recorder:
        for each in (run("a"), run("b", "nul \0"), run("c")):
            recorder.record(each)
        async with asyncio.timeout(5):
            while await written(database) != ["a", "c"]:
                await asyncio.sleep(0.01)
        recorder.record(run("d"))
        async with asyncio.timeout(5):
            while await written(database) != ["a", "c", "d"]:
                await asyncio.sleep(0.01)


async def test_runs_wait_while_the_database_is_away() -> None:
    kept: list[str] = []
    answers: list[Exception | None] = [DatabaseUnavailable("away"), None]

    class Shelf:
        async def save(self, runs: Sequence[Mapping[str, Any]]) -> None:
            if error := answers.pop(0):
                raise error
            kept.extend(each["id"] for each in runs)

    recorder = RunRecorder(Shelf())  # type: ignore[arg-type]
    for name in "ab":
        recorder.record(run(name))
    with pytest.raises(DatabaseUnavailable):
        await recorder.flush()
    await recorder.flush()
    assert kept == ["a", "b"]


async def test_whoever_is_cancelled_while_stopping_it_stays_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0)
    writing, ending, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(Away):
        async def save(self, _runs: Sequence[Mapping[str, Any]]) -> None:
            writing.set()
            try:
                await asyncio.Event().wait()
            finally:
                ending.set()
                await ended.wait()

    async def lives() -> None:
        async with RunRecorder(Slow()) as recorder:  # type: ignore[arg-type]
            recorder.record(run("a"))
            await writing.wait()

    living = asyncio.create_task(lives())
    async with asyncio.timeout(5):
        await ending.wait()
        living.cancel()
        with pytest.raises(asyncio.CancelledError):
            await living
    ended.set()


async def test_a_stop_does_not_wait_for_a_database_that_does_not_answer() -> None:
    async with asyncio.timeout(3), RunRecorder(Away()) as recorder:  # type: ignore[arg-type]
        recorder.record(run("a"))


async def test_runs_are_forgotten_after_ninety_days(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    repository = QuizRunRepository(database)
    await repository.save([run(name) for name in "abcdefg"])
    age = "UPDATE quiz_runs SET created_at = now() - make_interval(days => $2) WHERE id = ANY($1)"
    await database.execute(age, list("abcde"), 91)
    await database.execute(age, ["f"], 89)
    async with RunRecorder(repository), asyncio.timeout(5):
        while await written(database) != ["f", "g"]:
            await asyncio.sleep(0.01)
