"""The gate: what a baseline holds, what passes, and what the commands do with finished runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from evaluation_runs import eval_run
from test_cli import command
from test_gold_files import write

from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError
from extractor.evaluation.gate import Baseline, make_baseline, pass_gate, read_baseline, write_baseline
from extractor.evaluation.suite import run_suite
from extractor.evaluation.suite_file import Suite
from extractor.gold import GoldRecord, Values
from extractor.records import Request

GOLD = [
    GoldRecord("1", "Shoes", {"Brand": ["Acme"], "Color": ["Red"], "Size": None}),
    GoldRecord("2", "Shoes", {"Brand": ["Bolt"]}),
]
PREDICTED: Mapping[str, Mapping[str, Values]] = {
    "1": {"Brand": ["Acme"], "Color": ["blue"], "Size": ["8"]},
    "2": {"Brand": ["Bolt"], "Size": ["9"]},
}


def test_a_baseline_holds_counts_and_what_made_them(tmp_path: Path) -> None:
    baseline = make_baseline(eval_run(GOLD, PREDICTED), "tiny")
    assert baseline.records == {"1": (1, 3, 2, 0), "2": (1, 1, 1, 1)}
    assert baseline.made_by == {
        "prompts": {"attributes": {"id": "attributes@v1", "hash": ""}},
        "model": "tiny",
        "model_hash": "0",
    }
    np.testing.assert_equal(baseline.sums("paper", ["2", "1"]), [[1, 1, 1, 1], [1, 1, 3, 2]])
    np.testing.assert_equal(baseline.sums("strict", ["2", "1"]), [[1, 1, 2, 1], [1, 1, 3, 2]])
    path = write_baseline(tmp_path / "baselines", baseline)
    assert '\n  "1": [1, 3, 2, 0],\n  "2": [1, 1, 1, 1]\n' in path.read_text("utf-8")
    assert read_baseline(tmp_path / "baselines", "tiny") == baseline


def shoes(count: int) -> list[GoldRecord]:
    return [GoldRecord(str(i), "Shoes", {"Brand": ["Acme"], "Color": ["Red"]}) for i in range(count)]


def predictions(count: int, without_color: int = 0, invented: int = 0) -> dict[str, dict[str, Values]]:
    """Right, but for the color of the first listings, and a size that the last ones do not state."""
    return {
        str(i): {
            "Brand": ["Acme"],
            "Color": None if i < without_color else ["Red"],
            "Size": ["9"] if i >= count - invented else None,
        }
        for i in range(count)
    }


@pytest.mark.parametrize(
    ("listings", "without_color", "invented", "worse"),
    [
        (200, 0, 0, False),
        # Few listings that differ are no proof, be the suite large or small.
        (200, 5, 0, False),
        (5, 5, 0, False),
        (200, 6, 0, True),
        # Invented values are seen by the strict protocol alone.
        (200, 0, 10, True),
    ],
)
def test_only_what_is_significantly_worse_is_stopped(
    listings: int, without_color: int, invented: int, worse: bool
) -> None:
    gold, offered = shoes(listings), {"Shoes": ["Brand", "Color", "Size"]}
    before = eval_run(gold, predictions(listings), offered=offered)
    after = eval_run(gold, predictions(listings, without_color, invented), offered=offered)
    passage = pass_gate(make_baseline(before, "tiny"), after)
    assert passage.worse is worse
    assert ("this run is worse than the baseline: " in passage.verdict) is worse
    # Better is no reason to stop.
    assert not pass_gate(make_baseline(after, "tiny"), before).worse


def test_a_baseline_of_other_gold_is_refused() -> None:
    baseline = make_baseline(eval_run(GOLD, PREDICTED), "tiny")
    with pytest.raises(ConfigError, match=r"not those of the baseline \(1 and 2 records\); .* --update"):
        pass_gate(baseline, eval_run(GOLD[:1], PREDICTED))
    with pytest.raises(ConfigError, match="a run of suite 'other'; give one of 'tiny'"):
        pass_gate(baseline, eval_run(GOLD, PREDICTED, suite="other"))
    cut = Baseline(**{**baseline.model_dump(), "records": {"1": (1, 1, 1, 0)}})
    with pytest.raises(ConfigError, match="not the listings of its gold"):
        pass_gate(cut, eval_run(GOLD, PREDICTED))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; write it with `extractor eval gate tiny --update`"),
        ("{", "line 1: .*; correct the JSON"),
        ("{}", "has no suite; add it"),
        (
            '{"suite": "tiny", "gold_hash": "", "made_by": {}, "records": {"1": [1]}}',
            "has no records.1.1; add it",
        ),
        (
            '{"suite": "tiny", "gold_hash": "", "made_by": {}, "records": {"1": [1, 0, 1, 0]}}',
            "more values right",
        ),
    ],
)
def test_a_broken_baseline_is_told_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tiny.json").write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        read_baseline(tmp_path, "tiny")
    assert "\n" not in str(caught.value)


# --- commands


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs of one suite; the second one has lost the colors."""
    folder = tmp_path_factory.mktemp("runs")
    rows = [
        {"id": str(i), "title": f"Acme Shoe {i} Red", "category": "Shoes"}
        | {"attributes": {"Brand": ["Acme"], "Color": ["Red"]}}
        for i in range(30)
    ]
    write(folder / "gold.jsonl", *rows)
    suite = Suite(name="tiny", about="", gold="gold.jsonl")

    def with_color(request: Request) -> str:
        return '{"Brand":"Acme","Color":"Red"}'

    def without_color(request: Request) -> str:
        return '{"Brand":"Acme"}'

    for name, answer in (("before", with_color), ("after", without_color)):
        run_suite(suite, folder, folder / name, lambda answer=answer: ScriptedEngine(answer))
    return folder


