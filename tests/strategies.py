"""Hypothesis strategies shared by tests: texts and attribute names at their worst, and random schemas."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from extractor.attribute import Attribute, value_schema
from extractor.records import Product, clean_text
from extractor.schema import CategorySchema

# Quotes, escapes and their look-alikes; attempts to leave the string, the grammar or the prompt; scripts,
# marks, emoji and invisible characters; numbers; a word longer than any value may be.
FRAGMENTS = (
    *('"', "\\", '\\"', "\\\\", "\\u0041", "\\n", "\\x01", '"}', '","brand":"', "'", "`"),
    *(
        "<|json|>",
        "<|end|>",
        "</s>",
        "%llguidance {}",
        "start: /.*/",
        "(?s:.*)",
        "[^a]{0,3}",
        "//",
        "#",
        "~",
        "&",
    ),
    *(
        "Sony",
        "sony",
        "65 inch",
        '65"',
        "80mm",
        "XLR95",
        "Letters",
        "TVs",
        "BlackALTERNATE",
        "T-shirt",
        "½",
        "m²",
    ),
    *(
        "Größe",
        "STRASSE",
        "straße",
        "İstanbul",
        "ﬁne",
        "e\u0301",
        "a\u0308\u0323",
        "ǅ",
        "x\u0301\u0302\u0303",
    ),
    *("東京タワー", "삼성전자의", "น้ำหนัก", "हिन्दी", "क्\u200dष", "עִבְרִית", "العربية", "\u202eevil\u202c", "ｶﾞ"),
    *("👩\u200d⚕️", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "❤️", "🏴\U000e0067\U000e0062\U000e007f", "\u200d", "\ufe0f"),
    *("\n", "\r\n", "\t", "\x00", "\x01", "\x7f", "\x85", "\u2028", "\ufffd", "\ufeff", "\u00ad", "\u200b"),
    *(" ", "  ", "\u00a0", "\u3000", "\u2009"),
    *("0", "007", "3.5", "1,000", "-5", "1e5", "2.4.1", "12", "9" * 25, "NaN", "null", "true", "{}", "[]"),
    "w" * 120,
)

_anything = st.text(st.characters(codec="utf-8"), max_size=8)
# As a stage may meet it at worst.
texts = st.lists(st.sampled_from(FRAGMENTS) | _anything, max_size=14).map("".join) | st.lists(
    st.sampled_from(FRAGMENTS), max_size=14
).map(" ".join)
# As `Product` promises it.
clean_texts = texts.map(clean_text)
lines = st.sampled_from([f for f in FRAGMENTS if f.isprintable() and f == f.strip()]) | st.text(
    string.ascii_letters, min_size=1, max_size=8
)


@st.composite
def attributes(draw: st.DrawFn) -> Attribute:
    """Spans, choices, derived values and numbers, single and in arrays."""
    id_ = draw(lines)
    max_items = draw(st.sampled_from([0, 0, 1, 3, 12]))
    kind = draw(st.sampled_from(["span", "span", "choice", "derived", "integer", "number"]))
    attribute = Attribute(
        id_,
        title=id_,
        description="",
        multi=max_items > 0,
        max_items=max_items or 1,
        max_length=draw(st.sampled_from([1, 2, 7, 100, 1000])),
    )
    return _of_kind(draw, attribute, kind)


def _of_kind(draw: st.DrawFn, attribute: Attribute, kind: str) -> Attribute:
    if kind in ("choice", "derived"):
        members = draw(st.lists(lines, min_size=1, max_size=4, unique=True))
        return replace(attribute, how=kind, enum=tuple(members))
    if kind in ("integer", "number"):
        minimum, maximum = draw(st.sampled_from([(None, None), (0, None), (None, 10), (2, 12)]))
        return replace(attribute, type=kind, minimum=minimum, maximum=maximum)
    return attribute


schemas = st.lists(attributes(), max_size=6, unique_by=lambda attribute: attribute.id).map(
    lambda drawn: schema_of(*drawn)
)


@st.composite
def products(draw: st.DrawFn) -> Product:
    return Product("p", draw(clean_texts) or "?", draw(clean_texts))


def schema_of(*attributes: Attribute) -> CategorySchema:
    """A schema with these attributes; equal attributes, equal hash."""
    return CategorySchema(
        "test",
        "Test",
        attributes,
        _json_schema(attributes),
        hash=repr([repr(attribute) for attribute in attributes]),
    )


def _json_schema(attributes: Sequence[Attribute]) -> dict[str, object]:
    properties = {attribute.id: value_schema(attribute) for attribute in attributes}
    return {"type": "object", "properties": properties, "additionalProperties": False}
