"""ground: decoded values in, values with their place in the text out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import products

from extractor.attribute import DERIVED_CONFIDENCE, Attribute
from extractor.ground import drop_duplicates, ground
from extractor.records import AttributeValue, Product, Reason, Rejection, Span

BRAND = Attribute("brand", "Brand", "")
COUNT = Attribute("count", "Count", "", type="number")
SLEEVE = Attribute(
    "sleeve",
    "Sleeve",
    "",
    how="choice",
    enum=("short", "long", "three-quarter"),
    synonyms={"short": ("short sleeve", "half sleeve"), "long": ("full sleeve",)},
)


def _ground(attribute: Attribute, surface: str, title: str, description: str = "") -> AttributeValue | None:
    """The value, checked to stand where it says; None when rejected."""
    product = Product("p", title, description)
    value = ground(attribute, surface, 0.9, product)
    if isinstance(value, Rejection):
        assert (value.product_id, value.attribute, value.reason) == ("p", attribute.id, Reason.UNGROUNDED)
        assert "\n" not in value.detail
        return None
    assert value.span is None or value.span.slice(product.text) == value.surface
    return value


# -- spans ---------------------------------------------------------------------------------------------------


def test_span() -> None:
    assert _ground(BRAND, "Sony", "New Sony TV") == AttributeValue(
        "brand", "Sony", "Sony", None, Span(4, 8), "title", "span", 0.9
    )


@pytest.mark.parametrize(
    ("surface", "title", "description", "found"),
    [
        # Title before description, whole words before parts, exact before folded.
        ("Sony", "Sony TV", "by Sony", (0, "Sony")),
        ("Sony", "TV", "by Sony", (6, "Sony")),
        ("red", "hundred red", "", (8, "red")),
        ("red", "hundred", "red", (8, "red")),
        ("red", "hundred", "", (4, "red")),
        ("Red", "red Red", "", (4, "Red")),
        ("2", "2pcs 2 in 1", "", (5, "2")),
        ("5", "3.5 kg 1,500 ml 5 m", "", (16, "5")),
        # Case, white space and composition.
        ("SONY", "Sony TV", "", (0, "Sony")),
        ("65 inch", "65\u00a0 Inch", "", (0, "65\u00a0 Inch")),
        (" Sony ", "Sony", "", (0, "Sony")),
        ("strasse", "Die STRASSE", "", (4, "STRASSE")),
        ("STRASSE", "die Straße", "", (4, "Straße")),
        ("istanbul", "in İstanbul", "", None),
        ("i\u0307stanbul", "in İstanbul!", "", (3, "İstanbul")),
        ("Cafe\u0301", "Café", "", (0, "Café")),
        ("FINE", "ﬁne ink", "", (0, "ﬁne")),
        ("東京", "新東京タワー", "", (1, "東京")),
        # Not in the text.
        ("Samsung", "Sony", "", None),
        ("fi", "ﬁ", "", (0, "ﬁ")),
        ("s", "ß", "", None),
        ("S", "aß", "", None),
        ("a b", "a", "b", None),
        ("a\nb", "a", "b", None),
        ("a b", "a", "x\ta\tb", None),
        ("", "Sony", "", None),
        ("  ", "So  ny", "", None),
    ],
)
def test_words_are_found(surface: str, title: str, description: str, found: tuple[int, str] | None) -> None:
    value = _ground(BRAND, surface, title, description)
    assert (value and value.span and (value.span.start, value.surface)) == found
    if value and value.span:
        assert value.source == ("title" if value.span.start < len(title) else "description")
        assert value.canonical == value.surface


@pytest.mark.parametrize(
    ("surface", "title", "found"),
    [
        ("12", "pack of 12", "12"),
        ("1000", "1,000 sheets", "1,000"),
        ("3.50", "3.5 or 3.50", "3.5"),
        ("-5", "to -5 °C", "-5"),
        ("5", "to -5 °C", "5"),
        ("5", "A-5", "5"),
        ("1e3", "1000 ml", "1000"),
        ("2", "12 2.4.1 3.2", None),
        ("7", "seven", None),
    ],
)
def test_numbers_are_found_by_value(surface: str, title: str, found: str | None) -> None:
    value = _ground(COUNT, surface, title)
    assert (value and value.surface) == found


def test_rejection_quotes_the_value() -> None:
    rejection = ground(BRAND, "S" * 200, 0.9, Product("p", "Sony"))
    assert rejection == Rejection("p", "brand", Reason.UNGROUNDED, f"'{'S' * 80}' is not in the text")


# -- choices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "title", "evidence"),
    [
        ("short", "Half Sleeve shirt, SHORT fit", "Half Sleeve"),
        ("short", "Shirt Short Sleeve", "Short Sleeve"),
        ("long", "Full\u00a0Sleeve", "Full\u00a0Sleeve"),
        ("three-quarter", "Three-Quarter", "Three-Quarter"),
    ],
)
def test_choice_with_evidence(member: str, title: str, evidence: str) -> None:
    value = _ground(SLEEVE, member, title)
    assert value is not None
    assert (value.surface, value.canonical, value.how, value.confidence) == (evidence, member, "choice", 0.9)


@pytest.mark.parametrize("title", ["Shorts", "Sleeveless top", "longshort"])
def test_choice_without_evidence_is_derived(title: str) -> None:
    assert _ground(SLEEVE, "short", title) == AttributeValue(
        "sleeve", "short", "short", None, None, "title", "derived", DERIVED_CONFIDENCE
    )


def test_evidence_in_a_script_without_spaces() -> None:
    color = Attribute("color", "Color", "", how="choice", enum=("red",), synonyms={"red": ("赤",)})
    value = _ground(color, "red", "新品赤ドレス")
    assert value is not None
    assert (value.how, value.surface) == ("choice", "赤")


# -- properties ----------------------------------------------------------------------------------------------


@given(products(), st.data())
def test_every_line_piece_is_grounded(product: Product, data: st.DataObject) -> None:
    text = product.text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    change = data.draw(st.sampled_from([str, str.upper, str.lower, str.swapcase, str.casefold]))
    value = ground(BRAND, change(text[start:end]), 0.9, product)
    if isinstance(value, AttributeValue):
        assert value.span is not None
        assert value.span.slice(text) == value.surface
        assert value.span.end <= len(product.title) or value.span.start > len(product.title)
    elif change is str:
        # Nothing printable, or a line break within.
        assert not text[start:end].strip() or not text[start:end].strip().isprintable()


def test_duplicates_keep_the_most_confident() -> None:
    first, better, other = (
        AttributeValue("brand", "Sony", canonical, None, None, "title", "span", confidence)
        for canonical, confidence in (("Sony", 0.4), ("SONY", 0.8), ("LG", 0.1))
    )
    assert drop_duplicates([first, other, better]) == (better, other)
