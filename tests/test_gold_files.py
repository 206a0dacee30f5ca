"""Gold and prediction files: what is read, and every complaint names file and line."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path

import pytest

from extractor.errors import ConfigError
from extractor.evaluation.files import read_predictions
from extractor.gold import GoldRecord, read_gold

TEA = {"id": "1", "title": "Mint Tea", "category": "Tea", "attributes": {"Flavor": ["Mint"]}}


def write(path: Path, *rows: object) -> Path:
    """JSON Lines; a text is written as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def test_gold_is_read_as_published(tmp_path: Path) -> None:
    """Edge spaces are slips of annotation tools; what was first labelled "n/a" has no value."""
    row = {
        "id": 7,
        "title": " Cafe\u0301 Tea ",
        "description": None,
        "category": "Tea",
        "attributes": {"Net": ["5 oz "], "Flavor": "Cafe\u0301", "Cups": 3, "Item": ["Tea"], "Color": None},
        "na_first": ["Item"],
    }
    assert read_gold(write(tmp_path / "gold.jsonl", row)) == [
        GoldRecord(
            "7",
            "Tea",
            {"Net": ["5 oz"], "Flavor": ["Café"], "Cups": ["3"], "Item": None, "Color": None},
            "Café Tea",
            "",
        )
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['{"id": "1"'], ":1: no JSON: Expecting"),
        ([TEA, '{"id": "2", "id": "3"}'], ":2: no JSON: the key 'id' stands twice"),
        ([TEA, ["1"]], ":2: expected an object with id, category and attributes"),
        ([TEA, {**TEA, "id": None}], ":2: id is None; write a text"),
        ([{**TEA, "id": ""}], ":1: id is ''; write a text"),
        ([{**TEA, "id": True}], ":1: id is True; write a text"),
        ([{**TEA, "na_first": "Flavor"}], ":1: na_first is 'Flavor'; write a list"),
        ([{**TEA, "attributes": {"Flavor": [" "]}}], r":1: Flavor is \[' '\]; an empty text is no value"),
        ([TEA, TEA], ":2: id '1' stands twice"),
        ([{**TEA, "attributes": ["Mint"]}], ":1: attributes is no object"),
        (
            [{**TEA, "attributes": {"Flavor": {"a": 1}}}],
            ":1: Flavor is {'a': 1}; write texts in a list, or null",
        ),
        (
            [{**TEA, "attributes": {"Flavor": [None]}}],
            r":1: Flavor is \[None\]; write texts in a list, or null",
        ),
        ([{**TEA, "category": ["Tea"]}], r":1: category is \['Tea'\]; write a text"),
        ([{**TEA, "title": 3}], ":1: title is 3; write a text"),
        ([], ": holds no record"),
    ],
)
def test_wrong_gold_is_named(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"gold.jsonl{message}"):
        read_gold(write(tmp_path / "gold.jsonl", *rows))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "9", "predicted": {}}], ":1: id '9' is not in the gold file"),
        ([{"id": "1", "predicted": {}}, {"id": "1", "predicted": {}}], ":2: id '1' stands twice"),
        ([{"id": "1"}], ":1: expected an object with id and predicted"),
        ([{"id": "1", "predicted": None}], ":1: predicted is no object"),
        (
            [{"id": "1", "predicted": {"Flavor": {"value": "Mint"}}}],
            ":1: Flavor is {'value': 'Mint'}; write texts in a list, or null",
        ),
        ([{"id": "1", "predicted": {"Flavor": [None]}}], r":1: Flavor is \[None\]; write texts"),
        ([], ": holds no prediction"),
    ],
)
def test_wrong_predictions_are_named(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"predictions.jsonl{message}"):
        read_predictions(write(tmp_path / "predictions.jsonl", *rows), {"1"})


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = write(tmp_path / "gold.jsonl", TEA)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert [record.id for record in read_gold(path)] == ["1"]


def test_predictions_may_be_one_value_several_or_none(tmp_path: Path) -> None:
    row = {"id": 1, "predicted": {"Flavor": " Mint", "Color": None, "Size": ["S", "M"], "Net": 5}}
    assert read_predictions(write(tmp_path / "p.jsonl", row), {"1"}) == {
        "1": {"Flavor": ["Mint"], "Color": None, "Size": ["S", "M"], "Net": ["5"]}
    }


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b'{"id": "1"}\n', mtime=0)[:-12], gzip.compress(b"\xff\n", mtime=0)]
)
def test_broken_archives_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gold.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"gold.jsonl.gz.*; give a JSON Lines file"):
        read_gold(path)


def test_a_folder_is_no_gold(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory; give a JSON Lines file"):
        read_gold(tmp_path)
