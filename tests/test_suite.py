"""Suites: what their files say, and whole runs on the scripted engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import command
from test_gold_files import write

from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError, EngineError
from extractor.evaluation.runs import hash_gold, open_eval_run
from extractor.evaluation.scoring import score_folder
from extractor.evaluation.suite import run_suite
from extractor.evaluation.suite_file import (
    Suite,
    load_any,
    load_material,
    load_suite,
    missing,
    sampled,
    suite_names,
)
from extractor.gold import GoldRecord
from extractor.records import Completion, Message, Request
from extractor.schema import SchemaStore

SUITES = Path("eval/suites")
SHOES = {
    "id": "1",
    "title": "Acme Shoe Red",
    "category": "Shoes",
    "attributes": {"Brand": ["Acme"], "Color": ["Red"]},
}
BOLT = {
    "id": "2",
    "title": "Bolt Shoe",
    "category": "Shoes",
    "attributes": {"Brand": ["Bolt"], "Color": None},
}
TRAINING = {"id": "t", "title": "Acme Boot", "category": "Shoes", "attributes": {"Brand": ["Acme"]}}
TINY = Suite(name="tiny", about="", gold="gold.jsonl", train="train.jsonl", reference={"gpt": "gpt.jsonl"})


def answer(request: Request) -> str:
    return json.dumps({"Brand": "Acme" if request.id == "1" else "Shoe"})


def asleep() -> ScriptedEngine:
    """An engine that fails when it is asked anything."""
    return ScriptedEngine([])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with all that TINY names."""
    write(tmp_path / "gold.jsonl", SHOES, BOLT)
    write(tmp_path / "train.jsonl", TRAINING)
    write(tmp_path / "gpt.jsonl", {"id": "2", "predicted": {"Brand": "Bolt", "Color": None}})
    return tmp_path


def counts(scores: dict[str, Any]) -> dict[str, int]:
    """Those that are not 0."""
    return {name: count for name, count in scores["paper"]["counts"].items() if count}


# --- runs


def test_a_run_is_scored_beside_its_baselines(data: Path) -> None:
    out = data / "out"
    scores = run_suite(TINY, data, out, lambda: ScriptedEngine(answer), prompt="attributes@v1")
    assert counts(scores) == {"nn": 1, "vn": 1, "vc": 1, "vw": 1}
    # The dictionary has seen no color; what was stored lacks a record.
    assert counts(scores["baselines"]["dictionary"]) == {"nn": 1, "vn": 2, "vc": 1}
    assert counts(scores["baselines"]["gpt"]) == {"nn": 1, "vn": 2, "vc": 1, "failed": 1}
    assert scores == json.loads((out / "scores.json").read_text("utf-8"))
    low, high = scores["paper"]["intervals"]["f1"]
    assert low <= scores["paper"]["micro"]["f1"] <= high


def test_a_run_holds_all_that_comparing_needs(data: Path) -> None:
    out = data / "out"
    run_suite(TINY, data, out, lambda: ScriptedEngine(answer), prompt="attributes@v1", demonstrations=1)
    run = open_eval_run(out)
    gold = [
        GoldRecord("1", "Shoes", {"Brand": ["Acme"], "Color": ["Red"]}, "Acme Shoe Red"),
        GoldRecord("2", "Shoes", {"Brand": ["Bolt"], "Color": None}, "Bolt Shoe"),
    ]
    assert (run.suite, run.gold, run.offered) == ("tiny", gold, {"Shoes": ["Brand", "Color"]})
    assert run.gold_hash == hash_gold(gold, run.offered)
    assert run.predictions == {"1": {"Brand": ["Acme"]}, "2": {"Brand": ["Shoe"]}}
    assert run.baselines == {
        "dictionary": {"1": {"Brand": ["Acme"], "Color": None}, "2": {"Brand": None, "Color": None}},
        "gpt": {"2": {"Brand": ["Bolt"], "Color": None}},
    }
    prompt = run.settings["prompts"]["attributes"]
    assert prompt["text"] == Path("prompts/attributes/v1.toml").read_text("utf-8")
    kept = {name: run.settings[name] for name in ("engine", "model", "sample", "seed", "votes", "calibrated")}
    assert kept == {
        "engine": "scripted",
        "model": "scripted",
        "sample": None,
        "seed": 0,
        "votes": 1,
        "calibrated": True,
    }
    assert run.settings["demonstrations"]["k"] == 1


