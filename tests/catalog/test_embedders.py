"""The local embedder: what meets what, and what stays apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gifty.catalog.embeddings import GiftText, LocalEmbedder, NoConcepts, OntologyConcepts
from gifty.ontology.loader import load_ontology
from gifty.ontology.text import Language


@pytest.fixture(scope="module")
def plain() -> LocalEmbedder:
    """Words and letters alone."""
    return LocalEmbedder(Language(), NoConcepts())


@pytest.fixture(scope="module")
def knowing() -> LocalEmbedder:
    """With the ontology."""
    ontology = load_ontology()
    return LocalEmbedder(ontology.language, OntologyConcepts(ontology))


def likeness(embedder: LocalEmbedder, query: str, *titles: str) -> list[float]:
    return [
        float(value)
        for value in embedder.gift_vectors([GiftText(title) for title in titles]) @ embedder.query_vector(query)
    ]


def test_vectors_are_of_unit_length_and_the_same_each_time(plain: LocalEmbedder) -> None:
    texts = [GiftText("Деревянная кружка", "С котом", "Кухня"), GiftText("teapot"), GiftText("")]
    first, second = plain.gift_vectors(texts), LocalEmbedder(Language(), NoConcepts()).gift_vectors(texts)
    assert first.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(first, second)


def test_a_batch_gives_what_single_texts_give(plain: LocalEmbedder) -> None:
    texts = [GiftText(f"Кружка номер {number} с котом {number * 7}") for number in range(300)]
    batch = plain.gift_vectors(texts)
    single = np.concatenate([plain.gift_vectors([text]) for text in texts])
    np.testing.assert_allclose(batch, single, atol=1e-6)


@pytest.mark.parametrize(
    ("query", "meant", "other"),
    [
        ("деревянную кружку", "Кружка деревянная", "Стальная сковорода"),
        ("кошки", "Книга про кошек", "Книга про собак"),
        ("настолная игра", "Настольная игра для компании", "Настольная лампа"),
        ("кофиварка", "Кофеварка гейзерная", "Варежки шерстяные"),
        ("водонепроницаемый рюкзак", "Рюкзак водонепроницаемый городской", "Сумка кожаная"),
    ],
)
def test_word_forms_and_typing_errors_are_near(plain: LocalEmbedder, query: str, meant: str, other: str) -> None:
    near, far = likeness(plain, query, meant, other)
    assert near > far + 0.1


@pytest.mark.parametrize(
    ("query", "meant", "other"),
    [
        ("чайник", "Ceramic teapot 500 ml", "Ceramic vase 500 ml"),
        ("teapot", "Чайник заварочный", "Ваза напольная"),
        ("подарок кофеману", "Кофеварка гейзерная на три чашки", "Фонарик походный"),
        ("любителю рыбалки", "Спиннинг с катушкой", "Спицы для вязания"),
        ("coffee lover", "Кофемолка ручная", "Газонокосилка"),
    ],
)
def test_synonyms_languages_and_interests_meet(knowing: LocalEmbedder, query: str, meant: str, other: str) -> None:
    near, far = likeness(knowing, query, meant, other)
    assert near > far + 0.1


def test_the_title_weighs_more_than_the_description(plain: LocalEmbedder) -> None:
    vectors = plain.gift_vectors(
        [GiftText("Фонарик", "к рюкзаку и палатке"), GiftText("Рюкзак", "к фонарику и палатке")]
    )
    in_title, in_description = vectors @ plain.query_vector("фонарик")
    assert in_title > in_description > 0.1


def test_shop_noise_says_little(plain: LocalEmbedder) -> None:
    near, far = likeness(plain, "подарок мама чашка", "Чашка фарфоровая", "Подарок новинка хит оригинальный")
    assert near > far


def test_the_version_follows_the_knowledge() -> None:
    class Other(NoConcepts):
        version = "other"

    language = Language()
    assert LocalEmbedder(language, NoConcepts()).version != LocalEmbedder(language, Other()).version


def test_several_threads_get_the_same_vectors(plain: LocalEmbedder) -> None:
    texts = [[GiftText(f"Кружка {word}{number}") for number in range(100)] for word in ("кот", "дом", "сад", "лес")]
    shared = LocalEmbedder(Language(), NoConcepts(), cached_words=50)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(shared.gift_vectors, texts))
    for made, listed in zip(together, texts, strict=True):
        np.testing.assert_allclose(made, plain.gift_vectors(listed), atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_has_a_finite_unit_vector(title: str, description: str) -> None:
    vectors = _EMBEDDER.gift_vectors([GiftText(title, description, title[:20])])
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-4)
    assert np.isfinite(_EMBEDDER.query_vector(description)).all()


_EMBEDDER = LocalEmbedder(Language(), NoConcepts())
