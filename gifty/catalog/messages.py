"""Messages of the catalogue's actors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatalogueChanged:
    """Gifts came, changed or went; rows say which. Also sent now and then in case a notice was lost."""


@dataclass(frozen=True, slots=True)
class WorkOn:
    """There was work and there may be more."""