def test_a_finished_run_asks_the_model_nothing(data: Path) -> None:
    first = run_suite(TINY, data, data / "out", lambda: ScriptedEngine(answer))
    assert run_suite(TINY, data, data / "out", asleep) == first


def test_a_run_that_broke_off_goes_on(data: Path) -> None:
    rows = [{**SHOES, "id": str(number), "title": f"Acme Shoe Red {number}"} for number in range(600)]
    write(data / "gold.jsonl", *rows)
    suite = Suite(name="tiny", about="", gold="gold.jsonl")

    def stops(request: Request) -> str:
        if request.id == "599":
            raise EngineError("out of memory")
        return '{"Brand": "Acme"}'

    with pytest.raises(EngineError):
        run_suite(suite, data, data / "out", lambda: ScriptedEngine(stops))
    with pytest.raises(ConfigError, match="not finished; run the same"):
        score_folder(data / "out")
    second = ScriptedEngine(lambda _: '{"Brand": "Acme"}')
    scores = run_suite(suite, data, data / "out", lambda: second)
    assert [request.id for request in second.calls] == [str(number) for number in range(512, 600)]
    assert counts(scores) == {"vn": 600, "vc": 600}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"sample": 1}, "sample was None, is 1"),
        ({"seed": 5}, "seed was 0, is 5"),
        ({"votes": 3}, "votes was 1, is 3"),
        ({"calibrated": False}, "calibrated was True, is False"),
        ({"prompt": "attributes@embedded-v1"}, "prompts.attributes was"),
    ],
)
def test_a_folder_of_other_settings_is_refused(data: Path, other: dict[str, Any], told: str) -> None:
    before = run_suite(TINY, data, data / "out", lambda: ScriptedEngine(answer), prompt="attributes@v1")
    with pytest.raises(ConfigError, match=f"other settings: .*{told}"):
        run_suite(TINY, data, data / "out", asleep, **{"prompt": "attributes@v1", **other})
    assert score_folder(data / "out") == before


def test_a_folder_of_other_definitions_is_refused(data: Path, store: SchemaStore) -> None:
    row = {
        "id": "1",
        "title": "Red tee",
        "category": "clothing.tops.t_shirts",
        "attributes": {"color": ["Red"]},
    }
    write(data / "gold.jsonl", row)
    names = [attribute.id for attribute in store.by_id("clothing.tops.t_shirts").attributes]
    ours = Suite(name="ours", about="", gold="gold.jsonl", schemas="shipped")
    write(data / "offered.json", {"clothing.tops.t_shirts": names})
    same_names = Suite(name="ours", about="", gold="gold.jsonl", offered="offered.json")
    run_suite(ours, data, data / "out", lambda: ScriptedEngine(["{}"]), prompt="attributes@v1")
    with pytest.raises(ConfigError, match=r"other settings: .*schema_hash was"):
        run_suite(same_names, data, data / "out", asleep, prompt="attributes@v1")


def test_a_record_without_an_answer_has_failed(data: Path) -> None:
    def fails(request: Request) -> Completion | str:
        return answer(request) if request.id == "1" else Completion("", "error", error="too long")

    scores = run_suite(TINY, data, data / "out", lambda: ScriptedEngine(fails))
    assert counts(scores) == {"nn": 1, "vn": 2, "vc": 1, "failed": 1}


def test_a_sample_is_drawn_and_kept(data: Path) -> None:
    scores = run_suite(TINY, data, data / "out", lambda: ScriptedEngine(answer), sample=1, seed=4)
    assert scores["records"] == 1
    # What was stored about the other record is no error.
    assert set(scores["baselines"]) == {"dictionary", "gpt"}


