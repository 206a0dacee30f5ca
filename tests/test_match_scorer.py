"""Fitting a scorer on labelled pairs, keeping it in a folder, and measuring it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_graph_cli import graph

from extractor.errors import ConfigError
from extractor.evaluation.clusters import b_cubed
from extractor.evaluation.suite_file import TaskSuite
from extractor.evaluation.tasks import run_task
from extractor.match.fit import tune_bands
from extractor.match.listing import Listing
from extractor.match.pairs import read_pairs
from extractor.match.score import Bands, Scorer, shipped_scorer
from extractor.match.table import build_table

MAKES = ("Nuvia", "Velora", "Bramwell", "Tarn", "Okapi")
KINDS = ("lamp", "kettle", "drill", "radio")


def labelled(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Pairs of listings of made-up products, half of them of one product."""
    pairs = []
    for number in range(start, start + count):
        make, kind, same = MAKES[number % 5], KINDS[number % 4], number % 2
        code, other = f"{make[:2]}{100 + number}", f"{make[:2]}{100 + number + (1 - same)}"
        left = {"title": f"{make} {kind} {code} black", "price": "19.90"}
        right = {"name": f"{kind} by {make} ({other})", "manufacturer": make, "price": "0.0"}
        pairs.append({"id": f"pair {number}", "left": left, "right": right, "label": same})
    return pairs


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_forms_of_pairs(tmp_path: Path) -> None:
    rows = [
        {
            "id": "1",
            "left": {"title": "lds4821ww COL price VAL", "modelno": "LX-1", "price": "0.0"},
            "right": {"Beer_Name": "Red Ale", "Brew_Factory_Name": "Tarn", "ABV": "5 %"},
            "label": 0,
        },
        {
            "id": "2",
            "left": {"name": '"Kamera X"@de "Null"', "description": "d", "price": "9.5"},
            "right": {"title": "lds4821ww", "modelno": "LX-1"},
            "label": 1,
        },
    ]
    pairs = read_pairs(write(tmp_path / "p.jsonl", rows))
    assert pairs.listings == [
        Listing("0", "lds4821ww LX-1"),
        Listing("1", "Red Ale 5 %", brand="Tarn"),
        Listing("2", '"Kamera X', "d", price=9.5),
    ]
    assert (pairs.left.tolist(), pairs.right.tolist(), pairs.labels.tolist()) == ([0, 2], [1, 0], [0, 1])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label": 2}, ":1: label is 2; write 1 (same product) or 0"),
        ({"left": "x"}, ":1: left is no object; write the listing's fields"),
        ({"right": {"price": "1"}}, ":1: right has no title; add one"),
    ],
)
def test_broken_pairs(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [labelled(1)[0] | change])
    with pytest.raises(ConfigError) as raised:
        read_pairs(path)
    assert str(raised.value) == f"{path}{complaint}"


def test_bands_come_from_what_is_known() -> None:
    probabilities = np.array([0.9, 0.8, 0.6, 0.4, 0.3, 0.1])
    bands = [
        tune_bands(probabilities, np.array(labels)) for labels in ([1, 1, 0, 1, 0, 0], [1, 1, 0, 0, 0, 1])
    ]
    assert [(round(b.same, 2), round(b.ask, 2)) for b in bands] == [(0.35, 0.35), (0.7, 0.05)]
    with pytest.raises(ValueError, match="ask <= same"):
        Bands(same=0.3, ask=0.7)


