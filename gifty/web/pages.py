"""The pages over HTTP: the gift finder, what it loads, and what a browser is shown when something goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
import markupsafe
from aiohttp import hdrs, web

from gifty.core.errors import GiftyError, InvalidInput, NotFound, Unavailable
from gifty.core.http.answers import dumper, to_json
from gifty.core.http.endpoint import Media, endpoint, path_of, request_id_of
from gifty.discovery.api import RECOMMENDATIONS
from gifty.discovery.schemas import GenerateRequest, RecommendationSchema
from gifty.web.assets import FOREVER, Assets, load_assets
from gifty.web.cards import Card, Drawings, card_of, load_drawings
from gifty.web.texts import LANGUAGES, Language, Texts, language_of, load_texts
from gifty.web.wishes import MORE, MOST_SHOWN, SHOWN, Questions, Wishes, load_questions

log = logging.getLogger(__name__)

TEMPLATES: Final = Path(__file__).parent / "templates"
PATIENCE_SECONDS: Final = 2.0
"""How long a page waits for ideas; after that it goes out without them and asks for them itself."""

_HTML: Final = Media("text/html", "A page")
_FRESH: Final = "private, no-cache"
_TROUBLE: Final[Mapping[int, str]] = {404: "", 405: "wrong_", 422: "wrong_", 400: "wrong_", 429: "busy_", 503: "away_"}
_FOR_PROGRAMS: Final = ("/api/", "/internal/", "/assets/")
_ROBOTS: Final = "User-agent: *\nDisallow: /api/\nDisallow: /internal/\nDisallow: /*?\n"


@dataclass(frozen=True, slots=True)
class Found:
    """What the page has to show: cards, or the state that says why there are none."""

    cards: tuple[Card, ...] = ()
    relaxed: tuple[str, ...] = ()
    state: str = "ready"
    request_id: str = ""


class Pages:
    """Everything pages are made of, read once."""

    def __init__(self) -> None:
        self.assets: Assets = load_assets()
        self.texts: Mapping[Language, Texts] = load_texts()
        self.questions: Questions = load_questions()
        self.drawings: Drawings = load_drawings()
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters["json"] = _json
        for name in self._templates.list_templates():
            self._templates.get_template(name)
        self._hints = {lang: self._browser_words(texts) for lang, texts in self.texts.items()}

    def finder(self, wishes: Wishes, lang: Language, found: Found) -> str:
        """The gift finder."""
        return self._render(
            "finder.html", lang, wishes=wishes, found=found, questions=self.questions, words=self._hints[lang],
            more_shown=MORE, most_shown=MOST_SHOWN,
        )  # fmt: skip

    def trouble(self, status: int, lang: Language, request_id: str) -> str:
        """The page for an address that is not there, or a failure."""
        kind = _TROUBLE.get(status, "error_")
        return self._render(
            "lost.html", lang, wishes=Wishes({}, lang=""), kind=kind, status=status, request_id=request_id
        )

    def _render(self, name: str, lang: Language, **values: Any) -> str:
        texts = self.texts[lang]
        other = LANGUAGES[1 - LANGUAGES.index(lang)]
        return self._templates.get_template(name).render(
            t=texts, lang=lang, other=other, languages=self.texts, asset=self.assets.address, **values
        )

    def _browser_words(self, texts: Texts) -> Mapping[str, Any]:
        """What the page's script needs to know."""
        return {
            "results": texts["results"],
            "states": texts["states"],
            "title": texts["title"],
            "clear": texts["wish"]["loosen"],
            "theme": {name: texts["page"][f"theme_{name}"] for name in ("auto", "light", "dark")},
            "drawings": self.drawings.by_drawing(),
            "sprite": self.assets.address("drawings.svg"),
            "shown": SHOWN,
            "step": MORE,
            "most": MOST_SHOWN,
        }


PAGES: Final = web.AppKey("pages", Pages)


def add_pages(app: web.Application) -> None:
    """Gives the application what its pages are made of; their handlers are in `routes`."""
    app[PAGES] = Pages()


