"""Suites that measure something else than extraction: what they print and write, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_brands import DOVE, DOVE_CHOCOLATE, HP, write
from test_cli import command

from extractor.errors import ConfigError
from extractor.evaluation.suite_file import TaskSuite, load_any, load_suite, suite_names
from extractor.evaluation.tasks import run_task

SUITES = Path("eval/suites")
LINKS = TaskSuite(
    name="links", about="", task="brand-links", inputs={"gold": "pairs.jsonl", "registry": "brands.jsonl"}
)


def pair(
    number: int, mention: str, brand: str | None, category: str = "unknown", part: str = "test"
) -> object:
    row = {"id": str(number), "mention": mention, "category": category, "brand": brand}
    return {**row, "kind": "any", "part": part}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "brands.jsonl", HP, DOVE, DOVE_CHOCOLATE)
    write(
        tmp_path / "pairs.jsonl",
        pair(1, "HP Inc.", "hp"),
        pair(2, "Hewlet Packard", "hp"),
        pair(3, "HP", None),
        pair(4, "Anker", None),
        pair(5, "Dove", "dove", "grocery.snacks"),
        pair(6, "Dove", "dove", "beauty.bath_body", part="tune"),
    )
    return tmp_path


def test_pairs_are_counted_by_part(data: Path) -> None:
    out = data / "out"
    scores = run_task(LINKS, data, out)
    assert scores == {
        "suite": "links",
        "task": "brand-links",
        "records": 6,
        "parts": {
            "test": {
                "records": 5,
                **{"precision": 33.33, "recall": 33.33, "f1": 33.33},
                **{"nn": 1, "nv": 1, "vn": 1, "vc": 1, "vw": 1},
            },
            "tune": {
                "records": 1,
                **{"precision": 100.0, "recall": 100.0, "f1": 100.0},
                **{"nn": 0, "nv": 0, "vn": 0, "vc": 1, "vw": 0},
            },
        },
        "out_dir": str(out),
    }
    assert json.loads((out / "scores.json").read_text("utf-8")) == scores
    mistakes = [json.loads(line) for line in (out / "mistakes.jsonl").read_text("utf-8").splitlines()]
    assert [(row["mention"], row["found"], row["rule"]) for row in mistakes] == [
        ("Hewlet Packard", None, "new brand"),
        ("HP", "hp", "name"),
        ("Dove", "dove-chocolate", "name"),
    ]


def test_a_pair_of_an_unknown_brand_is_refused(data: Path) -> None:
    write(data / "pairs.jsonl", pair(1, "HP", "hewlett"))
    with pytest.raises(ConfigError, match=r"pairs\.jsonl:1: no brand 'hewlett' in .*brands\.jsonl"):
        run_task(LINKS, data, data / "out")
    assert not (data / "out").exists()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"task": "weather"}, "suite links: no task 'weather'; there are .*brand-links"),
        ({"inputs": {"gold": Path("none.jsonl")}}, r"suite links: .*none\.jsonl is not there"),
    ],
)
def test_a_wrong_task_suite_is_refused(data: Path, changed: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run_task(LINKS.model_copy(update=changed), data, data / "out")


def test_extraction_has_no_use_for_a_task_suite() -> None:
    assert isinstance(load_any(SUITES, "brand-links"), TaskSuite)
    with pytest.raises(ConfigError, match="suite brand-links: measures brand-links, no extraction; only"):
        load_suite(SUITES, "brand-links")
    assert "brand-links" in suite_names(SUITES)


def test_our_pairs_keep_what_was_reached(tmp_path: Path) -> None:
    """Precision 98 at recall 90 on the half that nothing was tuned on; 300 pairs and more, no data folder."""
    run = command("eval", "run", "brand-links", "--out", tmp_path / "out", "--data", "nowhere", "--json")
    test = json.loads(run.out)["parts"]["test"]
    assert (run.code, test["records"] >= 300) == (0, True)
    assert (test["precision"] >= 98, test["recall"] >= 90) == (True, True)
    assert test["nn"] >= 100
    table = command("eval", "run", "brand-links", "--out", tmp_path / "out")
    assert (table.code, table.out) == (0, "")
    assert "tune" in table.err
