"""Search: never short, near to exact, stable from page to page, and forgiving of typing errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gifty.catalog.census import Census, CensusRow
from gifty.catalog.embeddings import EmbeddingFailed, LocalEmbedder, NoConcepts
from gifty.catalog.models import Category, Promotion
from gifty.catalog.query import MOST_FRESH, Planner
from gifty.catalog.search_models import GiftFilter, GiftSearch, Sort, Space
from gifty.catalog.search_sql import Scan
from gifty.core.database import Database
from gifty.core.errors import InvalidInput
from tests.fixtures.search import LANGUAGE, Catalogue, open_database
from tests.fixtures.synthetic import THINGS, Made, made_gifts

SIZE = 3_000
QUERIES = (
    "чайник", "кружка с рисунком кота", "тёплый плед для мамы", "travel mug", "детский конструктор",
    "наушники беспроводные",
    "подарок папе на дачу", "что-нибудь", "велосипет складной", "zzzz", "Стоус 22",
)  # fmt: skip


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool with the settings of search."""
    database = await open_database(dsn)
    yield database
    await database.close()


@pytest.fixture
async def small(database: Database) -> Catalogue:
    """Four hundred gifts, compared exactly."""
    catalogue = Catalogue(database)
    await catalogue.fill(list(made_gifts(400)))
    return catalogue


@pytest.fixture
async def indexed(database: Database) -> AsyncIterator[Catalogue]:
    """Three thousand gifts under HNSW, some of them fresh, changed, without a vector or sold out."""
    catalogue = Catalogue(
        database, index_from=500, category_from=400, planner=Planner(exact_rows=60, exact_under_category=200)
    )
    gifts = list(made_gifts(SIZE))
    await catalogue.fill(gifts[:2800])
    await catalogue.store(gifts[2800:])
    for _ in range(2):
        space = await catalogue.embedding.serving()
        pending = await catalogue.vectors.pending(space, 60)
        await catalogue.vectors.write(
            space, pending, await catalogue.embedder.embed_gifts([gift.text for gift in pending])
        )
    await database.execute("UPDATE gifts SET title = title || ' обновлено' WHERE id LIKE '%7'")
    await database.execute("UPDATE offers SET available = false WHERE gift_id LIKE '%3'")
    await database.execute("UPDATE offers SET active = false WHERE gift_id LIKE '%4'")
    await database.execute("UPDATE offers SET price = NULL WHERE gift_id LIKE '%55'")
    yield catalogue
    await catalogue.search.aclose()


def matching(gifts: list[Made], where: GiftFilter) -> set[str]:
    """What meets the conditions, counted in the slow and simple way."""
    return {
        gift.gift_id
        for gift in gifts
        if gift.gift_id[-1] not in "34"
        and (where.category is None or gift.category == where.category)
        and (where.age is None or gift.age_min <= where.age <= gift.age_max)
        and ((where.min_price is None and where.max_price is None) or not gift.gift_id.endswith("55"))
        and (where.min_price is None or Decimal(str(gift.price)) >= where.min_price)
        and (where.max_price is None or Decimal(str(gift.price)) <= where.max_price)
    }


filters = st.builds(
    GiftFilter,
    category=st.none() | st.sampled_from(sorted(THINGS)),
    min_price=st.none() | st.decimals(50, 3000, places=2),
    max_price=st.none() | st.decimals(60, 20_000, places=2),
    age=st.none() | st.integers(0, 120),
)


async def test_never_short(indexed: Catalogue) -> None:
    gifts = list(made_gifts(SIZE))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(where=filters, query=st.sampled_from(("", *QUERIES)), sort=st.sampled_from(Sort), limit=st.integers(1, 100))
    async def check(where: GiftFilter, query: str, sort: Sort, limit: int) -> None:
        right = matching(gifts, where)
        found = await indexed.search.search(GiftSearch(query, where, sort, limit))
        ids = [gift.gift_id for gift in found.gifts]
        assert len(ids) == len(set(ids)) == min(limit, len(right))
        assert set(ids) <= right
        assert found.total == len(right)
        assert (found.next_position is not None) == (len(right) > limit)
        if where.category is None:
            assert sum(item.count for item in found.facets.categories) == len(right)

    await check.hypothesis.inner_test(where=GiftFilter(), query="чайник", sort=Sort.RELEVANCE, limit=20)
    await run_given(check)


