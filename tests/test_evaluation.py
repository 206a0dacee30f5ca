"""Scoring against counts worked out by hand, and a suite end to end on the scripted engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError
from extractor.evaluation.files import read_gold, read_predictions
from extractor.evaluation.metrics import Counts, GoldRecord, judge, summarize, tally
from extractor.evaluation.suite import Suite, load_suite, run_suite
from extractor.records import Request

GOLD = [
    GoldRecord("1", "Shoes", {"Brand": ["Acme"], "Color": ["Red", "red"], "Size": None}),
    GoldRecord("2", "Shoes", {"Brand": ["Bolt"], "Color": None}),
    GoldRecord("3", "Tea", {"Flavor": ["Mint"]}),
]
PREDICTED = {
    "1": {"Brand": ["Acme"], "Color": ["blue"], "Size": ["8"]},
    "2": {"Brand": None, "Size": ["9"], "Extra": ["x"]},
}


@pytest.mark.parametrize(
    ("gold", "predicted", "counts"),
    [
        (None, None, Counts(nn=1)),
        (None, ["8"], Counts(nv=1)),
        (["Red"], None, Counts(vn=1)),
        (["Red", "red"], ["red"], Counts(vc=1)),
        (["Red"], ["red"], Counts(vw=1)),
        (["Red"], ["Red", "Blue"], Counts(vw=1)),
    ],
)
def test_a_cell_is_one_of_five(gold: list[str] | None, predicted: list[str] | None, counts: Counts) -> None:
    assert judge(gold, predicted) == counts


def test_paper_counts_listed_attributes_only() -> None:
    counted = summarize(tally(GOLD, PREDICTED, protocol="paper"), "paper")
    assert counted["counts"] == {"nn": 1, "nv": 1, "vn": 2, "vc": 1, "vw": 1, "unjudged": 2, "failed": 1}
    # P = 1/3, R = 1/4
    assert counted["micro"] == {"precision": 33.33, "recall": 25.0, "f1": 28.57}
    assert counted["records"] == 3


def test_strict_counts_what_the_category_offers_and_the_record_does_not_list() -> None:
    counted = summarize(tally(GOLD, PREDICTED, protocol="strict"), "strict")
    # "Size" of record 2 is spurious; "Extra" is no attribute of the category.
    assert counted["counts"] == {"nn": 1, "nv": 2, "vn": 2, "vc": 1, "vw": 1, "unjudged": 2, "failed": 1}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_edge_spaces_and_first_labelled_nothing_are_read_as_published(tmp_path: Path) -> None:
    row = {
        "id": "1",
        "category": "Tea",
        "attributes": {"Net": ["5 oz "], "Item": ["Tea"]},
        "na_first": ["Item"],
    }
    assert read_gold(write(tmp_path / "gold.jsonl", row)) == [
        GoldRecord("1", "Tea", {"Net": ["5 oz"], "Item": None})
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "9", "predicted": {}}], "not in the gold file"),
        ([{"id": "1", "predicted": {}}, {"id": "1", "predicted": {}}], ":2: id '1' stands twice"),
        ([{"id": "1"}], ":1: expected an object"),
    ],
)
def test_wrong_predictions_are_named(tmp_path: Path, rows: list[object], message: str) -> None:
    path = write(tmp_path / "predictions.jsonl", *rows)
    with pytest.raises(ConfigError, match=message):
        read_predictions(path, {record.id: record for record in GOLD})


def test_an_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="ae110k, oamine"):
        load_suite(Path("eval/suites"), "amazon")


def test_a_suite_runs_resumes_and_scores(tmp_path: Path) -> None:
    rows = [
        {
            "id": "1",
            "title": "Acme Shoe Red",
            "category": "Shoes",
            "attributes": {"Brand": ["Acme"], "Color": ["Red"]},
        },
        {
            "id": "2",
            "title": "Bolt Shoe",
            "category": "Shoes",
            "attributes": {"Brand": ["Bolt"], "Color": None},
        },
    ]
    write(tmp_path / "gold.jsonl", *rows)
    suite = Suite(name="tiny", about="", gold="gold.jsonl")

    def answer(request: Request) -> str:
        return json.dumps({"Brand": "Acme" if request.id == "1" else "Shoe"})

    scores = run_suite(suite, tmp_path, tmp_path / "out", ScriptedEngine(answer))
    assert scores["paper"]["counts"] == {
        "nn": 1,
        "nv": 0,
        "vn": 1,
        "vc": 1,
        "vw": 1,
        "unjudged": 0,
        "failed": 0,
    }
    again = run_suite(suite, tmp_path, tmp_path / "out", ScriptedEngine([]))
    assert again["paper"] == scores["paper"]
