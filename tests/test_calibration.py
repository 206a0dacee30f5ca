"""Calibration: how far confidence is off, the curve that puts it right, and where that is kept."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from evaluation_runs import eval_run
from hypothesis import given
from hypothesis import strategies as st
from test_cli import command
from test_gold_files import write

from extractor.calibrate import UNCALIBRATED, Calibration, Curve, calibrate
from extractor.engines.model import ModelInfo, load_model_info
from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError
from extractor.evaluation.calibration import (
    Bin,
    Coverage,
    Judged,
    Pair,
    Reliability,
    calibrated,
    coverage,
    cross_calibrated,
    fit,
    isotonic_curve,
    judged,
    judged_values,
    reliability,
)
from extractor.evaluation.fit_calibration import fit_calibration, keep
from extractor.evaluation.renew import renewed
from extractor.evaluation.runs import open_eval_run
from extractor.evaluation.suite import run_suite
from extractor.evaluation.suite_file import Suite
from extractor.gold import GoldRecord
from extractor.records import AttributeValue, Completion, Span, TokenLogprob
from extractor.split import held_out

confidences = st.floats(0.0, 1.0)
judgements = st.lists(st.tuples(confidences, st.booleans()), min_size=1, max_size=60)
CURVE = Curve((0.2, 0.6), (0.1, 0.9))
VALUE = AttributeValue("brand", "Sony", "sony", None, Span(0, 4), "title", "span", 0.4)


def close(confidence: float) -> Any:
    return pytest.approx(confidence, abs=1e-9)


# -- applying ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"), [(0.0, 0.1), (0.2, 0.1), (0.3, 0.3), (0.4, 0.5), (0.6, 0.9), (1.0, 0.9)]
)
def test_a_curve_is_straight_between_its_points_and_level_beyond(raw: float, expected: float) -> None:
    assert CURVE(raw) == close(expected)


def test_a_value_keeps_all_but_its_confidence() -> None:
    calibration = Calibration({"span/title": CURVE})
    assert calibrate(VALUE, calibration) == replace(VALUE, confidence=close(0.5))


@pytest.mark.parametrize(
    "value",
    [replace(VALUE, source="description"), replace(VALUE, how="choice"), replace(VALUE, how="derived")],
)
def test_what_was_not_seen_in_fitting_stays_as_it_is(value: AttributeValue) -> None:
    assert calibrate(value, Calibration({"span/title": CURVE})) == value
    assert calibrate(value, UNCALIBRATED) == value


@given(judgements, confidences, confidences)
def test_the_surer_value_stays_the_surer_one(pairs: list[Pair], one: float, other: float) -> None:
    curve = isotonic_curve(pairs, step_values=3)
    low, high = sorted((one, other))
    assert 0.0 <= curve(low) <= curve(high) <= 1.0


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ({"raw": [], "calibrated": []}, "one at least"),
        ({"raw": [0.1, 0.2], "calibrated": [0.1]}, "as many raw as calibrated"),
        ({"raw": [0.1, 1.2], "calibrated": [0.1, 0.2]}, "from 0 to 1"),
        ({"raw": [0.1, float("nan")], "calibrated": [0.1, 0.2]}, "from 0 to 1"),
        ({"raw": [0.2, 0.2], "calibrated": [0.1, 0.2]}, "raw confidences must ascend"),
        ({"raw": [0.1, 0.2], "calibrated": [0.2, 0.1]}, "must not descend"),
        ({"raw": ["a"], "calibrated": [0.1]}, "must be numbers"),
        ({"raw": [0.1]}, "is not what `extractor eval calibrate` writes"),
        (7, "is not what `extractor eval calibrate` writes"),
    ],
)
def test_broken_curves_are_refused(curve: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration.from_json({"fitted_on": [], "curves": {"span/title": curve}})


@given(judgements)
def test_calibrations_survive_json(pairs: list[Pair]) -> None:
    calibration = Calibration({"span/title": isotonic_curve(pairs)}, ("oamine",))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


# -- measuring -----------------------------------------------------------------------------------------------


def test_reliability_worked_by_hand() -> None:
    pairs = [(0.0, False), (0.5, True), (0.4, False), (0.9, True)]
    # |0.0 + 0.5 + 0.4 - 1| / 4 of the lower half, |0.9 - 1| / 4 of the upper.
    assert reliability(pairs, bins=2) == Reliability(
        (Bin(0.0, 0.5, 3, close(0.3), close(1 / 3)), Bin(0.5, 1.0, 1, 0.9, 1.0)), close(0.05), 4
    )


def test_bins_without_values_say_so() -> None:
    found = reliability([])
    assert (len(found.bins), found.ece, found.values) == (15, 0.0, 0)
    assert found.bins[0] == Bin(0.0, close(1 / 15), 0, None, None)


@given(st.integers(1, 15), st.integers(1, 20))
def test_what_is_as_often_right_as_it_says_has_no_error(step: int, repeats: int) -> None:
    """Of 15 values with confidence k/15, k are right."""
    assert reliability([(step / 15, k < step) for k in range(15)] * repeats).ece == pytest.approx(0, abs=1e-9)


@given(judgements)
def test_the_error_is_a_share_and_every_value_has_its_bin(pairs: list[Pair]) -> None:
    found = reliability(pairs)
    assert 0.0 <= found.ece <= 1.0
    assert sum(each.values for each in found.bins) == found.values == len(pairs)


def test_coverage_worked_by_hand() -> None:
    pairs = [(0.2, False), (0.5, True), (0.5, False), (0.9, True)]
    assert coverage(pairs, (0.0, 0.5, 0.6, 0.95)) == [
        Coverage(0.0, 0.5, 1.0),
        Coverage(0.5, close(2 / 3), 0.75),
        Coverage(0.6, 1.0, 0.25),
        Coverage(0.95, None, 0.0),
    ]


def test_judged_is_what_gold_lists() -> None:
    gold = [
        GoldRecord("1", "Tea", {"Brand": ["Acme", "ACME"], "Size": None}),
        GoldRecord("2", "Tea", {"Brand": ["Bolt"]}),
        GoldRecord("failed", "Tea", {"Brand": ["Bolt"]}),
    ]
    run = eval_run(
        gold, {"1": {"Brand": ["ACME", "Tea"], "Size": ["5"], "Extra": ["x"]}, "2": {"Brand": None}}
    )
    assert judged(run) == [
        Judged("1", "span/title", 1.0, True),
        Judged("1", "span/title", 1.0, False),
        Judged("1", "span/title", 1.0, False),
    ]
    assert judged_values(run) == [(1.0, True), (1.0, False), (1.0, False)]


# -- fitting -------------------------------------------------------------------------------------------------


def test_violators_are_pooled_as_worked_by_hand() -> None:
    """0, 1, 0, 1, 1 becomes 0, 1/2, 1/2, 1, 1: the second and third disagree with the order, and share their mean."""
    pairs = [(0.1, False), (0.2, True), (0.4, False), (0.6, True), (0.8, True)]
    # Steps of one value of accuracy are one step; a point stands in the middle of its step.
    assert isotonic_curve(pairs, step_values=1) == Curve((0.1, 0.3, 0.7), (0.0, 0.5, 1.0))


def test_pooling_goes_back_as_far_as_it_has_to() -> None:
    pairs = [(0.1, False), (0.2, True), (0.3, True), (0.4, False), (0.5, False)]
    assert isotonic_curve(pairs, step_values=1) == Curve((0.1, 0.35), (0.0, 0.5))


def test_small_steps_join_others() -> None:
    pairs = [(0.1, False), (0.2, True), (0.4, False), (0.6, True), (0.8, True)]
    assert isotonic_curve(pairs, step_values=2) == Curve((0.233333, 0.7), (0.3333, 1.0))
    assert isotonic_curve(pairs, step_values=9) == Curve((0.42,), (0.6,))


@given(judgements, st.integers(1, 10))
def test_curves_keep_the_mean(pairs: list[Pair], step_values: int) -> None:
    """At its points, weighted by what they stand for, a curve says how many are right: no more, no less."""
    curve = isotonic_curve(pairs, step_values)
    right = sum(correct for _, correct in pairs) / len(pairs)
    assert curve.calibrated[0] - 1e-4 <= right <= curve.calibrated[-1] + 1e-4
    assert all(low < high for low, high in pairwise(curve.raw))


def overconfident(values: int) -> list[Judged]:
    """Right as often as the square of their confidence says, on listings of two values; no luck involved."""
    return [
        Judged(str(k // 2), "span/title", conf, (k * 0.618) % 1 < conf**2)
        for k in range(values)
        for conf in [(k * 0.7548) % 1]
    ]


def test_fitting_puts_overconfidence_right() -> None:
    values = overconfident(4000)
    before = reliability([(v.confidence, v.correct) for v in values]).ece
    after = reliability([(v.confidence, v.correct) for v in cross_calibrated(values)]).ece
    assert before == pytest.approx(1 / 6, abs=0.02)  # the mean of c - c²
    assert after < 0.03
    curve = fit({"span/title": [(v.confidence, v.correct) for v in values]}).curves["span/title"]
    assert [curve(c) for c in (0.2, 0.5, 0.8)] == pytest.approx([0.04, 0.25, 0.64], abs=0.05)


def test_kinds_with_few_values_get_no_curve() -> None:
    pairs = [(0.5, True)] * 300
    assert set(fit({"span/title": pairs, "choice/title": pairs[:-1]}).curves) == {"span/title"}


def test_cross_calibration_never_asks_the_listing_itself() -> None:
    """One listing's values are all right, all others' wrong: fitted without it, nothing speaks for it."""
    others = [Judged(str(k), "span/title", 0.9, False) for k in range(1, 2000)]
    values = [*[Judged("0", "span/title", 0.9, True)] * 50, *others]
    assert {value.confidence for value in cross_calibrated(values)[:50]} == {0.0}


def test_values_keep_their_order_and_judgement() -> None:
    values = overconfident(1000)
    put_right = cross_calibrated(values)
    assert [v._replace(confidence=0) for v in put_right] == [v._replace(confidence=0) for v in values]
    assert calibrated(values, UNCALIBRATED) == values


# -- listings that nobody knows by heart ---------------------------------------------------------------------

TEAS = [
    GoldRecord("1", "Tea", {"Brand": ["Acme"], "Flavor": ["Mint"]}, "Acme Tea Mint", "Fresh."),
    GoldRecord("2", "Tea", {"Brand": ["Acme"], "Flavor": ["Lemon"]}, "Acme Tea", "With Lemon."),
    GoldRecord("3", "Tea", {"Brand": ["Bolt"], "Flavor": None}, "Bolt Tea"),
]


def test_a_value_of_one_listing_alone_is_exchanged() -> None:
    assert renewed(TEAS) == [
        # "Acme" is known from another listing; "Bolt" has no other brand of a single listing to be exchanged for.
        GoldRecord("1", "Tea", {"Brand": ["Acme"], "Flavor": ["Lemon"]}, "Acme Tea Lemon", "Fresh."),
        GoldRecord("2", "Tea", {"Brand": ["Acme"], "Flavor": ["Mint"]}, "Acme Tea", "With Mint."),
        TEAS[2],
    ]


@pytest.mark.parametrize(
    ("flavors", "title"),
    [
        (["Mint", "mint"], "Mint Tea, mint"),
        (["Mint"], "Mint Tea Mint"),
        (["Mint"], "Minty Tea"),
        (["Mint"], "Mint not Lemon"),
        (["Acme Mint"], "Acme Mint Tea"),
    ],
)
def test_what_could_tear_the_text_stays(flavors: list[str], title: str) -> None:
    record = GoldRecord("1", "Tea", {"Brand": ["Acme"], "Flavor": flavors}, title)
    other = GoldRecord("2", "Tea", {"Flavor": ["Lemon"]}, "Lemon Tea")
    assert renewed([record, other])[0] == record


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4, unique=True), max_size=6))
def test_renewed_values_stand_in_the_renewed_text(words: list[list[str]]) -> None:
    gold = [
        GoldRecord(str(k), "Tea", {f"x{n}": [word] for n, word in enumerate(listing)}, " ".join(listing))
        for k, listing in enumerate(words)
    ]
    for record, was in zip(renewed(gold), gold, strict=True):
        assert record.title.split() == [
            value for forms in record.attributes.values() for value in forms or ()
        ]
        assert (record.id, set(record.attributes)) == (was.id, set(was.attributes))


# -- models --------------------------------------------------------------------------------------------------


PROMPTS = {task: f"{task}@embedded-v1" for task in ("route", "attributes", "repair")}


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    """A model folder without weights: nothing here loads them."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 4096}')
    (folder / "extractor.json").write_text(json.dumps({"prompts": PROMPTS}))
    return load_model_info(str(folder))


