"""The `rules` scorer: a gift's profile from what the ontology reads out of it. Deterministic, no network."""

from __future__ import annotations

from typing import Final

from gifty.catalog.profile_models import GiftProfile, UnscoredGift
from gifty.ontology.entries import DEFAULT_AXES
from gifty.ontology.loader import Ontology
from gifty.ontology.models import AXES, NO_GIFT_ROLES
from gifty.ontology.reader import Reader, Reading
from gifty.ontology.text import Token

MODEL: Final = "rules"
RULES: Final = 2
"""Raise when the rules below change their results."""

UNKNOWN_THING: Final = 0.15
NO_GIFT_CAP: Final = 0.3
PART_CAP: Final = 0.08
NAMED_MOTIF: Final = 0.5
TRADE_PACK: Final = 20
BULK_PACK: Final = 50
IDEA: Final = 0.7
"""Ideas stand behind products of their kind, so that they never take the place of something one can buy."""
EVERY_AGE: Final = 60.0
"""A range of this many years suits practically anybody."""
SHORTEST_TITLE: Final = 12
STUFFED_TITLE: Final = 130
MAX_MOTIFS: Final = 16
PIECES: Final = frozenset({"puzzles", "construction_sets", "board_games"})
"""Interests whose things count their own pieces in the title ("1000 шт")."""


class RulesScorer:
    """Profiles of gifts by rules over the ontology; `version` changes with the rules and with the knowledge."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        self._reader = Reader(ontology)
        self.model = MODEL
        self.version = (int(ontology.stamp[:6], 16) << 4) + RULES

    def profile(self, gift: UnscoredGift) -> GiftProfile:
        """The profile of one gift."""
        title = gift.title
        reading = self._reader.read(title, gift.category, gift.description)
        tokens = self._ontology.language.tokens(title)
        quality = _quality(gift, reading, tokens)
        giftability = _giftability(reading) * (0.85 + 0.15 * quality) * (IDEA if gift.is_idea else 1.0)
        return GiftProfile(
            gift_id=gift.id,
            model=self.model,
            version=self.version,
            content_hash=gift.content_hash,
            kind=reading.kind.id if reading.kind is not None else None,
            role=reading.role,
            giftability=round(min(1.0, giftability), 4),
            quality=round(quality, 4),
            gender=reading.gender,
            age_min=reading.ages[0],
            age_max=reading.ages[1],
            closeness=max([reading.kind.closeness if reading.kind else 0, *(cue.closeness for cue in reading.cues)]),
            interests=tuple(sorted(name for name, weight in reading.interests.items() if weight >= NAMED_MOTIF)),
            motifs=_motifs(reading),
            breaks=reading.breaks,
            axes=_axes(reading),
        )


def _giftability(reading: Reading) -> float:
    kind = reading.kind
    if reading.fits_vehicle:
        return 0.01
    if kind is None:
        base = min([UNKNOWN_THING, *(shelf.gift for shelf in reading.shelves)]) if reading.role == "thing" else 0.03
        if reading.franchises and reading.role == "thing":
            base += 0.1
    else:
        base = kind.gift
        if kind.role == "part":
            base = min(base, PART_CAP)
        elif kind.role in NO_GIFT_ROLES:
            base = min(base, NO_GIFT_CAP)
        base *= 0.6 + 0.4 * reading.confidence
    factor = 1.0
    for cue in reading.cues:
        if cue.group != "part" or kind is None or kind.role != "material":
            factor *= cue.gift
    counts_pieces = kind is not None and not PIECES.isdisjoint(kind.interests)
    if reading.pack >= TRADE_PACK and not counts_pieces:
        factor *= 0.15 if reading.pack >= BULK_PACK else 0.5
    return base * min(1.2, max(0.02, factor))


def _quality(gift: UnscoredGift, reading: Reading, tokens: list[Token]) -> float:
    """How good the listing itself is, 0..1: a picture, a title one can read, a name people know, honest material."""
    quality = 0.45
    quality += 0.15 if gift.has_image else -0.15
    length = len(gift.title)
    if SHORTEST_TITLE <= length <= STUFFED_TITLE:
        quality += 0.1
    elif length > STUFFED_TITLE:
        quality -= min(0.2, (length - STUFFED_TITLE) / 400)
    segments = 1 + (tokens[-1].segment if tokens else 0)
    quality -= 0.04 * max(0, min(segments - 3, 5))
    letters = [c for c in gift.title if c.isalpha()]
    if letters and sum(c.isupper() for c in letters) > 0.6 * len(letters):
        quality -= 0.1
    if len(gift.description) > 80:  # noqa: PLR2004
        quality += 0.05
    quality += max((franchise.bonus for franchise in reading.franchises), default=0.0)
    quality += sum(0.06 for cue in reading.cues if cue.group in {"material", "quality"} and cue.gift > 1)
    quality += 0.12 * (reading.confidence - 0.5) if reading.kind is not None else -0.1
    return min(1.0, max(0.0, quality))


def _axes(reading: Reading) -> tuple[float, ...]:
    values = dict(reading.kind.axes if reading.kind is not None else DEFAULT_AXES)
    for cue in reading.cues:
        for axis, delta in cue.axes.items():
            values[axis] = min(1.0, values.get(axis, 0.0) + delta)
    if reading.franchises:
        values["wow"] = min(1.0, values.get("wow", 0.3) + 0.1)
    low, high = reading.ages
    values["age_suitability"] = min(1.0, (high - low) / EVERY_AGE)
    values["gender_bias"] = 0.0 if reading.gender == "any" else 1.0
    return tuple(round(values.get(axis, 0.0), 3) for axis in AXES)


def _motifs(reading: Reading) -> tuple[str, ...]:
    """Interests, franchises and themes that the title itself names."""
    named = {name for name, weight in reading.motifs.items() if weight >= NAMED_MOTIF}
    for franchise in reading.franchises:
        named.update(name for name, weight in franchise.interests.items() if weight >= NAMED_MOTIF)
    themes = {f"{cue.group}:{cue.id}" for cue in reading.cues if cue.group in {"theme", "mood"}}
    return tuple(sorted([*named, *(f"franchise:{f.id}" for f in reading.franchises), *themes])[:MAX_MOTIFS])
