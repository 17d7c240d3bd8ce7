"""Cursors, answers, the log and client addresses, each by itself."""

import io
import ipaddress
import json
import logging
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, post_dump

from gifty.core.errors import InvalidInput
from gifty.core.http.access_log import AccessLog
from gifty.core.http.addresses import Addresses
from gifty.core.http.answers import dumper, to_json
from gifty.core.logs import logging_to, mask
from gifty.core.pagination import Cursors

CURSORS = Cursors(b"k" * 32, "gifts")
POSITIONS = st.dictionaries(
    st.text(max_size=8), st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.booleans(), max_size=4
)


@given(POSITIONS)
def test_cursors_come_back(position):
    cursor = CURSORS.encode(position)
    assert set(cursor) <= set(string.ascii_letters + string.digits + "-_")
    assert CURSORS.decode(cursor) == position


@settings(max_examples=300)
@given(POSITIONS, st.data())
def test_a_cursor_with_any_other_character_is_refused(position, data):
    cursor = CURSORS.encode(position)
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=% é\0"))
    tampered = cursor[:place] + other + cursor[place + 1 :]
    if tampered != cursor:
        with pytest.raises(InvalidInput) as refused:
            CURSORS.decode(tampered)
        assert set(refused.value.details) == {"cursor"}


@pytest.mark.parametrize("cursor", ["", "x", "A" * 5000, "====", "null", "e30"])
def test_what_is_no_cursor(cursor):
    with pytest.raises(InvalidInput):
        CURSORS.decode(cursor)


def test_a_cursor_of_another_list_or_key_is_refused():
    for other in (Cursors(b"k" * 32, "kits"), Cursors(b"j" * 32, "gifts")):
        with pytest.raises(InvalidInput):
            CURSORS.decode(other.encode({"id": 1}))


class Shop(Schema):
    name = fields.String(data_key="title")
    url = fields.Url()


class Item(Schema):
    item_id = fields.String(attribute="id")
    price = fields.Decimal(allow_none=True)
    exact = fields.Decimal(as_string=True)
    when = fields.DateTime()
    tags = fields.List(fields.String())
    shop = fields.Nested(Shop)
    others = fields.List(fields.Nested(Shop))
    extra = fields.Dict()
    loud = fields.Function(lambda item: item.id.upper())
    secret = fields.String(load_only=True)


@dataclass
class AShop:
    name: str | None
    url: str
    password: str = "never"


@dataclass
class AnItem:
    id: str
    price: Decimal | None
    exact: Decimal
    when: datetime
    tags: list[str]
    shop: AShop | None
    others: list[AShop]
    extra: dict[str, int]
    secret: str = "never"


SHOPS = st.builds(AShop, st.none() | st.text(max_size=5), st.just("https://x.example/"))
ITEMS = st.builds(
    AnItem,
    st.text(max_size=5),
    st.none() | st.decimals(0, 10**6, places=2),
    st.decimals(0, 10**6, places=2),
    st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.lists(st.text(max_size=3), max_size=3),
    st.none() | SHOPS,
    st.lists(SHOPS, max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
)


@settings(max_examples=150)
@given(ITEMS)
def test_the_fast_way_writes_what_marshmallow_writes(item):
    fast = orjson.loads(to_json(dumper(Item)(item)))
    slow = json.loads(json.dumps(Item().dump(item), default=float))
    assert datetime.fromisoformat(fast.pop("when")) == datetime.fromisoformat(slow.pop("when"))
    assert fast == slow
    assert "never" not in str(fast)


def test_mappings_may_lack_fields_and_hooks_are_obeyed():
    assert dumper(Shop)({"name": "a", "password": "x"}) == {"title": "a"}

    class Wrapped(Schema):
        name = fields.String()

        @post_dump
        def wrap(self, data, **_):
            return {"wrapped": data}

    assert dumper(Wrapped)({"name": "x"}) == {"wrapped": {"name": "x"}}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("Cookie: gifty_session=s3cr3t; theme=dark", "s3cr3t"),
        ('{"password": "hunter2"}', "hunter2"),
        ("password=hunter2&user=a", "hunter2"),
        ("api_key: sk-ant-REDACTED", "abcdefghijklmnop"),
        ("postgresql://gifty:s3cret@db/gifty", "s3cret"),
        ("token eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl here", "c2lnbmF0dXJl"),
        ("https://api.telegram.org/bot123456789:AAEabcdefghijklmnopqrstuvwxyz0123456/x", "AAEabcdefghij"),
        ("X-Internal-Token='0123456789'", "0123456789"),
    ],
)
def test_secrets_are_masked(text, secret):
    assert secret not in mask(text)
    assert "***" in mask(text)