@given(st.integers(0, 30), st.integers(1, 40), st.integers())
def test_sampling_keeps_order_and_goes_by_the_seed(many: int, size: int, seed: int) -> None:
    gold = [GoldRecord(str(number), "Tea", {}) for number in range(many)]
    drawn = sampled(gold, size, seed)
    assert len(drawn) == min(many, size)
    assert drawn == [record for record in gold if record in drawn] == sampled(gold, size, seed)


def test_demonstrations_come_from_training_listings(data: Path) -> None:
    engine = ScriptedEngine(answer)
    run_suite(TINY, data, data / "out", lambda: engine, prompt="attributes@v1", demonstrations=3)
    asked = engine.calls[0].prompt
    assert sum("Acme Boot" in turn.content for turn in asked if isinstance(turn, Message)) == 1


def test_nothing_is_learned_from_what_is_measured(data: Path) -> None:
    write(data / "train.jsonl", {**TRAINING, "id": "1"})
    with pytest.raises(ConfigError, match="id '1' is both in train and in gold"):
        run_suite(TINY, data, data / "out", asleep, prompt="attributes@v1", demonstrations=3)


# --- our schemas, and shops' brands


def test_a_suite_of_our_schemas_compares_choices_by_member(data: Path) -> None:
    row = {
        "id": "1",
        "title": "Acme Men's T-Shirt, half sleeve",
        "category": "clothing.tops.t_shirts",
        "attributes": {"brand": ["Acme"], "gender": ["men"], "sleeve_length": ["short"], "color": None},
    }
    write(data / "gold.jsonl", row)
    suite = Suite(name="ours", about="", gold="gold.jsonl", schemas="shipped")
    engine = ScriptedEngine(['{"brand": "Acme", "gender": "men", "sleeve_length": "short"}'])
    scores = run_suite(suite, data, data / "out", lambda: engine, prompt="attributes@v1")
    assert counts(scores) == {"nn": 1, "vc": 3}
    assert isinstance(engine.calls[0].prompt[-1], Message)
    assert "Clothing > Tops > T-shirts" in engine.calls[0].prompt[-1].content


CATALOGUE = [
    # 1, 13, 14 and 26 are held out.
    {"id": "bb-1", "title": "Sony - TV", "brand": "Sony", "description": "The SONY you want"},
    {"id": "bb-13", "title": "Rush Hour - DVD", "brand": "Rush"},
    {"id": "bb-14", "title": "Cable", "brand": "Monster"},
    {"id": "bb-26", "title": "LG Phone"},
    {"id": "bb-2", "title": "Sony - Radio", "brand": "Sony"},
    {"id": "bb-3", "title": "LG - Phone", "brand": "LG"},
]


def test_brands_are_gold_where_the_text_states_them(data: Path) -> None:
    write(data / "shop.jsonl", *CATALOGUE)
    suite = Suite(name="brands", about="", catalogues=[{"name": "Shop", "path": "shop.jsonl"}])
    material = load_material(suite, data)
    assert material.gold == [
        GoldRecord("bb-1", "Shop", {"brand": ["Sony", "SONY"]}, "Sony - TV", "The SONY you want")
    ]
    # Learned from the other records.
    assert material.baselines == {"dictionary": {"bb-1": {"brand": ["Sony"]}}}


