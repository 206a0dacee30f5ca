"""Routing from labelled listings: fit, kept in a folder, opened by a run; wrong rows are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import in_turn
from typer.testing import CliRunner

from extractor.cli import app
from extractor.config import RunConfig
from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError
from extractor.fitting import fit_folder
from extractor.journal import read_outcomes
from extractor.records import UNKNOWN_CATEGORY, Product, Request
from extractor.route import find_router
from extractor.run import run

AISLES = {
    ("Food", "Tea"): ("green tea", "masala chai", "earl grey", "oolong leaves"),
    ("Food", "Biscuits"): ("butter cookies", "digestive", "cream crackers", "shortbread"),
    ("Home", "Buckets"): ("mop bucket", "steel pail", "bath tub", "garden bucket"),
    ("Home", "Lamps"): ("desk lamp", "night light", "lantern", "floor lamp"),
}
NODES = [
    {"id": "f", "path": ["Food"], "parent": None},
    {"id": "h", "path": ["Home"], "parent": None},
    {"id": "f1", "path": ["Food", "Tea"], "parent": "f"},
    {"id": "f2", "path": ["Food", "Biscuits"], "parent": "f"},
    {"id": "h1", "path": ["Home", "Buckets"], "parent": "h"},
    {"id": "h2", "path": ["Home", "Lamps"], "parent": "h"},
    # Nothing in the feed is of it: it is found by its name.
    {"id": "h3", "path": ["Home", "Curtains"], "parent": "h"},
]


def listings(of_each: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{path[1]}-{k}", "title": f"Acme {kinds[k % 4]} no. {k}", "category_path": list(path)}
        for path, kinds in AISLES.items()
        for k in range(of_each)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def fit(folder: Path, of_each: int = 240, **options: Any) -> Any:
    feed = write(folder / "feed.jsonl", listings(of_each))
    return fit_folder([str(feed)], write(folder / "shop.jsonl", NODES), folder / "fitted", **options)


def test_a_fitted_router_is_kept_and_opened(tmp_path: Path) -> None:
    fitted = fit(tmp_path)
    assert (fitted.examples, fitted.categories, fitted.compared) == (960, 7, None)
    assert fitted.validation.listings > 100
    assert (fitted.validation.leaf, fitted.validation.top) == (100.0, 100.0)
    router = find_router(tmp_path / "fitted")
    products = [Product(f"{k}", f"Acme {kinds[k % 4]} {k}") for kinds in AISLES.values() for k in range(9)]
    assert [router.route([product])[0] for product in products] == router.route(products)
    routings = router.route([Product("1", "Acme oolong leaves no. 7"), Product("2", "Acme steel pail")])
    assert [found.choice and found.choice.id for found in routings] == ["f1", "h1"]
    assert find_router(tmp_path / "fitted").hash == router.hash != find_router(tmp_path / "shop.jsonl").hash


def test_confidence_is_the_share_that_is_right(tmp_path: Path) -> None:
    rows = listings(300)
    for k, row in enumerate(rows):  # of 240 titles that say nothing three in four are tea
        if row["category_path"][0] == "Food" and k % 5 < (3 if row["category_path"][1] == "Tea" else 1):
            row["title"] = "Acme special"
    feed = write(tmp_path / "feed.jsonl", rows)
    fit_folder([str(feed)], write(tmp_path / "shop.jsonl", NODES), tmp_path / "fitted")
    router = find_router(tmp_path / "fitted")
    unsure, sure = router.route([Product("1", "Acme special"), Product("2", "Acme steel pail")])
    assert unsure.choice is not None and sure.choice is not None
    assert (unsure.choice.id, sure.choice.id) == ("f1", "h1")
    assert unsure.choice.confidence == pytest.approx(0.75, abs=0.1)
    assert sure.choice.confidence > 0.97


def test_a_category_without_examples_is_found_by_its_name(tmp_path: Path) -> None:
    fitted = fit(tmp_path, of_each=3)
    assert fitted.validation is None
    [found] = find_router(tmp_path / "fitted").route([Product("1", "Acme curtains")])
    assert found.candidates[0].category.id == "h3"


def test_what_is_like_no_example_is_unknown(tmp_path: Path) -> None:
    fit(tmp_path)
    [found] = find_router(tmp_path / "fitted").route([Product("1", "Zorbo quantum flux capacitor")])
    assert found.choice == UNKNOWN_CATEGORY


def test_a_category_that_has_others_below_it_can_be_an_answer(tmp_path: Path) -> None:
    rows = [
        *listings(60),
        *({"id": f"g{k}", "title": f"Gift voucher {k}", "category": "h"} for k in range(60)),
    ]
    feed = write(tmp_path / "feed.jsonl", rows)
    fit_folder([str(feed)], write(tmp_path / "shop.jsonl", NODES), tmp_path / "fitted")
    router = find_router(tmp_path / "fitted")
    found = router.route([Product("1", "Gift voucher"), Product("2", "Acme desk lamp")])
    assert [one.choice and one.choice.id for one in found] == ["h", "h2"]


def test_probabilities_of_the_top_categories_add_up(tmp_path: Path) -> None:
    fit(tmp_path)
    router = find_router(tmp_path / "fitted")
    rows = router.probabilities([Product("1", "tea"), Product("2", "lamp"), Product("3", "")])
    assert np.allclose(rows[:, np.unique(router.layout.tops)].sum(axis=1), 1, atol=1e-4)
    assert np.allclose(rows[:, router.layout.terminals].sum(axis=1), 1, atol=1e-4)


def test_a_run_routes_by_it(tmp_path: Path) -> None:
    fit(tmp_path)
    feed = write(tmp_path / "new.jsonl", [{"id": "x", "title": "Acme shortbread"}])
    config = RunConfig(feeds=(str(feed),), out=tmp_path / "run", taxonomy=tmp_path / "fitted")
    run(config, engine=in_turn({}))
    [outcome] = read_outcomes(tmp_path / "run")
    assert (outcome.category.id, outcome.category.path) == ("f2", ("Food", "Biscuits"))


def test_the_better_one_decides_where_the_router_is_unsure(tmp_path: Path) -> None:
    rows = listings(240)
    for k, row in enumerate(rows):  # half of the titles of each aisle say nothing
        if k % 2:
            row["title"] = "Acme special"
    right = {row["id"]: json.dumps(row["category_path"][1]) for row in rows}
    feed = write(tmp_path / "feed.jsonl", rows)
    shop = write(tmp_path / "shop.jsonl", NODES)

    def knows(request: Request) -> str:
        return right[request.id]

    told = fit_folder([str(feed)], shop, tmp_path / "told", engine=ScriptedEngine(knows))
    assert told.compared is not None
    assert told.to_json()["decided_by"] == "model"
    assert (told.compared.model, told.compared.router < 100) == (100.0, True)
    wrong = fit_folder([str(feed)], shop, tmp_path / "wrong", engine=ScriptedEngine(lambda _: '"unknown"'))
    assert wrong.to_json()["decided_by"] == "router"
    unsure = Product("1", "Acme special")
    asked, decided = (find_router(tmp_path / name).route([unsure])[0] for name in ("told", "wrong"))
    assert (asked.choice, decided.choice is None) == (None, False)


WRONG_ROWS = [
    ({"title": "x", "category_path": ["Food", "Coffee"]}, "the taxonomy has no category 'Food > Coffee'"),
    ({"title": "x", "category": "f9"}, "the taxonomy has no category 'f9'"),
    ({"title": "x"}, "has no category"),
    ({"title": "", "category": "f1"}, "title"),
]


@pytest.mark.parametrize(("row", "message"), WRONG_ROWS)
def test_wrong_rows_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    feed = write(tmp_path / "feed.jsonl", [*listings(1), {"id": "w", **row}])
    shop = write(tmp_path / "shop.jsonl", NODES)
    ended = CliRunner().invoke(
        app,
        ["route", "fit", "--examples", f"{feed}", "--taxonomy", f"{shop}", "--out", f"{tmp_path / 'out'}"],
    )
    assert isinstance(ended.exception, ConfigError)
    assert str(ended.exception).startswith("feed.jsonl:5: ")
    assert message in str(ended.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_taxonomy_is_left_alone(tmp_path: Path) -> None:
    fit(tmp_path, of_each=3)
    feed = write(tmp_path / "feed.jsonl", listings(3))
    other = write(tmp_path / "other.jsonl", NODES[:-1])
    with pytest.raises(ConfigError, match="holds another taxonomy; choose another --out"):
        fit_folder([str(feed)], other, tmp_path / "fitted")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("router.json", b"{", "correct the JSON"),
        ("router.json", b'{"format": 1}', "has no taxonomy"),
        ("router.npz", b"no numbers", "is not what `extractor route fit` wrote"),
        ("router.npz", b"", "is not what `extractor route fit` wrote"),
        ("taxonomy.jsonl", b'{"id":"a","path":["A"]}\n', "taxonomy.jsonl is not the one it was fitted with"),
    ],
)
def test_a_broken_folder_is_told_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    fit(tmp_path, of_each=3)
    (tmp_path / "fitted" / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        find_router(tmp_path / "fitted")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