def test_a_calibration_travels_with_its_model(model: ModelInfo) -> None:
    calibration = Calibration({"span/title": CURVE}, ("oamine",))
    path = keep(calibration, Path(model.source))
    loaded = load_model_info(model.source)
    assert (model.calibration, loaded.calibration) == (UNCALIBRATED, calibration)
    assert loaded.prompts == PROMPTS
    # Another calibration makes other outcomes.
    assert loaded.hash != model.hash
    assert path == Path(model.source, "extractor.json")


def test_a_broken_calibration_is_one_line(model: ModelInfo) -> None:
    Path(model.source, "extractor.json").write_text('{"calibration": {"curves": {}}}')
    with pytest.raises(
        ConfigError, match=r'extractor.json: "calibration" is not what .* calibrate the model'
    ):
        load_model_info(model.source)


def test_the_shipped_model_is_calibrated() -> None:
    assert "span/title" in load_model_info().calibration.curves


# -- the whole way -------------------------------------------------------------------------------------------


def sure(text: str, probability: float) -> Completion:
    """An answer whose value is one token of this probability."""
    logprob = math.log(probability)
    before, after = '{"Brand":', "}"
    value = text.removeprefix(before).removesuffix(after)
    tokens = (TokenLogprob(before, 0.0), TokenLogprob(value, logprob), TokenLogprob(after, 0.0))
    return Completion(text, tokens=tokens)


