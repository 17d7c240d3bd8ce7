"""Requests and answers of recommendations."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate

from gifty.catalog.schemas import GiftSchema
from gifty.discovery.models import Quiz
from gifty.discovery.portfolio import SLOTS
from gifty.ontology.models import MAX_AGE, WISH_TAGS

LONGEST_TEXT: Final = 4_000
LONGEST_WORD: Final = 200
MOST_ITEMS: Final = 40
MOST_MONEY: Final = 1e9
BODY_LIMIT: Final = 64 * 1024


class TextOrList(fields.Field[tuple[str, ...]]):
    """A text, or a list of texts; commas and semicolons in a single text part it too."""

    def __init__(self, *, longest: int = LONGEST_TEXT, **options: Any) -> None:
        options.setdefault(
            "metadata",
            {
                "oneOf": [
                    {"type": "string", "maxLength": longest},
                    {"type": "array", "items": {"type": "string", "maxLength": longest}, "maxItems": MOST_ITEMS},
                ]
            },
        )
        super().__init__(**options)
        self._longest = longest

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> tuple[str, ...]:
        parts = value.replace(";", ",").split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or any(not isinstance(part, str) for part in parts):
            raise ValidationError("Must be a text or a list of texts.")
        if isinstance(value, list) and len(value) > MOST_ITEMS:
            raise ValidationError(f"Must have at most {MOST_ITEMS} items.")
        if max((len(part) for part in ([value] if isinstance(value, str) else parts)), default=0) > self._longest:
            raise ValidationError(f"Must have at most {self._longest} characters.")
        return tuple(part.strip() for part in parts[:MOST_ITEMS] if part.strip())


def _words() -> fields.List[str]:
    return fields.List(
        fields.String(validate=validate.Length(min=1, max=LONGEST_WORD)),
        validate=validate.Length(max=MOST_ITEMS),
        load_default=list,
    )


class ConstraintsSchema(Schema):
    """What must hold, and what is liked better or worse."""

    tags = fields.List(
        fields.String(validate=validate.OneOf(WISH_TAGS, error="Unknown wish tag; known are: {choices}.")),
        validate=validate.Length(max=len(WISH_TAGS)), load_default=list,
    )  # fmt: skip
    exclude_keywords = _words()
    exclude_categories = _words()
    exclude_merchants = _words()
    exclude_item_types = _words()
    adult_allowed = fields.Boolean(load_default=False)
    max_price = fields.Float(validate=validate.Range(min=0, max=MOST_MONEY, min_inclusive=False), allow_none=True)
    min_price = fields.Float(validate=validate.Range(min=0, max=MOST_MONEY), allow_none=True)
    prefer_keywords = _words()
    avoid_keywords = _words()
    prefer_categories = _words()
    budget_strictness = fields.String(validate=validate.OneOf(("soft", "hard")), load_default="soft")


class GenerateRequest(Schema):
    """A quiz; every field is optional."""

    recipient_age = fields.Integer(strict=True, validate=validate.Range(min=0, max=MAX_AGE), allow_none=True)
    recipient_gender = fields.String(validate=validate.OneOf(("female", "male", "other")), allow_none=True)
    relationship = fields.String(validate=validate.Length(max=LONGEST_WORD), allow_none=True)
    occasion = fields.String(validate=validate.Length(max=LONGEST_WORD), allow_none=True)
    vibe = TextOrList(longest=LONGEST_WORD, load_default=(), allow_none=True)
    interests = TextOrList(load_default=(), allow_none=True)
    interests_description = fields.String(validate=validate.Length(max=LONGEST_TEXT), load_default="", allow_none=True)
    budget = fields.Float(validate=validate.Range(min=0, max=MOST_MONEY, min_inclusive=False), allow_none=True)
    city = fields.String(validate=validate.Length(max=LONGEST_WORD), allow_none=True)
    top_n = fields.Integer(strict=True, validate=validate.Range(min=1, max=30), load_default=10)
    language = fields.String(validate=validate.OneOf(("ru", "en")), load_default="ru")
    constraints = fields.Nested(ConstraintsSchema, load_default=dict, allow_none=True)
    debug = fields.Boolean(load_default=False)

    @post_load
    def _quiz(self, data: dict[str, Any], **_options: Any) -> Quiz:
        wishes = data.pop("constraints", None) or {}
        low, high = wishes.get("min_price"), wishes.get("max_price")
        if low is not None and high is not None and low > high:
            raise ValidationError({"constraints": {"min_price": ["Must not be above max_price."]}})
        given: dict[str, Any] = {key: value for key, value in {**data, **wishes}.items() if value is not None}
        for key, value in given.items():
            if isinstance(value, list):
                given[key] = frozenset(value) if key == "tags" else tuple(value)
        return Quiz(**given)


class PickSchema(GiftSchema):
    """A recommended gift."""

    slot = fields.String(
        required=True,
        validate=validate.OneOf(SLOTS),
        metadata={"description": "Its part in the portfolio."},
    )


class RelaxationSchema(Schema):
    """A wish that not all gifts keep."""

    wish = fields.String(required=True, validate=validate.OneOf(("budget", "occasion", "vibe", "interests")))
    message = fields.String(required=True)


class RecommendationSchema(Schema):
    """A portfolio of gifts, the one to show first and what was made of the quiz."""

    quiz_run_id = fields.String(required=True)
    engine_version = fields.String(required=True)
    featured_gift = fields.Nested(PickSchema, required=True, allow_none=True)
    gifts = fields.List(fields.Nested(PickSchema), required=True)
    relaxed = fields.List(fields.Nested(RelaxationSchema), required=True)
    understood = fields.Dict(keys=fields.String(), required=True)
    debug = fields.Dict(keys=fields.String(), allow_none=True)
