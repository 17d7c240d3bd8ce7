"""Vectors stay current, and models change without a gap."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from gifty.catalog.embeddings import EmbeddingFailed, GiftText, LocalEmbedder, NoConcepts, Vectors
from gifty.catalog.search_models import GiftSearch
from gifty.catalog.search_sql import Scan
from gifty.core.database import Database
from tests.fixtures.search import LANGUAGE, Catalogue, open_database
from tests.fixtures.synthetic import made_gifts


class Turned(LocalEmbedder):
    """Another model of the same length: its vectors are the local ones with the numbers in another order."""

    def __init__(self, model: str, *, fails: bool = False, version: int = 1) -> None:
        super().__init__(LANGUAGE, NoConcepts())
        self.model = model  # type: ignore[misc]
        self.version = version  # type: ignore[misc]
        self.fails = fails

    async def embed_gifts(self, texts: Sequence[GiftText]) -> Vectors:
        if self.fails:
            raise EmbeddingFailed("away")
        return self.gift_vectors(texts)[:, ::-1]

    async def embed_query(self, text: str) -> Vectors:
        return self.query_vector(text)[::-1]


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool with the settings of search."""
    database = await open_database(dsn)
    yield database
    await database.close()


async def coverage(database: Database) -> list[tuple[str, bool, int, int]]:
    rows = await database.fetch(
        """
        SELECT e.model, e.serving, count(*) FILTER (WHERE s.pending) AS pending, count(s.embedding) AS filled
        FROM embedding_spaces e LEFT JOIN gift_search s ON s.space = e.id WHERE e.retired_at IS NULL
        GROUP BY e.id ORDER BY e.id
        """
    )
    return [tuple(row) for row in rows]


