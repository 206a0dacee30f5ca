"""A listing and its category in, whom it suits and what it is used for out: attributes that words alone decide.

These are the attributes whose schema has `x-cues`. A value is an enum member with its evidence in the text, or one
that the category implies, marked "derived" and with less confidence. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from extractor.attribute import DERIVED_CONFIDENCE, Attribute
from extractor.cues import Cues, find_cues, find_implied
from extractor.records import AttributeValue, CategoryChoice, Product, Span
from extractor.schema import CategorySchema

# Share of the values that were right in listings of seven shops, read one by one (eval/LOG.md); our own gold says more.
TITLE_CONFIDENCE = 0.95
DESCRIPTION_CONFIDENCE = 0.9
# A category that is less sure than this implies nothing.
SURE_CATEGORY = 0.7


def suit(
    schema: CategorySchema, product: Product, category: CategoryChoice, brands: Iterable[str] = ()
) -> list[AttributeValue]:
    """Values of all attributes with cues, in schema order.

    Args:
        schema: Of the category.
        product: Whose text to read.
        category: Which words count, and what is implied, goes by the names in its path.
        brands: Names as they stand in the text: "Summer Infant" says nothing of summer.
    """
    names = tuple(brands)
    return [
        value
        for attribute in schema.attributes
        if attribute.cues
        for value in _values(attribute, attribute.cues, product, category, names)
    ]


def _values(
    attribute: Attribute, cues: Cues, product: Product, category: CategoryChoice, names: Sequence[str]
) -> Iterator[AttributeValue]:
    found = find_cues(cues, product.text, category.path, names)
    for member in _chosen(attribute, found):
        yield _stated(attribute.id, member, found[member], product)
    if found or category.confidence < SURE_CATEGORY:
        return
    if implied := find_implied(cues, product.text, category.path):
        yield AttributeValue(
            attribute.id, implied, implied, None, None, "taxonomy", "derived", DERIVED_CONFIDENCE
        )


def _chosen(attribute: Attribute, found: dict[str, Span]) -> Iterator[str]:
    """Of an attribute with one value the member that comes first in the enum: baby before kids."""
    if attribute.multi:
        return islice(found, attribute.max_items)
    return islice((member for member in attribute.enum if member in found), 1)


def _stated(attribute_id: str, member: str, span: Span, product: Product) -> AttributeValue:
    in_title = span.start < len(product.title)
    return AttributeValue(
        attribute_id,
        surface=span.slice(product.text),
        canonical=member,
        unit=None,
        span=span,
        source="title" if in_title else "description",
        how="choice",
        confidence=TITLE_CONFIDENCE if in_title else DESCRIPTION_CONFIDENCE,
    )
