"""A decoded value in, an AttributeValue with its place in the product text out, or an UNGROUNDED Rejection.

`value.span.slice(product.text) == value.surface` for every value with a span. A choice without evidence in
the text stays, as "derived" and with little confidence. `canonical` is provisional: normalize has the last
word. Knows no engine; a constrained one makes rejections here impossible, it does not replace this check.
"""

from __future__ import annotations

from collections.abc import Iterable

from extractor.attribute import DERIVED_CONFIDENCE
from extractor.records import AttributeValue, How, Product, Reason, Rejection, Span
from extractor.schema import Attribute
from extractor.search import find_evidence, find_words
from extractor.written_numbers import find_numbers

_QUOTED_CHARACTERS = 80


def ground(
    attribute: Attribute, surface: str, confidence: float, product: Product
) -> AttributeValue | Rejection:
    """Find where a decoded value stands in the product text.

    Args:
        attribute: What it is a value of.
        surface: As decoded: words, an enum member, or a number.
        confidence: 0 to 1.
        product: Whose text to search.
    """
    text = product.text
    if attribute.enum:
        span = find_evidence(attribute, surface, text)
        if span is None:
            confidence = min(confidence, DERIVED_CONFIDENCE)
            return AttributeValue(attribute.id, surface, surface, None, None, "title", "derived", confidence)
        return _value(attribute, surface, span, "choice", confidence, product)
    span = find_words(surface, text) if attribute.type == "string" else _find_number(surface, text)
    if span is None:
        detail = f"{surface[:_QUOTED_CHARACTERS]!r} is not in the text"
        return Rejection(product.id, attribute.id, Reason.UNGROUNDED, detail)
    return _value(attribute, span.slice(text), span, "span", confidence, product)


def place(
    attribute: Attribute, surface: str, span: Span, confidence: float, product: Product
) -> AttributeValue:
    """A value whose place in the text is known.

    Args:
        attribute: What it is a value of.
        surface: Words, an enum member, or a number.
        span: Where the value, or the evidence of an enum member, stands.
        confidence: 0 to 1.
        product: Whose text it is.
    """
    how: How = "choice" if attribute.enum else "span"
    return _value(attribute, surface, span, how, confidence, product)


def drop_duplicates(values: Iterable[AttributeValue]) -> tuple[AttributeValue, ...]:
    """Of values of an attribute that differ in case at most: the most confident, in the first one's place."""
    best: dict[tuple[str, str, str | None], AttributeValue] = {}
    for value in values:
        key = (value.attribute, value.canonical.casefold(), value.unit)
        if key not in best or value.confidence > best[key].confidence:
            best[key] = value
    return tuple(best.values())


def _value(
    attribute: Attribute, canonical: str, span: Span, how: How, confidence: float, product: Product
) -> AttributeValue:
    return AttributeValue(
        attribute.id,
        surface=span.slice(product.text),
        canonical=canonical,
        unit=None,
        span=span,
        source="title" if span.start < len(product.title) else "description",
        how=how,
        confidence=confidence,
    )


def _find_number(surface: str, text: str) -> Span | None:
    """The first number of the same value: an engine without grammars writes 1000 for "1,000"."""
    return next((span for span in find_numbers(text) if _number(span.slice(text)) == float(surface)), None)


def _number(written: str) -> float | None:
    try:
        return float(written.replace(",", ""))
    except ValueError:  # "1.2.3"
        return None
