"""Feeds as they should not be: each is refused in words, or read as far as it can be."""

import gzip
import json
import re
import tracemalloc
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gifty.catalog.feeds.detect import PROMOTIONS, FeedFile, detect, open_feed
from gifty.catalog.feeds.items import Entry, FeedIncomplete, FeedOptions, NotAFeed, RawItem
from gifty.catalog.feeds.yml import yml_feed
from gifty.catalog.models import Reject
from tests.catalog.test_feeds import RSS, SHOPIFY, YML, write
from tests.fixtures.feeds import yml_chunks

Read = tuple[list[RawItem], list[Reject], str | None]


def read(path: Path, kind: str | None = None, limit: int = 1 << 30) -> Read:
    """Items, rejects, and why the feed is incomplete."""
    items: list[RawItem] = []
    rejects: list[Reject] = []
    with FeedFile(path, limit) as file:
        feed = open_feed(file, kind or detect(file.head()), FeedOptions(base_url="https://shop.example"))
        try:
            for entry in feed.entries():
                got = feed.unpack(entry) if isinstance(entry, Entry) else entry
                if isinstance(got, Reject):
                    rejects.append(got)
                else:
                    items.append(got)
        except FeedIncomplete as error:
            return items, rejects, error.message
    return items, rejects, None


def yml(offers: str, head: str = "") -> str:
    return f"{head}<yml_catalog><shop><offers>{offers}</offers></shop></yml_catalog>"


def offer(number: int, name: str = "Чай") -> str:
    return f'<offer id="{number}"><name>{name}</name><url>https://shop.example/{number}</url></offer>'


def test_a_feed_cut_in_the_middle_gives_what_came_before(tmp_path: Path) -> None:
    text = YML.format(encoding="utf-8")
    items, rejects, trouble = read(write(tmp_path, text[: text.index('<offer id="3"') + 30]))
    assert [item.external_id for item in items] == ["1", "2"]
    assert not rejects
    assert trouble == "the feed ends in the middle"


def test_a_feed_cut_between_offers_is_incomplete_too(tmp_path: Path) -> None:
    text = YML.format(encoding="utf-8")
    items, _, trouble = read(write(tmp_path, text[: text.index("</offers>")]))
    assert len(items) == 4
    assert trouble


@given(st.integers(0, len(YML.format(encoding="utf-8").encode()) - 1))
def test_a_cut_anywhere_is_never_taken_for_the_whole(at: int) -> None:
    content = YML.format(encoding="utf-8").encode()[:at]
    feed = yml_feed(BytesIO(content), FeedOptions())

    def read_all() -> None:
        for entry in feed.entries():
            assert isinstance(entry, Entry)
            assert isinstance(feed.unpack(entry), RawItem)

    with pytest.raises((FeedIncomplete, NotAFeed)):
        read_all()


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]>',
        '<!DOCTYPE a [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&lol;&lol;"><!ENTITY lol2 "&lol1;&lol1;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://169.254.169.254/"> %p;]>',
        '<!DOCTYPE yml_catalog SYSTEM "shops.dtd" [<!ELEMENT a ANY>]>',
    ],
)
def test_documents_with_their_own_entities_are_refused(tmp_path: Path, prologue: str) -> None:
    bomb = yml(offer(1, "&lol2;&x;"), '<?xml version="1.0"?>' + prologue)
    with pytest.raises(NotAFeed, match="DTD of its own"):
        read(write(tmp_path, bomb))


def test_an_entity_declared_inside_an_item_is_only_a_bad_item(tmp_path: Path) -> None:
    items, rejects, _ = read(
        write(tmp_path, yml('<offer id="1"><!DOCTYPE a [<!ENTITY b "c">]><name>&b;</name></offer>' + offer(2)))
    )
    assert [item.external_id for item in items] == ["2"]
    assert rejects[0].field == "xml"


def test_a_malformed_offer_spoils_nothing_but_itself(tmp_path: Path) -> None:
    bad = '<offer id="2"><url>https://shop.example/?a=1&b=2</url></offer>'
    unclosed = '<offer id="4"><name>x</name>'
    items, rejects, trouble = read(write(tmp_path, yml(f"{offer(1)}\n{bad}\n{offer(3)}\n{unclosed}\n{offer(5)}")))
    assert [item.external_id for item in items] == ["1", "3", "5"]
    assert [(reject.line, reject.external_id, reject.field) for reject in rejects] == [(2, "2", "xml"), (4, "4", "xml")]
    assert trouble is None


def test_control_characters_and_unknown_entities_are_dropped(tmp_path: Path) -> None:
    items, rejects, _ = read(write(tmp_path, yml(offer(1, "Ча\x0bй &unknown;&nbsp;x"))))
    assert not rejects
    assert items[0].title == "Чай \u00a0x"


def test_a_giant_offer_is_reported_and_the_next_is_read(tmp_path: Path) -> None:
    items, rejects, _ = read(write(tmp_path, yml(offer(1, "я" * 2_000_000) + offer(2))))
    assert [item.external_id for item in items] == ["2"]
    assert rejects[0].reason == "is larger than 1 MB"


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAFeed, match="nested"):
        read(write(tmp_path, "<yml_catalog>" + "<a>" * 5_000), "yml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"  \n \n", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"<html><head></head></html>", "web page"),
        (b"<?xml version='1.0'?><sitemapindex/>", "root is <sitemapindex>"),
        (b"PK\x03\x04abc", "archive"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"abc\0def", "no text"),
        (b"just some words", "neither XML nor JSON nor a table"),
        (b"<?xml version='1.0' encoding='klingon'?><yml_catalog/>", "unknown encoding"),
        (b"<yml_catalog <shop>", "not well-formed"),
        (b"a,b,c\n1,2,3\n", "title and url"),
        (b"\x1f\x8b\x08\x00broken", "broken|damaged|empty|middle"),
    ],
)
def test_what_is_no_feed_is_called_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    def read_all() -> str | None:
        return read(write(tmp_path, content))[2]

    try:
        said = read_all()
    except NotAFeed as error:
        said = error.message
    assert said is not None
    assert re.search(message, said)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAFeed, match="no such file"):
        FeedFile(tmp_path / "nope.xml")
    with pytest.raises(NotAFeed, match="directory"):
        FeedFile(tmp_path)


