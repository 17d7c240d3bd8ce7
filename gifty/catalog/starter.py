"""The starter catalogue: gift ideas of our own, there from the first minute and behind every real product."""

from __future__ import annotations

import asyncio
import importlib.resources
import tomllib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_plus

from gifty.catalog.feeds.items import RawItem
from gifty.catalog.ingestion import IDEAS, ImportReport, IngestionService, Items, Origin

_SEARCH: Final = "https://yandex.ru/search/?text="
_CURRENCY: Final = "RUB"


class StarterCatalogue:
    """Loads the shipped ideas by the same way as any feed; loading them again changes nothing."""

    def __init__(self, ingestion: IngestionService) -> None:
        self._ingestion = ingestion

    async def load(self) -> ImportReport:
        """Brings the ideas in the catalogue in step with those shipped."""
        items = await asyncio.to_thread(shipped_ideas)
        return await self._ingestion.ingest(Origin(IDEAS, IDEAS, "Gift ideas"), Items(items))


def shipped_ideas() -> list[RawItem]:
    """Every idea of every file. Raises KeyError or ValueError when a file is wrong; a test reads them all."""
    return [_item(idea) for idea in _ideas()]


def _ideas() -> Iterator[dict[str, Any]]:
    folder = importlib.resources.files("gifty.catalog").joinpath("starter")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield from tomllib.loads(file.read_text(encoding="utf-8"))["idea"]


def _item(idea: dict[str, Any]) -> RawItem:
    return RawItem(
        external_id=idea["id"],
        url=_SEARCH + quote_plus(f"{idea['title_ru']} купить"),
        title=idea["title_ru"],
        description=idea["description_ru"],
        price=str(idea["price"]),
        currency=_CURRENCY,
        category=(idea["category_ru"],),
        available=True,
        lang="ru",
        attributes={
            "en": {
                "title": idea["title_en"],
                "description": idea["description_en"],
                "category": idea["category_en"],
            },
            "ages": idea["ages"],
            "gender": idea["gender"],
            "closeness": idea["closeness"],
            "interests": idea["interests"],
            "occasions": idea["occasions"],
        },
    )