def test_a_scorer_is_fitted_kept_and_read_again(tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.jsonl", labelled(400))
    code, out, err = graph("match-fit", "--pairs", pairs, "--out", tmp_path / "scorer", "--json")
    found = json.loads(out)
    assert (code, err, found["train"] + found["valid"]) == (0, "", 400)
    assert found["f1"] > 90
    scorer = Scorer.load(tmp_path / "scorer")
    again = tmp_path / "again"
    scorer.save(again)
    table = build_table([Listing("a", "Nuvia lamp Nu100"), Listing("b", "lamp by Nuvia (Nu100)")])
    left, right = np.array([0]), np.array([1])
    assert Scorer.load(again).hash == scorer.hash != shipped_scorer().hash
    assert scorer.probabilities(table, left, right) == Scorer.load(again).probabilities(table, left, right)
    graph("match-fit", "--pairs", pairs, "--out", tmp_path / "twice")
    assert Scorer.load(tmp_path / "twice").hash == scorer.hash


def test_pairs_of_one_label_fit_nothing(tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.jsonl", [row for row in labelled(60) if row["label"]])
    code, _, err = graph("match-fit", "--pairs", pairs, "--out", tmp_path / "scorer")
    told = "train pairs: all have one label; give some that are the same product and some that are not\n"
    assert (code, err) == (2, told)
    assert not (tmp_path / "scorer").exists()


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda folder: (folder / "scorer.json").write_text("{"), "scorer.json: line 1"),
        (lambda folder: (folder / "scorer.json").write_text("[]"), "no scorer"),
        (lambda folder: (folder / "arrays.npz").write_bytes(b"PK"), "no scorer"),
        (lambda folder: (folder / "arrays.npz").unlink(), "no scorer"),
        (lambda folder: np.savez(folder / "arrays.npz", words=np.zeros(3)), "no scorer"),
        (
            lambda folder: np.savez(
                folder / "arrays.npz", words=np.array([{}], dtype=object), allow_pickle=True
            ),
            "no scorer",
        ),
    ],
)
def test_a_folder_that_is_no_scorer(break_it: Any, complaint: str, tmp_path: Path) -> None:
    shipped_scorer().save(tmp_path)
    break_it(tmp_path)
    with pytest.raises(ConfigError, match=complaint):
        Scorer.load(tmp_path)


# ---- measuring


def test_b_cubed_by_hand() -> None:
    products = {"a": "1", "b": "1", "c": "1", "d": "2"}
    # a, b together; c with d. Precision (1 + 1 + 1/2 + 1/2) / 4, recall (2/3 + 2/3 + 1/3 + 1) / 4.
    assert b_cubed(products, [["a", "b"], ["c", "d"]]) == {"precision": 75.0, "recall": 66.67, "f1": 70.59}
    # Nobody together: all pure, each product found by its share.
    assert b_cubed(products, []) == {"precision": 100.0, "recall": 50.0, "f1": 66.67}


def test_a_suite_of_pairs(tmp_path: Path) -> None:
    parts = {"train": labelled(200), "valid": labelled(80, 200), "test": labelled(60, 300)}
    for name, rows in parts.items():
        write(tmp_path / f"{name}.jsonl", rows)
    suite = TaskSuite(name="s", about="", task="pairs", inputs={n: Path(f"{n}.jsonl") for n in parts})
    scores = run_task(suite, tmp_path, tmp_path / "out")
    assert scores["records"] == 60
    assert set(scores["parts"]) == {"fitted", "shipped"}
    fitted = scores["parts"]["fitted"]
    assert fitted["f1"] > 90 and fitted["same"] == 30
    mistakes = (tmp_path / "out" / "mistakes.jsonl").read_text("utf-8").splitlines()
    of_fitted = [line for line in mistakes if json.loads(line)["scorer"] == "fitted"]
    assert len(of_fitted) == fitted["missed"] + fitted["spurious"]


def test_a_suite_of_clusters(tmp_path: Path) -> None:
    offers = [
        {
            "id": f"{n} {shop}",
            "cluster_id": n,
            "title": f"{MAKES[n % 5]} {KINDS[n % 4]} {MAKES[n % 5][:2]}{n}77{shop}",
        }
        for n in range(60)
        for shop in ("", " new", " free shipping")
    ]
    write(tmp_path / "offers.jsonl", offers)
    suite = TaskSuite(name="s", about="", task="clusters", inputs={"offers": Path("offers.jsonl")})
    scores = run_task(suite, tmp_path, tmp_path / "out")["parts"]["held out"]
    assert scores["records"] == 3 * scores["products"]
    assert scores["f1"] > 80
