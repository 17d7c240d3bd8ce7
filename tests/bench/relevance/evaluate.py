"""How good recommendations are, on the judged set beside this file, next to two plain baselines in the same run.

    python tests/bench/relevance/evaluate.py PRODUCTS.csv [--lists]

Gifty answers through its real service over PostgreSQL. nDCG@10 gains are the grades (3, 2, 1; others 0), its ideal
comes from the judgements; P@10 counts grades 2 and 3; a broken wish is a grade of -1, a price over 110 % of the budget,
the wrong gender, or a wish tag that the product's profile breaks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import math
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import Stemmer

ROOT: Final = Path(__file__).resolve().parents[3]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from gifty.catalog.candidate_repository import CandidateRepository  # noqa: E402
from gifty.catalog.candidates import CandidateService  # noqa: E402
from gifty.catalog.feeds.csv_mapping import csv_feed  # noqa: E402
from gifty.catalog.feeds.items import FeedOptions  # noqa: E402
from gifty.catalog.ingestion import IngestionService, Origin  # noqa: E402
from gifty.catalog.ingestion_repository import IngestionRepository  # noqa: E402
from gifty.catalog.profile_repository import ProfileRepository  # noqa: E402
from gifty.catalog.profiles import ProfileService  # noqa: E402
from gifty.core.database import Database  # noqa: E402
from gifty.core.embedded import EmbeddedPostgres  # noqa: E402
from gifty.core.migrations import migrate  # noqa: E402
from gifty.discovery.knowledge import load_knowledge  # noqa: E402
from gifty.discovery.models import Quiz  # noqa: E402
from gifty.discovery.service import RecommendationService  # noqa: E402
from gifty.ontology.loader import Ontology, load_ontology  # noqa: E402
from gifty.ontology.text import fold  # noqa: E402
from gifty.scoring.rules import RulesScorer  # noqa: E402
from gifty.scoring.service import ScoringService  # noqa: E402

FOLDER: Final = Path(__file__).parent
TOP: Final = 10
GOOD: Final = 2
TOLERANCE: Final = 1.1
SITE: Final = "relevance"


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the export the briefs were judged against."""

    id: str
    title: str
    category: str
    price: float


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one system; `missing` are places in the tens that hold nothing."""

    ndcg: float
    precision: float
    broken: int
    places: int


def load_briefs() -> list[dict[str, Any]]:
    """The judged briefs."""
    briefs: list[dict[str, Any]] = tomllib.loads((FOLDER / "briefs.toml").read_text(encoding="utf-8"))["brief"]
    return briefs


def load_judgements() -> dict[str, dict[str, int]]:
    """Grades by brief and product."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    with (FOLDER / "judgements.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            grades[row["brief"]][row["product_id"]] = int(row["grade"])
    return grades


def load_products(path: Path) -> list[Product]:
    """The products of the export."""
    with path.open(encoding="utf-8") as lines:
        return [
            Product(row["product_id"], row["title"], row["category"], float(row["price_rub"]))
            for row in csv.DictReader(lines)
        ]


def quiz_of(brief: Mapping[str, Any]) -> Quiz:
    """The request a brief stands for."""

    def many(value: Any) -> tuple[str, ...]:
        return () if value is None else (value,) if isinstance(value, str) else tuple(value)

    return Quiz(
        recipient_age=brief.get("recipient_age"),
        recipient_gender=brief.get("recipient_gender"),
        relationship=brief.get("relationship"),
        occasion=brief.get("occasion"),
        vibe=many(brief.get("vibe")),
        interests=many(brief.get("interests")),
        interests_description=brief.get("interests_description", ""),
        budget=brief.get("budget"),
        tags=frozenset(brief.get("tags", ())),
        language=brief.get("language", "ru"),
        top_n=TOP,
    )


def words_of(brief: Mapping[str, Any]) -> str:
    """What a plain search engine is asked for a brief."""
    parts: list[str] = []
    for key in ("interests", "interests_description", "vibe"):
        value = brief.get(key) or ()
        parts.extend([value] if isinstance(value, str) else value)
    return " ".join(parts).replace("_", " ")


def measure(
    lists: Mapping[str, Sequence[str]], products: Mapping[str, Product], breaks: Callable[[dict[str, Any], str], bool]
) -> Scores:
    """The figures of ranked lists of product ids by brief."""
    grades = load_judgements()
    ndcg: list[float] = []
    good = broken = places = 0
    for brief in load_briefs():
        judged = grades[brief["id"]]
        top = list(lists[brief["id"]])[:TOP]
        gains = [max(0, judged.get(product, 0)) for product in top]
        ideal = _dcg(sorted((max(0, grade) for grade in judged.values()), reverse=True)[:TOP])
        ndcg.append(_dcg(gains) / ideal if ideal else 0.0)
        good += sum(judged.get(product, 0) >= GOOD for product in top)
        broken += sum(
            judged.get(product, 0) < 0 or _too_dear(brief, products[product]) or breaks(brief, product)
            for product in top
        )
        places += TOP
    return Scores(sum(ndcg) / len(ndcg), good / places, broken, places)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def _too_dear(brief: Mapping[str, Any], product: Product) -> bool:
    return brief.get("budget") is not None and product.price > TOLERANCE * brief["budget"]


