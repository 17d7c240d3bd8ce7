"""Titles here are made up; none is a shop's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifty.ontology.models import NO_GIFT_ROLES, WISH_TAGS
from gifty.ontology.reader import Reader, Reading, stated_ages
from tests.fixtures.knowledge import shipped_ontology


def read(title: str, category: str | None = None) -> Reading:
    return Reader(shipped_ontology()).read(title, category)


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Ваза керамическая для гостиной", "vase"),
        ("Керамическая белая ваза ручной работы", "vase"),
        ("VELDORA напольная ваза, новинка, декор для дома", "vase"),
        ("Беспроводная игровая мышь с подсветкой", "gaming_mouse"),
        ("Настольная лампа для чтения книг", "desk_lamp"),
    ],
)
def test_the_head_of_the_title_says_what_it_is(title, kind):
    reading = read(title)
    assert reading.kind is not None
    ontology = shipped_ontology()
    line = {parent.id for parent in ontology.parents(reading.kind.id)}
    assert kind in line or reading.kind.id.endswith(kind.rpartition("_")[2])
    assert reading.confidence >= 0.7


@pytest.mark.parametrize(
    "title",
    [
        "Сменные салфетки из микрофибры для робота-пылесоса, 6 шт",
        "Боковая щётка для робота-пылесоса",
        "Чехол для телефона с котиком",
        "Силиконовый ремешок для умных часов 22 мм",
        "Запасной фильтр для увлажнителя воздуха",
        "Передние фары для Volkswagen Polo 2015-2019",
        "Ножки для дивана металлические 4 шт",
        "Силиконовая прокладка для скороварки",
        "Аккумулятор для ноутбука 11.4V 4000 мАч",
        "Комплект прокладок для кофемашины",
        "Фурнитура для изготовления украшений 50 шт",
    ],
)
def test_what_serves_another_thing_is_no_gift(title):
    reading = read(title)
    assert reading.role in NO_GIFT_ROLES or (reading.kind is not None and reading.kind.gift <= 0.35)


@pytest.mark.parametrize(
    "title",
    [
        "Топливный насос для Toyota Corolla 2008-2012 OEM 23220",
        "Для BMW E90 E91 2006-2011 накладка на порог",
        "Датчик давления Nissan Qashqai J10 Renault Megane",
    ],
)
def test_parts_of_cars_are_known_by_makers_and_years(title):
    assert read(title, "Автотовары").role == "part"


def test_an_english_name_governs_no_russian_word():
    assert read("Tales of Emberfall Jin Фигурка 15 см").role not in NO_GIFT_ROLES
    assert read("Tales of Emberfall Jin Фигурка 15 см").kind is not None


def test_a_jacket_of_a_maker_of_motorcycles_is_still_a_jacket():
    assert not read("Мотоциклетная куртка Yamaha мужская", "Мототовары").fits_vehicle


@pytest.mark.parametrize(
    ("title", "gender", "age"),
    [
        ("Женская сумка через плечо", "female", 30),
        ("Кошелёк мужской кожаный", "male", 30),
        ("Рюкзак для мальчика с динозавром", "male", 7),
        ("Шапка детская вязаная", "any", 6),
        ("Перчатки для мужчин и женщин", "any", 30),
        ("Кружки для пар, мужская и женская", "any", 30),
        ("Шарф вязаный для женщин и девочек", "female", 40),
        ("Брошь Cartoon Girl", "female", 40),
    ],
)
def test_words_of_the_title_say_for_whom(title, gender, age):
    reading = read(title)
    assert reading.gender == gender
    assert reading.ages[0] <= age <= reading.ages[1]


@pytest.mark.parametrize(
    ("title", "ages"),
    [
        ("Конструктор от 6 лет", (6, 14)),
        ("Пазл 3-5 лет", (3, 5)),
        ("Погремушка 0-12 мес", (0, 1)),
        ("Настольная игра 12+", (12, 99)),
        ("Фонарь 5000 люмен", None),
        ("Кабель 2+1 ядра 100 м", None),
    ],
)
def test_stated_ages(title, ages):
    assert stated_ages(title) == ages


@pytest.mark.parametrize(
    ("title", "tags"),
    [
        ("Охотничий нож с деревянной ручкой", {"no_sharp_objects", "no_weapon_like", "kids_safe", "office_safe"}),
        ("Аромасвеча с лавандой", {"no_strong_smell"}),
        ("Набор для виски: камни и бокал", {"no_alcohol"}),
        ("Кружевное бельё женское", {"no_intimate", "office_safe", "gender_neutral"}),
        ("Светильник на батарейках", {"no_batteries_required"}),
        ("Умные часы с GPS и Bluetooth", {"avoid_complex_gadgets", "no_batteries_required"}),
        ("Ортопедический корректор осанки", {"no_medical"}),
        ("Кружка прикольная с приколом", {"no_funny"}),
        ("Шерстяной плед", {"hypoallergenic"}),
        ("Пазл 500 деталей", {"no_small_parts"}),
    ],
)
def test_hazards_in_the_title_break_wishes(title, tags):
    assert tags <= read(title).breaks


def test_things_that_are_not_in_question_break_nothing():
    assert not read("Кружка с лисой").breaks & {"no_alcohol", "no_adult_18plus", "no_weapon_like", "no_sharp_objects"}


def test_motifs_name_interests_whatever_the_kind():
    assert "cats" in read("Носки с котиками").motifs
    assert {"star_wars"} <= set(read("Кружка Star Wars").interests)


def test_a_longer_motif_leaves_no_shorter_one():
    assert "astronomy" not in read("Футболка Звёздные войны").motifs


def test_franchises_are_known():
    assert "anime" in read("Фигурка Genshin Impact").interests


@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=30)))
def test_any_title_can_be_read(title, category):
    reading = read(title, category)
    assert 0 <= reading.confidence <= 1
    assert reading.ages[0] <= reading.ages[1]
    assert reading.breaks <= set(WISH_TAGS)
    assert reading.pack >= 1


@pytest.mark.parametrize(
    ("title", "category", "kind"),
    [
        ("Браслет Orvane 4 Pro для мужчин и женщин Умные часы с пульсометром", "Электроника", "smartwatch"),
        ("Платье OB11/шапка, ручная работа", "Детские товары", "doll_outfit"),
        ("Плащ желтый для таксы и других собак, свитер для собаки", "Одежда", "pet_clothes"),
        ("Цепочка латунная 1,5 мм 10 м", "Ювелирные изделия", "jewelry_finding"),
        ("Подвеска Якорь, сплав, 15 шт.", "Ювелирные изделия", "jewelry_finding"),
        ("Детские флисовые брюки", "Детские товары", "kids_clothes"),
        ("Set of 3 свечи ароматические", "Все для дома и сада", "candle"),
        ("Набор колец, золото 14 к серьги гвоздики", "Ювелирные изделия", "ring"),
        ("VESTRAL bag pillow плед вязаный", "Все для дома и сада", "plaid"),
    ],
)
def test_the_product_is_found_behind_its_surroundings(title, category, kind):
    reading = read(title, category)
    assert reading.kind is not None
    assert shipped_ontology().is_a(reading.kind.id, kind)


def test_women_do_not_wear_what_girls_wear_alone():
    low, high = read("Свитер женский оверсайз, для девочек", "Одежда").ages
    assert low >= 12
    assert high >= 60


def test_bedding_and_pyjamas_are_no_underwear():
    assert "no_intimate" not in read("Комплект постельного белья сатин").breaks
    assert "no_intimate" not in read("Пижама женская хлопковая").breaks


def test_massagers_are_medical_only_when_the_title_says_so():
    assert "no_medical" not in read("Массажер для шеи и плеч").breaks
    assert "no_medical" in read("Медицинский массажер для шеи").breaks


def test_codes_on_a_technical_shelf_are_a_part():
    assert read("XQR-7741 KLM230 AB-55", "Электроника").role == "part"


def test_spare_parts_are_named_anywhere():
    assert "spares" in {cue.id for cue in read("Щетка и мешок, запасные части, робот-пылесос").cues}


@pytest.mark.parametrize("maker", ["Zeekr 001", "Jaecoo J7", "UAZ", "Cfmoto 450"])
def test_makers_of_cars_new_and_old_are_known(maker):
    assert read(f"Накладка на порог для {maker}", "Авто и мототовары").role == "part"
