"""All kinds of things against a brief at once, as arrays: which kinds are worth looking at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gifty.discovery.models import Brief
from gifty.ontology.loader import Ontology
from gifty.ontology.models import AXES, GAPS, NO_GIFT_ROLES

Floats: TypeAlias = NDArray[np.float32]

SOFT: Final = {"needs": 0.3, "vibes": 0.3, "gaps": 0.15, "axes": 0.25}
"""Shares of the four soft sides of fit, renormalised over those a brief speaks of."""
A_SIGN: Final = 0.8
"""From this weight on a kind is a sign of the interest."""
SHARED: Final = 0.2
"""An interest of this weight counts as shared."""
PARENT_KIND: Final = 0.85
"""How far a kind under a named one answers for it."""


class KindMatrix:
    """The ontology's kinds as rows of numbers, made once; scores a brief over all kinds in about 0.2 ms."""

    def __init__(self, ontology: Ontology) -> None:
        kinds = list(ontology.kinds.values())
        self.ids = [kind.id for kind in kinds]
        self.index = {name: row for row, name in enumerate(self.ids)}
        self._interests = {name: column for column, name in enumerate(ontology.interests)}
        vibes = sorted({vibe for kind in kinds for vibe in kind.vibes})
        needs = sorted({need for kind in kinds for need in kind.needs})
        self._vibes = {name: column for column, name in enumerate(vibes)}
        self._needs = {name: column for column, name in enumerate(needs)}
        self.interests = np.zeros((len(kinds), len(self._interests)), np.float32)
        self.vibes = np.zeros((len(kinds), len(vibes)), np.float32)
        self.needs = np.zeros((len(kinds), len(needs)), np.float32)
        self.gaps = np.zeros((len(kinds), len(GAPS)), np.float32)
        self.axes = np.zeros((len(kinds), len(AXES)), np.float32)
        self._polarising = np.array([interest.polarising for interest in ontology.interests.values()], np.float32)
        for row, kind in enumerate(kinds):
            for name, weight in kind.interests.items():
                self.interests[row, self._interests[name]] = weight
            self.vibes[row, [self._vibes[vibe] for vibe in kind.vibes]] = 1.0
            self.needs[row, [self._needs[need] for need in kind.needs]] = 1.0
            self.gaps[row, [GAPS.index(gap) for gap in kind.gaps]] = 1.0
            self.axes[row] = [kind.axes.get(axis, 0.0) for axis in AXES]
        self.gift = np.array(
            [kind.gift if kind.role not in NO_GIFT_ROLES else min(kind.gift, 0.3) for kind in kinds], np.float32
        )
        self.ages = [kind.ages for kind in kinds]
        self.distinct_ages = frozenset(self.ages)
        self.genders = np.array([kind.gender for kind in kinds])
        self.closeness = np.array([kind.closeness for kind in kinds], np.int8)
        self._rooms = [frozenset(kind.rooms) for kind in kinds]
        self._occasions = [frozenset(kind.occasions) for kind in kinds]
        self._under: dict[str, list[int]] = {}
        for row, kind in enumerate(kinds):
            for ancestor in ontology.parents(kind.id):
                self._under.setdefault(ancestor.id, []).append(row)

    def weights(self, weights: Mapping[str, float]) -> tuple[list[int], Floats]:
        """The columns of interests and their weights."""
        known = [(self._interests[name], weight) for name, weight in weights.items() if name in self._interests]
        return [column for column, _ in known], np.array([weight for _, weight in known], np.float32)

    def fit(self, brief: Brief) -> Floats:
        """How well each kind meets the interests: 1 - prod(1 - wanted * given), or the kind being named itself."""
        columns, wanted = self.weights(brief.interests)
        if columns:
            fit = 1.0 - np.prod(1.0 - self.interests[:, columns] * wanted, axis=1)
        else:
            fit = np.zeros(len(self.ids), np.float32)
        for name, weight in brief.kinds.items():
            rows = self._under.get(name, [])
            fit[rows] = np.maximum(fit[rows], PARENT_KIND * weight)
            if name in self.index:
                fit[self.index[name]] = max(float(fit[self.index[name]]), weight)
        return np.asarray(fit, np.float32)

    def shared(self, brief: Brief) -> Floats:
        """Factor below 1 on kinds that are signs of an interest the person is not known to share."""
        foreign = self._polarising.copy()
        columns, wanted = self.weights(brief.interests)
        foreign[columns] *= 1.0 - np.minimum(1.0, wanted / SHARED)
        return np.asarray(1.0 - ((self.interests >= A_SIGN) * foreign).max(axis=1), np.float32)

    def soft(self, brief: Brief) -> Floats:
        """How well each kind meets needs, vibes, gaps and axes, 0..1; 0.5 when the brief speaks of none."""
        parts: list[tuple[float, Floats]] = []
        if brief.needs:
            parts.append((SOFT["needs"], _share(self.needs, self._needs, brief.needs)))
        if brief.vibes:
            parts.append((SOFT["vibes"], _best(self.vibes, self._vibes, brief.vibes)))
        if brief.gaps:
            gaps = {name: weight for name, weight in brief.gaps.items() if weight > 0}
            parts.append((SOFT["gaps"], _best(self.gaps, {name: i for i, name in enumerate(GAPS)}, gaps)))
        if brief.axes:
            wanted = np.array([brief.axes.get(axis, 0.0) for axis in AXES], np.float32)
            parts.append((SOFT["axes"], (self.axes @ wanted / max(float(wanted.sum()), 1e-6)).astype(np.float32)))
        if not parts:
            return np.full(len(self.ids), 0.5, np.float32)
        total = sum(share for share, _ in parts)
        return np.asarray(sum(share * values for share, values in parts) / total, np.float32)

    def apt(self, brief: Brief) -> Floats:
        """Factor for the occasion: above 1 where a kind is especially apt, below where it belongs to others."""
        if brief.occasion is None:
            return np.ones(len(self.ids), np.float32)
        rooms = brief.rooms
        values = [
            1.12
            if brief.occasion in named
            else 1.08
            if rooms and not rooms.isdisjoint(self._rooms[row])
            else 0.94
            if named
            else 1.0
            for row, named in enumerate(self._occasions)
        ]
        return np.array(values, np.float32)


def _share(table: Floats, columns: Mapping[str, int], wanted: Mapping[str, float]) -> Floats:
    known = {columns[name]: weight for name, weight in wanted.items() if name in columns}
    if not known:
        return np.zeros(len(table), np.float32)
    weights = np.array(list(known.values()), np.float32)
    return np.asarray(np.minimum(1.0, (table[:, list(known)] @ weights) / max(float(weights.max()), 1e-6)), np.float32)


def _best(table: Floats, columns: Mapping[str, int], wanted: Mapping[str, float]) -> Floats:
    known = {columns[name]: weight for name, weight in wanted.items() if name in columns}
    if not known:
        return np.zeros(len(table), np.float32)
    return np.asarray((table[:, list(known)] * np.array(list(known.values()), np.float32)).max(axis=1), np.float32)
