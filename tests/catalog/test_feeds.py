"""Each format, read as shops write it."""

import gzip
import json
from pathlib import Path

import pytest

from gifty.catalog.feeds.detect import PROMOTIONS, FeedFile, detect, open_feed
from gifty.catalog.feeds.items import Entry, FeedOptions, NotAFeed, RawItem
from gifty.catalog.models import Reject
from tests.fixtures.data import shared_data

YML = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE yml_catalog SYSTEM "shops.dtd">
<yml_catalog date="2026-11-01 12:00"><shop><name>Лавка</name><company>ООО</company>
<currencies><currency id="RUR" rate="1"/></currencies>
<categories><category id="1">Дом</category><category id="2" parentId="1">Кухня</category></categories>
<offers>
<offer id="1" available="true"><url>https://shop.example/1?a=1&amp;b=2</url><price>1999.50</price><oldprice>2500</oldprice>
<currencyId>RUR</currencyId><categoryId>2</categoryId><picture>https://shop.example/1.jpg</picture>
<picture>https://shop.example/2.jpg</picture><vendor>Дулёво</vendor><name>Чашка&nbsp;&laquo;Утро&raquo;</name>
<description><![CDATA[<p>Тонкий </offer> фарфор</p>]]></description><param name="Объём" unit="мл">250</param>
<param name="Цвет">белый</param></offer>
<!-- <offer id="99"><url>https://shop.example/99</url></offer> -->
<offer id="2" type="vendor.model" available="false"><typePrefix>Кофемолка</typePrefix><vendor>Bosch</vendor>
<model>TSM</model><url>https://shop.example/2</url><price>3000</price></offer>
<offer id="3" type="book"><author>Чехов</author><name>Рассказы</name><url>https://shop.example/3</url><price>500</price></offer>
<offer id="4" type="artist.title"><artist>Кино</artist><title>Группа крови</title><url>https://shop.example/4</url>
<price>900</price></offer>
</offers></shop></yml_catalog>"""

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
<title>Tea House</title>
<item><title>plain</title><g:title>Tea &amp; cup</g:title><g:id>A1</g:id><link>https://tea.example/a1</link>
<g:price>2500.00 RUB</g:price><g:sale_price>1999.50 RUB</g:sale_price>
<g:image_link>https://tea.example/a1.jpg</g:image_link>
<g:additional_image_link>https://tea.example/a2.jpg</g:additional_image_link><g:availability>in stock</g:availability>
<g:brand>Leaf</g:brand><g:product_type>Home &gt; Tea</g:product_type><g:color>green</g:color>
<g:shipping><g:country>RU</g:country><g:price>300 RUB</g:price></g:shipping></item></channel></rss>"""

ATOM = """<?xml version="1.0"?><ns0:feed xmlns:ns0="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<ns0:title>Tea House</ns0:title><ns0:entry><g:id>A1</g:id><ns0:title>Tea</ns0:title>
<ns0:link rel="alternate" href="https://tea.example/a1"/><g:price>10 EUR</g:price>
<g:availability>out_of_stock</g:availability>
</ns0:entry></ns0:feed>"""

SHOPIFY = {
    "products": [
        {
            "id": 7,
            "title": "Candle",
            "handle": "candle set",
            "body_html": "<p>Soy</p>",
            "vendor": "Glow",
            "product_type": "Candles",
            "tags": ["gift", "soy"],
            "images": [{"src": "https://cdn.example/1.jpg"}, {"src": "https://cdn.example/2.jpg"}],
            "options": [{"name": "Scent", "values": ["Fig", "Cedar"]}],
            "variants": [
                {"price": "30.00", "available": True, "compare_at_price": None},
                {"price": "18.50", "available": True, "compare_at_price": "20.00"},
                {"price": "9.00", "available": False},
            ],
        },
        {"id": 8, "title": "Bare", "handle": "bare", "variants": []},
    ]
}


def read(path: Path, options: FeedOptions | None = None, kind: str | None = None) -> list[RawItem | Reject]:
    with FeedFile(path) as file:
        feed = open_feed(file, kind or detect(file.head()), options or FeedOptions())
        return [feed.unpack(entry) if isinstance(entry, Entry) else entry for entry in feed.entries()]