async def run_given(check: object) -> None:
    """Runs an async property inside the running test, so that one catalogue serves all its examples."""
    import asyncio  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    inner = check.hypothesis.inner_test  # type: ignore[attr-defined]

    def blocking(**values: object) -> None:
        asyncio.run_coroutine_threadsafe(inner(**values), loop).result(timeout=60)

    check.hypothesis.inner_test = blocking  # type: ignore[attr-defined]
    await asyncio.to_thread(check)  # type: ignore[arg-type]


async def test_every_page_once_and_in_order(indexed: Catalogue) -> None:
    gifts = {gift.gift_id: gift for gift in made_gifts(SIZE)}
    where = GiftFilter(category="Дом", max_price=Decimal(2500))
    for sort in Sort:
        for query in ("", "плед для мамы"):
            seen, after = [], None
            while True:
                page = await indexed.search.search(GiftSearch(query, where, sort, 17, after))
                seen += page.gifts
                after = page.next_position
                if after is None:
                    break
            assert {gift.gift_id for gift in seen} == matching(list(gifts.values()), where)
            assert len(seen) == len({gift.gift_id for gift in seen})
            prices = [gift.price for gift in seen if gift.price is not None]
            if sort is Sort.PRICE_ASC and not query:
                assert prices == sorted(prices)
            if sort is Sort.PRICE_DESC and not query:
                assert prices == sorted(prices, reverse=True)


@pytest.mark.parametrize("kept", [1.0, 0.5, 0.12])
@pytest.mark.parametrize("category", [None, "Кухня"])
async def test_recall_of_hnsw_against_comparing_all(indexed: Catalogue, kept: float, category: str | None) -> None:
    space = await indexed.embedding.serving()
    prices = sorted(gift.price for gift in made_gifts(SIZE) if category in {None, gift.category})
    dearest = None if kept == 1 else Decimal(str(prices[int(len(prices) * kept)]))
    where = GiftFilter(max_price=dearest, category=category)
    census = await indexed.repository.census(space)
    ids = None if category is None else census.category_ids(category)
    scan = Planner(exact_rows=1, exact_share=0).scan(space, census, where, ids, 64)
    assert scan is not None
    assert (scan.category is None) == (category is None)
    hits = 0.0
    for query in QUERIES:
        vector = await indexed.embedder.embed_query(query)
        exact = await indexed.repository.nearest(space, where, ids, vector, 10, None)
        quick = await indexed.repository.nearest(space, where, ids, vector, 64, scan)
        worst = exact[-1][1]
        hits += sum(cosine >= worst - 1e-3 for _, cosine in quick[:10]) / len(exact)
    assert hits / len(QUERIES) >= 0.98


def test_comparing_and_walking_are_both_planned() -> None:
    def census(**rows: int) -> Census:
        prices = {name: np.arange(100, 100 + count, dtype=">i8").tobytes() for name, count in rows.items()}
        listed = [CensusRow(int(name[1:]), "RUB", 0, 120, 0, prices[name]) for name in rows]
        return Census(1, listed, [Category(int(name[1:]), name) for name in rows])

    planner = Planner()
    space = Space(1, "local", 1, 384, serving=True, segment=1, categories=frozenset({1}))
    large = census(c1=40_000, c2=30_000, c3=30_000)
    assert planner.scan(space, large, GiftFilter(), None, 64) == Scan(512)
    assert planner.scan(space, large, GiftFilter(category="c1"), [1], 64) == Scan(512, 1)
    half = GiftFilter(category="c1", max_price=Decimal(200))
    assert planner.scan(space, large, half, [1], 64) == Scan(1024, 1)
    few = GiftFilter(category="c1", max_price=Decimal(50))
    assert planner.scan(space, large, few, [1], 64) == Scan(4096, 1, few=True)
    assert planner.scan(space, large, GiftFilter(category="c1", max_price=Decimal(20)), [1], 64) is None
    assert planner.scan(space, census(c1=90_000, c2=9_000), GiftFilter(category="c2"), [2], 64) is None
    assert planner.scan(space, large, GiftFilter(category="c2"), [2, 3], 64) == Scan(1024)
    assert planner.scan(replace(space, segment=None), large, GiftFilter(), None, 64) is None
    assert planner.scan(space, Census(1, [], [], fresh=MOST_FRESH + 1), GiftFilter(), None, 64) is None


