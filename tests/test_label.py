"""extractor.label: what a description itself calls the brand, and nothing that only looks so."""

from __future__ import annotations

import pytest

from extractor.label import CONFIDENCE, labelled_brand, with_labelled
from extractor.records import Product, Proposal, ScoredSpan, Span


@pytest.mark.parametrize(
    ("title", "description", "brand"),
    [
        (
            "Kestrel Bay Designs Mug",
            "Specifications: Brand Kestrel Bay Designs Type Mug",
            "Kestrel Bay Designs",
        ),
        ("Kestrel Bay Mug", "Material: Steel | Brand: KESTREL BAY | Color: Red", "Kestrel Bay"),
        ("Mug by Northbay, 300 ml", "Brand Name: Northbay.", "Northbay"),
        ("NORTHBAY mug", "BRAND NAME NORTHBAY, steel", "NORTHBAY"),
        ("@home clock", "Brand @home Model X", "@home"),
        # The first label that the title knows counts.
        ("Northbay mug", "Brand Color: Red. Brand: Northbay", "Northbay"),
        ("New mug", "Brand New mug in the box", None),
        ("Northbay mug", "The brand Northbay makes mugs", None),
        ("Generic Brand Steel Mug", "Generic Brand Steel Mug", None),
        ("Northbay mug", "Brand: Kestrel", None),
        ("Sandals", "Brand: And", None),
        # So much in common is the title once more.
        ("Luxury Steel Travel Mug with Lid", "Top Brand Luxury Steel Travel Mug with Lid", None),
        ("Northbay mug", "Northbay mug", None),
        ("Northbay mug", "", None),
        ("Northbay mug", "Brand:", None),
    ],
)
def test_the_brand_that_a_description_labels(title: str, description: str, brand: str | None) -> None:
    product = Product("1", title, description)
    place = labelled_brand(product)
    assert (place and place.slice(product.text)) == brand


def test_a_label_settles_where_a_proposed_brand_ends() -> None:
    guess = Proposal(0.1, (ScoredSpan(Span(0, 20), 0.6), ScoredSpan(Span(0, 11), 0.3)))
    proposals = {"Brand": guess, "color": guess}
    product = Product("1", "Kestrel Bay Magic Red Mug", "Brand: Kestrel Bay")
    sure = Proposal(1 - CONFIDENCE, (ScoredSpan(Span(0, 11), CONFIDENCE),))
    assert with_labelled(product, proposals) == {"Brand": sure, "color": guess}
    assert with_labelled(Product("1", product.title), proposals) == proposals
