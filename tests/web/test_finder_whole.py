"""The gift finder on the whole application: the starter catalogue, and real products."""

from aiohttp import web
from aiohttp.test_utils import TestClient
from playwright.async_api import expect

from tests.fixtures.browser import chromium

Client = TestClient[web.Request, web.Application]


async def test_a_newcomer_finds_ideas_with_reasons(client: Client) -> None:
    async with chromium() as browser:
        page = await browser.new_page(base_url=str(client.make_url("/")), locale="ru-RU")
        await page.goto("/")
        cards = page.locator("#cards > li")
        await expect(cards).to_have_count(11)
        before = await cards.all_inner_texts()
        await page.get_by_label("Маме").check()
        async with page.expect_response(lambda response: '"interests"' in (response.request.post_data or "")):
            await page.get_by_label("Растения", exact=True).check()
        await expect(page.get_by_role("heading", level=2)).to_have_text("Идеи подарков для мамы")
        await expect(page.locator("#results")).not_to_have_attribute("aria-busy", "true")
        await expect(cards).to_have_count(11)
        assert await cards.all_inner_texts() != before
        assert await page.locator("#cards .why li").count() >= 11
        assert await page.locator("#cards .tag").count() == 11, "all of the starter catalogue are ideas"
        after = await cards.all_inner_texts()
        await page.reload()
        assert await cards.all_inner_texts() == after, "a shared link shows the same ideas"


async def test_real_products_are_shown_with_shop_and_price(products_client: Client) -> None:
    async with chromium() as browser:
        page = await browser.new_page(base_url=str(products_client.make_url("/")), locale="ru-RU")
        await page.goto("/?person=friend_m&interest=fishing&budget=5000")
        products = page.locator("#cards > li:not(.idea)")
        await expect(products.first).to_be_visible()
        await expect(products.first.locator(".price")).to_contain_text("₽")
        await expect(products.first.locator(".go")).to_contain_text("Aliexpress")
        assert (await products.first.get_by_role("link").get_attribute("href") or "").startswith("https://")