async def test_a_walk_uses_its_index(indexed: Catalogue) -> None:
    """What PostgreSQL counts per index shows that the planner did not sort the whole table instead."""
    space = await indexed.embedding.serving()
    vector = await indexed.embedder.embed_query("чайник")
    category = min(space.categories)
    for scan, index in (
        (Scan(512), f"gift_embeddings_hnsw_{space.segment}"),
        (Scan(512, category), f"gift_embeddings_hnsw_{space.segment}_{category}"),
    ):
        async with indexed.database.transaction() as connection:
            before = await connection.fetchval(_SCANS, index)
            await connection.fetch(
                "SELECT * FROM gift_nearest($1, $2, 10, NULL, NULL, NULL, NULL, NULL, $3, $4, $5, false)",
                vector,
                space.id,
                space.segment,
                scan.category,
                scan.rows,
            )
            assert await connection.fetchval(_SCANS, index) == before + 1


_SCANS = "SELECT pg_stat_get_xact_numscans(to_regclass($1))"


@pytest.mark.parametrize(
    ("query", "word", "mended"),
    [
        ("чайник", "чайник", {}),
        ("ЧАЙНИКИ", "чайник", {}),
        ("чайнек", "чайник", {"чайнек": "чайник"}),
        ("кафеварка", "кофеварка", {"кафеварка": "кофеварка"}),
        ("керамичиская вааза", "ваза", {"керамичиская": "керамический", "вааза": "ваза"}),
        ("suitcas", "suitcase", {"suitcas": "suitcase"}),
    ],
)
async def test_words_in_any_form_and_mistyped(small: Catalogue, query: str, word: str, mended: dict[str, str]) -> None:
    found = await small.search.search(GiftSearch(query, limit=5))
    assert word in found.gifts[0].title.lower()
    assert found.corrections == mended
    assert any(word[:4] in reason for reason in found.gifts[0].reasons)


async def test_a_word_that_is_right_is_left_alone(small: Catalogue) -> None:
    assert (await small.search.search(GiftSearch("чайка вазон", limit=5))).corrections == {}


async def test_reasons_in_the_language_of_the_query(small: Catalogue) -> None:
    where = GiftFilter(age=30, max_price=Decimal(10_000))
    russian = await small.search.search(GiftSearch("чайник", where, limit=1))
    english = await small.search.search(GiftSearch("travel mug", where, limit=1))
    assert russian.gifts[0].reasons == ("совпали слова: чайник", "подходит по возрасту: 30", "укладывается в цену")
    assert english.gifts[0].reasons == ("matching words: travel, mug", "suits the age: 30", "within the price")


async def test_browsing_begins_with_the_best_presents(small: Catalogue) -> None:
    gifts = {gift.gift_id: gift for gift in made_gifts(400)}
    found = await small.search.search(GiftSearch(limit=50))
    worth = [gifts[gift.gift_id].giftability * (0.6 if gift.is_idea else 1) for gift in found.gifts]
    assert worth == sorted(worth, reverse=True) or min(worth) > 0.7
    newest = await small.search.search(GiftSearch(sort=Sort.NEW, limit=50))
    assert [gift.created_at for gift in newest.gifts] == sorted(
        (gift.created_at for gift in newest.gifts), reverse=True
    )


async def test_relevant_gifts_lead_where_prices_decide(small: Catalogue) -> None:
    found = await small.search.search(GiftSearch("чайник", sort=Sort.PRICE_ASC, limit=100))
    kettles = [place for place, gift in enumerate(found.gifts) if gift.title.lower().startswith("чайник")]
    assert kettles[0] == 0
    assert len(kettles) > 5
    assert kettles[-1] < 25
    prices = [found.gifts[place].price for place in kettles]
    assert prices == sorted(prices)  # type: ignore[type-var]