class Bm25:
    """Okapi BM25 (k1 1.2, b 0.75) over Snowball stems of title and category."""

    def __init__(self, products: Sequence[Product]) -> None:
        self._stemmers = Stemmer.Stemmer("russian"), Stemmer.Stemmer("english")
        self._ids = [product.id for product in products]
        self._documents = [Counter(self._stems(f"{product.title} {product.category}")) for product in products]
        self._lengths = np.array([sum(document.values()) for document in self._documents], dtype=float)
        self._postings: dict[str, list[int]] = defaultdict(list)
        for place, document in enumerate(self._documents):
            for stem in document:
                self._postings[stem].append(place)

    def _stems(self, text: str) -> list[str]:
        words = "".join(c if c.isalnum() else " " for c in fold(text)).split()
        return [self._stemmers[1 if word.isascii() else 0].stemWord(word) for word in words]

    def top(self, text: str) -> list[str]:
        """The best ten product ids."""
        scores = np.zeros(len(self._ids))
        mean = self._lengths.mean()
        for stem in set(self._stems(text)):
            places = self._postings.get(stem, ())
            weight = math.log(1 + (len(self._ids) - len(places) + 0.5) / (len(places) + 0.5))
            for place in places:
                count = self._documents[place][stem]
                scores[place] += weight * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * self._lengths[place] / mean))
        return [self._ids[place] for place in np.argsort(-scores, kind="stable")[:TOP]]


class CharVectors:
    """Cosine of hashed character 3- to 5-grams in 4096 dimensions."""

    DIMENSIONS: Final = 4096

    def __init__(self, products: Sequence[Product]) -> None:
        self._ids = [product.id for product in products]
        self._matrix = np.stack([self._vector(product.title) for product in products])

    def _vector(self, text: str) -> np.ndarray:
        vector = np.zeros(self.DIMENSIONS, dtype=np.float32)
        for word in fold(text).split():
            padded = f" {word} "
            for size in (3, 4, 5):
                for start in range(len(padded) - size + 1):
                    gram = padded[start : start + size].encode()
                    vector[int.from_bytes(gram[:12], "little") * 2654435761 % 2**32 % self.DIMENSIONS] += 1
        return np.asarray(vector / (np.linalg.norm(vector) or 1.0))

    def top(self, text: str) -> list[str]:
        """The best ten product ids."""
        return [self._ids[place] for place in np.argsort(-(self._matrix @ self._vector(text)), kind="stable")[:TOP]]


@contextlib.asynccontextmanager
async def database_with(path: Path, ontology: Ontology) -> AsyncIterator[tuple[Database, dict[str, str]]]:
    """A throw-away server that holds the export, imported and scored; gift ids by product id beside it."""
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedPostgres(Path(folder)) as server:
            await migrate(server.dsn)
            database = await Database.open(server.dsn)
            try:
                with path.open("rb") as stream:
                    await IngestionService(IngestionRepository(database)).ingest(
                        Origin(SITE, "csv"), csv_feed(stream, FeedOptions(columns={"external_id": "product_id"}))
                    )
                await ScoringService(ProfileService(ProfileRepository(database)), RulesScorer(ontology)).score_all()
                await database.execute("ANALYZE")
                rows = await database.fetch("SELECT id, external_id FROM gifts")
                yield database, {row["id"]: row["external_id"] for row in rows}
            finally:
                await database.close()


async def gifty(path: Path) -> tuple[dict[str, list[str]], Callable[[dict[str, Any], str], bool]]:
    """Gifty's lists through the real service, and the rule check of wishes by the stored profiles."""
    ontology = load_ontology()
    async with database_with(path, ontology) as (database, product_of):
        service = RecommendationService(
            ontology=ontology,
            knowledge=load_knowledge(ontology),
            candidates=CandidateService(CandidateRepository(database)),
        )
        lists = {}
        for brief in load_briefs():
            answer = await service.recommend(quiz_of(brief))
            lists[brief["id"]] = [product_of[gift.gift_id] for gift in answer.gifts]
        rows = await database.fetch("SELECT gift_id, gender, breaks FROM gift_profiles")
        profiles = {product_of[row["gift_id"]]: (row["gender"], frozenset(row["breaks"])) for row in rows}

    def breaks(brief: dict[str, Any], product: str) -> bool:
        gender, broken = profiles[product]
        wanted = brief.get("recipient_gender")
        wrong = wanted in {"female", "male"} and gender not in {"any", wanted}
        return wrong or not broken.isdisjoint(brief.get("tags", ()))

    return lists, breaks


async def evaluate(path: Path) -> tuple[dict[str, Scores], dict[str, list[str]]]:
    """The figures of Gifty and of both baselines, and Gifty's lists."""
    products = load_products(path)
    by_id = {product.id: product for product in products}
    lists, breaks = await gifty(path)
    bm25, vectors = Bm25(products), CharVectors(products)
    briefs = load_briefs()
    return {
        "Gifty": measure(lists, by_id, breaks),
        "BM25, Russian stems": measure({b["id"]: bm25.top(words_of(b)) for b in briefs}, by_id, breaks),
        "character vectors": measure({b["id"]: vectors.top(words_of(b)) for b in briefs}, by_id, breaks),
    }, lists


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("products", type=Path, help="the product export the briefs were judged against")
    parser.add_argument("--lists", action="store_true", help="print the tens with grades")
    args = parser.parse_args()
    figures, lists = asyncio.run(evaluate(args.products))
    print(f"{'system':24}{'nDCG@10':>9}{'P@10':>7}{'broken wishes':>16}")
    for name, scores in figures.items():
        print(f"{name:24}{scores.ndcg:9.3f}{scores.precision:7.2f}{scores.broken:10} / {scores.places}")
    if args.lists:
        titles = {product.id: product for product in load_products(args.products)}
        for brief, grades in load_judgements().items():
            print(f"\n{brief}")
            for product in lists[brief]:
                print(f"  {grades.get(product, '.'):>2}  {titles[product].price:8.0f}  {titles[product].title[:100]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
