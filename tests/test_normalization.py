"""Measuring normalizers: our own gold, and the conventions of a data set that has its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extractor.errors import ConfigError
from extractor.evaluation.generalization import Example, Generalizer
from extractor.evaluation.normalization import measure, our_cells
from extractor.evaluation.suite_file import load_any
from extractor.evaluation.wdc_pave import Conventions, Labelled
from extractor.schema import SchemaStore, default_folder
from tests.normalizing import UNITS

COLOR = SchemaStore(default_folder()).for_category("clothing").attribute("color")
ROOT = Path(__file__).parent.parent


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_our_gold_is_what_the_package_does() -> None:
    wrong = [cell for cell in our_cells(ROOT / "eval/gold/normalize.jsonl") if cell.gold != cell.found]
    assert wrong == []


def test_figures_of_a_set_and_of_each_kind(tmp_path: Path) -> None:
    gold = write(
        tmp_path / "gold.jsonl",
        {
            "id": "1",
            "normalizer": "quantity",
            "x_unit": "g",
            "surface": "2 kg",
            "canonical": "2000",
            "unit": "g",
        },
        {"id": "2", "normalizer": "quantity", "surface": "2 kg", "canonical": "2000", "unit": "g"},
        {"id": "3", "category": "clothing", "attribute": "color", "surface": "Navy", "canonical": "navy"},
        {
            "id": "4",
            "normalizer": "gtin",
            "surface": "12345671",
            "canonical": "12345671",
            "problem": "CHECK_DIGIT",
        },
    )
    measured = measure({"gold": gold})
    assert measured.parts == {
        "ours": {
            "records": 4,
            "values": 4,
            "precision": 75,
            "recall": 75,
            "f1": 75,
            "value_f1": 75,
            "wrong": 1,
        },
        "ours: color": all_right(1),
        "ours: gtin": all_right(1),
        "ours: quantity": {
            "values": 2,
            "precision": 50,
            "recall": 50,
            "f1": 50,
            "value_f1": 50,
            "wrong": 1,
        },
    }
    assert measured.mistakes == [
        {
            "set": "ours",
            "id": "2",
            "kind": "quantity",
            "surfaces": ["2 kg"],
            "gold": ["2000 g"],
            "found": ["2 kg"],
        }
    ]


def all_right(values: int) -> dict[str, float]:
    return {"values": values, "precision": 100, "recall": 100, "f1": 100, "value_f1": 100, "wrong": 0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "gold.jsonl:1: needs category and attribute, or a normalizer; give one of the two"),
        ({"normalizer": "colour"}, "gold.jsonl:1: no normalizer 'colour'; there are text, brand, "),
        ({"normalizer": "text", "problem": "HARD"}, "gold.jsonl:1: no problem 'HARD'; there are "),
        ({"category": "clothing", "attribute": "hue"}, "no attribute 'hue' in category 'clothing'; see"),
        ({"category": "cloths", "attribute": "color"}, "no attribute 'color' in category 'cloths'; see"),
        ({"normalizer": "text", "unit": 1}, "gold.jsonl:1: unit"),
    ],
)
def test_wrong_gold_names_its_line(tmp_path: Path, row: dict[str, object], message: str) -> None:
    gold = write(tmp_path / "gold.jsonl", {"id": "1", "surface": "a", "canonical": "a", **row})
    with pytest.raises(ConfigError, match=message):
        measure({"gold": gold})


def test_a_data_set_is_measured_where_it_is_there(tmp_path: Path) -> None:
    suite = load_any(ROOT / "eval/suites", "normalize")
    assert [*suite.paths(tmp_path)] == ["gold"]
    for path in suite.optional.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert [*suite.paths(tmp_path)] == ["gold", "wdcpave", "wdcpave_train"]


TRAIN = [
    Labelled("Computers", "Product Type", ["Hard Drive", "HDD"], ["Storage"]),
    Labelled("Computers", "Product Type", ["Toner Cartridge"], ["Printing"]),
    Labelled("Jewelry", "Product Type", ["Ring"], ["Rings/Bands"]),
]


@pytest.mark.parametrize(
    ("attribute", "surfaces", "normalized"),
    [
        ("Product Type", ["hard drives"], ["Storage"]),
        ("Product Type", ["Ink Cartridge"], ["Printing"]),
        ("Color(s)", ["Red & Blue", "Navy"], ["Red", "Blue"]),
        ("Color", ["brushed graphite"], ["Gray and Metallic"]),
        ("Width", ['20 1/8"', "20 1/8"], ["51.1"]),
        ("Length", ["50 ft"], ["1524.0"]),
        ("Length", ['121" - 132"'], ["335.3"]),
        ("Size/Weight", ["1 3/4oz"], ["50"]),
        ("Size/Weight", ["6in"], ["6in"]),
        ("Paper Weight", ["20-lb."], ["9.1"]),
        ("Capacity", ["300-GB", "300GB"], ["300 Gigabytes"]),
        ("Capacity", ["40/80GB"], ["40/80 Gigabytes"]),
        ("Cache", ["512K"], ["512 Kilobytes"]),
        ("Rotational Speed", ["7.2K", "7200 RPM"], ["7200"]),
        ("Ports", ["DP", "Dual Port"], ["2"]),
        ("Ports", ["2-ports Int/4-ports Ext"], ["6"]),
        ("Processor Core", ["Quad-Core"], ["4"]),
        ("Pack Quantity", ["100-Sheet, 12/Pack"], ["100", "12"]),
        ("Pack Quantity", ["trio"], ["3"]),
        ("Retail UPC", ["012345678905"], ["12345"]),
        ("Part Number", ["123456-B21"], ["123456B21"]),
        ("Manufacturer", ["HP Proliant"], ["Hewlett-Packard Proliant"]),
        ("Brand", ["Nabisco"], ["NABISCO"]),
        ("Generation", ["G1-G7"], ["Generation 1-Generation 7"]),
        ("Generation", ["DDR4"], ["Double Data Rate 4"]),
        ("Anything", ["else"], ["else"]),
    ],
)
def test_conventions_of_wdc_pave(attribute: str, surfaces: list[str], normalized: list[str]) -> None:
    conventions = Conventions(TRAIN, COLOR, UNITS)
    assert conventions.normalize("Computers", attribute, surfaces) == normalized


def test_a_phrase_without_examples_has_no_label() -> None:
    one = Generalizer([Example("a", "hard drive", "storage")])
    assert (one.label("a", "tape drives"), one.label("b", "hard drive")) == ("storage", None)
