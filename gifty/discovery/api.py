"""Recommendations over HTTP."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gifty.core.http.answers import answer
from gifty.core.http.endpoint import body_of, endpoint
from gifty.discovery.schemas import BODY_LIMIT, GenerateRequest, RecommendationSchema
from gifty.discovery.service import RecommendationService

RECOMMENDATIONS: Final = web.AppKey("recommendations", RecommendationService)


@endpoint(
    "POST",
    "/api/recommendations/generate",
    tag="Recommendations",
    summary="Recommend gifts for a person",
    description="Everything is optional: a relationship alone, or nothing at all, already gives results. "
    "Wish tags always hold; `relaxed` names other wishes that not all gifts keep.",
    body=GenerateRequest,
    answers={200: RecommendationSchema},
    idempotent=True,
    body_limit=BODY_LIMIT,
)
async def generate(request: web.Request) -> web.StreamResponse:
    """A portfolio of gifts for the quiz in the body."""
    recommendation = await request.app[RECOMMENDATIONS].recommend(body_of(request))
    return answer(RecommendationSchema, recommendation)


routes = [generate]