def test_eval_compare_prints_one_json_object(runs: Path) -> None:
    ended = command("eval", "compare", runs / "before", runs / "after", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert found["suite"] == "tiny" and found["records"] == 30
    assert found["verdict"].startswith("after is worse than before: paper F1 -33.33 (95 % ")
    assert [(each["name"], each["b"]) for each in found["slices"]] == [
        ("Color", 0.0),
        ("Shoes", 66.6667),
        ("Brand", 100.0),
    ]
    assert len(found["changes"]) == 30


def test_eval_compare_tells_people_and_writes_a_page(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ended = command(
        "eval", "compare", runs / "before", runs / "after", "--protocol", "strict", "--html", page
    )
    assert (ended.code, ended.out) == (0, "")
    assert "after is worse than before: strict F1 -33.33" in ended.err
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_eval_compare_refuses_what_is_no_eval_run(runs: Path, tmp_path: Path) -> None:
    ended = command("eval", "compare", runs / "before", tmp_path)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


def test_eval_gate_writes_a_baseline_and_stops_what_is_worse(runs: Path, tmp_path: Path) -> None:
    folder = ("--baselines", tmp_path / "baselines")
    missing = command("eval", "gate", "tiny", "--run", runs / "before", *folder)
    assert missing.code == 2 and "--update" in missing.err
    updated = command("eval", "gate", "tiny", "--run", runs / "before", "--update", "--json", *folder)
    assert (updated.code, json.loads(updated.out)) == (
        0,
        {"baseline": str(tmp_path / "baselines" / "tiny.json")},
    )

    same = command("eval", "gate", "tiny", "--run", runs / "before", *folder)
    assert same.code == 0 and "no difference shown between the baseline and this run" in same.err
    worse = command("eval", "gate", "tiny", "--run", runs / "after", "--json", *folder)
    assert worse.code == 1
    passage = json.loads(worse.out)
    assert passage["worse"] and passage["differences"]["paper"]["p"] < 0.001
    assert "Traceback" not in worse.err


def test_eval_gate_runs_the_suite_itself(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text('name = "tiny"\nabout = "Shoes."\ngold = "gold.jsonl"\n', "utf-8")
    answers = write(
        tmp_path / "answers.jsonl", *[{"id": str(i), "text": '{"Brand":"Acme"}'} for i in range(30)]
    )
    where = ("--suites", tmp_path, "--data", runs, "--baselines", tmp_path)
    engine = ("--engine", "scripted", "--model", answers)
    assert command("eval", "gate", "tiny", "--run", runs / "before", "--update", *where).code == 0
    ended = command("eval", "gate", "tiny", *where, *engine)
    assert ended.code == 1
    assert "this run is worse than the baseline: paper F1 -33.33" in ended.err
