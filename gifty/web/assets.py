"""Styles, scripts and drawings, kept in memory under an address that changes with their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
FOREVER: Final = "public, max-age=31536000, immutable"

_TYPES: Final = MappingProxyType({".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"})


@dataclass(frozen=True, slots=True)
class Assets:
    """Files by name, with one version over all of them: modules that import each other change together."""

    version: str
    files: Mapping[str, tuple[bytes, str]]

    def address(self, name: str) -> str:
        """Where a page finds a file. Raises `KeyError` for one that is not there."""
        self.files[name]
        return f"/assets/{self.version}/{name}"


def load_assets(folder: Path = FOLDER) -> Assets:
    """Reads the files that pages load."""
    found = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in _listed(folder)}
    digest = hashlib.blake2b(digest_size=6)
    for name, (content, _) in found.items():
        digest.update(name.encode() + b"\0" + content + b"\0")
    return Assets(digest.hexdigest(), MappingProxyType(found))


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _TYPES)
