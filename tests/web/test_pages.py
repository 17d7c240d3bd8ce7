"""What the pages are made of, without a browser."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from yarl import URL

from gifty.discovery.schemas import GenerateRequest
from gifty.ontology.models import WISH_TAGS
from gifty.web import assets
from gifty.web.cards import card_of, load_drawings
from gifty.web.texts import load_texts
from gifty.web.wishes import MOST_SHOWN, Wishes, load_questions

TEXTS = load_texts()
QUESTIONS = load_questions()
ASSETS = assets.load_assets()


def _keys(table: dict[str, Any], path: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in table.items():
        found |= _keys(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}"}
    return found


def test_both_languages_say_the_same_things() -> None:
    assert _keys(dict(TEXTS["ru"].words)) == _keys(dict(TEXTS["en"].words))


def test_every_answer_has_its_words_and_is_understood() -> None:
    for texts in TEXTS.values():
        for name, answers in QUESTIONS.briefs.items():
            if name != "budget":
                assert set(texts[name]) == set(answers)
        assert set(texts["interest"]) == {*QUESTIONS.interests, *QUESTIONS.more_interests}
        assert set(QUESTIONS.tags) <= set(texts["wish"])
    assert set(QUESTIONS.tags) <= set(WISH_TAGS)
    for answers in QUESTIONS.briefs.values():
        for brief in answers.values():
            GenerateRequest().load(brief)


def test_every_drawing_is_drawn() -> None:
    drawn = set(re.findall(rb'symbol id="(\w+)"', ASSETS.files["drawings.svg"][0]))
    assert {drawing.encode() for drawing, _ in load_drawings().by_stem.values()} | {b"gift"} == drawn


@pytest.mark.parametrize(
    ("title", "category", "drawing"),
    [
        ("Кофемолка ручная", "Кофе и чай", "bean"),
        ("Хлопковая футболка с принтом", "Одежда", "sweater"),
        ("Хлопковое нечто", "Ювелирные изделия", "ring"),
        ("Ёлочные шары", None, "snow"),
        ("Qwerty", None, "gift"),
        ("", None, "gift"),
    ],
)
def test_a_word_decides_the_drawing(title: str, category: str | None, drawing: str) -> None:
    assert load_drawings().find(title, category)[0] == drawing


@pytest.mark.parametrize(
    ("amount", "ru", "en"),
    [(1999, "1 999 ₽", "1,999 ₽"), (1999.5, "1 999,50 ₽", "1,999.50 ₽"), (0.999, "1 ₽", "1 ₽"), (12, "12 ₽", "12 ₽")],
)
def test_money(amount: float, ru: str, en: str) -> None:
    assert TEXTS["ru"].money(amount).replace("\xa0", " ") == ru
    assert TEXTS["en"].money(amount).replace("\xa0", " ") == en


@pytest.mark.parametrize(
    ("number", "ru", "en"),
    [(1, "1 идея", "1 idea"), (3, "3 идеи", "3 ideas"), (11, "11 идей", "11 ideas"), (21, "21 идея", "21 ideas")],
)
def test_counts(number: int, ru: str, en: str) -> None:
    assert (TEXTS["ru"].count(number), TEXTS["en"].count(number)) == (ru, en)


def test_a_promotion_without_an_end_or_a_code() -> None:
    gift = {"gift_id": "g", "title": "Чай", "promotions": [{"title": "Скидка", "coupon": None}]}
    card = card_of(gift, TEXTS["ru"], load_drawings())
    assert card.coupon is not None
    assert (card.coupon.code, card.coupon.until, card.coupon.title) == ("", "", "Скидка")
    assert (card.price, card.url) == ("цена в магазине", "")


_NAMES = st.sampled_from(
    ["person", "occasion", "age", "interest", "about", "budget", "min", "max", "wish", "show", "lang", "x"]
)
_VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["mum", "birthday", "25-39", "coffee", "tea", "3000", "no_alcohol", "20", "-5", "1 999", "en", "\x00"]
    ),
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=12))
def test_any_address_opens_and_says_the_same_again(pairs: list[tuple[str, str]]) -> None:
    wishes = Wishes.read(MultiDict(pairs), QUESTIONS)
    quiz = GenerateRequest().load(wishes.brief(QUESTIONS, "ru"))
    assert 1 <= quiz.top_n <= MOST_SHOWN
    assert Wishes.read(URL(wishes.address()).query, QUESTIONS) == wishes
    assert wishes.heading(TEXTS["en"])


def test_colours_are_easy_to_read() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text; 1.4.11: 3 to 1 for the edges of fields."""
    css = ASSETS.files["gifty.css"][0].decode()
    colours = {
        name: (light, dark)
        for name, light, dark in re.findall(r"--(\w[\w-]*): light-dark\((#\w+), (#\w+)\)", css.split("}")[0])
    }
    pairs = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "card", "blush")]
    for text, ground in [*pairs, ("on-accent", "accent")]:
        for theme in (0, 1):
            assert _contrast(colours[text][theme], colours[ground][theme]) >= 4.5, (text, ground, theme)
    for theme in (0, 1):
        assert _contrast(colours["edge"][theme], colours["card"][theme]) >= 3, theme


def _contrast(one: str, other: str) -> float:
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
