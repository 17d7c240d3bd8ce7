from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifty.discovery.knowledge import load_knowledge
from gifty.discovery.models import Brief, Quiz
from gifty.discovery.profiler import Profiler
from gifty.ontology.models import GAPS
from tests.fixtures.knowledge import shipped_ontology


@cache
def shared_profiler() -> Profiler:
    return Profiler(shipped_ontology(), load_knowledge(shipped_ontology()))


@pytest.fixture
def profiler() -> Profiler:
    return shared_profiler()


def understand(profiler: Profiler, *interests: str, **quiz: object) -> Brief:
    return profiler.brief(Quiz(interests=interests, **quiz))


@pytest.mark.parametrize(
    ("said", "interest"),
    [
        ("кофе", "coffee"),
        ("coffee", "coffee"),
        ("вязать крючком", "knitting"),
        ("рыбалку обожает", "fishing"),
        ("star_wars", "star_wars"),
        ("настольные_игры", "board_games"),
        ("рукаделие", "crafts"),
        ("programing", "computers"),
        ("любит уют", "cozy_home"),
        ("мало спит", "sleep"),
        ("водит машину", "cars"),
        ("есть кот", "cats"),
        ("Harry Potter", "fantasy"),
    ],
)
def test_an_interest_is_understood_however_it_is_said(profiler, said, interest):
    assert interest in understand(profiler, said).named


@pytest.mark.parametrize(("said", "thing"), [("гольф", "socks"), ("бокс", "storage"), ("вязание крючком", "wall_hook")])
def test_a_word_of_an_interest_names_no_unrelated_thing(profiler, said, thing):
    assert thing not in understand(profiler, said).kinds


def test_a_word_of_an_interest_names_its_thing(profiler):
    assert "chess_set" in understand(profiler, "шахматы").kinds


def test_quilts_and_sewing_machines_are_sewing(profiler):
    named = understand(profiler, "шьёт на машинке", "лоскутные одеяла").named
    assert "sewing" in named
    assert "kids_vehicles" not in named


def test_what_lies_near_counts_less_than_what_was_said(profiler):
    brief = understand(profiler, "кофе")
    assert brief.interests["coffee"] == 1.0
    assert 0 < brief.interests["tea"] < 0.5
    assert "tea" not in brief.named


@pytest.mark.parametrize("said", ["не пьёт вино", "без алкоголя", "hates wine"])
def test_what_is_denied_is_avoided(profiler, said):
    brief = understand(profiler, said)
    assert "wine" in brief.avoided
    assert "wine" not in brief.interests


def test_two_negations_affirm(profiler):
    assert "coffee" in understand(profiler, "не может без кофе").named


def test_needs_and_gaps_come_from_descriptions(profiler):
    brief = profiler.brief(Quiz(interests_description="всегда мёрзнет, мало спит и очень устаёт"))
    assert {"warmth", "rest"} <= set(brief.needs)
    assert "rest_license" in brief.subtypes
    assert set(brief.gaps) <= set(GAPS)
    assert brief.gaps["permission"] > 0.5


def test_things_named_outright_are_wanted(profiler):
    assert "vase" in understand(profiler, "вазы").kinds


def test_words_nobody_understands_are_kept_for_the_search(profiler):
    assert understand(profiler, "квазиморфизм и кофе").unknown == ("квазиморфизм",)


@pytest.mark.parametrize(
    ("relation", "closeness"), [("partner", 3), ("friend", 1), ("boss", 0), ("colleague", 0), ("мама", 2), ("жена", 3)]
)
def test_the_relation_bounds_closeness(profiler, relation, closeness):
    assert profiler.brief(Quiz(relationship=relation)).closeness == closeness


@pytest.mark.parametrize(
    ("quiz", "gender"),
    [
        (Quiz(relationship="мама"), "female"),
        (Quiz(relationship="брат"), "male"),
        (Quiz(relationship="parent"), None),
        (Quiz(occasion="march_8"), "female"),
        (Quiz(relationship="мама", recipient_gender="other"), "other"),
    ],
)
def test_the_gender_is_taken_from_words_when_it_is_not_given(profiler, quiz, gender):
    assert profiler.brief(quiz).gender == gender


def test_children_bring_wishes_with_them(profiler):
    toddler = profiler.brief(Quiz(recipient_age=2)).tags
    assert {"no_small_parts", "no_sharp_objects", "no_alcohol", "no_adult_18plus", "kids_safe"} <= toddler
    teenager = profiler.brief(Quiz(recipient_age=16)).tags
    assert {"no_alcohol", "no_adult_18plus"} <= teenager
    assert "no_small_parts" not in teenager


def test_grown_up_things_need_a_grown_up_and_a_word(profiler):
    assert "no_adult_18plus" in profiler.brief(Quiz(recipient_age=30)).tags
    assert "no_adult_18plus" not in profiler.brief(Quiz(recipient_age=30, adult_allowed=True)).tags
    assert "no_adult_18plus" in profiler.brief(Quiz(recipient_age=15, adult_allowed=True)).tags


def test_a_baby_may_get_its_gift_through_its_mother(profiler):
    assert profiler.brief(Quiz(recipient_age=29, occasion="baby_shower")).also_age is not None
    assert profiler.brief(Quiz(recipient_age=29)).also_age is None


def test_the_vibe_is_read_from_free_words(profiler):
    brief = profiler.brief(Quiz(vibe=("что-нибудь уютное", "premium")))
    assert {"cozy", "premium"} <= set(brief.vibes)
    assert brief.dear > 1


def test_a_budget_and_a_price_together_take_the_lower(profiler):
    brief = profiler.brief(Quiz(budget=5_000, max_price=3_000, min_price=1_000))
    assert (brief.low_price, brief.high_price) == (1_000, 3_000)


@given(
    st.builds(
        Quiz,
        recipient_age=st.one_of(st.none(), st.integers(0, 120)),
        relationship=st.one_of(st.none(), st.text(max_size=40)),
        occasion=st.one_of(st.none(), st.text(max_size=40)),
        vibe=st.lists(st.text(max_size=30), max_size=3).map(tuple),
        interests=st.lists(st.text(max_size=60), max_size=4).map(tuple),
        interests_description=st.text(max_size=200),
        budget=st.one_of(st.none(), st.floats(1, 1e7)),
    )
)
def test_any_quiz_is_understood(quiz):
    brief = shared_profiler().brief(quiz)
    assert all(0 <= weight <= 1 for weight in brief.interests.values())
    assert brief.ages[0] <= brief.ages[1]
    assert quiz.tags <= brief.tags