async def test_every_gift_gets_a_vector(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.fill(list(made_gifts(700)))
    assert await coverage(database) == [("local", True, 0, 700)]
    assert not await catalogue.embedding.advance()


async def test_gifts_from_before_the_first_space_are_found_at_once(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.store(list(made_gifts(30)))
    assert len((await catalogue.search.search(GiftSearch("чайник", limit=25))).gifts) == 25
    await catalogue.embedding.catch_up()
    assert await coverage(database) == [("local", True, 0, 30)]


async def test_only_what_changed_is_made_again(database: Database) -> None:
    catalogue = Catalogue(database)
    gifts = list(made_gifts(20))
    await catalogue.fill(gifts)
    await database.execute("UPDATE offers SET price = price + 1, updated_at = now()")
    assert (await coverage(database))[0][2] == 0
    await database.execute("UPDATE gifts SET title = 'Телескоп' WHERE id = $1", gifts[0].gift_id)
    assert (await coverage(database))[0][2] == 1
    await catalogue.embedding.catch_up()
    found = await catalogue.search.search(GiftSearch("телескоп", limit=1))
    assert found.gifts[0].gift_id == gifts[0].gift_id
    assert found.gifts[0].similarity == pytest.approx(1, abs=0.2)


async def test_a_text_that_changed_meanwhile_is_not_covered_by_an_old_vector(database: Database) -> None:
    catalogue = Catalogue(database)
    space = await catalogue.embedding.prepare()
    await catalogue.store(list(made_gifts(3)))
    pending = await catalogue.vectors.pending(space, 10)
    await database.execute("UPDATE gifts SET title = 'Телескоп' WHERE id = $1", pending[0].gift_id)
    vectors = catalogue.embedder.gift_vectors([gift.text for gift in pending])  # type: ignore[attr-defined]
    assert await catalogue.vectors.write(space, pending, vectors) == 2
    assert [gift.text.title for gift in await catalogue.vectors.pending(space, 10)] == ["Телескоп"]


async def test_the_old_model_serves_until_the_new_one_covers_everything(database: Database) -> None:
    old = Catalogue(database)
    gifts = list(made_gifts(600))
    await old.fill(gifts)
    new = Catalogue(database, embedder=Turned("turned"), others=(old.embedder,))
    await new.embedding.prepare()
    served: list[str] = []
    while await new.embedding.advance():
        listed = await coverage(database)
        served.append(next(model for model, serving, _, _ in listed if serving))
        for search in (old.search, new.search):
            found = await search.search(GiftSearch("беспроводные наушники", limit=10))
            assert "аушники" in found.gifts[0].title
            assert found.gifts[0].similarity is None or found.gifts[0].similarity > 0.3
        await new.store(list(itertools.islice(made_gifts(700 + len(served)), 600 + len(served), 601 + len(served))))
        if len(served) > 30:
            break
    assert served[0] == "local"
    assert served[-1] == "turned"
    assert {model for model, _ in itertools.groupby(served)} == {"local", "turned"}
    assert len(list(itertools.groupby(served))) == 2


async def test_vectors_of_two_models_never_mix(database: Database) -> None:
    old = Catalogue(database, index_from=100)
    await old.fill(list(made_gifts(400)))
    new = Catalogue(database, embedder=Turned("turned"), others=(old.embedder,), index_from=100)
    before = await old.embedding.serving()
    await new.embedding.catch_up()
    after = await new.embedding.serving()
    assert before.segment is not None
    assert after.segment not in {None, before.segment}
    for space, catalogue in ((before, old), (after, new)):
        for scan in (None, Scan(512)):
            vector = await catalogue.embedder.embed_query("синяя кружка")
            rows = await database.fetch("SELECT gift_id, embedding FROM gift_search WHERE space = $1", space.id)
            cosines = {row["gift_id"]: float(np.array(row["embedding"].to_list()) @ vector) for row in rows}
            found = await catalogue.repository.nearest(space, GiftSearch().filter, None, vector, 10, scan)
            assert len(found) == (10 if rows else 0)
            for gift_id, cosine in found:
                assert cosine == pytest.approx(cosines[gift_id], abs=0.01)


async def test_what_no_longer_serves_is_swept_after_a_while(database: Database) -> None:
    old = Catalogue(database, index_from=50)
    await old.fill(list(made_gifts(120)))
    new = Catalogue(database, embedder=Turned("turned"), index_from=50)
    await new.embedding.catch_up()
    assert await database.fetchval("SELECT count(*) FROM gift_search") == 240
    await database.execute("UPDATE embedding_spaces SET retired_at = retired_at - interval '1 hour'")
    await new.embedding.catch_up()
    assert await database.fetchval("SELECT count(*) FROM gift_search") == 120
    assert await database.fetchval("SELECT count(*) FROM embedding_spaces") == 1
    assert await database.fetchval("SELECT count(DISTINCT segment) FROM gift_embeddings") == 1
    indexes = await database.fetch("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'gift_embeddings_hnsw%'")
    assert len({row["indexname"].split("_")[3] for row in indexes}) == 1


async def test_an_older_process_does_not_undo_a_change_of_models(database: Database) -> None:
    old = Catalogue(database)
    await old.fill(list(made_gifts(20)))
    new = Catalogue(database, embedder=Turned("turned"))
    await new.embedding.catch_up()
    await old.embedding.catch_up()
    assert (await coverage(database))[-1][:2] == ("turned", True)


async def test_changed_and_new_vectors_reach_the_index(database: Database) -> None:
    catalogue = Catalogue(database, index_from=100)
    gifts = list(made_gifts(300))
    await catalogue.fill(gifts[:250])
    space = await catalogue.embedding.serving()
    assert await database.fetchval("SELECT count(*) FROM gift_fresh") == 0
    await catalogue.store(gifts[250:])
    await database.execute("UPDATE gifts SET title = 'Телескоп' WHERE id = $1", gifts[0].gift_id)
    await catalogue.embedding.catch_up()
    indexed = await database.fetchval("SELECT count(*) FROM gift_embeddings WHERE segment = $1", space.segment)
    stale = await database.fetchval(
        """
        SELECT count(*) FROM gift_embeddings e JOIN gift_search s USING (gift_id)
        WHERE e.segment = $1 AND e.content_hash <> s.content_hash
        """,
        space.segment,
    )
    assert (indexed, stale, await database.fetchval("SELECT count(*) FROM gift_fresh")) == (300, 0, 0)


async def test_an_embedder_that_is_away_breaks_nothing(database: Database) -> None:
    await Catalogue(database).fill(list(made_gifts(50)))
    broken = Catalogue(database, embedder=Turned("turned", fails=True))
    with pytest.raises(EmbeddingFailed):
        await broken.embedding.catch_up()
    found = await broken.search.search(GiftSearch("наушники", limit=20))
    assert len(found.gifts) == 20


async def test_words_are_counted(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.fill(list(made_gifts(200)))
    counted = dict(await database.fetch("SELECT word, documents FROM search_words"))
    titles = await database.fetch("SELECT lower(title) AS title FROM gifts")
    assert counted["чайник"] == sum("чайник" in row["title"].split() for row in titles) > 0
    await database.execute("DELETE FROM gifts WHERE title ILIKE 'чайник%'")
    await catalogue.vectors.count_words()
    assert await database.fetchval("SELECT count(*) FROM search_words WHERE word = 'чайник'") == 0
