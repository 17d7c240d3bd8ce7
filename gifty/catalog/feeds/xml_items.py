"""Streaming XML: items are cut out of the text and parsed one by one, when they must be, by expat.

What is left when the items are cut out, the skeleton, is parsed as a document of its own: it carries the categories and
shows whether the feed is whole. So an unchanged item costs a hash, and a malformed one spoils nothing but itself.
"""

from __future__ import annotations

import codecs
import html.entities
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol, TypeAlias
from xml.parsers import expat

from gifty.catalog.feeds.items import MAX_ITEM_BYTES, Entry, FeedIncomplete, NotAFeed, RawItem, excerpt, fingerprint
from gifty.catalog.models import Reject

Attributes: TypeAlias = dict[str, str]

_CHUNK: Final = 1 << 18
_MAX_DEPTH: Final = 64
_MAX_SKELETON_TEXT: Final = 1 << 16
# Bytes that no XML may hold and that shops send all the same; in UTF-8 they are never part of a letter.
_ILLEGAL: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
_DECLARATION = re.compile(rb"""^\s*<\?xml(?:[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["'])?[^>]*\?>""")
_OPAQUE = re.compile(rb"<!--|<!\[CDATA\[")
# Shops write &nbsp; and &laquo; as in HTML; expat learns these names from this text and from nowhere else.
_HTML_ENTITIES: Final = "".join(
    f'<!ENTITY {name} "&#{code};">' for name, code in html.entities.name2codepoint.items() if name not in ("lt", "amp")
).encode()


@dataclass(slots=True)
class Element:
    """An item: its own attributes and its children as (tag, attributes, text)."""

    attributes: Attributes
    fields: list[tuple[str, Attributes, str]] = field(default_factory=list)


class Shape(Protocol):
    """What one format makes of XML."""

    @property
    def item_tags(self) -> tuple[str, ...]:
        """The names of the elements that are items, without prefix."""
        ...

    @property
    def kept_tags(self) -> frozenset[str]:
        """The names of the elements outside of items that `outside` wants to hear of."""
        ...

    @property
    def id_pattern(self) -> re.Pattern[bytes]:
        """Finds an item's id in its text, without parsing it."""
        ...

    def item(self, element: Element) -> RawItem:
        """One whole item."""
        ...

    def outside(self, tag: str, parent: str, attributes: Attributes, text: str) -> None:
        """An element of `kept_tags` that is no part of an item."""
        ...

    def context(self) -> bytes:
        """The key of all that items depend on besides themselves."""
        ...


def xml_encoding(head: bytes) -> str:
    """The encoding to read by: the byte order mark, the declaration, or windows-1251 when the bytes belie UTF-8."""
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if head.startswith(mark):
            return name
    head = head.removeprefix(codecs.BOM_UTF8)
    match = _DECLARATION.match(head)
    declared = match[1].decode() if match and match[1] else "utf-8"
    try:
        name = codecs.lookup(declared).name
        "".encode(name)
    except (LookupError, UnicodeError):
        raise NotAFeed(f"the XML is in the unknown encoding {declared}") from None
    if name in ("utf-8", "ascii"):
        return "utf-8-sig" if is_utf8(head) else "cp1251"
    return name