def write(folder: Path, content: str | bytes, name: str = "feed") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251"])
def test_yml_of_every_type(tmp_path: Path, encoding: str) -> None:
    cup, grinder, book, album = read(write(tmp_path, YML.format(encoding=encoding).encode(encoding)))
    assert isinstance(cup, RawItem)
    assert (cup.external_id, cup.url, cup.title) == ("1", "https://shop.example/1?a=1&b=2", "Чашка\u00a0«Утро»")
    assert (cup.price, cup.old_price, cup.currency) == ("1999.50", "2500", "RUR")
    assert (cup.category, cup.brand, cup.merchant, cup.available) == (("Дом", "Кухня"), "Дулёво", "Лавка", True)
    assert cup.description == "<p>Тонкий </offer> фарфор</p>"
    assert cup.attributes == {"Объём": "250 мл", "Цвет": "белый", "pictures": ["https://shop.example/2.jpg"]}
    assert isinstance(grinder, RawItem)
    assert (grinder.title, grinder.available) == ("Кофемолка Bosch TSM", False)
    assert isinstance(book, RawItem)
    assert book.title == "Чехов. Рассказы"
    assert isinstance(album, RawItem)
    assert album.title == "Кино — Группа крови"


def test_bytes_that_belie_their_declaration_are_read_as_russian(tmp_path: Path) -> None:
    cup, *_ = read(write(tmp_path, YML.format(encoding="utf-8").encode("cp1251")))
    assert isinstance(cup, RawItem)
    assert cup.brand == "Дулёво"


def test_merchant_rss(tmp_path: Path) -> None:
    (tea,) = read(write(tmp_path, RSS))
    assert isinstance(tea, RawItem)
    assert (tea.external_id, tea.title, tea.url) == ("A1", "Tea & cup", "https://tea.example/a1")
    assert (tea.price, tea.old_price) == ("1999.50 RUB", "2500.00 RUB")
    assert (tea.merchant, tea.brand, tea.category, tea.available) == ("Tea House", "Leaf", ("Home", "Tea"), True)
    assert tea.attributes == {"color": "green", "pictures": ["https://tea.example/a2.jpg"]}


def test_merchant_atom_with_a_prefix(tmp_path: Path) -> None:
    (tea,) = read(write(tmp_path, ATOM))
    assert isinstance(tea, RawItem)
    assert (tea.external_id, tea.url, tea.price, tea.available) == ("A1", "https://tea.example/a1", "10 EUR", False)


def test_merchant_tsv(tmp_path: Path) -> None:
    names = ("id", "title", "link", "price", "image link", "availability")
    cells = ("A1", "Tea", "https://tea.example/1", "10.00 RUB", "https://tea.example/1.jpg", "in stock")
    rows = "\t".join(names) + "\n" + "\t".join(cells) + "\n"
    path = write(tmp_path, rows)
    with FeedFile(path) as file:
        assert detect(file.head()) == "google_tsv"
    (tea,) = read(path, kind="google")
    assert isinstance(tea, RawItem)
    assert (tea.external_id, tea.price, tea.image_url, tea.available) == (
        "A1",
        "10.00 RUB",
        "https://tea.example/1.jpg",
        True,
    )


def test_shopify_is_priced_at_its_cheapest_variant(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(SHOPIFY))
    candle, bare = read(path, FeedOptions(base_url="https://glow.example", currency="USD"))
    assert isinstance(candle, RawItem)
    assert (candle.external_id, candle.url) == ("7", "https://glow.example/products/candle%20set")
    assert (candle.price, candle.old_price, candle.currency) == ("18.50", "20.00", "USD")
    assert candle.attributes == {
        "Scent": "Fig, Cedar",
        "price_max": "30.00",
        "pictures": ["https://cdn.example/2.jpg"],
        "tags": ["gift", "soy"],
    }
    assert (candle.brand, candle.merchant, candle.category) == ("Glow", "glow.example", ("Candles",))
    assert isinstance(bare, RawItem)
    assert bare.price is None