async def test_facets_leave_out_their_own_condition(small: Catalogue) -> None:
    gifts = list(made_gifts(400))
    found = await small.search.search(GiftSearch(filter=GiftFilter(category="Дом", max_price=Decimal(1000))))
    counts = {item.name: item.count for item in found.facets.categories}
    assert counts["Книги"] == sum(gift.category == "Книги" and gift.price <= 1000 for gift in gifts)
    home = [gift.price for gift in gifts if gift.category == "Дом"]
    assert (found.facets.price.min, found.facets.price.max) == (min(home), max(home))
    assert found.total == counts["Дом"]


async def test_a_category_stands_for_what_is_below_it(small: Catalogue) -> None:
    await small.database.execute(
        "UPDATE categories SET parent_id = (SELECT id FROM categories WHERE name = 'Дом') WHERE name = 'Кухня'"
    )
    await small.database.execute("UPDATE offers SET price = price + 0.01")
    found = await small.search.search(GiftSearch(filter=GiftFilter(category="  дом "), limit=100))
    assert {gift.category for gift in found.gifts} == {"Дом", "Кухня"}


async def test_an_unknown_category_holds_nothing(small: Catalogue) -> None:
    found = await small.search.search(GiftSearch("чайник", GiftFilter(category="Нет такой")))
    assert (found.gifts, found.total, found.next_position) == ((), 0, None)
    assert found.facets.categories


async def test_a_cursor_fits_its_own_list_alone(small: Catalogue) -> None:
    page = await small.search.search(GiftSearch("чайник", limit=5))
    assert page.next_position is not None
    with pytest.raises(InvalidInput) as raised:
        await small.search.search(GiftSearch("ваза", limit=5, after=page.next_position))
    assert raised.value.details is not None
    assert "cursor" in raised.value.details


async def test_without_a_query_vector_words_must_do(small: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_self: object, _text: str) -> None:
        raise EmbeddingFailed("away")

    monkeypatch.setattr(LocalEmbedder, "embed_query", away)
    found = await small.search.search(GiftSearch("чайник", limit=100))
    assert found.gifts[0].title.startswith("Чайник")
    assert len(found.gifts) == 100


async def test_a_change_is_seen_by_the_next_search(small: Catalogue) -> None:
    found = await small.search.search(GiftSearch("чайник", limit=1))
    assert found.total == 400
    await small.database.execute("UPDATE offers SET active = false WHERE gift_id = $1", found.gifts[0].gift_id)
    after = await small.search.search(GiftSearch("чайник", limit=1))
    assert after.total == 399
    assert after.gifts[0].gift_id != found.gifts[0].gift_id


async def test_promotions_of_the_shop(database: Database) -> None:
    promotion = Promotion(1, "1", "Скидка", "sale", None, "Лавка", "percentage", Decimal(20), None, None, "GIFT")

    class Shops:
        async def of_shops(self, shops: object) -> dict[str, list[Promotion]]:
            assert shops == {"Лавка"}
            return {"Лавка": [promotion]}

    catalogue = Catalogue(database, promotions=Shops())  # type: ignore[arg-type]
    await catalogue.fill(list(made_gifts(5)))
    assert (await catalogue.search.search(GiftSearch(limit=1))).gifts[0].promotions == (promotion,)


async def test_an_empty_catalogue(database: Database) -> None:
    found = await Catalogue(database).search.search(GiftSearch("чайник"))
    assert (found.gifts, found.total, found.facets.categories, found.facets.price.min) == ((), 0, (), None)


@pytest.mark.parametrize(
    "query", ["'; DROP TABLE gifts", "((((", "a & | !b:*", "\0чайник", "💐", "ё" * 300, "12 34", "и"]
)
async def test_wild_queries(small: Catalogue, query: str) -> None:
    assert len((await small.search.search(GiftSearch(query, limit=7))).gifts) == 7


async def test_the_same_vector_for_the_same_text() -> None:
    embedder = LocalEmbedder(LANGUAGE, NoConcepts())
    np.testing.assert_array_equal(embedder.query_vector("чайник"), await embedder.embed_query("чайник"))