def guessing(model: ModelInfo) -> ScriptedEngine:
    """Says "Acme" with 0.9, whatever the listing; half of them are."""
    return ScriptedEngine(lambda _: sure('{"Brand":"Acme"}', 0.9), model=model)


def listings(number: int) -> list[dict[str, object]]:
    brands = ("Acme", "Bolt")
    return [
        {
            "id": str(k),
            "title": f"Acme Tea {k}" if brand == "Acme" else f"{brand} Tea {k}, no Acme",
            "category": "Tea",
            "attributes": {"Brand": [brand]},
        }
        for k in range(number)
        for brand in [brands[k % 2]]
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "train.jsonl", *listings(400))
    return tmp_path


TINY = Suite(name="tiny", about="", gold=Path("test.jsonl"), train=Path("train.jsonl"))


def test_a_model_learns_how_right_it_is(tmp_path: Path, data: Path, model: ModelInfo) -> None:
    fitted = fit_calibration([TINY], data, tmp_path / "out", guessing(model))
    assert fitted.calibration == Calibration({"span/title": Curve((0.9,), (0.5,))}, ("tiny",))
    report = fitted.to_json()
    assert report["suites"] == {"tiny": {"values": 400, "ece_before": 0.4, "ece_after": 0.0}}
    assert (report["values"], report["kinds"]) == (400, {"span/title": 400})
    # A second look costs nothing.
    again = fit_calibration([TINY], data, tmp_path / "out", ScriptedEngine([], model=model))
    assert again == fitted


