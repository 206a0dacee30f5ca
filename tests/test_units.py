"""Units as shops write them, and what one of them is in another."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from extractor.errors import SchemaError
from extractor.normalize import load_units
from extractor.units import Unit, convert
from tests.normalizing import UNITS

# A unit of every dimension that languages have words for, as CLDR calls it.
CLDR = {
    "cm": "length-centimeter",
    "kg": "mass-kilogram",
    "ml": "volume-milliliter",
    "m2": "area-square-meter",
    "W": "power-watt",
    "V": "electric-volt",
    "second": "duration-second",
    "week": "duration-week",
    "celsius": "temperature-celsius",
}


def unit(name: str) -> Unit:
    found = UNITS.get(name)
    assert found
    return found


@pytest.mark.parametrize(
    ("word", "expected", "name"),
    [
        ("Fl. Oz.", None, "fl_oz"),
        ("oz", None, "oz"),
        ("oz", "ml", "fl_oz"),
        ("MW", None, "MW"),
        ("mw", None, "mW"),
        ("GB", None, "GB"),
        ("GB", "GiB", "GiB"),
        ("GB", "MB", "GB"),
        ("Nm", None, "N_m"),
        ("nm", None, "nm"),
        ("C", "mm", None),
        ("Gift", None, None),
    ],
)
def test_what_a_word_means(word: str, expected: str | None, name: str | None) -> None:
    found = UNITS.find(word, UNITS.get(expected))
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("number", "one", "other", "result"),
    [
        ("1", "inch", "mm", "25.4"),
        ("1", "lb", "g", "453.59237"),
        ("1", "gallon", "l", "3.785411784"),
        ("212", "fahrenheit", "celsius", "100"),
        ("2", "year", "month", "24"),
        ("1", "GiB", "byte", "1073741824"),
        ("1", "MB/s", "Mbps", "8"),
        ("1", "krpm", "rpm", "1000"),
        ("3", "count", "count", "3"),
    ],
)
def test_conversion_is_exact(number: str, one: str, other: str, result: str) -> None:
    assert convert(Fraction(number), unit(one), unit(other)) == Fraction(result)


def test_every_unit_is_found_by_its_name_and_converts_there_and_back() -> None:
    for name in UNITS.names:
        assert UNITS.find(name) == unit(name)
        for other in map(unit, UNITS.names):
            if other.dimension == unit(name).dimension:
                assert convert(convert(Fraction(7), unit(name), other), other, unit(name)) == 7


def test_pint_knows_every_unit_and_agrees_on_its_dimension() -> None:
    assert list(UNITS.problems()) == []


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "nl", "pt"])
def test_units_are_known_in_other_languages(language: str) -> None:
    from babel.units import format_unit

    for name, cldr in CLDR.items():
        for number in (1, 2):
            words = format_unit(number, cldr, "long", locale=language).removeprefix(str(number))
            assert UNITS.find(" ".join(words.split())) == unit(name), words


def test_problems_are_told_one_by_one(tmp_path: Path) -> None:
    rows = {"m": {}, "mm": {"pint": "millimetre"}, "foo": {"pint": "fooo"}, "kg": {}, "none": {"pint": None}}
    (tmp_path / "units.json").write_text(json.dumps({"description": "", "dimensions": {"length": rows}}))
    units = load_units(tmp_path)
    assert list(units.problems()) == [
        "foo: pint knows no 'fooo'; correct its \"pint\", or make that null",
        'kg: is no length to pint; move it, or correct its "pint"',
    ]
    foo, metre = units.get("foo"), units.get("m")
    assert foo and metre
    with pytest.raises(SchemaError, match="pint knows no unit 'fooo'"):
        convert(Fraction(1), foo, metre)


BROKEN = [
    ('{"description": "", "dimensions": {"length": {"m": {"synonym": []}}}}', "synonym"),
    ('{"description": "", "dimensions": {"length": {"m": {"pint": 1}}}}', "pint"),
    (
        '{"description": "", "dimensions": {"a": {"m": {}}, "b": {"M.": {}, "n": {"synonyms": ["m"]}}}}',
        "'m' means m and n; keep one",
    ),
    ("[1", "correct the JSON"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_broken_units_are_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "units.json").write_text(content)
    with pytest.raises(SchemaError, match=message) as caught:
        load_units(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "units.json: "))
    assert "\n" not in str(caught.value)


def test_missing_units_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no such file"):
        load_units(tmp_path)
