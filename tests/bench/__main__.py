"""All benchmarks: prints a table, writes `bench.json`. `python -m tests.bench [NAME ...]` runs those named."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent


def main(names: list[str]) -> int:
    """Runs each benchmark module in turn; each measures its own baseline."""
    found = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    rows: list[dict[str, Any]] = []
    table = Table(
        "benchmark", "measured", "baseline", "ratio", "goal", title=f"{platform.machine()}, {os.cpu_count()} cores"
    )
    for name in names or found:
        for row in importlib.import_module(f"tests.bench.bench_{name}").run():
            rows.append({"benchmark": name, **row})
            table.add_row(*_cells(row))
    Console(width=140).print(table)
    Path("bench.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    return 0


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    baseline = "" if row.get("baseline") is None else f"{row['baseline']:,.4g} ({row['baseline_name']})"
    ratio = "" if row.get("ratio") is None else f"{row['ratio']:.2f}"
    return row["name"], f"{row['value']:,.4g} {row['unit']}", baseline, ratio, str(row.get("goal") or "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
