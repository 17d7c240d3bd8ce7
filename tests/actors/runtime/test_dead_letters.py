"""What is kept of messages nobody could handle, and their way back."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import (
    Actor,
    ActorSystem,
    Ask,
    ChildSpec,
    DeadLetter,
    MessageCodec,
    NoSuchActor,
    NotSerialisable,
    Reason,
    RecentDeadLetters,
    handles,
)
from actors.runtime.messages import message_name


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Everything:
    text: str
    number: int
    share: float
    flag: bool
    nothing: None
    price: Decimal
    at: datetime
    day: date
    span: timedelta
    id: UUID
    raw: bytes
    colour: Colour
    points: tuple[Point, ...]
    pair: tuple[int, str]
    names: list[str]
    tags: frozenset[str]
    table: dict[str, Point]
    perhaps: int | None
    either: Decimal | str
    choice: Literal["a", "b"]
    anything: Any


@dataclass(frozen=True, slots=True)
class Fail:
    times: int


@dataclass(frozen=True, slots=True)
class Seen(Ask[list[int]]):
    pass


class Fragile(Actor):
    broken = True

    def __init__(self) -> None:
        self.seen: list[int] = []

    @handles(Fail)
    async def on_fail(self, fail: Fail) -> None:
        if self.broken:
            raise ValueError("still broken")
        self.seen.append(fail.times)

    @handles(Seen)
    async def on_seen(self, _: Seen) -> list[int]:
        return self.seen


def sample(**changes: Any) -> Everything:
    values: dict[str, Any] = {
        "text": "привет", "number": 1, "share": 0.5, "flag": True, "nothing": None, "price": Decimal("9.90"),
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "day": date(2026, 1, 2), "span": timedelta(hours=1),
        "id": UUID(int=7), "raw": b"\x00\xff", "colour": Colour.RED, "points": (Point(1.0, 2.0),), "pair": (1, "b"),
        "names": ["a"], "tags": frozenset({"t"}), "table": {"k": Point(0.0, 0.0)}, "perhaps": None,
        "either": Decimal(3), "choice": "b", "anything": {"free": [1]},
    }  # fmt: skip
    return Everything(**(values | changes))


def test_a_message_survives_its_json_form() -> None:
    codec = MessageCodec(Everything)
    stored = json.loads(json.dumps(codec.encode(sample())))
    assert stored["type"] == message_name(Everything)
    assert codec.decode(stored) == sample()


@given(
    st.builds(
        sample,
        text=st.text(),
        number=st.integers(),
        share=st.floats(allow_nan=False),
        price=st.decimals(allow_nan=False),
        span=st.timedeltas(timedelta(days=-1000), timedelta(days=1000)),
        raw=st.binary(),
        perhaps=st.none() | st.integers(),
        tags=st.frozensets(st.text()),
    )
)
def test_any_message_survives_its_json_form(message: Everything) -> None:
    codec = MessageCodec(Everything)
    assert codec.decode(json.loads(json.dumps(codec.encode(message)))) == message


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", "1"), ("number", True), ("flag", 1), ("colour", "blue"), ("price", "x"), ("pair", [1]), ("extra", 1),
     ("names", "abc"), ("perhaps", "x"), ("choice", "c"), ("table", 3), ("id", "no")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(field: str, value: Any) -> None:
    codec = MessageCodec(Everything)
    stored = codec.encode(sample())
    stored["fields"][field] = value
    with pytest.raises(NotSerialisable):
        codec.decode(stored)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(NotSerialisable):
        MessageCodec().decode(MessageCodec().encode(sample()))


def test_a_field_without_a_json_form_is_refused() -> None:
    with pytest.raises(NotSerialisable):
        MessageCodec().encode(sample(anything=object()))


async def test_a_letter_is_stored_and_redelivered(system: ActorSystem, letters: RecentDeadLetters) -> None:
    fragile = type("Fragile", (Fragile,), {})
    ref = system.spawn(ChildSpec("fragile", fragile))
    await ref.tell(Fail(3))
    await ref.ask(Seen(), timeout=10)
    stored = json.loads(json.dumps(system.codec.encode(letters.letters()[0].message)))
    letter = replace(letters.letters()[0], message=system.codec.decode(stored))
    assert letter == letters.letters()[0]
    assert letter.message_name == message_name(Fail)
    fragile.broken = False
    assert await system.redeliver(letter)
    assert await ref.ask(Seen(), timeout=10) == [3]


async def test_a_letter_to_a_key_is_redelivered_to_whoever_holds_it_then(
    system: ActorSystem, letters: RecentDeadLetters
) -> None:
    fragile = type("Fragile", (Fragile,), {})
    system.register(fragile, lambda _: fragile(), name="fragile", idle_after=1)
    ref = system.at(fragile, "a/b")
    await ref.tell(Fail(1))
    assert await ref.ask(Seen(), timeout=10) == []
    await system.stop_actor("/fragile/a%2Fb")
    fragile.broken = False
    assert await system.redeliver(letters.letters()[0])
    assert await ref.ask(Seen(), timeout=10) == [1]


async def test_a_letter_to_nobody_cannot_be_redelivered(system: ActorSystem) -> None:
    with pytest.raises(NoSuchActor):
        await system.redeliver(DeadLetter("/gone", Fail(1), Reason.FAILED, 0.0))


async def test_a_failing_sink_harms_nobody(system: ActorSystem) -> None:
    class Full:
        def put(self, letter: DeadLetter) -> None:
            raise OSError("disk full")

    system.sink = Full()
    ref = system.spawn(ChildSpec("fragile", Fragile))
    await ref.tell(Fail(1))
    assert await ref.ask(Seen(), timeout=10) == []
    assert system.tree().children[0].dead_letters == 1


def test_the_memory_sink_is_bounded() -> None:
    sink = RecentDeadLetters(capacity=2)
    for number in range(5):
        sink.put(DeadLetter("/a", Fail(number), Reason.FAILED, 0.0))
    assert ([letter.message for letter in sink.letters()], sink.total) == ([Fail(3), Fail(4)], 5)
