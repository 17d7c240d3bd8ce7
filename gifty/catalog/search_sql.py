"""The statement of one search: filters, the vector's leg, the words' leg, their fusion, and the stages of the list.

A list is a chain of stages, each in a total order of its own, so that a cursor (stage, key, id) always finds its place:
what the legs found and fused, then every other gift that meets the conditions, nearest first. The chain is why a list
is never short: a stage runs only when those before it did not fill the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gifty.catalog.census import HUNDREDTHS, hundredths
from gifty.catalog.embeddings.protocol import Vector
from gifty.catalog.search_models import GiftFilter, Sort, Space

FUSION_CONSTANT: Final = 60
"""k of reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""
WORTH: Final = 0.1
"""How much of a gift's score depends on how good a present it is: about six places among equals."""
WORTH_OF: Final = "s.rank - s.is_idea::int"
"""An idea stands some six places behind a real product of the same fit."""
RELEVANT: Final = 0.6
"""In lists not sorted by relevance, what the vector alone found leads when at least this near the best similarity."""
_HIGHEST: Final = (1 << 62) - 1
WORD_MATCHES: Final = 300
"""Gifts that the words' leg looks at before the filters, for all words and again for some."""
WORD_CANDIDATES: Final = 80
"""Gifts that the words' leg ranks: ranking reads the whole text vector of each."""
COMMON: Final = 5_000
"""Words that fewer gifts have than this, taken together, are looked up one by one; commoner ones only rank."""
MENDING: Final = 0.5
"""Least Dice likeness of letter trigrams between a mistyped word and the word it is read as."""
MENDED_LENGTH: Final = 2
DESCRIPTION_CHARACTERS: Final = 400
PAGES: Final = (11, 21, 51, 101)
"""Rows fetched for a page, one more than it may show: constants, for a plan of an unknown LIMIT reads whole tables."""

LISTED: Final = f"""
    s.gift_id, g.title, left(g.description, {DESCRIPTION_CHARACTERS}) AS description, s.price, s.currency,
    o.old_price::float8 AS old_price, g.url, g.image_url, g.merchant, c.name AS category, g.is_idea,
    s.created_at, s.rank
"""
LISTED_FROM: Final = """
    JOIN gifts g ON g.id = s.gift_id
    JOIN offers o ON o.gift_id = s.gift_id
    LEFT JOIN categories c ON c.id = g.category_id
"""


@dataclass(slots=True)
class Arguments:
    """The values of a statement, in the order of their placeholders."""

    values: list[Any] = field(default_factory=list)

    def bind(self, value: Any) -> str:
        """The placeholder of a value."""
        self.values.append(value)
        return f"${len(self.values)}"


@dataclass(frozen=True, slots=True)
class Words:
    """A query as words: all of them, and those that no dictionary knows."""

    all: tuple[str, ...]
    suspects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """A walk through HNSW: how many rows it may look at, and the category whose own index it takes."""

    rows: int
    category: int | None = None
    few: bool = False
    """So few gifts meet the conditions that comparing all of them is what to do when the walk finds nothing near."""


@dataclass(frozen=True, slots=True)
class Question:
    """A search that is ready to be asked. Without a `scan` every row that meets the conditions is compared."""

    space: Space
    where: GiftFilter
    category_ids: Sequence[int] | None
    words: Words | None
    vector: Vector | None
    scan: Scan | None
    sort: Sort
    depth: int
    """How many gifts each leg contributes; the same on all pages of a list."""
    limit: int
    after: Mapping[str, Any] | None
    many: bool = False
    """So many gifts meet the conditions that walking them in order is quicker than sorting them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a list: where its rows come from, their key and its direction."""

    source: str
    key: str
    cast: str
    descending: bool
    id_descending: bool = False
    where: str = "true"

    def select(self, number: int, after: tuple[str, str] | None, limit: int) -> str:
        """The rows of this stage behind a position."""
        id_order = " DESC" if self.id_descending else ""
        key_order = " DESC" if self.descending else ""
        beyond = "" if after is None else f" AND {self._beyond(*after)}"
        return (
            f"(SELECT {number} AS stage, s.gift_id, ({self.key})::{self.cast}::text AS key FROM {self.source} "
            f"WHERE {self.where}{beyond} ORDER BY {self.key}{key_order}, s.gift_id{id_order} LIMIT {limit})"
        )

    def _beyond(self, key: str, gift_id: str) -> str:
        bound = f"{key}::text::{self.cast}"
        if self.descending == self.id_descending:
            return f"({self.key}, s.gift_id) {'<' if self.descending else '>'} ({bound}, {gift_id})"
        further, following = ("<", ">") if self.descending else (">", "<")
        return (
            f"({self.key}) {further}= {bound} AND (({self.key}) {further} {bound} OR s.gift_id {following} {gift_id})"
        )


