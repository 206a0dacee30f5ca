"""Surface values as listings write them, and the one spelling each ends in."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractor.attribute import Attribute, Normalizer
from extractor.normalize import MAX_CHARACTERS, NORMALIZERS, normalize_value
from extractor.quantity import format_number
from extractor.records import Reason, Rejection
from tests.normalizing import UNITS, attribute, normalize

SYNONYMS = {
    "gray": ("grey", "gry"),
    "XL": ("x-large", "extra large"),
    "HP": ("hewlett packard", "hewlett-packard"),
    "1": ("single",),
    "12": ("dozen",),
    "8 oz": ("half pound",),
}


QUANTITIES: Sequence[tuple[str, str | None, str, str | None]] = [
    # Numbers.
    ("36", "inch", "36", None),
    ("007", None, "7", None),
    ("1,000 ml", "l", "1", "l"),
    ("1.000,5 g", None, "1000.5", "g"),
    ("2,5 kg", "g", "2500", "g"),
    ("0,750 l", "ml", "750", "ml"),
    ("1,00,000 pieces", None, "100000", "count"),
    (".5 oz", "oz", "0.5", "oz"),
    ("-18 °C", None, "-18", "celsius"),
    ("10 1/2", None, "10.5", None),
    ('10½"', None, "10.5", "inch"),
    ("2-1/2 gallon", "gallon", "2.5", "gallon"),
    ('5 7/10"', "mm", "144.78", "mm"),
    ('7/16"', "inch", "0.4375", "inch"),
    # Units as they are written.
    ("65 inch", "cm", "165.1", "cm"),
    ("65-inch", "inch", "65", "inch"),
    ("65″", None, "65", "inch"),
    ("65''", None, "65", "inch"),
    ("27 in.", "inch", "27", "inch"),
    ("8.45 fl. oz.", "fl_oz", "8.45", "fl_oz"),
    ("16GB", "GB", "16", "GB"),
    ("600-GB", "TB", "0.6", "TB"),
    ("5 MW", "W", "5000000", "W"),
    ("5 mW", "W", "0.005", "W"),
    ("5,000 mcg", "mg", "5", "mg"),
    ("350°F", "celsius", "176.667", "celsius"),
    ("25.4 Cu. Ft.", None, "25.4", "cu_ft"),
    ("2000 I.U.", None, "2000", "IU"),
    ("4pcs/lot", None, "4", "count"),
    ("7.2K RPM", "rpm", "7200", "rpm"),
    ("110 lbs.", "kg", "49.8952", "kg"),
    # Words that mean what the attribute is about.
    ("12 Ounce", "ml", "354.882", "ml"),
    ("12 Ounce", "g", "340.194", "g"),
    ("12 Ounce", None, "12", "oz"),
    ("0.20 ct", "carat", "0.2", "carat"),
    ("0.20 ct", None, "0.2", "count"),
    ("1.8G", "GHz", "1.8", "GHz"),
    ("1G", "GB", "1", "GB"),
    ("13pt.", "mil", "13", "mil"),
    ("1.5 Ton", "W", "5275.28", "W"),
    ("7 oz", "count", "7", "oz"),
    # Twice the same: the awaited unit counts, else the first.
    ("5.5 oz (156 g)", None, "5.5", "oz"),
    ("5.5 oz (156 g)", "g", "156", "g"),
    ("80 cm (32 inches)", "inch", "32", "inch"),
    ("16.9 fl. oz. / 500 mL", "l", "0.499793", "l"),
    ("16.9 fl. oz. / 500 mL", "ml", "500", "ml"),
    ("110-240V/50Hz", "V", "110-240", "V"),
    ("64GB (2 x 32GB)", "GB", "64", "GB"),
    ("(5 kg)", None, "5", "kg"),
    # Several numbers.
    ("5-10 kg", None, "5-10", "kg"),
    ("5 to 10 kg", "g", "5000-10000", "g"),
    ('73" – 84"', "inch", "73-84", "inch"),
    ("-20 to -5°C", None, "-20--5", "celsius"),
    ("10x20 cm", "mm", "100 x 200", "mm"),
    ("17CM*14.5CM*16CM", "cm", "17 x 14.5 x 16", "cm"),
    ("10cmx20cm", None, "10 x 20", "cm"),
    ("8 by 10 inches", None, "8 x 10", "inch"),
    ('60"W x 20"D x 12"H', "inch", "60 x 20 x 12", "inch"),
    ("1920 x 1080 px", None, "1920 x 1080", "px"),
    ("4 x 125ml", "l", "4 x 0.125", "l"),
    ("20/40GB", "GB", "20 / 40", "GB"),
    ("120v/208-240v", "V", "120 / 208-240", "V"),
    ("5 ft 6 in", "inch", "66", "inch"),
    ("5'6\"", None, "5.5", "ft"),
    ("5' - 6\"", None, "5.5", "ft"),
    ("1 lb 5 oz", "oz", "21", "oz"),
    ('10 1/2" x 20 1/8"', None, "10.5 x 20.125", "inch"),
    ("L40 x W30 x H20 cm", "mm", "400 x 300 x 200", "mm"),
    ("Length: 10 cm", None, "10", "cm"),
    # So many times.
    ("4 x 125ML", None, "4 x 125", "ml"),
    ("2-pack of 500 g", None, "2 x 500", "g"),
    ("Pack of 6 x 330 ml", "l", "6 x 0.33", "l"),
    ("500 g x 2 pcs", None, "2 x 500", "g"),
    ("12 cans x 355 ml", None, "12 x 355", "ml"),
    ("Box of 100", None, "100", "count"),
    ("60's", None, "60", "count"),
    # Memory is counted in binary units, what it is stored on in decimal ones.
    ("512 MB", "GB", "0.512", "GB"),
    ("512 MB", "GiB", "0.5", "GiB"),
    ("1 TiB", "GB", "1099.51", "GB"),
    # Other languages.
    ("500 Gramm", "kg", "0.5", "kg"),
    ("2 años", "month", "24", "month"),
    ("3 mètres", None, "3", "m"),
    ("20 Stück", None, "20", "count"),
    # Words around.
    ("Approx. 5.5 oz", "oz", "5.5", "oz"),
    ("Up to 30 hours", None, "30", "hour"),
    ("20 oz bottle", None, "20", "oz"),
    ("16GB DDR4", "GB", "16", "GB"),
    ('32" Class', "inch", "32", "inch"),
    ("3,000 mcg per serving", None, "3000", "ug"),
    ("Half Pound", "g", "226.796", "g"),
    # No quantities.
    ("4-in-1", None, "4-in-1", None),
    ("2 in 1", "inch", "2 in 1", None),
    ("SPF 50", None, "spf 50", None),
    ("2+ Years", None, "2+ years", None),
    ("2.7m 3.6m 4.5m", "m", "2.7m 3.6m 4.5m", None),
    ("5 kg x 3 m", None, "5 kg x 3 m", None),
    ("1.2.3 kg", None, "1.2.3 kg", None),
    ("9" * 40 + " kg", None, "9" * 40 + " kg", None),
    ("Three inches", "inch", "three inches", None),
    ("DSC-W120", None, "dsc-w120", None),
    ("V1", None, "v1", None),
    ("...", None, "...", None),
]


@pytest.mark.parametrize(("surface", "unit", "canonical", "canonical_unit"), QUANTITIES)
def test_quantity(surface: str, unit: str | None, canonical: str, canonical_unit: str | None) -> None:
    value, rejection = normalize(surface, attribute("quantity", unit, synonyms=SYNONYMS))
    assert (value.canonical, value.unit, rejection) == (canonical, canonical_unit, None)


@pytest.mark.parametrize(
    ("surface", "unit", "word", "canonical"),
    [
        ("50 Widgets Each", None, "Widgets", "50 widgets each"),
        ("700C", "mm", "C", "700c"),
        ("25K", None, "K", "25k"),
        ("5千克", "g", "千克", "5千克"),
        ("100 g", "ml", "g", "100 g"),
    ],
)
def test_an_unknown_unit_is_told_and_the_value_kept(
    surface: str, unit: str | None, word: str, canonical: str
) -> None:
    value, rejection = normalize(surface, attribute("quantity", unit))
    assert (value.surface, value.canonical, value.unit) == (surface, canonical, None)
    wanted = f" that becomes {unit}" if unit else ""
    detail = f"{word!r} in {surface!r} is no unit of units.json{wanted}; kept as text, without unit"
    assert rejection == Rejection("p1", "x", Reason.UNKNOWN_UNIT, detail)


WORDS: Sequence[tuple[str, str, str, str | None]] = [
    ("text", "  Long-Sleeved, ", "long-sleeved", None),
    ("text", "100% Cotton", "100% cotton", None),
    ("text", "Lycra® Blend", "lycra blend", None),
    ("text", "Grey", "gray", None),
    ("text", "ﬂeece", "fleece", None),
    ("brand", "LEGO® Systems, Inc.", "LEGO Systems", None),
    ("brand", "Foo Co., Ltd.", "Foo", None),
    ("brand", "Hindustan Unilever Private Limited", "Hindustan Unilever", None),
    ("brand", "Tiffany & Co.", "Tiffany & Co", None),
    ("brand", "L’Oréal  Paris", "L'Oréal Paris", None),
    ("brand", "HEWLETT-PACKARD", "HP", None),
    ("brand", "Inc.", "Inc", None),
    ("brand", "®", "®", None),
    ("color", "GREY", "gray", None),
    ("color", "Grey & Black", "gray/black", None),
    ("color", "Navy blue/white and gry", "navy blue/white/gray", None),
    ("number", "8-core", "8", None),
    ("number", "[6 Discs]", "6", None),
    ("number", "10,000", "10000", None),
    ("number", "11/1", "11/1", None),
    ("size", "Extra Large", "XL", None),
    ("size", "xl", "XL", None),
    ("size", "10 inch", "10", "inch"),
    ("size", "5-6 Years", "5-6", "year"),
    ("size", "14 M US", "US 14 M", None),
    ("size", "10.5 M", "10.5 M", None),
    ("size", "UK 8", "UK 8", None),
    ("pack", "Pack of 2", "2", "count"),
    ("pack", "2-pack", "2", "count"),
    ("pack", "4pcs/lot", "4", "count"),
    ("pack", "104/Pack", "104", "count"),
    ("pack", "1,000/Box", "1000", "count"),
    ("pack", "Dozen", "12", "count"),
    ("pack", "Single", "1", "count"),
    ("pack", "Size 10.7 oz", "10.7", "oz"),
    ("pack", "6 packs of 12", "6 packs of 12", None),
    ("pack", "2 dozen", "24", "count"),
    ("pack", "Twin Pack", "2", "count"),
    ("pack", "Set of Three", "3", "count"),
    ("number", "Quad-Core", "4", None),
    ("text", "CrÃ¨me BrÃ»lÃ©e", "crème brûlée", None),
]


@pytest.mark.parametrize(("normalizer", "surface", "canonical", "unit"), WORDS)
def test_words(normalizer: str, surface: str, canonical: str, unit: str | None) -> None:
    value, rejection = normalize(surface, attribute(normalizer, synonyms=SYNONYMS))
    assert (value.canonical, value.unit, rejection) == (canonical, unit, None)


def test_a_number_takes_the_unit_of_its_attribute() -> None:
    hertz = attribute(None, "Hz", type="integer")
    assert [normalize(surface, hertz)[0].canonical for surface in ("60", "60 hz", "0.06 kHz")] == ["60"] * 3
    assert normalize("60", hertz)[0].unit == "Hz"


def test_a_choice_is_its_enum_member() -> None:
    sleeves = attribute("text", enum=("Short", "Long"), synonyms={"Short": ("half sleeve",)})
    assert [normalize(s, sleeves)[0].canonical for s in ("Long", "long", "Half Sleeve")] == [
        "Long",
        "Long",
        "Short",
    ]


def test_schemas_may_name_every_normalizer() -> None:
    assert set(get_args(Normalizer)) == set(NORMALIZERS)


def test_a_text_that_is_no_value_stays_as_it_is() -> None:
    essay = "9 x " * MAX_CHARACTERS
    assert normalize(essay, attribute("quantity"))[0].canonical == essay


ATTRIBUTES = [
    attribute(name, unit, synonyms=SYNONYMS) for name in NORMALIZERS for unit in (None, "mm", "count", "GiB")
]
# Texts that look like values more often than chance has it.
PIECES = [
    *("0123456789 ./,-x×½'\"°()&®%:$€"),
    *(" oz", "inch", " to ", "cm", "ml", "1/2", "ft", "K", "GB", " pack of ", "dozen", "l:"),
    *(
        "Grey",
        "dark ",
        "Co",
        "Ltd",
        "cotton",
        " and ",
        "with",
        "not ",
        "size ",
        "xl",
        "extra-",
        "us ",
        "m",
        "w",
        "t",
    ),
    *("upc", "isbn", "AB", "ab", "ÃÂ©", "â€³"),
]
SURFACES = st.one_of(
    st.text(min_size=1),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join),
    st.tuples(st.sampled_from([case[0] for case in QUANTITIES]), st.text(max_size=3)).map("".join),
)


@settings(max_examples=2500, deadline=None)
@given(SURFACES, st.sampled_from(ATTRIBUTES))
def test_normalizing_twice_is_normalizing_once(surface: str, definition: Attribute) -> None:
    value, _ = normalize(surface, definition)
    assert value.canonical
    assert normalize_value(value, definition, UNITS)[0] == value
    assert normalize(value.canonical, definition)[0].canonical == value.canonical


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(QUANTITIES), st.sampled_from(sorted(UNITS.names)))
def test_a_canonical_quantity_with_its_unit_means_itself(
    case: tuple[str, str | None, str, str | None], unit: str
) -> None:
    value, _ = normalize(case[0], attribute("quantity", unit))
    # Where bytes are awaited 500 Gramm are 500 g, but "500 g" is not.
    if value.unit and UNITS.find(value.unit, UNITS.get(unit)) == UNITS.get(value.unit):
        again, rejection = normalize(f"{value.canonical} {value.unit}", attribute("quantity", unit))
        assert (again.canonical, again.unit, rejection) == (value.canonical, value.unit, None)


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (Fraction(0), 6, "0"),
        (Fraction(1, 3), 6, "0.333333"),
        (Fraction(1, 3000000), 6, "0.000000333333"),
        (Fraction(1234567), 6, "1234567"),
        (Fraction("1234567.8"), 6, "1234568"),
        (Fraction("99.99999999"), 6, "100"),
        (Fraction("65.50"), None, "65.5"),
        (Fraction(10) ** 20, None, "1" + "0" * 20),
    ],
)
def test_format_number(number: Fraction, digits: int | None, text: str) -> None:
    assert format_number(number, digits) == text
