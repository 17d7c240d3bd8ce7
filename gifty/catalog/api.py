"""Endpoints of the catalogue."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from aiohttp import web

from gifty.catalog.gifts import GiftService
from gifty.catalog.models import Promotion
from gifty.catalog.schemas import GiftListSchema, GiftPageSchema, GiftPath, GiftQuery
from gifty.catalog.search import SearchService
from gifty.catalog.search_models import FoundGift, GiftSearch
from gifty.core.http.answers import json_answer
from gifty.core.http.endpoint import endpoint, path_of, query_of
from gifty.core.pagination import Cursors

SEARCH: Final = web.AppKey("search", SearchService)
GIFTS: Final = web.AppKey("gifts", GiftService)
CURSORS: Final = web.AppKey("gift_cursors", Cursors)
CURSOR_PURPOSE: Final = "gifts"

_SHOWN: Final = tuple(
    field.name for field in fields(FoundGift) if field.name not in {"promotions", "similarity", "created_at"}
)
_PICK: Final = attrgetter(*_SHOWN)


@endpoint(
    "GET",
    "/api/gifts",
    tag="Gifts",
    summary="Search or browse gifts",
    description="Words, meaning and spelling are searched together. Without a query the best presents come first.",
    query=GiftQuery,
    answers={200: GiftListSchema},
    cache="public, max-age=60",
    etag="strong",
)
async def list_gifts(request: web.Request) -> web.StreamResponse:
    """A page of gifts."""
    asked = query_of(request)
    cursors = request.app[CURSORS]
    cursor = asked["cursor"]
    found = await request.app[SEARCH].search(
        GiftSearch(
            query=asked["query"],
            filter=asked["where"],
            sort=asked["sort"],
            limit=asked["limit"],
            after=None if cursor is None else cursors.decode(cursor),
        )
    )
    return json_answer(
        {
            "gifts": [shown(gift) for gift in found.gifts],
            "next_cursor": None if found.next_position is None else cursors.encode(found.next_position),
            "total": found.total,
            "facets": {
                "categories": [{"name": item.name, "count": item.count} for item in found.facets.categories],
                "price": {"min": found.facets.price.min, "max": found.facets.price.max},
            },
            "corrections": [{"written": wrong, "meant": right} for wrong, right in found.corrections.items()],
        }
    )


@endpoint(
    "GET",
    "/api/gifts/{gift_id}",
    tag="Gifts",
    summary="One gift, with past prices and similar gifts",
    path_schema=GiftPath,
    answers={200: GiftPageSchema},
    errors=(404,),
    cache="public, max-age=60",
    etag="strong",
)
async def get_gift(request: web.Request) -> web.StreamResponse:
    """A gift."""
    page = await request.app[GIFTS].page(path_of(request)["gift_id"])
    return json_answer(
        {
            **shown(page.gift),
            "similar": [shown(gift) for gift in page.similar],
            "price_history": [
                {"price": float(point.price), "currency": point.currency, "observed_at": point.observed_at}
                for point in page.price_history
            ],
        }
    )


def shown(gift: FoundGift) -> dict[str, Any]:
    """A gift as JSON shows it."""
    picked = dict(zip(_SHOWN, _PICK(gift), strict=True))
    picked["promotions"] = [_promotion(promotion) for promotion in gift.promotions]
    return picked


def _promotion(promotion: Promotion) -> dict[str, Any]:
    return {
        "title": promotion.title,
        "coupon": promotion.coupon,
        "discount": promotion.discount,
        "ends_at": promotion.ends_at,
    }


routes: Final = [list_gifts, get_gift]
