"""Requests and answers of the catalogue."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate, validates_schema

from gifty.catalog.query import QUERY_CHARACTERS
from gifty.catalog.search_models import GiftFilter, Sort

MOST_MONEY: Final = 10**9
OLDEST: Final = 120
LONGEST_CATEGORY: Final = 200
LONGEST_CURSOR: Final = 2_048


class GiftQuery(Schema):
    """What to look for. Unknown parameters, such as those of advertisers, are ignored."""

    class Meta:
        unknown = EXCLUDE

    query = fields.String(
        load_default="",
        validate=validate.Length(max=QUERY_CHARACTERS),
        metadata={
            "description": "Words, Russian or English; mistyped words are mended.",
            "example": "подарок кофеману",
        },
    )
    category = fields.String(
        validate=validate.Length(min=1, max=LONGEST_CATEGORY),
        metadata={"description": "The name of a category as `facets` gives it; what is below it counts."},
    )
    min_price = fields.Decimal(validate=validate.Range(min=0, max=MOST_MONEY))
    max_price = fields.Decimal(validate=validate.Range(min=0, max=MOST_MONEY))
    age = fields.Integer(
        validate=validate.Range(min=0, max=OLDEST), metadata={"description": "The recipient's age in years."}
    )
    currency = fields.String(validate=validate.Regexp("^[A-Z]{3}$"), metadata={"example": "RUB"})
    sort = fields.Enum(Sort, by_value=True, load_default=Sort.RELEVANCE)
    limit = fields.Integer(load_default=20, validate=validate.Range(min=1, max=100))
    cursor = fields.String(
        validate=validate.Length(min=1, max=LONGEST_CURSOR),
        metadata={"description": "`next_cursor` of the page before."},
    )

    @validates_schema
    def _prices_in_order(self, data: dict[str, Any], **_options: Any) -> None:
        low, high = data.get("min_price"), data.get("max_price")
        if low is not None and high is not None and low > high:
            raise ValidationError("Must not be above max_price.", "min_price")

    @post_load
    def _search(self, data: dict[str, Any], **_options: Any) -> dict[str, Any]:
        names = ("category", "min_price", "max_price", "age", "currency")
        return {
            "query": data["query"], "sort": data["sort"], "limit": data["limit"], "cursor": data.get("cursor"),
            "where": GiftFilter(**{name: data[name] for name in names if name in data}),
        }  # fmt: skip


class GiftPath(Schema):
    """Which gift."""

    gift_id = fields.String(required=True, validate=validate.Regexp(r"^gft_[0-9a-zA-Z_-]{1,64}$"))


class PromotionSchema(Schema):
    """A coupon or discount of the gift's shop, valid now."""

    title = fields.String(required=True)
    coupon = fields.String(allow_none=True)
    discount = fields.String(allow_none=True, metadata={"example": "-20 %"})
    ends_at = fields.DateTime(allow_none=True)


class GiftSchema(Schema):
    """A gift that can be bought, or (`is_idea`) an idea of what to look for."""

    gift_id = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    price = fields.Float(required=True, allow_none=True)
    currency = fields.String(required=True)
    old_price = fields.Float(required=True, allow_none=True)
    product_url = fields.String(required=True)
    image_url = fields.String(required=True, allow_none=True)
    merchant = fields.String(required=True, allow_none=True)
    category = fields.String(required=True, allow_none=True)
    is_idea = fields.Boolean(required=True)
    reasons = fields.List(fields.String(), required=True, metadata={"description": "Why it is here."})
    promotions = fields.List(fields.Nested(PromotionSchema), required=True)


class CategoryCountSchema(Schema):
    """A category among the gifts that meet the other conditions."""

    name = fields.String(required=True)
    count = fields.Integer(required=True)


class PriceRangeSchema(Schema):
    """The cheapest and the dearest gift that meet the conditions other than price."""

    min = fields.Float(required=True, allow_none=True)
    max = fields.Float(required=True, allow_none=True)


class FacetsSchema(Schema):
    """Where the list can be narrowed."""

    categories = fields.List(fields.Nested(CategoryCountSchema), required=True)
    price = fields.Nested(PriceRangeSchema, required=True)


class CorrectionSchema(Schema):
    """A word of the query that was read as another one."""

    written = fields.String(required=True)
    meant = fields.String(required=True)


class GiftListSchema(Schema):
    """A page of gifts."""

    gifts = fields.List(fields.Nested(GiftSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    total = fields.Integer(
        required=True, metadata={"description": "How many gifts meet the conditions; may lag a little."}
    )
    facets = fields.Nested(FacetsSchema, required=True)
    corrections = fields.List(fields.Nested(CorrectionSchema), required=True)


class PricePointSchema(Schema):
    """A price and when it was first seen."""

    price = fields.Float(required=True)
    currency = fields.String(required=True)
    observed_at = fields.DateTime(required=True)


class GiftPageSchema(GiftSchema):
    """A gift with its past prices and with gifts like it."""

    similar = fields.List(fields.Nested(GiftSchema), required=True)
    price_history = fields.List(fields.Nested(PricePointSchema), required=True)