@endpoint(
    "GET",
    "/",
    tag="Pages",
    summary="The gift finder",
    description="Takes the answers as query parameters (`person`, `occasion`, `age`, `interest`, `about`, `budget`, "
    "`min`, `max`, `wish`, `show`, `lang`) and passes over those it does not know.",
    answers={200: _HTML},
    cache=_FRESH,
    etag="weak",
)
async def finder(request: web.Request) -> web.StreamResponse:
    """The page, with the ideas for the answers in its address."""
    pages = request.app[PAGES]
    lang = language_of(request)
    wishes = Wishes.read(request.query, pages.questions)
    return _html(pages.finder(wishes, lang, await _find(request, wishes, lang)))


@endpoint(
    "GET",
    "/assets/{version}/{name}",
    tag="Pages",
    summary="A style, a script or the drawings",
    answers={200: Media("*/*", "The file")},
    errors=(404,),
    counted=False,
)
async def asset(request: web.Request) -> web.StreamResponse:
    """A file of the pages; to be kept for ever under its own version only."""
    assets, path = request.app[PAGES].assets, path_of(request)
    found = assets.files.get(path["name"])
    if found is None:
        raise NotFound("there is no such file")
    cache = FOREVER if path["version"] == assets.version else "no-cache"
    content, kind = found
    return web.Response(body=content, content_type=kind, charset="utf-8", headers={hdrs.CACHE_CONTROL: cache})


@endpoint(
    "GET",
    "/favicon.svg",
    tag="Pages",
    summary="The mark",
    answers={200: Media("image/svg+xml", "A picture")},
    cache="public, max-age=86400",
    counted=False,
)
async def favicon(request: web.Request) -> web.StreamResponse:
    """The mark of Gifty."""
    content, kind = request.app[PAGES].assets.files["mark.svg"]
    return web.Response(body=content, content_type=kind, charset="utf-8")


@endpoint(
    "GET",
    "/robots.txt",
    tag="Pages",
    summary="What crawlers may read",
    answers={200: Media("text/plain", "Rules")},
    cache="public, max-age=86400",
    counted=False,
)
async def robots(_request: web.Request) -> web.StreamResponse:
    """The finder itself; not its endless combinations of answers."""
    return web.Response(text=_ROBOTS)


routes: Final = [finder, asset, favicon, robots]


def error_page(request: web.Request, status: int) -> str | None:
    """A page about a failure for somebody who opened an address in a browser; None for programs."""
    if request.method not in {hdrs.METH_GET, hdrs.METH_HEAD} or request.path.startswith(_FOR_PROGRAMS):
        return None
    if "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
        return None
    return request.app[PAGES].trouble(status, language_of(request), request_id_of(request))


async def _find(request: web.Request, wishes: Wishes, lang: Language) -> Found:
    pages = request.app[PAGES]
    try:
        quiz = GenerateRequest().load(wishes.brief(pages.questions, lang))
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await request.app[RECOMMENDATIONS].recommend(quiz)
    except TimeoutError:
        return Found(state="late")
    except (InvalidInput, Unavailable) as error:
        return Found(state="wrong" if isinstance(error, InvalidInput) else "away")
    except GiftyError:
        log.exception("the finder page found nothing", extra={"request_id": request_id_of(request)})
        return Found(state="error", request_id=request_id_of(request))
    written = dumper(RecommendationSchema)(answer)
    texts = pages.texts[lang]
    cards = tuple(card_of(gift, texts, pages.drawings) for gift in written["gifts"])
    relaxed = tuple(one["message"] for one in written["relaxed"])
    asked = bool(wishes.refined)
    return Found(cards, relaxed, "ready" if cards else "empty" if asked else "bare")


def _json(value: Any) -> markupsafe.Markup:
    """JSON that may stand in a script element or a single-quoted attribute: nothing in it can end either."""
    text = to_json(value).decode().replace("<", "\\u003c").replace("'", "\\u0027").replace("&", "\\u0026")
    return markupsafe.Markup(text)  # noqa: S704 - escaped just here


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers={hdrs.VARY: hdrs.ACCEPT_LANGUAGE})