def _bounds(where: GiftFilter) -> tuple[int | None, int | None]:
    low = None if where.min_price is None else -int(-where.min_price * HUNDREDTHS // 1)
    return low, None if where.max_price is None else hundredths(where.max_price)


def conditions(
    space: Space,
    where: GiftFilter,
    category_ids: Sequence[int] | None,
    arguments: Arguments,
    *,
    in_order: bool = False,
) -> str:
    """What a row `s` of gift_search must meet.

    With `in_order` prices are looked at row by row, in an order of another kind: a prepared plan takes any range of
    unknown prices for a narrow one, and would fetch and sort a wide one.
    """
    parts = [f"s.space = {space.id}", "s.active"]
    if category_ids is not None:
        several = f"ANY ({arguments.bind(list(category_ids))}::bigint[])" if len(category_ids) != 1 else None
        parts.append(f"s.category_id = {several or arguments.bind(category_ids[0]) + '::bigint'}")
    low, high = _bounds(where)
    if low is not None or high is not None:
        # Always both, so that fewer different statements are prepared.
        least, most = arguments.bind(low or 0), arguments.bind(_HIGHEST if high is None else high)
        within = f"s.price BETWEEN {least}::bigint AND {most}::bigint"
        parts.append(f"CASE WHEN {within} THEN true ELSE false END" if in_order else within)
    if where.age is not None:
        age = arguments.bind(where.age)
        parts.append(f"s.age_min <= {age}::smallint AND s.age_max >= {age}::smallint")
    if where.currency is not None:
        parts.append(f"s.currency = {arguments.bind(where.currency)}::text")
    return " AND ".join(parts)


def nearest(
    space: Space,
    where: GiftFilter,
    category_ids: Sequence[int] | None,
    vector: str,
    depth: int,
    scan: Scan | None,
    arguments: Arguments,
) -> str:
    """The nearest gifts under conditions, with `rank` and `distance`; see `gift_nearest` in the schema."""
    low, high = _bounds(where)
    values = (
        f"{arguments.bind(None if category_ids is None else list(category_ids))}::bigint[]",
        f"{arguments.bind(low)}::bigint",
        f"{arguments.bind(high)}::bigint",
        f"{arguments.bind(where.age)}::smallint",
        f"{arguments.bind(where.currency)}::text",
        f"{arguments.bind(space.segment)}::integer",
        f"{arguments.bind(None if scan is None else scan.category)}::bigint",
        f"{arguments.bind(None if scan is None else scan.rows)}::integer",
        f"{arguments.bind(scan is not None and scan.few)}::boolean",
    )
    return f"SELECT * FROM gift_nearest({vector}, {space.id}::smallint, {depth}, {', '.join(values)})"


def listing(question: Question) -> tuple[str, list[Any]]:
    """The statement of one page, and its arguments. It gives more rows than the limit when there is a next page.

    Every row repeats `revision`, `serving` and `mended`; a page without gifts is one row with a null `gift_id`.
    """
    arguments = Arguments()
    searching = question.words is not None or question.vector is not None
    in_order = question.many and not searching and _PLAIN[question.sort].key != "s.price"
    where = conditions(question.space, question.where, question.category_ids, arguments, in_order=in_order)
    tables: list[str] = []
    if question.words is not None:
        tables += _word_tables(question.words, where, question.depth, arguments)
    if question.vector is not None:
        vector = f"{arguments.bind(question.vector)}::halfvec"
        leg = nearest(
            question.space, question.where, question.category_ids, vector, question.depth, question.scan, arguments
        )
        tables.append(f"nearest AS MATERIALIZED ({leg})")
    else:
        vector = ""
    if searching:
        tables.append(_fused(question))
    stages = _stages(question, where, vector, searching=searching)
    limit = next(size for size in PAGES if size > question.limit)
    begin, position = 0, None
    if question.after is not None:
        begin = question.after["stage"]
        position = (arguments.bind(question.after["key"]), arguments.bind(question.after["id"]) + "::text")
    chain = " UNION ALL ".join(
        stage.select(number, position if number == begin else None, limit)
        for number, stage in enumerate(stages)
        if number >= begin
    )
    tables.append(
        "page AS MATERIALIZED (SELECT row_number() OVER () AS place, p.* "
        f"FROM (SELECT * FROM ({chain}) stages LIMIT {limit}) p)"
    )
    distance = f"s.embedding <=> {vector}" if vector else "NULL::float8"
    mended = "(SELECT jsonb_object_agg(written, meant) FROM mended)" if question.words else "NULL::jsonb"
    statement = f"""
        WITH {", ".join(tables)}
        SELECT (SELECT last_value FROM gift_search_revision) AS revision,
               (SELECT e.id || ' ' || coalesce(e.segment, 0) FROM embedding_spaces e WHERE e.serving) AS serving,
               {mended} AS mended, listed.*
        FROM (SELECT 1) AS once LEFT JOIN (
            SELECT p.place, p.stage, p.key, {distance} AS distance, {LISTED}
            FROM page p JOIN gift_search s ON s.gift_id = p.gift_id AND s.space = {question.space.id} {LISTED_FROM}
        ) listed ON true
        ORDER BY listed.place"""
    return statement, arguments.values


def _word_tables(words: Words, where: str, depth: int, arguments: Arguments) -> list[str]:
    """The same text for every query, whatever its words, so that one prepared plan serves all."""
    every = arguments.bind(list(words.all))
    return [
        _mended(arguments.bind(list(words.suspects))),
        f"""asked AS MATERIALIZED (
        SELECT words, plainto_tsquery('russian', words) AS every FROM (
            SELECT string_agg(coalesce(m.meant, w.word), ' ' ORDER BY w.place) AS words
            FROM unnest({every}::text[]) WITH ORDINALITY w(word, place) LEFT JOIN mended m ON m.written = w.word) w)""",
        _rare(),
        f"""lexical AS MATERIALIZED (
        SELECT gift_id, rank, row_number() OVER (ORDER BY score DESC, gift_id) AS position
        FROM (SELECT g.id AS gift_id, s.rank, ts_rank(g.search, (SELECT likely FROM rare), 1) AS score
              FROM ((SELECT id, search FROM gifts WHERE search @@ (SELECT every FROM asked) LIMIT {WORD_MATCHES})
                    UNION ALL
                    (SELECT id, search FROM gifts
                     WHERE search @@ (SELECT telling FROM rare) AND NOT search @@ (SELECT every FROM asked)
                     LIMIT {WORD_MATCHES})) g
              CROSS JOIN LATERAL (
                  SELECT {WORTH_OF} AS rank FROM gift_search s WHERE s.gift_id = g.id AND {where} OFFSET 0) s
              LIMIT {WORD_CANDIDATES}) ranked
        ORDER BY position LIMIT {depth})""",
    ]


def _rare() -> str:
    """Any of the words (to rank by), and any of the rare ones (to fetch by): too many gifts have the common ones."""
    return f"""rare AS MATERIALIZED (
        SELECT string_agg(term, ' | ')::tsquery AS likely,
               CASE WHEN count(*) > 1 THEN
                   (string_agg(term, ' | ') FILTER (WHERE place = 1 OR running <= {COMMON}))::tsquery END AS telling
        FROM (SELECT quote_literal(a.lexeme) AS term, row_number() OVER seldom AS place,
                     sum(coalesce(l.documents, 0)) OVER seldom AS running
              FROM (SELECT unnest(tsvector_to_array(to_tsvector('russian', words))) AS lexeme FROM asked) a
              LEFT JOIN search_lexemes l ON l.lexeme = a.lexeme
              WINDOW seldom AS (ORDER BY coalesce(l.documents, 0), a.lexeme)) terms)"""


def _mended(suspects: str) -> str:
    """Words that no title has, each with the likest word that one has."""
    return f"""mended AS MATERIALIZED (
        SELECT w.written, likest.word AS meant
        FROM unnest({suspects}::text[]) w(written)
        CROSS JOIN LATERAL (SELECT word_grams(w.written) AS grams OFFSET 0) own
        CROSS JOIN LATERAL (
            SELECT near.word FROM (
                SELECT v.word, v.documents,
                       2.0 * (SELECT count(*) FROM unnest(v.grams) gram WHERE gram = ANY (own.grams))
                       / (cardinality(v.grams) + cardinality(own.grams)) AS likeness
                FROM search_words v
                WHERE v.grams && own.grams
                  AND length(v.word) BETWEEN length(w.written) - {MENDED_LENGTH} AND length(w.written) + {MENDED_LENGTH}
            ) near
            WHERE near.likeness >= {MENDING}
            ORDER BY near.likeness DESC, near.documents DESC, near.word LIMIT 1
        ) likest
        WHERE NOT EXISTS (
            SELECT FROM search_words k WHERE k.lexeme = ANY (tsvector_to_array(to_tsvector('russian', w.written)))))"""


def _fused(question: Question) -> str:
    legs: list[str] = []
    if question.vector is not None:
        legs.append(
            f"SELECT gift_id, rank, distance, false AS by_word, 1::float8 / ({FUSION_CONSTANT} + row_number() OVER "
            "(ORDER BY distance, gift_id)) AS share FROM nearest"
        )
    if question.words is not None:
        legs.append(
            "SELECT gift_id, rank, NULL::float8 AS distance, true AS by_word, "
            f"1::float8 / ({FUSION_CONSTANT} + position) AS share FROM lexical"
        )
    return f"""fused AS MATERIALIZED (
        SELECT gift_id, sum(share) * ({1 - WORTH} + {WORTH} * max(rank)::float8) AS score,
               min(distance) AS distance, bool_or(by_word) AS by_word
        FROM ({" UNION ALL ".join(legs)}) legs GROUP BY gift_id)"""


_PLAIN: Final[Mapping[Sort, Stage]] = {
    Sort.RELEVANCE: Stage("gift_search s", "s.rank", "real", descending=True),
    Sort.PRICE_ASC: Stage("gift_search s", "s.price", "bigint", descending=False),
    Sort.PRICE_DESC: Stage("gift_search s", "s.price", "bigint", descending=True, id_descending=True),
    Sort.NEW: Stage("gift_search s", "s.created_at", "timestamptz", descending=True),
}


def _stages(question: Question, where: str, vector: str, *, searching: bool) -> list[Stage]:
    sort = question.sort
    if not searching:
        return _rest(sort, where)
    if sort is Sort.RELEVANCE:
        first = Stage("fused s", "s.score", "float8", descending=True)
        others = f"{where} AND NOT EXISTS (SELECT FROM fused f WHERE f.gift_id = s.gift_id)"
        if not vector:
            return [first, *_rest(sort, others)]
        by_distance = Stage(
            "gift_search s", f"s.embedding <=> {vector}", "float8", descending=False,
            where=f"{others} AND s.embedding IS NOT NULL",
        )  # fmt: skip
        return [first, by_distance, *_rest(sort, f"{others} AND s.embedding IS NULL")]
    near = f"distance <= 1 - {RELEVANT} * (1 - (SELECT min(distance) FROM fused))"
    relevant = f"(SELECT gift_id FROM fused WHERE by_word OR {near})"
    plain = _PLAIN[sort]
    first = Stage(
        f"{relevant} f JOIN gift_search s ON s.gift_id = f.gift_id AND s.space = {question.space.id}",
        f"coalesce(s.price, {_HIGHEST if sort is Sort.PRICE_ASC else -1})" if plain.key == "s.price" else plain.key,
        plain.cast, descending=plain.descending, id_descending=plain.id_descending,
    )  # fmt: skip
    return [first, *_rest(sort, f"{where} AND NOT EXISTS (SELECT FROM {relevant} f WHERE f.gift_id = s.gift_id)")]


def _rest(sort: Sort, where: str) -> list[Stage]:
    """Everything that meets the conditions in a plain order; what has no price comes last where prices decide."""
    plain = _PLAIN[sort]
    ordered = Stage(
        plain.source, plain.key, plain.cast, descending=plain.descending, id_descending=plain.id_descending, where=where
    )
    if plain.key != "s.price":
        return [ordered]
    priced = Stage(
        plain.source, plain.key, plain.cast, descending=plain.descending, id_descending=plain.id_descending,
        where=f"{where} AND s.price IS NOT NULL",
    )  # fmt: skip
    return [priced, Stage(plain.source, "s.price", "bigint", descending=False, where=f"{where} AND s.price IS NULL")]


def position_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where a list stands after this row."""
    return {"stage": row["stage"], "key": row["key"], "id": row["gift_id"]}
