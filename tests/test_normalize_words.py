"""Colors, materials, sizes, yes and no: what the shipped schemas make of the words of shops."""

from __future__ import annotations

import pytest

from extractor.attribute import Attribute
from extractor.schema import SchemaStore, default_folder
from tests.normalizing import attribute, normalize

STORE = SchemaStore(default_folder())


def shipped(category: str, name: str) -> Attribute:
    return STORE.by_id(category).attribute(name)


@pytest.mark.parametrize(
    ("surface", "canonical"),
    [
        ("Heather Grey", "gray"),
        ("Midnight Blue", "navy"),
        ("Golden Brown", "brown"),
        ("Rose Gold", "rose gold"),
        ("Black Patent", "black"),
        ("Red & Black", "red/black"),
        ("white, blue and red", "white/blue/red"),
        ("Black White", "black/white"),
        ("Grey/Charcoal", "gray"),
        ("azul marino", "navy"),
        ("Nautical Tide", "nautical tide"),
    ],
)
def test_a_shade_is_its_base_color_and_stays_in_the_surface(surface: str, canonical: str) -> None:
    value, rejection = normalize(surface, shipped("clothing", "color"))
    assert (value.surface, value.canonical, value.unit, rejection) == (surface, canonical, None, None)


def test_ink_is_cyan_where_a_shirt_is_blue() -> None:
    ink, shirt = shipped("computers.printing.ink_cartridges", "color"), shipped("clothing", "color")
    assert [normalize("Cyan", one)[0].canonical for one in (ink, shirt)] == ["cyan", "blue"]


def test_a_shade_that_names_a_product_is_kept() -> None:
    shade = shipped("beauty.hair_care.hair_color", "shade")
    assert normalize("5G Medium Golden Brown", shade)[0].canonical == "5g medium golden brown"


@pytest.mark.parametrize(
    ("surface", "canonical"),
    [
        ("100% Cotton", "cotton"),
        ("40% Poly, 60% Cotton", "60% cotton/40% polyester"),
        ("95% cotton 5% elastane", "95% cotton/5% spandex"),
        ("cotton: 70%, linen: 30%", "70% cotton/30% linen"),
        ("80 % Baumwolle / 20 % Polyamid", "80% cotton/20% nylon"),
        ("Leather and Suede", "leather/suede"),
        ("Minimum 30% post-consumer material", "minimum 30% post-consumer material"),
        ("100.00% Polyester", "polyester"),
        ("Ripstop", "ripstop"),
    ],
)
def test_materials(surface: str, canonical: str) -> None:
    assert normalize(surface, shipped("clothing", "material"))[0].canonical == canonical


@pytest.mark.parametrize(
    ("surface", "canonical", "unit"),
    [
        # Letters.
        ("Medium", "M", None),
        ("x-small", "XS", None),
        ("Extra Extra Large", "XXL", None),
        ("2XL", "XXL", None),
        ("4xl", "4XL", None),
        ("Large/X-Large", "L/XL", None),
        ("Talla M", "M", None),
        # Numbers of a region, with width and whose they are.
        ("6.5 Medium US", "US 6.5 M", None),
        ("US 6.5 M", "US 6.5 M", None),
        ("9.5 D(M) US", "US 9.5 M", None),
        ("10.5 2E US", "US 10.5 2E", None),
        ("8 1/2 US", "US 8.5", None),
        ("EU38", "EU 38", None),
        ("EU 42 2/3", "EU 42.67", None),
        ("US Women's 9 M", "US 9 M women", None),
        ("41 EU/8 M US", "EU 41 / US 8 M", None),
        ("36 (5.5-6 Women's B US)", "36 / US 5.5-6 B women", None),
        ("Size 10", "10", None),
        # Waist and leg, bras, toddlers.
        ("32W x 34L", "W32 L34", None),
        ("34 b", "34B", None),
        ("2t", "2T", None),
        # Measures, and what has no system.
        ("5-6 Years", "5-6", "year"),
        ("King Size", "king", None),
        ("Free Size", "one size", None),
        ("300 Compact", "300 compact", None),
        ("Pencil Case, 1 Piece", "pencil case, 1 piece", None),
        ("8 US 9 US", "8 us 9 us", None),
    ],
)
def test_sizes(surface: str, canonical: str, unit: str | None) -> None:
    value, rejection = normalize(surface, shipped("clothing.tops.t_shirts", "size"))
    assert (value.canonical, value.unit, rejection) == (canonical, unit, None)


@pytest.mark.parametrize(
    ("surface", "canonical"),
    [
        ("Yes", "yes"),
        ("Waterproof", "yes"),
        ("Batteries included", "yes"),
        ("Batteries not included", "no"),
        ("without lid", "no"),
        ("Sí", "yes"),
        ("nein", "no"),
        ("✓", "yes"),
        ("optional", "optional"),
    ],
)
def test_yes_and_no(surface: str, canonical: str) -> None:
    definition = Attribute("waterproof", "Waterproof", "", normalizer="yes_no")
    assert normalize(surface, definition)[0].canonical == canonical


def test_a_brand_in_a_broken_encoding() -> None:
    assert normalize("NescafÃ©", attribute("brand"))[0].canonical == "Nescafé"
