"""Scoring against counts worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.evaluation.files import read_predictions
from extractor.evaluation.matching import Overlap, best_overlap, same_but_spelling, tokens
from extractor.evaluation.metrics import (
    CORRECT,
    MISSED,
    NOTHING,
    SPURIOUS,
    Judgment,
    Sums,
    judge,
    judged_cells,
    summarize,
    sums_by_record,
    tally,
)
from extractor.gold import GoldRecord, read_gold

GOLD = [
    GoldRecord("1", "Shoes", {"Brand": ["Acme"], "Color": ["Red", "red"], "Size": None}),
    GoldRecord("2", "Shoes", {"Brand": ["Bolt"], "Color": None}),
    GoldRecord("3", "Tea", {"Flavor": ["Mint"]}),
]
PREDICTED = {
    "1": {"Brand": ["Acme"], "Color": ["blue"], "Size": ["8"]},
    "2": {"Brand": None, "Size": ["9"], "Extra": ["x"]},
}
# Not part of the project; see eval/gold/README.md.
REFERENCE = Path("../shared/data/eval")
values = st.none() | st.lists(st.text("aB -é1٣ﬁ", min_size=1, max_size=6), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("gold", "predicted", "judgment"),
    [
        (None, None, NOTHING),
        (None, ["8"], SPURIOUS),
        (["Red"], None, MISSED),
        (["Red", "red"], ["red"], CORRECT),
        (["Red"], ["blue"], Judgment("vw")),
        # The case is wrong: for the published rule as wrong as blue.
        (["Red"], ["red"], Judgment("vw", normalized=True, overlap=Overlap(1, 1))),
        # Of several predicted values all have to be accepted, and each earns its share.
        (["Red", "red"], ["Red", "blue"], Judgment("vw", overlap=Overlap(0.5, 0.5))),
        (["Dark Red", "Red"], ["Red wine"], Judgment("vw", overlap=Overlap(0.5, 1))),
    ],
)
def test_a_cell_is_one_of_five(
    gold: list[str] | None, predicted: list[str] | None, judgment: Judgment
) -> None:
    assert judge(gold, predicted) == judgment


def test_paper_counts_listed_attributes_only() -> None:
    assert summarize(tally(GOLD, PREDICTED, protocol="paper"), "paper") == {
        "protocol": "paper",
        # P = 1/3, R = 1/4
        "micro": {"precision": 33.33, "recall": 25.0, "f1": 28.57},
        # Shoes Brand 1 and 1/2, Color 0, Size 0; Tea Flavor 0.
        "macro": {"precision": 25.0, "recall": 12.5, "f1": 16.67},
        "normalized": {"precision": 33.33, "recall": 25.0, "f1": 28.57},
        "overlap": {"precision": 33.33, "recall": 25.0, "f1": 28.57},
        "counts": {"nn": 1, "nv": 1, "vn": 2, "vc": 1, "vw": 1, "unjudged": 2, "failed": 1},
        "records": 3,
    }


def test_strict_counts_what_the_category_offers_and_the_record_does_not_list() -> None:
    counted = summarize(tally(GOLD, PREDICTED, protocol="strict"), "strict")
    # "Size" of record 2 is spurious; "Extra" is no attribute of the category.
    assert counted["counts"] == {"nn": 1, "nv": 2, "vn": 2, "vc": 1, "vw": 1, "unjudged": 2, "failed": 1}


def test_strict_takes_the_attributes_of_the_schema_where_there_is_one() -> None:
    counted = tally(GOLD, PREDICTED, protocol="strict", offered={"Shoes": ["Brand", "Extra"], "Tea": []})
    assert counted.cells["Shoes", "Extra"].nv == 1
    assert ("Shoes", "Size") in counted.cells
    assert counted.total.nv == 2


def test_each_measure_gives_its_own_credit() -> None:
    gold = [
        GoldRecord("1", "Tea", {"Flavor": ["Green Mint"], "Net": ["16 oz"]}),
        GoldRecord("2", "Tea", {"Flavor": ["Mint"]}),
    ]
    predicted = {"1": {"Flavor": ["Mint"], "Net": ["16oz"]}, "2": {"Flavor": ["Mint"]}}
    scores = summarize(tally(gold, predicted), "paper")
    assert scores["micro"] == {"precision": 33.33, "recall": 33.33, "f1": 33.33}
    assert scores["normalized"] == {"precision": 66.67, "recall": 66.67, "f1": 66.67}
    # "Mint" is all right as far as it goes, and half of "Green Mint": P = 3/3, R = 2.5/3.
    assert scores["overlap"] == {"precision": 100.0, "recall": 83.33, "f1": 90.91}


def test_sums_by_record_are_what_a_bootstrap_draws() -> None:
    cells = list(judged_cells(GOLD, PREDICTED))
    assert sums_by_record(cells, ["1", "2", "3"]) == [Sums(1, 1, 3, 2), Sums(0, 0, 0, 1), Sums(0, 0, 0, 1)]
    assert sums_by_record(cells, ["2"], protocol="strict") == [Sums(0, 0, 1, 1)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("5.5 oz", "5.5oz", True),
        ("T-Shirt", "t shirt", True),
        ("Men's", "mens", True),
        ("ﬁne café", "Fine Cafe\u0301", True),
        ("10 - 20", "10-20", True),
        ("１６ＧＢ", "16 GB", True),
        ("5.5", "55", False),
        ("1/2", "12", False),
        ("10 20", "1020", False),
        ("-5", "5", False),
        ("C++", "C", False),
        ('12"', "12'", False),
        ("黒", "白", False),
    ],
)
def test_spelling_is_case_space_and_punctuation(one: str, other: str, same: bool) -> None:
    assert same_but_spelling(one, other) is same


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Dark-Red, 5.5oz", ("dark", "red", "5.5", "oz")),
        ("黒い靴", ("黒", "い", "靴")),
        ("हिन्दी भाषा", ("हिन्दी", "भाषा")),
        ("++", ("++",)),
    ],
)
def test_tokens_are_words_and_numbers(text: str, words: tuple[str, ...]) -> None:
    assert tokens(text) == words


def test_overlap_is_with_the_form_that_fits_best() -> None:
    assert best_overlap(["Acme Tools"], ["Acme Tools Inc", "Acme"]) == Overlap(1.0, 2 / 3)
    assert best_overlap(["red red"], ["red"]) == Overlap(0.5, 1.0)


@given(values, values)
def test_measures_only_get_milder(gold: list[str] | None, predicted: list[str] | None) -> None:
    judgment = judge(gold, predicted)
    is_correct = judgment.kind == "vc"
    assert judgment.normalized >= is_correct
    assert 0 <= min(judgment.overlap) <= max(judgment.overlap) <= 1
    assert (judgment.overlap == Overlap(1, 1)) >= is_correct


@given(st.lists(st.tuples(values, values), max_size=8))
def test_every_listed_cell_is_counted_once(pairs: list[tuple[list[str] | None, list[str] | None]]) -> None:
    gold = [GoldRecord(str(i), "Tea", {"Flavor": listed}) for i, (listed, _) in enumerate(pairs)]
    predicted = {str(i): {"Flavor": found} for i, (_, found) in enumerate(pairs)}
    total = tally(gold, predicted).total
    assert total.nn + total.nv + total.vn + total.vc + total.vw == len(pairs)


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs the data folder")
def test_published_figures_come_out_to_the_last_place() -> None:
    runs = json.loads((REFERENCE / "reference_predictions" / "runs.json").read_text("utf-8"))
    assert len(runs) == 6
    for run in runs:
        gold = read_gold(REFERENCE / "attributes" / f"{run['dataset']}_test.jsonl.gz")
        path = REFERENCE / "reference_predictions" / run["file"]
        scores = summarize(tally(gold, read_predictions(path, {record.id for record in gold})), "paper")
        unjudged = run["counts"].pop("predicted, attribute not judged")
        assert scores["micro"] == run["published_micro"]
        nothing = {"nn": 0, "nv": 0, "failed": 0}
        assert scores["counts"] == {**nothing, **run["counts"], "unjudged": unjudged}