def is_utf8(head: bytes) -> bool:
    """Whether the bytes are UTF-8, the last letter perhaps cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


class XmlFeed:
    """A feed in XML of the given shape."""

    def __init__(self, stream: BinaryIO, shape: Shape) -> None:
        self._stream = stream
        self._shape = shape
        self._items = _ItemParser()

    def entries(self) -> Iterator[Entry | Reject]:
        """Items as they stand in the text. A document with a DTD of its own raises `NotAFeed`."""
        skeleton = _Skeleton(self._shape)
        for line, name, piece in _pieces(self._chunks(), self._shape.item_tags):
            if name is None:
                skeleton.feed(piece, line)
            elif len(piece) > MAX_ITEM_BYTES:
                shown = excerpt(piece[:400].decode(errors="replace"))
                yield Reject(line, self._external_id(piece[:4096]), "item", "is larger than 1 MB", shown)
            else:
                yield Entry(line, self._external_id(piece), fingerprint(piece, self._shape.context()), piece)
        skeleton.finish()

    def unpack(self, entry: Entry) -> RawItem | Reject:
        """Parses the text of one item."""
        try:
            return self._shape.item(self._items.parse(entry.packed))
        except expat.ExpatError as error:
            line = (entry.line or 1) + entry.packed.count(b"\n")
            reason = f"{expat.ErrorString(error.code)} (near line {line})"
            shown = excerpt(entry.packed[:400].decode(errors="replace"))
            return Reject(entry.line, entry.external_id, "xml", reason, shown)

    def _chunks(self) -> Iterator[bytes]:
        head = self._stream.read(_CHUNK)
        decoder = codecs.getincrementaldecoder(xml_encoding(head))("replace")
        chunk = head
        while chunk:
            yield decoder.decode(chunk).encode("utf-8", "replace").translate(None, _ILLEGAL)
            chunk = self._stream.read(_CHUNK)

    def _external_id(self, piece: bytes) -> str | None:
        match = self._shape.id_pattern.search(piece)
        return match[1].decode().strip() if match else None


def _pieces(chunks: Iterator[bytes], tags: tuple[str, ...]) -> Iterator[tuple[int, str | None, bytes]]:
    """The text cut into (line, tag, item) and (line, None, skeleton); joined again they are the whole text."""
    start = re.compile(rb"<((?:\w{1,20}:)?(?:" + "|".join(tags).encode() + rb"))(?=[\s/>])")
    buffer, at, line = b"", 0, 1
    more = True
    while True:
        end, name = _next_piece(buffer, at, start, final=not more)
        if end > at:
            piece = buffer[at:end]
            yield line, name, piece
            line += piece.count(b"\n")
            at = end
            continue
        if not more:
            return
        chunk = next(chunks, b"")
        more = bool(chunk)
        buffer, at = buffer[at:] + chunk, 0


def _next_piece(buffer: bytes, at: int, start: re.Pattern[bytes], *, final: bool) -> tuple[int, str | None]:
    """Where the piece that begins at `at` ends, and its tag if it is an item; `at` itself when more text is needed."""
    match = start.search(buffer, at)
    head_end = match.start() if match else len(buffer)
    if opaque := _OPAQUE.search(buffer, at, head_end):
        if opaque.start() > at:
            return opaque.start(), None
        closing = b"-->" if opaque[0] == b"<!--" else b"]]>"
        found = buffer.find(closing, opaque.end())
        if found >= 0:
            return found + 3, None
        return (len(buffer) if final or len(buffer) - at > MAX_ITEM_BYTES else at), None
    if match is None:
        tail = buffer.rfind(b"<", at)
        return (len(buffer) if final or tail < 0 or buffer.find(b">", tail) >= 0 else tail), None
    if head_end > at:
        return head_end, None
    return _item_end(buffer, match, start, final=final)


def _item_end(
    buffer: bytes, match: re.Match[bytes], start: re.Pattern[bytes], *, final: bool
) -> tuple[int, str | None]:
    at, name = match.start(), match[1].decode()
    closing = b"</" + match[1] + b">"
    found = buffer.find(closing, match.end())
    while found >= 0 and _inside_opaque(buffer, at, found):
        found = buffer.find(closing, found + 1)
    if found >= 0:
        end = found + len(closing)
    elif len(buffer) - at > MAX_ITEM_BYTES:
        end = len(buffer)
    else:
        # The text ends inside an item: what is left belongs to the skeleton, where it counts as an unclosed element.
        return (len(buffer), None) if final else (at, None)
    again = start.search(buffer, match.end(), end) if buffer.find(b"<" + match[1], match.end(), end) >= 0 else None
    if again is not None and not _inside_opaque(buffer, at, again.start()):
        return again.start(), name
    return end, name


def _inside_opaque(buffer: bytes, begin: int, end: int) -> bool:
    return buffer.rfind(b"<![CDATA[", begin, end) > buffer.rfind(b"]]>", begin, end) or buffer.rfind(
        b"<!--", begin, end
    ) > buffer.rfind(b"-->", begin, end)


def _new_parser() -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.UseForeignDTD(True)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)

    def names_of_letters(context: str | None, _base: str | None, _system: str | None, _public: str | None) -> int:
        parser.ExternalEntityParserCreate(context).Parse(_HTML_ENTITIES, True)
        return 1

    def doctype(name: str, _system: str | None, _public: str | None, has_internal_subset: int) -> None:
        if has_internal_subset:
            raise NotAFeed("the XML carries a DTD of its own, which is refused")
        if name.lower() == "html":
            raise NotAFeed("this is a web page, not a feed")

    parser.ExternalEntityRefHandler = names_of_letters
    parser.StartDoctypeDeclHandler = doctype
    return parser


class _Skeleton:
    """The document without its items."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._open: list[tuple[str, Attributes]] = []
        self._text: list[str] = []
        self._seen_root = False
        self._trouble: str | None = None
        self._begun = False
        self._parser = _new_parser()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append

    def feed(self, piece: bytes, line: int) -> None:
        if self._trouble or (self._begun and piece.isspace()):
            return
        if not self._begun:
            piece = _DECLARATION.sub(b"", piece).lstrip()
            self._begun = True
        try:
            self._parser.Parse(piece, False)
        except expat.ExpatError as error:
            if not self._seen_root:
                raise NotAFeed(f"this is not well-formed XML: {expat.ErrorString(error.code)} in line {line}") from None
            if self._open:  # what follows the end of the document is not our business
                self._trouble = f"the feed is malformed near line {line}: {expat.ErrorString(error.code)}"
        if sum(map(len, self._text)) > _MAX_SKELETON_TEXT:
            self._text.clear()

    def finish(self) -> None:
        """Raises `FeedIncomplete` unless the document was whole and well-formed."""
        if self._trouble:
            raise FeedIncomplete(self._trouble)
        if self._open:
            raise FeedIncomplete("the feed ends in the middle")
        if not self._seen_root:
            raise NotAFeed("there is no XML document in it")

    def _start(self, tag: str, attributes: Attributes) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise NotAFeed("the XML is nested too deeply")
        self._seen_root = True
        self._open.append((tag.rpartition(":")[2], attributes))
        self._text.clear()

    def _end(self, _tag: str) -> None:
        tag, attributes = self._open.pop()
        if tag in self._shape.kept_tags:
            self._shape.outside(tag, self._open[-1][0] if self._open else "", attributes, "".join(self._text))
        self._text.clear()