def test_shopify_needs_to_know_its_shop(tmp_path: Path) -> None:
    with pytest.raises(NotAFeed, match="--site"):
        read(write(tmp_path, json.dumps(SHOPIFY)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_of_every_dialect(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = [
        ["Артикул", "Название", "Цена", "Ссылка"],
        ["1", '"Чай, ""зелёный"""', "1 999.50 руб.", "https://shop.example/1"],
    ]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tea,) = read(write(tmp_path, text.encode(encoding)))
    assert isinstance(tea, RawItem)
    assert (tea.external_id, tea.title, tea.url) == ("1", 'Чай, "зелёный"', "https://shop.example/1")


def test_columns_named_by_the_caller(tmp_path: Path) -> None:
    path = write(tmp_path, "Product,Page,Cost,Shade\nTea,https://shop.example/1,10,green\n")
    with pytest.raises(NotAFeed, match="title and url"):
        read(path)
    columns = {"title": "Product", "url": "Page", "price": "Cost", "attr.colour": "Shade"}
    (tea,) = read(path, FeedOptions(columns=columns))
    assert isinstance(tea, RawItem)
    assert (tea.title, tea.url, tea.price, tea.attributes) == (
        "Tea",
        "https://shop.example/1",
        "10",
        {"colour": "green"},
    )
    with pytest.raises(NotAFeed, match="no column 'Nope'"):
        read(path, FeedOptions(columns={"title": "Nope"}))
    with pytest.raises(NotAFeed, match="no field 'colour'"):
        read(path, FeedOptions(columns={"colour": "Shade"}))


def test_json_lines_and_arrays(tmp_path: Path) -> None:
    items = [
        {"id": 1, "name": "Tea", "link": "https://shop.example/1", "price": 10.5, "category": ["Home", "Tea"]},
        {"id": "2", "title": "Cup", "url": "https://shop.example/2", "price": "5", "attributes": {"color": "red"}},
    ]
    lines = write(tmp_path, "\n".join(map(json.dumps, items)), "lines")
    array = write(tmp_path, json.dumps(items), "array")
    assert read(lines) == read(array)
    tea, cup = read(lines)
    assert isinstance(tea, RawItem)
    assert (tea.external_id, tea.title, tea.price, tea.category) == ("1", "Tea", "10.5", ("Home", "Tea"))
    assert isinstance(cup, RawItem)
    assert cup.attributes == {"color": "red"}


@pytest.mark.parametrize("layers", [1, 2])
def test_packed_feeds(tmp_path: Path, layers: int) -> None:
    content = YML.format(encoding="utf-8").encode()
    for _ in range(layers):
        content = gzip.compress(content)
    assert len(read(write(tmp_path, content, "feed.yml.gz"))) == 4


def test_the_same_item_has_the_same_fingerprint_and_a_changed_context_another(tmp_path: Path) -> None:
    def prints(text: str) -> list[bytes]:
        with FeedFile(write(tmp_path, text)) as file:
            return [e.fingerprint for e in open_feed(file, "yml", FeedOptions()).entries() if isinstance(e, Entry)]

    text = YML.format(encoding="utf-8")
    later = prints(text.replace("2026-11-01 12:00", "2026-11-02 12:00"))
    assert prints(text) == later
    assert prints(text.replace(">Кухня<", ">Столовая<"))[0] != later[0]
    assert prints(text.replace("1999.50", "1999.51"))[0] != later[0]
    assert prints(text.replace("1999.50", "1999.51"))[1:] == later[1:]


def test_the_real_products_need_no_mapping() -> None:
    items = read(shared_data("takprodam_products.csv"))
    assert len(items) == 4_000
    first = items[0]
    assert isinstance(first, RawItem)
    assert (first.external_id, first.price, first.currency, first.merchant) == (
        "2435042",
        "1631.0",
        "RUB",
        "Aliexpress store",
    )
    with FeedFile(shared_data("takprodam_promotions.csv")) as file:
        assert detect(file.head()) == PROMOTIONS