def test_a_shop_is_no_category_to_the_model(data: Path) -> None:
    write(data / "shop.jsonl", *CATALOGUE)
    suite = Suite(name="brands", about="", catalogues=[{"name": "Shop", "path": "shop.jsonl"}])
    engine = ScriptedEngine(['{"brand": "Sony"}'])
    scores = run_suite(suite, data, data / "out", lambda: engine, prompt="attributes@embedded-v1")
    assert counts(scores) == {"vc": 1}
    assert engine.calls[0].prompt == (
        "<|category|><|attrs|>brand<|text|>Sony - TV\nThe SONY you want<|json|>"
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (CATALOGUE[1:], "its catalogues hold no record to measure on"),
        ([*CATALOGUE, CATALOGUE[0]], "id 'bb-1' stands twice"),
    ],
)
def test_a_catalogue_that_makes_no_gold_is_told(data: Path, rows: list[dict[str, str]], told: str) -> None:
    write(data / "shop.jsonl", *rows)
    suite = Suite(name="brands", about="", catalogues=[{"name": "Shop", "path": "shop.jsonl"}])
    with pytest.raises(ConfigError, match=told):
        run_suite(suite, data, data / "out", asleep)
    assert not (data / "out").exists()


# --- suite files


def test_the_shipped_suites_load_and_ours_needs_no_data(tmp_path: Path) -> None:
    suites = {name: load_any(SUITES, name) for name in suite_names(SUITES)}
    assert {"ae110k", "brands", "oamine", "wdcpave"} <= {n for n, s in suites.items() if missing(s, tmp_path)}
    assert {"audience", "sample", "brand-links"} <= {n for n, s in suites.items() if not missing(s, tmp_path)}
    assert len(load_material(load_suite(SUITES, "sample"), tmp_path).gold) >= 200


def test_an_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no suite 'amazon'; there are ae110k, .*brands"):
        load_suite(SUITES, "amazon")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "tiny"', "has no about; add it"),
        ('name = "tiny"\nabout = ""', "needs gold or catalogues; give one of them"),
        ('name = "tiny"\nabout = ""\ngold = "g"\ngrold = ""', "unknown keyword 'grold'"),
        ('name = "other"\nabout = ""\ngold = "g"', "name is 'other', the file's is 'tiny'"),
        ('name = "tiny"\nabout = ""\ngold = "g"\nschemas = "ours"', "schemas: input should be 'names' or"),
        ('name = "tiny"\nabout = ""\ngold = "g"\n[reference]\ndictionary = "x"', "the name of a baseline"),
        ("name = ", "correct the TOML"),
    ],
)
def test_a_wrong_suite_file_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "tiny.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=rf"tiny\.toml: .*{told}"):
        load_suite(tmp_path, "tiny")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: (data / "gpt.jsonl").unlink(), r"gpt\.jsonl is not there; name the data folder"),
        (lambda data: write(data / "gold.jsonl"), "holds no record"),
        (lambda data: write(data / "gold.jsonl", {**SHOES, "title": None}), "'1' has no title; give it one"),
        (lambda data: write(data / "gpt.jsonl", {"id": "x", "predicted": {}}), "'x' is not in the gold file"),
        (lambda data: write(data / "train.jsonl", "{"), r"train\.jsonl:1: no JSON"),
        (lambda data: write(data / "schema.json", '{"Tea": []}'), "no category 'Shoes'"),
        (lambda data: write(data / "schema.json", '{"Shoes": ["Brand"]}'), "has no attribute 'Color'"),
        (lambda data: write(data / "schema.json", "[]"), r"write {category: \[attribute names\]}"),
        # Its letters are no attributes.
        (lambda data: write(data / "schema.json", '{"Shoes": "Brand"}'), r"schema\.json: Shoes: .*list"),
        (
            lambda data: write(data / "train.jsonl", {**TRAINING, "id": "1"}),
            "'1' is both in train and in gold",
        ),
    ],
)
def test_wrong_data_is_named_and_nothing_written(
    data: Path, spoil: Callable[[Path], object], told: str
) -> None:
    write(data / "schema.json", '{"Shoes": ["Brand", "Color"]}')
    spoil(data)
    suite = TINY.model_copy(update={"offered": Path("schema.json")})
    with pytest.raises(ConfigError, match=told):
        run_suite(suite, data, data / "out", asleep)
    assert not (data / "out").exists()


