"""Two small runs compared, with what is fixed, what is worse, and what cannot be told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_runs import eval_run

from extractor.errors import ConfigError
from extractor.evaluation.compare import Change, Side, compare
from extractor.evaluation.statistics import Interval
from extractor.evaluation.views import scores_with_intervals
from extractor.gold import GoldRecord

GOLD = [
    GoldRecord("1", "Shoes", {"Brand": ["Acme"], "Color": ["Red", "red"], "Size": None}),
    GoldRecord("2", "Shoes", {"Brand": ["Bolt"], "Color": None}),
    GoldRecord("3", "Tea", {"Flavor": ["Mint"], "Net": None}),
]
BEFORE = {
    "1": {"Brand": ["Acme"], "Color": ["blue"]},
    "2": {"Brand": ["bolt"], "Size": ["9"]},
    "3": {"Flavor": ["Mint"]},
}
AFTER = {"1": {"Brand": ["Acme"], "Color": ["red"], "Size": ["8"]}, "2": {"Brand": ["Bolt"]}}


def test_fixed_and_regressed_cells_are_listed_in_the_order_of_the_gold() -> None:
    a, b = eval_run(GOLD, BEFORE, name="a"), eval_run(GOLD, AFTER, name="b")
    paper = [
        Change("fixed", "1", "Shoes", "Color", gold=["Red", "red"], a=["blue"], b=["red"]),
        Change("regressed", "1", "Shoes", "Size", gold=None, a=None, b=["8"]),
        Change("fixed", "2", "Shoes", "Brand", gold=["Bolt"], a=["bolt"], b=["Bolt"]),
        # Record 3 failed in b.
        Change("regressed", "3", "Tea", "Flavor", gold=["Mint"], a=["Mint"], b=None),
    ]
    assert list(compare(a, b, resamples=200).changes) == paper
    spurious = Change("fixed", "2", "Shoes", "Size", gold=None, a=["9"], b=None)
    assert list(compare(a, b, protocol="strict", resamples=200).changes) == [*paper[:3], spurious, paper[3]]


def test_slices_are_categories_and_attributes_worst_first() -> None:
    found = compare(eval_run(GOLD, BEFORE), eval_run(GOLD, AFTER), resamples=200)
    assert [(s.kind, s.name, s.records, s.cells, round(s.a), round(s.b)) for s in found.slices] == [
        ("attribute", "Flavor", 1, 1, 100, 0),
        ("category", "Tea", 1, 2, 100, 0),
        # A spurious value where nothing is stated leaves F1 at nothing; it shows among the changes.
        ("attribute", "Size", 1, 1, 0, 0),
        ("attribute", "Brand", 2, 2, 50, 100),
        ("category", "Shoes", 2, 5, 33, 86),
        ("attribute", "Color", 2, 2, 0, 100),
    ]
    assert {each.p_adjusted for each in found.slices} == {1.0}


def test_a_comparison_says_it_all() -> None:
    a = eval_run(GOLD, BEFORE, name="a", prompt="attributes@v1")
    b = eval_run(GOLD, AFTER, name="b", prompt="attributes@v2")
    found = compare(a, b)
    assert (found.suite, found.records, found.protocol) == ("tiny", 3, "paper")
    assert found.a == Side(
        label="attributes@v1",
        folder=Path("a"),
        settings=a.settings,
        scores={view: score.f1 for view, score in scores_with_intervals(GOLD, BEFORE).items()},
        precision=found.a.precision,
        recall=found.a.recall,
        tokens_per_listing=100.0,
        listings_per_s=2.0,
    )
    assert found.b.label == "attributes@v2"
    assert {view: round(each.value, 2) for view, each in found.a.scores.items()} == {
        "paper": 50.0,  # 2 of 4, 2 of 4
        "strict": 44.44,  # 2 of 5, 2 of 4
        "normalized": 75.0,
        "overlap": 75.0,
    }
    assert round(found.differences["paper"].value, 2) == 25.0  # 3 of 4, 3 of 4
    assert found.verdict.startswith(
        "no difference shown between attributes@v1 and attributes@v2: paper F1 +25.00 ("
    )
    stored = json.loads(json.dumps(found.to_json()))
    assert stored["a"]["folder"] == "a"
    assert stored["b"]["settings"] == b.settings
    assert stored["differences"]["paper"]["value"] == 25.0
    assert stored["changes"][0] == {
        "direction": "fixed",
        "product_id": "1",
        "category": "Shoes",
        "attribute": "Color",
        "gold": ["Red", "red"],
        "a": ["blue"],
        "b": ["red"],
    }


def tea(count: int) -> list[GoldRecord]:
    return [
        GoldRecord(str(i), "Tea", {"Flavor": ["Mint"], "Net": ["5 oz"], "Form": None}) for i in range(count)
    ]


def test_a_silent_regression_of_one_attribute_is_told_in_the_verdict() -> None:
    gold = tea(100)
    right = {record.id: {"Flavor": ["Mint"], "Net": ["5 oz"]} for record in gold}
    # As many flavors come as nets go: the score stays.
    before = {i: {"Net": ["5 oz"]} if int(i) < 30 else values for i, values in right.items()}
    after = {i: {"Flavor": ["Mint"]} if int(i) >= 70 else values for i, values in right.items()}
    found = compare(eval_run(gold, before, name="monday"), eval_run(gold, after, name="tuesday"))
    assert found.differences["paper"].value == 0
    assert found.verdict.startswith("no difference shown between monday and tuesday: paper F1 +0.00 (")
    assert found.verdict.endswith("; worse in attribute Net")
    assert found.slices[0].p_adjusted < 0.001 and found.slices[-1].is_better


def test_more_invented_values_are_worse_whatever_the_paper_protocol_says() -> None:
    gold = tea(60)
    before = {record.id: {"Flavor": ["Mint"]} for record in gold}
    after = {i: {**values, "Color": ["green"]} for i, values in before.items()}
    offered = {"Tea": ["Flavor", "Net", "Form", "Color"]}
    found = compare(eval_run(gold, before, offered=offered), eval_run(gold, after, offered=offered))
    assert found.differences["paper"].value == 0
    assert "; worse: strict F1 -" in found.verdict


@pytest.mark.parametrize(
    ("folders", "settings", "labels"),
    [
        (("x", "y"), {"model": "other"}, ("tiny", "other")),
        (("before", "after"), {}, ("before", "after")),
        # The same runs' names in two places.
        (("before/tiny", "after/tiny"), {}, ("before/tiny", "after/tiny")),
    ],
)
def test_labels_tell_the_runs_apart(
    folders: tuple[str, str], settings: dict[str, str], labels: tuple[str, str]
) -> None:
    gold = [GoldRecord("1", "Tea", {"Flavor": ["Mint"]})]
    a, b = (
        eval_run(gold, {}, name=folders[0]),
        eval_run(gold, {}, name=folders[1], settings=settings),
    )
    found = compare(a, b, resamples=1000)
    assert (found.a.label, found.b.label) == labels


def test_a_better_run_is_called_better() -> None:
    gold = tea(60)
    before = {record.id: {"Flavor": ["Mint"]} for record in gold}
    after = {i: {**values, "Net": ["5 oz"]} for i, values in before.items()}
    found = compare(eval_run(gold, before, name="a"), eval_run(gold, after, name="b"))
    assert found.verdict == "b is better than a: paper F1 +33.33 (95 % +33.33 to +33.33, p 0.0001)"
    again = compare(eval_run(gold, after, name="b"), eval_run(gold, before, name="a"))
    assert again.verdict.startswith("a is worse than b: paper F1 -33.33 (")


def test_scores_of_a_run_without_a_mistake_reach_up_only() -> None:
    gold = tea(60)
    predicted = {record.id: {"Flavor": ["Mint"], "Net": ["5 oz"]} for record in gold}
    found = scores_with_intervals(gold, predicted)["paper"].f1
    assert isinstance(found, Interval)
    assert found.value == found.high == 100 and 90 < found.low < 100


@pytest.mark.parametrize(
    ("gold", "suite", "message"),
    [
        (GOLD, "other", "b: a run of suite 'other', a is one of 'tiny'; compare runs of one suite"),
        (GOLD[:2], "tiny", "b: its gold or offered attributes are not those of a .2 and 3 records."),
    ],
)
def test_runs_of_other_suites_or_gold_are_refused(gold: list[GoldRecord], suite: str, message: str) -> None:
    a, b = eval_run(GOLD, BEFORE, name="a"), eval_run(gold, {}, name="b", suite=suite)
    with pytest.raises(ConfigError, match=message):
        compare(a, b)