class _ItemParser:
    """One long-lived expat parser for many items; made anew after a malformed one."""

    def __init__(self) -> None:
        self._parser: expat.XMLParserType | None = None
        self._text: list[str] = []
        self._element = Element({})
        self._own: Attributes = {}
        self._depth = 0

    def parse(self, piece: bytes) -> Element:
        """The item. Raises ExpatError when it is malformed."""
        parser = self._parser or self._new()
        self._parser = None
        parser.Parse(piece, False)
        if self._depth:
            parser.Parse(b"</items>", True)
        self._parser = parser
        return self._element

    def _new(self) -> expat.XMLParserType:
        parser = _new_parser()
        parser.Parse(b"<items>", False)
        text = self._text
        fields: list[tuple[str, Attributes, str]] = []
        depth = self._depth = 0
        own: Attributes = {}

        def start(_tag: str, attributes: Attributes) -> None:
            nonlocal depth, own, fields
            if depth == 1:
                text.clear()
                own = attributes
            elif not depth:
                self._element = Element(attributes)
                fields = self._element.fields
            depth += 1
            self._depth = depth

        def end(tag: str) -> None:
            nonlocal depth
            depth -= 1
            if depth == 1:
                fields.append((tag, own, text[0] if len(text) == 1 else "".join(text)))
                text.clear()
            elif not depth:
                text.clear()
            self._depth = depth

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text.append
        return parser
