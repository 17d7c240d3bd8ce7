"""Links, prices and text in every form that shops invent."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifty.catalog.normalise.links import MAX_URL_BYTES, canonical_url, image_url
from gifty.catalog.normalise.money import MAX_MINOR, currency_code, parse_price
from gifty.catalog.normalise.text import clean, language

SHOP_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("<>&;!?b/ltgamp#x \u0306и🎁\u200b\u00ad\0")))


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        ("HTTPS://Shop.Example/Tea?utm_source=a&b=1&UTM_Term=x&yclid=2&gclid=3#top", "https://shop.example/Tea?b=1"),
        ("https://shop.example/?utm_source=a", "https://shop.example/"),
        ("https://shop.example", "https://shop.example/"),
        ("//shop.example/a", "https://shop.example/a"),
        ("http://shop.example:80/a", "http://shop.example/a"),
        ("https://shop.example:8443/a", "https://shop.example:8443/a"),
        ("https://shop.example/a?x=&y&_openstat=1", "https://shop.example/a?x=&y"),
        ("https://магазин.рф/чай зелёный", "https://xn--80aairftm.xn--p1ai/чай%20зелёный"),
        ("https://aliexpress.ru/item/1005.html?sku_id=1200", "https://aliexpress.ru/item/1005.html?sku_id=1200"),
        ("https://shop.example/a?q=a%20b&b=2", "https://shop.example/a?q=a%20b&b=2"),
    ],
)
def test_a_link_has_one_form(given_url: str, expected: str) -> None:
    assert canonical_url(given_url) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "shop.example/a",
        "javascript:alert(1)",
        "ftp://shop.example/a",
        "https://",
        "https:///a",
        "https://user:pw@shop.example/",
        "https://shop..example/",
        "https://sh op.example/",
        "https://shop.example:99999/",
        "https://shop.example/" + "a" * MAX_URL_BYTES,
    ],
)
def test_what_is_no_link_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|must)"):
        canonical_url(wrong)


def test_a_picture_keeps_its_signature() -> None:
    assert image_url("https://cdn.example/a.jpg?utm_source=1&sig=2#x") == "https://cdn.example/a.jpg?utm_source=1&sig=2"


@given(st.text(st.one_of(st.characters(), st.sampled_from("/?&=#utm_%.:@абв[]"))))
def test_a_canonical_link_stays_as_it_is(tail: str) -> None:
    try:
        once = canonical_url("http://a.example/" + tail)
    except ValueError:
        return
    assert canonical_url(once) == once
    assert "#" not in once
    once.encode()


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("1 999,50 ₽", 199950, "RUB"),
        ("1\u00a0999,50\u202f₽", 199950, "RUB"),
        ("1999.50", 199950, None),
        ("1999.5", 199950, None),
        ("1999", 199900, None),
        ("1999.50 RUB", 199950, "RUB"),
        ("1 234 567 руб.", 123456700, "RUB"),
        ("р. 300", 30000, "RUB"),
        ("1,999", 199900, None),
        ("1,999.99", 199999, None),
        ("$1,299.99", 129999, "USD"),
        ("1.999,50 €", 199950, "EUR"),
        ("1.999 €", 199900, "EUR"),
        ("от 500 руб", 50000, "RUB"),
        ("24.464999999999996", 2446, None),
        ("0,99", 99, None),
        ("CHF 12", 1200, "CHF"),
    ],
)
def test_a_price_is_read(text: str, minor: int, currency: str | None) -> None:
    assert parse_price(text) == (minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "free",
        "бесплатно",
        "",
        "0",
        "0.001",
        "-5",
        "−5",
        "NaN",
        "inf",
        "1e5",
        "1e400",
        "12-15",
        "1.2.3",
        "1,2,3",
        "99999999999999",
        "9" * 400,
        "12 за 3",
        "٣٤",
    ],
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|must)"):
        parse_price(text)


@given(st.integers(1, MAX_MINOR), st.sampled_from(["{w}.{p:02}", "{g},{p:02} ₽", "{g}.{p:02} RUB", "{w},{p:02}"]))
def test_every_way_to_write_an_amount_gives_the_amount(minor: int, form: str) -> None:
    whole, part = divmod(minor, 100)
    text = form.format(w=whole, p=part, g=f"{whole:,}".replace(",", "\u00a0"))
    assert parse_price(text)[0] == minor


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0.01, max_value=MAX_MINOR / 200))
def test_a_machine_price_is_rounded_half_up(value: float) -> None:
    text = f"{value:.6f}"
    expected = int((Decimal(text) * 100).to_integral_value("ROUND_HALF_UP"))
    if expected:
        assert parse_price(text)[0] == expected


@given(SHOP_TEXT)
def test_the_price_reader_only_ever_refuses(text: str) -> None:
    try:
        minor, currency = parse_price(text)
    except ValueError:
        return
    assert 0 < minor <= MAX_MINOR
    assert math.isfinite(minor)
    assert currency is None or currency_code(currency) == currency


def test_rubles_have_one_code() -> None:
    assert {currency_code(name) for name in ("RUR", "rub", "руб.", "₽")} == {"RUB"}
    with pytest.raises(ValueError, match="three-letter"):
        currency_code("рубли за штуку")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Кружка", "Кружка"),
        ("  Чай &amp; кофе&nbsp;&laquo;Утро&raquo; ", "Чай & кофе «Утро»"),
        ("&lt;b&gt;Кружка&lt;/b&gt;", "Кружка"),
        ("<p>Один</p><p>Два</p><script>alert(1)</script>", "Один Два"),
        ("🎁🔥 Подарок!!! 🎁", "Подарок!"),
        ("a\0b\tc\nd\u200be\u00adf", "a b c def"),
        ("и\u0306од", "йод"),
        ("5 < 6 > 4", "5 < 6 > 4"),
        ("&amp;amp;amp;", "&"),
    ],
)
def test_text_becomes_plain(text: str, expected: str) -> None:
    assert clean(text, 300) == expected


def test_long_text_is_cut_between_words() -> None:
    assert clean("один два три четыре", 15) == "один два три"
    assert clean("я" * 50, 10) == "я" * 10
    assert len(clean("слово " * 100_000, 4_000)) <= 4_000


@given(SHOP_TEXT, st.integers(5, 60))
def test_cleaning_twice_changes_nothing(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert len(once) <= limit
    once.encode()
    assert "\0" not in once


def test_languages() -> None:
    assert language("Mug для чая") == "ru"
    assert language("Tea mug") == "en"