def test_a_cut_archive_gives_what_can_be_unpacked(tmp_path: Path) -> None:
    content = yml("".join(offer(n, f"{n} " + "чай" * (n % 7)) for n in range(50_000)))
    packed = gzip.compress(content.encode())
    items, _, trouble = read(write(tmp_path, packed[: len(packed) // 2], "feed.gz"))
    assert len(items) > 10_000
    assert trouble
    assert "gzip" in trouble


def test_a_decompression_bomb_is_stopped(tmp_path: Path) -> None:
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = engine.compress(yml(offer(1)).encode() + b" " * (64 << 20)) + engine.flush()
    with pytest.raises(NotAFeed, match="more than 8 MB"):
        read(write(tmp_path, packed, "bomb.gz"), limit=8 << 20)


def test_broken_rows_of_a_table_are_reported_one_by_one(tmp_path: Path) -> None:
    rows = "id,title,url\n1,Чай,https://s.example/1\n2,Кофе\n3,a,b,c\n\n4,Сыр,https://s.example/4\n"
    items, rejects, trouble = read(write(tmp_path, rows))
    assert [item.external_id for item in items] == ["1", "4"]
    assert [(reject.line, reject.field) for reject in rejects] == [(3, "row"), (4, "row")]
    assert trouble is None


def test_an_endless_quote_does_not_take_the_rest_of_the_table(tmp_path: Path) -> None:
    filler = "".join(f"{n},Чай {n},https://s.example/{n}\n" for n in range(2, 20_000))
    items, rejects, _ = read(write(tmp_path, 'id,title,url\n1,"Чай,https://s.example/1\n' + filler))
    assert len(rejects) == 1
    assert "limit" in rejects[0].reason
    assert len(items) > 10_000


def test_a_cut_table_is_incomplete(tmp_path: Path) -> None:
    items, _, trouble = read(write(tmp_path, "id,title,url\n1,Чай,https://s.example/1\n2,Ко"))
    assert len(items) == 1
    assert trouble
    assert "line 3" in trouble


def test_broken_lines_of_json_are_reported(tmp_path: Path) -> None:
    good = json.dumps({"id": 1, "title": "Tea", "url": "https://s.example/1"})
    items, rejects, trouble = read(write(tmp_path, f"{good}\n{{nope\n[1]\n{good[:-9]}"))
    assert len(items) == 1
    assert [(reject.line, reject.field) for reject in rejects] == [(2, "row"), (3, "item")]
    assert trouble
    assert "line 4" in trouble


def test_json_that_nests_for_ever_is_refused_before_it_costs_memory(tmp_path: Path) -> None:
    for content in ("[" * 200_000, '[{"a":' + '{"a":' * 50_000, '{"products":' + "[" * 100_000):
        path = write(tmp_path, content)
        tracemalloc.start()
        try:
            with pytest.raises(NotAFeed, match="levels deep"):
                read(path, "shopify" if content.startswith('{"p') else "jsonl")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32 << 20


def test_cut_json_is_incomplete(tmp_path: Path) -> None:
    text = json.dumps(SHOPIFY)
    items, _, trouble = read(write(tmp_path, text[: text.rindex("Bare")]), "shopify")
    assert len(items) == 1
    assert trouble


class _Endless:
    """A stream that is made as it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_readers_survive_any_damage(data: st.DataObject) -> None:
    source = data.draw(
        st.sampled_from(
            [YML.format(encoding="utf-8"), RSS, json.dumps(SHOPIFY), "id,title,url\n1,a,https://s.example/1\n"]
        )
    )
    content = bytearray(source.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        what = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"<",
                    b">",
                    b"&",
                    b'"',
                    b"]]>",
                    b"<![CDATA[",
                    b"<!--",
                    b"\0",
                    b"\xff",
                    b"<offer ",
                    b"</offer>",
                    b"{",
                    b"\n",
                ]
            )
        )
        content[at : at + data.draw(st.integers(0, 20))] = what
        if not content:
            return
    try:
        kind = detect(bytes(content))
        assume(kind != PROMOTIONS)
        file = cast("FeedFile", _Memory(bytes(content)))
        feed = open_feed(file, kind, FeedOptions(base_url="https://shop.example"))
        for entry in feed.entries():
            if isinstance(entry, Entry):
                assert isinstance(feed.unpack(entry), RawItem | Reject)
    except (NotAFeed, FeedIncomplete):
        return


class _Memory:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def head(self) -> bytes:
        return self._content[:1000]

    def plain(self) -> BinaryIO:
        return BytesIO(self._content)


def test_a_large_feed_is_read_in_constant_memory() -> None:
    feed = yml_feed(cast("BinaryIO", _Endless(yml_chunks(40_000))), FeedOptions())
    tracemalloc.start()
    try:
        count = sum(1 for _ in feed.entries())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 40_000
    assert peak < 8 << 20