def first_confidence(data: Path, out: Path, engine: ScriptedEngine, *, calibrated: bool = True) -> float:
    run_suite(
        Suite(name="tiny", about="", gold=Path("train.jsonl")),
        data,
        out,
        lambda: engine,
        calibrated=calibrated,
    )
    return open_eval_run(out).outcomes["0"].values[0].confidence


def test_calibration_is_applied_unless_it_is_not_wanted(tmp_path: Path, data: Path, model: ModelInfo) -> None:
    assert first_confidence(data, tmp_path / "without", guessing(model)) == 0.9
    keep(Calibration({"span/title": Curve((0.9,), (0.5,))}), Path(model.source))
    engine = guessing(load_model_info(model.source))
    assert first_confidence(data, tmp_path / "with", engine) == 0.5
    assert first_confidence(data, tmp_path / "raw", engine, calibrated=False) == 0.9


def test_a_model_that_never_saw_the_held_out_tenth_is_judged_by_it(
    tmp_path: Path, data: Path, model: ModelInfo
) -> None:
    write(data / "train.jsonl", *listings(4000))
    fitted = fit_calibration([TINY], data, tmp_path / "out", guessing(model), held_out_only=True)
    assert {value.product_id for value in fitted.raw["tiny"]} == {
        str(k) for k in range(4000) if held_out(str(k))
    }


