"""How good recommendations are on the judged briefs, beside plain BM25 in the same run."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.bench.relevance.evaluate import evaluate
from tests.fixtures.data import shared_data


def run() -> list[dict[str, Any]]:
    """nDCG@10, P@10 and broken wishes over the real products."""
    figures, _lists = asyncio.run(evaluate(shared_data("takprodam_products.csv")))
    ours = figures.pop("Gifty")
    rows: list[dict[str, Any]] = []
    for name, theirs in figures.items():
        rows.append(
            {
                "name": "Relevance: nDCG@10", "value": round(ours.ndcg, 3), "unit": "",
                "baseline": round(theirs.ndcg, 3),
                "baseline_name": name, "ratio": round(ours.ndcg / max(theirs.ndcg, 1e-9), 2), "goal": 0.6,
            }
        )  # fmt: skip
        rows.append(
            {
                "name": "Relevance: P@10", "value": round(ours.precision, 3), "unit": "",
                "baseline": round(theirs.precision, 3),
                "baseline_name": name, "ratio": round(ours.precision / max(theirs.precision, 1e-9), 2), "goal": 0.7,
            }
        )  # fmt: skip
    rows.append({"name": f"Relevance: broken wishes in {ours.places}", "value": ours.broken, "unit": "", "goal": 1})
    return rows
