"""`gifty recommend`: the main job in a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError

from gifty.core.errors import InvalidInput
from gifty.discovery.models import Quiz, Recommendation
from gifty.discovery.schemas import GenerateRequest, RecommendationSchema
from gifty.services import open_services
from gifty.settings import Settings

_NOTHING: Final = {
    "ru": "Подарков пока нет: каталог пуст или всё в нём противоречит пожеланиям. Добавьте товары: gifty import ФАЙЛ",
    "en": "No gifts yet: the catalogue is empty, or all of it breaks the wishes. Add products: gifty import FILE",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "recommend",
        help="gift ideas for a person",
        description="Gift ideas for a person. Everything is optional; what is given narrows and sharpens.",
        epilog='Examples: gifty recommend --age 30 --relation partner --interests "coffee,running"; '
        'gifty recommend --relation мама --interests "чай, сад" --budget 3000 --tags no_strong_smell --json',
    )
    parser.add_argument("--age", type=int, help="the recipient's age in years")
    parser.add_argument("--gender", choices=("female", "male", "other"), help="the recipient's gender")
    parser.add_argument(
        "--relation", help="partner, friend, parent, colleague, boss, child, ... or a word such as мама"
    )
    parser.add_argument("--occasion", help="birthday, new_year, wedding, ... or free words")
    parser.add_argument("--vibe", help="cozy, techy, fun, ... (several with commas)")
    parser.add_argument("--interests", help="what the person likes, with commas")
    parser.add_argument("--budget", type=float, help="the most to spend, in roubles")
    parser.add_argument("--tags", help="wishes that must hold, with commas: kids_safe, no_alcohol, ...")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many gifts (1..30, default 10)")
    parser.add_argument("--lang", choices=("ru", "en"), default="ru", help="the language of the answer")
    parser.add_argument("--json", action="store_true", help="print the answer of the API")
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 with gifts, 1 without. Raises `InvalidInput` when an option is out of bounds."""
    quiz = _quiz(arguments)
    async with open_services(settings) as services:
        await services.scoring.score_all()
        recommendation = await services.recommendations.recommend(quiz)
    if arguments.json:
        print(json.dumps(RecommendationSchema().dump(recommendation), ensure_ascii=False, indent=2))
    else:
        _show(recommendation, quiz.language)
    return 0 if recommendation.gifts else 1


def _quiz(arguments: argparse.Namespace) -> Quiz:
    """The request the options stand for, checked by the API's own schema."""
    given: dict[str, Any] = {
        "recipient_age": arguments.age,
        "recipient_gender": arguments.gender,
        "relationship": arguments.relation,
        "occasion": arguments.occasion,
        "vibe": arguments.vibe,
        "interests": arguments.interests,
        "budget": arguments.budget,
        "top_n": arguments.top,
        "language": arguments.lang,
        "constraints": {"tags": _listed(arguments.tags)},
    }
    try:
        quiz: Quiz = GenerateRequest().load({key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidInput(_first(error.messages_dict)) from error
    return quiz


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _first(messages: Mapping[str, Any], path: str = "") -> str:
    """The first problem with the option it belongs to."""
    options = {"recipient_age": "--age", "top_n": "--top", "relationship": "--relation", "constraints.tags": "--tags"}
    for key, value in messages.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            return _first(value, path if str(key).isdigit() else here)
        return f"{options.get(here, f'--{here}')}: {value[0]}"
    return "the request is not valid"


def _show(recommendation: Recommendation, language: str) -> None:
    if not recommendation.gifts:
        print(_NOTHING[language], file=sys.stderr)
        return
    for number, gift in enumerate(recommendation.gifts, 1):
        price = "" if gift.price is None else f"{gift.price:,.0f} {gift.currency}".replace(",", " ")
        print(f"{number:2}. {gift.title[:100]}")
        print(f"    {price:14}{'; '.join(gift.reasons)}")
        print(f"    {gift.product_url}")
    for relaxation in recommendation.relaxed:
        print(f"*   {relaxation.message}")