def test_suites_without_training_gold_or_with_little_are_refused(
    tmp_path: Path, data: Path, model: ModelInfo
) -> None:
    without = Suite(name="tiny", about="", gold=Path("train.jsonl"))
    with pytest.raises(ConfigError, match="suite tiny: has no train file"):
        fit_calibration([without], data, tmp_path / "out", guessing(model))
    write(data / "train.jsonl", *listings(10))
    with pytest.raises(ConfigError, match="10 judged values are too few to fit on"):
        fit_calibration([TINY], data, tmp_path / "out", guessing(model))


@pytest.fixture
def arguments(data: Path) -> tuple[object, ...]:
    """`eval calibrate` on a suite of 400 training listings, whose brands are all said to be Acme."""
    (data / "suites").mkdir()
    (data / "suites" / "tiny.toml").write_text(
        'name = "tiny"\nabout = ""\ngold = "t"\ntrain = "train.jsonl"\n'
    )
    answers = write(data / "answers.jsonl", *({"id": str(k), "text": '{"Brand":"Acme"}'} for k in range(400)))
    options = ("--suites", data / "suites", "--data", data, "--engine", "scripted", "--model", answers)
    return ("eval", "calibrate", "tiny", *options)


def test_calibrate_prints_one_json_object(arguments: tuple[object, ...]) -> None:
    ended = command(*arguments, "--dry-run", "--json")
    report = json.loads(ended.out)
    assert (ended.code, report["model"], report["written"]) == (0, "answers.jsonl", None)
    assert report["suites"] == {"tiny": {"values": 400, "ece_before": 0.0, "ece_after": 0.0}}
    assert report["coverage"][5] == {"threshold": 0.5, "precision": 0.5, "coverage": 1.0}


def test_calibrate_shows_a_table(arguments: tuple[object, ...]) -> None:
    ended = command(*arguments, "--dry-run")
    assert (ended.code, ended.out) == (0, "")
    assert "ECE calibrated" in ended.err and "not written" in ended.err


def test_a_model_without_a_folder_cannot_keep_a_calibration(
    arguments: tuple[object, ...], tmp_path: Path
) -> None:
    ended = command(*arguments, "--out", tmp_path / "out")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no model folder to keep a calibration in" in ended.err
    assert not (tmp_path / "out").exists()