@pytest.mark.parametrize(
    "part", ["a", "a.", "1", "QUJD", "token", "token=", "eyJ-", "a://b:", "111111:", "sk-", "'token "]
)
def test_masking_takes_a_time_that_grows_with_the_text_and_not_with_its_square(part):
    def seconds(length):
        text = (part * length)[:length]
        began = time.process_time()
        mask(text)
        return time.process_time() - began

    assert min(seconds(20_000) for _ in range(3)) < 40 * min(seconds(2_000) for _ in range(3)) + 0.05


def test_ordinary_words_stay():
    for text in ("a request failed", "imported 4000 gifts from https://shop.example/feed.xml", "GET /api/gifts 200"):
        assert mask(text) == text


def test_nobody_can_forge_a_line():
    stream = io.StringIO()
    with logging_to(stream):
        logging.getLogger("t").info("hello\nERROR forged %s", "\r\n{}", extra={"who": "a\nb", "n": 1})
        logging.getLogger("t").error("failed", exc_info=ValueError("token=abcdef"))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 2
    assert lines[0]["message"].startswith("hello\nERROR forged")
    assert (lines[0]["who"], lines[0]["n"], lines[0]["level"]) == ("a\nb", 1, "info")
    assert "abcdef" not in lines[1]["exception"]
    text = io.StringIO()
    with logging_to(text, form="text"):
        logging.getLogger("t").info("hello\n\x1b[31mforged")
    assert len(text.getvalue().splitlines()) == 1
    assert "\x1b" not in text.getvalue()


def test_a_full_queue_drops_and_never_waits():
    class Stuck(io.StringIO):
        def write(self, text):
            gate.wait(5)
            return super().write(text)

    import threading  # noqa: PLC0415

    from gifty.core.logs import LogPipeline  # noqa: PLC0415

    gate = threading.Event()
    pipeline = LogPipeline(Stuck(), level="INFO", form="json", capacity=10)
    pipeline.start()
    for number in range(100):
        logging.getLogger("t").info("%d", number)
    assert pipeline.dropped >= 80
    gate.set()
    pipeline.stop()


def test_failures_always_have_a_line_and_the_rest_fits_its_budget():
    log = AccessLog(5)
    assert sum(log.wants(200, 0.01, 100.0 + n / 100) for n in range(90)) == 5
    assert all(log.wants(500, 0.01, 100.95) for _ in range(20))
    assert log.wants(200, 2.0, 100.96)
    assert sum(log.wants(401, 0.01, 100.97) for _ in range(200)) == 50
    assert log.wants(200, 0.01, 101.5)


def _request(peer, forwarded=None):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = make_mocked_request("GET", "/", headers=headers)
    return request.clone(remote=peer)


TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("9.9.9.9", None, "9.9.9.9"),
        ("9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.2.2.2", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, junk, 10.2.2.2", "10.2.2.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
    ],
)
def test_who_the_client_is(peer, forwarded, address):
    client = Addresses(TRUSTED).client_of(_request(peer, forwarded))
    assert client.address == address
    assert client.trusted == (forwarded != "6.6.6.6, junk, 10.2.2.2" and ipaddress.ip_address(address) in TRUSTED[0])


@given(st.text(max_size=60))
def test_no_forwarded_header_is_too_strange(text):
    clean = "".join(character for character in text if character >= " " and character != "\x7f")
    Addresses(TRUSTED).client_of(_request("10.0.0.1", clean))
