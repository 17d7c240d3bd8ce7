"""Two things that must not change unseen: migrations that may have been applied, and the public API.

`python -m tests.drift` compares both with what is recorded; `--record` records them.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from gifty.app import document
from gifty.core.migrations import shipped
from gifty.settings import load_settings

RECORDED = Path(__file__).parent / "fixtures" / "recorded"
API = RECORDED / "openapi.json"
MIGRATIONS = RECORDED / "migrations.sha256"


def current() -> dict[Path, str]:
    """What the code says now."""
    checksums = "".join(f"{migration.checksum}  {migration.name}\n" for migration in shipped())
    return {API: document(load_settings()), MIGRATIONS: checksums}


def record() -> int:
    """Writes it down."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    for path, text in current().items():
        path.write_text(text, encoding="utf-8")
    return 0


def compare() -> int:
    """0 when nothing drifted; otherwise prints what did."""
    drifted = False
    for path, text in current().items():
        recorded = path.read_text(encoding="utf-8") if path.exists() else ""
        if text != recorded:
            drifted = True
            lines = difflib.unified_diff(recorded.splitlines(), text.splitlines(), path.name, "now", lineterm="", n=1)
            print("\n".join(list(lines)[:60]))
    if drifted:
        print("\nIf this is meant, record it: python -m tests.drift --record", file=sys.stderr)
    return int(drifted)


if __name__ == "__main__":
    sys.exit(record() if "--record" in sys.argv else compare())