# --- folders that are no run any more


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda out: (out / "run.json").unlink(), "has no readable run.json"),
        (lambda out: (out / "suite.json").unlink(), "a run, but not of a suite"),
        (lambda out: (out / "suite.json").write_text("{"), r"suite\.json: line 1"),
        (lambda out: (out / "suite.json").write_text("{}"), "is not what `extractor eval run` wrote"),
        (lambda out: write(out / "gold.jsonl", SHOES), "changed since the run"),
        (lambda out: (out / "gold.jsonl").unlink(), "No such file"),
        (lambda out: write(out / "outcomes.jsonl", "{}"), r"outcomes\.jsonl:1: is no outcome"),
        (lambda out: write(out / "outcomes.jsonl"), "no outcome for '1', which gold.jsonl has"),
    ],
)
def test_a_broken_folder_is_told(data: Path, spoil: Callable[[Path], object], told: str) -> None:
    run_suite(TINY, data, data / "out", lambda: ScriptedEngine(answer))
    spoil(data / "out")
    with pytest.raises(ConfigError, match=told):
        open_eval_run(data / "out")


# --- the command line


def suite_file(data: Path) -> Path:
    (data / "tiny.toml").write_text('name = "tiny"\nabout = "Two shoes."\ngold = "gold.jsonl"\n', "utf-8")
    return data


def test_eval_list_says_whose_data_is_there(data: Path) -> None:
    folder = suite_file(data)
    ready = command("eval", "list", "--suites", folder, "--data", data)
    assert ready == (0, "tiny         ready    Two shoes.\n", "")
    away = command("eval", "list", "--suites", folder, "--data", "nowhere")
    assert away.out == "tiny         no data  Two shoes.\n"
    assert away.err == "no data in nowhere: name the data folder with --data or EXTRACTOR_DATA\n"


def test_eval_list_without_suites_ends_in_one_line(data: Path) -> None:
    ended = command("eval", "list", "--suites", data / "nowhere")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("nowhere: no such folder; give the one that holds suite files with --suites\n")


def test_eval_run_and_score_print_the_same(data: Path) -> None:
    places = ("--suites", suite_file(data), "--data", data, "--out", data / "out")
    run = command("eval", "run", "tiny", *places, "--engine", "scripted", "--json")
    again = command("eval", "score", data / "out", "--json")
    assert (run.code, run.out) == (0, again.out)
    assert set(json.loads(run.out)) == {
        *("suite", "model", "records", "paper", "strict", "groups", "categories", "baselines", "ece"),
        *("listings_per_s", "usage", "out_dir"),
    }
    table = command("eval", "score", data / "out")
    assert (table.code, table.out) == (0, "")
    assert "tiny: 2 listings" in table.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "tiny", "--data", "nowhere"), "gold.jsonl is not there; name the data folder"),
        (("run", "tiny", "--sample", "0"), "--sample 0: draws nothing; give 1 or more"),
        (("run", "tiny", "--votes", "2"), "--votes 2: take 1, 3, 5, 7, 9"),
        (("run", "tiny", "--demonstrations", "11"), "11 demonstrations: give a number from 0 to 10"),
        (("run", "tiny", "--demonstrations", "2"), "has no training listings; leave --demonstrations out"),
    ],
)
def test_a_wrong_eval_run_ends_in_one_line(data: Path, arguments: tuple[str, ...], told: str) -> None:
    places = (
        "--suites",
        suite_file(data),
        "--data",
        data,
        "--out",
        data / "out",
        "--prompt",
        "attributes@v1",
    )
    name, suite, *options = arguments
    ended = command("eval", name, suite, *places, "--engine", "scripted", *options)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert not (data / "out").exists()


@pytest.mark.parametrize(
    "arguments", [(), ("out", "--gold", "g"), ("--gold", "g"), ("out", "--protocol", "paper")]
)
def test_eval_score_takes_a_folder_or_two_files(arguments: tuple[str, ...]) -> None:
    ended = command("eval", "score", *arguments)
    assert ended == (2, "", "extractor: eval score: give either RUN_DIR alone, or --gold and --predictions\n")
