"""The gift finder in a real browser, over answers made up for the purpose."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from gifty.catalog.models import Promotion
from gifty.core.clock import SystemClock
from gifty.core.errors import Unavailable
from gifty.core.http.answers import answer
from gifty.core.http.endpoint import body_of, endpoint
from gifty.core.http.readiness import Readiness
from gifty.core.http.server import install
from gifty.core.http.settings import HttpSettings
from gifty.core.metrics import Metrics
from gifty.discovery.api import RECOMMENDATIONS
from gifty.discovery.models import Pick, Quiz, Recommendation, Relaxation
from gifty.discovery.schemas import GenerateRequest, RecommendationSchema
from gifty.web import pages
from tests.fixtures.browser import chromium

# One browser serves all of these tests, so they share its event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = TestClient[web.Request, web.Application]

GENERATE = "**/api/v1/recommendations/generate"
PAGE_BYTES = 100_000
NAMELESS = """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden])")]
  .filter((one) => ![one.getAttribute("aria-label"), one.textContent,
    ...[...(one.labels ?? [])].map((label) => label.textContent)].some((name) => name?.trim()))
  .map((one) => one.outerHTML)"""
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'


def pick(number: int, **changes: Any) -> Pick:
    """A gift."""
    values: dict[str, Any] = {
        "gift_id": f"gft_{number}", "title": f"Кружка номер {number}", "description": "", "price": 1000.0 + number,
        "currency": "RUB", "old_price": None, "product_url": f"https://shop.example/{number}", "image_url": None,
        "merchant": "Лавка", "category": "Посуда", "is_idea": False, "reasons": ("Любит кофе",), "slot": "best",
    }  # fmt: skip
    return Pick(**(values | changes))


def by_person(quiz: Quiz) -> list[Pick]:
    """Forty gifts, others for each relation; the fifth to the eighth show what else a card can have."""
    start = {None: 100, "parent": 200, "friend": 300}.get(quiz.relationship, 400)
    gifts = [pick(start + number) for number in range(40)]
    gifts[4] = pick(start + 4, is_idea=True, merchant=None, title="Мастер-класс по гончарному делу", price=4200.0)
    gifts[5] = pick(start + 5, price=1999.5, old_price=2500.0, reasons=("Первое", "Второе", "Третье"))
    gifts[6] = pick(start + 6, price=None, reasons=(), merchant=None, title="<b>Плед</b> & подушка")
    coupon = Promotion(
        id=1, external_id="1", title="Скидка на всё", kind="coupon", marketplace=None, store="Лавка",
        discount_kind="percentage", discount_value=Decimal(10), starts_at=None,
        ends_at=datetime(2031, 5, 9, tzinfo=UTC), coupon="GIFT10",
    )  # fmt: skip
    gifts[7] = pick(start + 7, promotions=(coupon,))
    return gifts


@dataclass
class MadeUp:
    """Recommends what it was told to, and remembers what it was asked."""

    gifts: Callable[[Quiz], list[Pick]] = by_person
    asked: list[Quiz] = field(default_factory=list)
    relaxed: tuple[Relaxation, ...] = ()
    error: Exception | None = None

    async def recommend(self, quiz: Quiz) -> Recommendation:
        self.asked.append(quiz)
        if self.error is not None:
            raise self.error
        return Recommendation("quiz_1", "made-up", tuple(self.gifts(quiz)[: quiz.top_n]), self.relaxed, {})


@endpoint(
    "POST", "/api/recommendations/generate", tag="Recommendations", summary="Made up", body=GenerateRequest,
    answers={200: RecommendationSchema},
)  # fmt: skip
async def generate(request: web.Request) -> web.StreamResponse:
    return answer(RecommendationSchema, await request.app[RECOMMENDATIONS].recommend(body_of(request)))


@endpoint("GET", "/broken", tag="Pages", summary="Fails", answers={200: None})
async def broken(_request: web.Request) -> web.StreamResponse:
    raise RuntimeError("password=hunter2")


@pytest.fixture
def made_up() -> MadeUp:
    return MadeUp()


@pytest_asyncio.fixture(loop_scope="module")
async def client(made_up: MadeUp) -> AsyncIterator[Client]:
    """The pages over made-up answers."""
    app, clock = web.Application(), SystemClock()
    pages.add_pages(app)
    app[RECOMMENDATIONS] = made_up  # type: ignore[misc]
    install(
        app,
        routes=[*pages.routes, generate, broken],
        settings=HttpSettings(secret_key=b"x" * 32, rate_limit=False),
        clock=clock,
        metrics=Metrics(),
        readiness=Readiness(clock),
        error_page=pages.error_page,
    )
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, client: Client) -> AsyncIterator[Page]:
    """The finder in Russian on a desk; whatever the browser complains about fails the test."""
    async with opened(browser, client) as page:
        yield page


class opened:  # noqa: N801
    """A page of a fresh visitor."""

    def __init__(self, browser: Browser, client: Client, path: str = "/", **options: Any) -> None:
        self.browser, self.path = browser, path
        base = str(client.make_url("/"))
        self.options = {"base_url": base, "locale": "ru-RU", "viewport": {"width": 1280, "height": 900}} | options
        self.complaints: list[str] = []

    async def __aenter__(self) -> Page:
        self.context: BrowserContext = await self.browser.new_context(**self.options)
        page = await self.context.new_page()
        page.set_default_timeout(5_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self._note(line.type, line.text))
        await page.goto(self.path)
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    async def __aexit__(self, *_: object) -> None:
        await self.context.close()
        assert self.complaints == []


def first_card(page: Page) -> Any:
    return page.locator("#cards > li").first


async def test_ideas_are_there_before_the_first_tap(page: Page, made_up: MadeUp) -> None:
    await expect(page.locator("#cards > li")).to_have_count(11)
    await expect(page.get_by_role("status")).to_have_text("11 идей")
    assert len(made_up.asked) == 1, "the server's own ideas are not asked for again"


async def test_one_tap_brings_other_ideas(page: Page, made_up: MadeUp) -> None:
    await page.get_by_label("Маме").check()
    await expect(first_card(page)).to_contain_text("номер 200")
    await expect(page.get_by_role("heading", level=2)).to_have_text("Идеи подарков для мамы")
    assert (made_up.asked[-1].relationship, made_up.asked[-1].recipient_gender) == ("parent", "female")
    await page.get_by_label("Маме").click()
    await expect(first_card(page)).to_contain_text("номер 100")
    assert made_up.asked[-1].relationship is None, "a second tap takes the answer back"


async def test_every_answer_reaches_the_quiz(page: Page, made_up: MadeUp) -> None:
    for answered in ("Другу", "День рождения", "25–39", "Кофе", "Музыка", "до 3 000 ₽"):
        await page.get_by_label(answered, exact=True).check()
    await page.get_by_text("Уточнить").click()
    await page.get_by_label("без алкоголя").check()
    await page.get_by_label("от", exact=True).fill("500")
    await page.get_by_label("Или своими словами").fill("увлёкся бонсай")
    async with page.expect_response(GENERATE):
        pass
    quiz = made_up.asked[-1]
    assert (quiz.relationship, quiz.occasion, quiz.recipient_age, quiz.budget) == ("friend", "birthday", 32, 3000.0)
    assert quiz.interests == ("coffee", "music_listening")
    assert (quiz.interests_description, quiz.tags, quiz.min_price) == ("увлёкся бонсай", {"no_alcohol"}, 500.0)
    assert quiz.top_n == 11
    await expect(page.get_by_role("heading", level=2)).to_have_text(
        "Идеи подарков для друга на день рождения до 3 000 ₽"
    )


async def test_the_address_keeps_the_answers(page: Page) -> None:
    await page.get_by_label("Маме").check()
    await page.get_by_label("Кофе", exact=True).check()
    await expect(first_card(page)).to_contain_text("номер 200")
    assert page.url.endswith("/?person=mum&interest=coffee")
    await page.reload()
    await expect(page.get_by_label("Маме")).to_be_checked()
    await expect(first_card(page)).to_contain_text("номер 200")
    await page.go_back()
    await expect(page.get_by_label("Кофе", exact=True)).not_to_be_checked()
    await page.go_back()
    await expect(page.get_by_label("Маме")).not_to_be_checked()
    await expect(first_card(page)).to_contain_text("номер 100")


async def test_the_script_draws_the_same_cards_as_the_server(browser: Browser, client: Client) -> None:
    seen = """() => [...document.querySelectorAll("#cards > li")].map((card) => [
      card.className.replace(" fresh", ""), card.innerText.replace(/\\s+/g, " ").trim(),
      card.querySelector(".pic").className, card.querySelector("use").getAttribute("href"),
      card.querySelector("h3 a").outerHTML])"""
    for lang in ("ru", "en"):
        async with opened(browser, client, f"/?person=mum&lang={lang}") as page:
            from_server = await page.evaluate(seen)
        async with opened(browser, client, f"/?lang={lang}") as page:
            await page.locator("input[value=mum]").check()
            await expect(first_card(page)).to_contain_text("номер 200")
            assert await page.evaluate(seen) == from_server


async def test_a_card_says_what_it_is(page: Page) -> None:
    cards = page.locator("#cards > li")
    idea, cheaper, bare, coupon = (cards.nth(number) for number in (4, 5, 6, 7))
    await expect(idea).to_contain_text("Идея")
    await expect(idea).to_contain_text("около 4 200 ₽")
    await expect(idea).to_contain_text("Где купить")
    await expect(cheaper).to_contain_text("1 999,50 ₽")
    await expect(cheaper.locator("s")).to_contain_text("2 500 ₽")
    await expect(cheaper.locator(".why li")).to_have_count(2)
    await expect(bare).to_contain_text("<b>Плед</b> & подушка")
    await expect(bare).to_contain_text("цена в магазине")
    await expect(coupon.locator("code")).to_have_text("GIFT10")
    await expect(coupon).to_contain_text("-10 % · до 09.05.2031")
    link = idea.get_by_role("link")
    assert await link.get_attribute("target") == "_blank"
    assert set((await link.get_attribute("rel") or "").split()) == {"noopener", "nofollow"}


async def test_an_address_that_is_no_web_address_is_no_link(browser: Browser, client: Client, made_up: MadeUp) -> None:
    made_up.gifts = lambda quiz: [
        pick(1 + len(quiz.interests), product_url="javascript:alert(1)", image_url="file:///x")
    ]
    async with opened(browser, client) as page:
        assert await page.locator("#cards a[href]").count() == 0
        await page.get_by_label("Кофе", exact=True).check()
        await expect(first_card(page)).to_contain_text("номер 2")
        assert await page.locator("#cards a[href], #cards img").count() == 0


async def test_pictures_cover_the_drawing_only_when_they_come(
    browser: Browser, client: Client, made_up: MadeUp
) -> None:
    made_up.gifts = lambda _quiz: [
        pick(1, image_url="https://pictures.example/good.png"),
        pick(2, image_url="https://pictures.example/gone.png"),
    ]

    async def serve(route: Route) -> None:
        if "gone" in route.request.url:
            await route.abort()
        else:
            await route.fulfill(status=200, content_type="image/svg+xml", body=PICTURE)

    async with opened(browser, client, "/api/health") as page:
        await page.route("https://pictures.example/*", serve)
        await page.goto("/")
        await expect(page.locator("#cards > li").nth(0).locator(".art")).to_be_hidden()
        await expect(page.locator("#cards > li").nth(1).locator("img")).to_have_count(0)
        await expect(page.locator("#cards > li").nth(1).locator(".art")).to_be_visible()


async def test_more_ideas_up_to_the_most(page: Page) -> None:
    more = page.get_by_role("link", name="Показать ещё")
    kept = await first_card(page).element_handle()
    await more.click()
    await expect(page.locator("#cards > li")).to_have_count(20)
    assert await kept.evaluate("card => card.isConnected"), "cards that stay are not drawn again"
    await more.click()
    await expect(page.locator("#cards > li")).to_have_count(29)
    await expect(more).to_be_hidden()


async def test_relaxed_wishes_are_named(page: Page, made_up: MadeUp) -> None:
    made_up.relaxed = (Relaxation("budget", "Бюджет немного выше"),)
    await page.get_by_label("Маме").check()
    await expect(page.locator("#relaxed")).to_contain_text("Бюджет немного выше")
    made_up.relaxed = ()
    await page.get_by_label("Папе").check()
    await expect(page.locator("#relaxed")).to_be_hidden()


async def test_nothing_found_offers_to_loosen_the_wishes(page: Page, made_up: MadeUp) -> None:
    made_up.gifts = lambda quiz: [] if quiz.tags else by_person(quiz)
    await page.get_by_text("Уточнить").click()
    await page.get_by_label("без алкоголя").check()
    await expect(page.locator("#notice")).to_contain_text("Ничего не подошло")
    await page.locator("#notice").get_by_role("button", name="Снять уточнения").click()
    await expect(page.locator("#cards > li")).to_have_count(11)
    await expect(page.locator("#notice")).to_be_empty()


async def test_a_newer_tap_overtakes_an_older_one(page: Page) -> None:
    release = asyncio.Event()

    async def hold(route: Route) -> None:
        if '"parent"' in (route.request.post_data or ""):
            await release.wait()
        await route.continue_()

    await page.route(GENERATE, hold)
    async with page.expect_request(GENERATE):
        await page.get_by_label("Маме").check()
    await page.get_by_label("Подруге").check()
    await expect(first_card(page)).to_contain_text("номер 300")
    release.set()
    await page.get_by_role("link", name="Показать ещё").click()
    await expect(page.locator("#cards > li")).to_have_count(20)
    await expect(first_card(page)).to_contain_text("номер 300")


async def test_slow_answers_say_so_and_late_ones_are_given_up(browser: Browser, client: Client) -> None:
    async with opened(browser, client, "/api/health") as page:
        await page.clock.install()
        await page.goto("/")

        async def never(_route: Route) -> None:
            await asyncio.Event().wait()

        await page.route(GENERATE, never)
        await page.get_by_label("Маме").check()
        async with page.expect_request(GENERATE):
            await page.clock.run_for(200)
        await page.clock.run_for(3_000)
        await expect(page.get_by_role("status")).to_contain_text("чуть дольше")
        await expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
        await page.clock.run_for(15_000)
        await expect(page.locator("#notice")).to_contain_text("Ответ задерживается")
        await page.unroute(GENERATE)
        await page.get_by_role("button", name="Попробовать ещё раз").click()
        await expect(first_card(page)).to_contain_text("номер 200")


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (429, {"Retry-After": "4"}, "Слишком много вопросов"),
        (503, {"Retry-After": "4"}, "прилёг"),
        (422, {}, "не разобрать"),
        (500, {}, "req_42"),
    ],
)
async def test_failures_keep_the_ideas_and_offer_a_way_on(
    page: Page, status: int, headers: dict[str, str], words: str
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=status, headers=headers, json={"error": {"request_id": "req_42"}})

    await page.route(GENERATE, refuse)
    await page.get_by_label("Маме").check()
    await expect(page.locator("#notice")).to_contain_text(words)
    await expect(page.locator("#cards > li")).to_have_count(11)
    await page.unroute(GENERATE)
    await page.locator("#notice").get_by_role("button").click()
    await expect(first_card(page)).to_contain_text("номер 200")
    await expect(page.locator("#notice")).to_be_empty()


async def test_back_online_the_ideas_come_by_themselves(page: Page) -> None:
    await page.context.set_offline(True)
    await page.get_by_label("Маме").check()
    await expect(page.locator("#notice")).to_contain_text("Нет связи")
    await page.context.set_offline(False)
    await expect(first_card(page)).to_contain_text("номер 200")


async def test_the_server_without_ideas_still_shows_the_questions(
    browser: Browser, client: Client, made_up: MadeUp
) -> None:
    made_up.error = Unavailable("the database is away")
    async with opened(browser, client, java_script_enabled=False) as page:
        await expect(page.locator("#notice")).to_contain_text("прилёг")
        await expect(page.get_by_label("Маме")).to_be_enabled()


async def test_it_works_without_scripts(browser: Browser, client: Client, made_up: MadeUp) -> None:
    async with opened(browser, client, java_script_enabled=False) as page:
        await page.get_by_label("Маме").check()
        await page.get_by_label("до 3 000 ₽").check()
        await page.get_by_role("button", name="Показать идеи").first.click()
        await expect(first_card(page)).to_contain_text("номер 200")
        await expect(page.get_by_role("heading", level=2)).to_have_text("Идеи подарков для мамы до 3 000 ₽")
        await expect(page.get_by_label("Маме")).to_be_checked()
        await page.get_by_role("link", name="Показать ещё").click()
        await expect(page.locator("#cards > li")).to_have_count(20)
    assert made_up.asked[-1].budget == 3000.0


async def test_it_is_used_from_the_keyboard(page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Сразу к идеям")).to_be_focused()
    await page.get_by_label("Любимой").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_label("Любимой")).to_be_checked()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_label("Любимому")).to_be_checked()
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("День рождения")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("heading", level=2)).to_have_text("Идеи подарков для любимого на день рождения")


async def test_everything_has_a_name(page: Page) -> None:
    assert await page.evaluate(NAMELESS) == []
    ids = await page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


async def test_english_is_remembered(browser: Browser, client: Client, made_up: MadeUp) -> None:
    async with opened(browser, client, "/?person=mum") as page:
        await page.get_by_role("link", name="In English").click()
        await expect(page.get_by_role("heading", level=2)).to_have_text("Gift ideas for mum")
        assert made_up.asked[-1].language == "en"
        await page.goto("/")
        await expect(page.get_by_role("heading", level=1)).to_have_text("A gift they will be glad of")
    async with opened(browser, client, locale="en-GB") as page:
        await expect(page.get_by_role("status")).to_have_text("11 ideas")


async def test_the_theme_is_switched_and_remembered(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("button", name="Оформление").click()
    assert await page.evaluate(ground) == light
    await page.get_by_role("button", name="Оформление: светлое").click()
    dark = await page.evaluate(ground)
    assert dark != light
    await page.reload()
    assert await page.evaluate(ground) == dark


@pytest.mark.parametrize("width", [360, 390, 768, 1024, 1440])
async def test_nothing_sticks_out(browser: Browser, client: Client, width: int) -> None:
    async with opened(browser, client, "/?wish=no_alcohol", viewport={"width": width, "height": 800}) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_a_phone_asks_one_question_at_a_time(browser: Browser, client: Client) -> None:
    async with opened(browser, client, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        await expect(page.get_by_label("День рождения")).to_be_hidden()
        await page.get_by_text("Маме", exact=True).tap()
        await expect(page.get_by_label("День рождения")).to_be_visible()
        await expect(page.get_by_label("Папе")).to_be_hidden()
        await expect(page.get_by_role("button", name="Кому дарим? Маме")).to_have_attribute("aria-expanded", "false")
        await page.get_by_role("button", name="Кому дарим?").tap()
        await expect(page.get_by_label("Папе")).to_be_visible()


async def test_the_page_is_light(browser: Browser, client: Client) -> None:
    sizes: dict[str, int] = {}
    seen: list[Any] = []
    async with opened(browser, client, "/api/health") as page:
        page.on("requestfinished", lambda request: seen.append(request))  # noqa: PLW0108 - no method will do
        await page.goto("/", wait_until="networkidle")
        for request in seen:
            response = await request.response()
            sizes[request.url] = len(await response.body())
    assert len(sizes) >= 6
    assert sum(sizes.values()) <= PAGE_BYTES, sizes


async def test_failures_are_pages_for_people_and_envelopes_for_programs(client: Client) -> None:
    for path, status in (("/nowhere", 404), ("/broken", 500)):
        found = await client.get(path, headers={"Accept": "text/html,*/*", "Accept-Language": "en"})
        text = await found.text()
        assert (found.status, found.content_type) == (status, "text/html")
        assert "<h1>" in text
        assert "hunter2" not in text
        found = await client.get(path)
        assert (found.status, found.content_type) == (status, "application/json")
    found = await client.get("/api/nowhere", headers={"Accept": "text/html"})
    assert found.content_type == "application/json"
