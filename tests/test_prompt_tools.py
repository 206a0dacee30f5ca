"""`prompts try` and `prompts compare`: two prompts over one suite, on scripted answers, asked for once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from evaluation_runs import eval_run
from test_cli import Ended, command
from test_prompt import TEXT, write_prompt
from tiny_model import build_tiny_model

from extractor.engines.scripted import ScriptedEngine
from extractor.evaluation.suite_file import load_suite
from extractor.evaluation.trial import AttributeChange, Pairing, compare_listings
from extractor.gold import GoldRecord

GOLD = [
    {
        "id": "tee",
        "title": "Acme [red] Crew Tee XL",
        "category": "Shirts",
        "attributes": {"Brand": ["Acme"], "Color": ["[red]"], "Size": None},
    },
    {"id": "mug", "title": "Bolt Mug Blue", "category": "Mugs", "attributes": {"Brand": ["Bolt"]}},
]
# Product -> its answer to the first prompt and to the second.
ANSWERS = {
    "tee": ['{"Brand":"Acme Crew","Size":"XL"}', '{"Brand":"Acme"}'],
    "mug": ['{"Brand":"Bolt"}', '{"Brand":"Bolt"}'],
}


@dataclass(frozen=True)
class Place:
    """A folder with a suite, its data, prompts and scripted answers."""

    folder: Path

    def __call__(self, *arguments: object) -> Ended:
        return command("prompts", *arguments, *self.options)

    @property
    def options(self) -> Sequence[object]:
        return (
            *("--suite", "tiny", "--suites", self.folder, "--data", self.folder),
            *("--prompts", self.folder / "prompts"),
            *("--engine", "scripted", "--model", self.folder / "answers.jsonl"),
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "tiny.toml").write_text('name = "tiny"\nabout = "Two listings."\ngold = "gold.jsonl"\n')
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GOLD))
    rows = [{"id": id_, "text": text} for id_, texts in ANSWERS.items() for text in texts]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for version in ("t1", "t2"):
        content = TEXT.replace("embedded-v1", version).replace("<|json|>", f" in {version}:")
        write_prompt(tmp_path / "prompts", content, f"attributes/{version}.toml")
    return Place(tmp_path)


# -- try -----------------------------------------------------------------------------------------------------


def test_try_says_what_changed_beside_the_gold(place: Place) -> None:
    ended = place("try", "attributes@t2", "--against", "t1", "--json")
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    trial = json.loads(ended.out)
    assert trial["a"].pop("hash") != trial["b"].pop("hash")
    none = {"span": None, "confidence": 0.5}
    assert trial == {
        "suite": "tiny",
        "records": 2,
        "a": {"prompt": "attributes@t1", "f1": 40.0, "tokens_per_listing": 0.0},
        "b": {"prompt": "attributes@t2", "f1": 80.0, "tokens_per_listing": 0.0},
        "unchanged": 1,
        "counts": {"fixed": 2, "regressed": 0, "still_right": 0, "still_wrong": 0, "unjudged": 0},
        "changed": [
            {
                "product_id": "tee",
                "category": "Shirts",
                "text": "Acme [red] Crew Tee XL",
                "attributes": {
                    "Brand": {
                        "a": [],
                        "b": [none | {"value": "Acme", "span": [0, 4]}],
                        "gold": ["Acme"],
                        "effect": "fixed",
                    },
                    "Size": {
                        "a": [none | {"value": "XL", "span": [20, 22]}],
                        "b": [],
                        "gold": None,
                        "effect": "fixed",
                    },
                },
            }
        ],
    }


def test_try_shows_listings_side_by_side(place: Place) -> None:
    ended = place("try", "attributes@t2", "--against", "attributes@t1", "--sample", 2)
    assert (ended.code, ended.out) == (0, "")
    lines = [line.split() for line in ended.err.splitlines()]
    assert ["tee", "Shirts"] in lines
    assert ["attributes@t1", "attributes@t2", "gold"] in lines
    assert ["Brand", "✗", "-", "✓", "Acme", "Acme", "fixed"] in lines
    assert ["Size", "✗", "XL", "✓", "-", "-", "fixed"] in lines
    # Without color, what was found stands in brackets; the listing's own are its own.
    assert "[Acme] [red]" in ended.err
    assert "1 of 2 listings changed (2 fixed), 1 did not" in ended.err
    assert "4 answers from the model, 0 kept from before" in ended.err


def test_a_listing_does_not_steer_the_terminal(place: Place) -> None:
    gold = place.folder / "gold.jsonl"
    gold.write_text(gold.read_text().replace("Acme [red] Crew", "Acme \\u001b[31m Crew"))
    ended = place("try", "attributes@t2", "--against", "t1")
    assert (ended.code, "\x1b" in ended.err, "[Acme] \ufffd[31m Crew" in ended.err) == (0, False, True)


def test_try_again_asks_nothing(place: Place) -> None:
    first = place("try", "attributes@t2", "--against", "t1", "--json")
    # A script that has no answers: they come from before, or not at all.
    again = place("try", "attributes@t2", "--against", "t1")
    assert "no model was started: 4 answers were kept from before" in again.err
    assert place("try", "attributes@t2", "--against", "t1", "--json").out == first.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("attributes@t9", "--against", "t1"), "no prompt 'attributes@t9'; there are"),
        (("attributes@t2", "--against", "t9"), "no prompt 'attributes@t9'; there are"),
        (("attributes@t2", "--against", "route@v1"), "--prompt route@v1: not of task attributes"),
        (("attributes@t2", "--against", "t1", "--sample", 0), "--sample 0: draws nothing"),
        (("attributes@t2", "--against", "t1", "--suite", "none"), "no suite 'none'; there are tiny"),
    ],
)
def test_wrong_names_are_one_line(place: Place, arguments: tuple[object, ...], message: str) -> None:
    ended = command("prompts", "try", *place.options, *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert message in ended.err


def test_a_model_that_cannot_chat_is_told_before_it_is_loaded(place: Place) -> None:
    options = (
        "--suite",
        "tiny",
        "--suites",
        place.folder,
        "--data",
        place.folder,
        "--engine",
        "transformers",
    )
    ended = command("prompts", "try", "attributes@v2", "--against", "v1", *options)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "attributes@v1: a chat prompt, and model embedded has no chat template" in ended.err


# -- compare -------------------------------------------------------------------------------------------------


def test_compare_says_which_is_better_and_where_the_page_is(place: Place) -> None:
    out = place.folder / "runs"
    ended = place("compare", "attributes@t1", "attributes@t2", "--out", out, "--json")
    assert ended.code == 0
    compared = json.loads(ended.out)
    assert (compared["suite"], compared["records"]) == ("tiny", 2)
    assert (compared["a"]["label"], compared["b"]["label"]) == ("attributes@t1", "attributes@t2")
    assert [change["attribute"] for change in compared["changes"]] == ["Brand", "Size"]
    page = Path(compared["html"])
    assert page.parent == out / "tiny"
    assert "attributes@t2" in page.read_text("utf-8")


def test_a_second_look_costs_nothing(place: Place) -> None:
    arguments = ("compare", "attributes@t1", "t2", "--out", place.folder / "runs")
    first = place(*arguments)
    assert "4 answers from the model, 0 kept from before" in first.err
    again = place(*arguments)
    assert "no model was started: the runs were there already" in again.err
    elsewhere = place("compare", "attributes@t1", "t2", "--out", place.folder / "others")
    assert "no model was started: 4 answers were kept from before" in elsewhere.err


def test_a_wrong_second_name_is_told_before_the_model_works(place: Place) -> None:
    out = place.folder / "runs"
    ended = place("compare", "t1", "t9", "--out", out)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no prompt 'attributes@t9'; there are" in ended.err
    assert not out.exists()


def test_an_edited_prompt_is_another_run(place: Place) -> None:
    out = place.folder / "runs"
    place("compare", "attributes@t1", "t2", "--out", out)
    path = place.folder / "prompts" / "attributes" / "t2.toml"
    path.write_text(path.read_text().replace("in t2", "in t2, please"))
    ended = place("compare", "attributes@t1", "t2", "--out", out)
    assert (ended.code, "2 answers from the model" in ended.err) == (0, True)


def test_the_page_goes_where_it_is_wanted(place: Place) -> None:
    page = place.folder / "page.html"
    ended = place("compare", "attributes@t1", "t2", "--out", place.folder / "runs", "--html", page)
    assert ended.err.endswith(f"page: {page}\n")
    assert page.is_file()


# -- the parts -----------------------------------------------------------------------------------------------


class ClosedOnce(ScriptedEngine):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_one_engine_runs_both_prompts(place: Place) -> None:
    engine = ClosedOnce(lambda request: "{}")
    suite = load_suite(place.folder, "tiny")
    pairing = Pairing(suite, place.folder, place.folder / "runs", prompts=place.folder / "prompts")
    a, b = pairing.run("attributes@t1", "attributes@t2", lambda: engine)
    assert [run.settings["prompts"]["attributes"]["id"] for run in (a, b)] == [
        "attributes@t1",
        "attributes@t2",
    ]
    assert "in t1:" in a.settings["prompts"]["attributes"]["text"]
    assert (len(engine.calls), engine.closed) == (4, 1)


@pytest.mark.parametrize(
    ("a", "b", "gold", "effect"),
    [
        (None, ["Red"], ["Red"], "fixed"),
        (["Red"], None, ["Red"], "regressed"),
        (["Red"], None, None, "fixed"),
        (["Red"], ["red"], ["Red", "red"], "still_right"),
        (["Red"], ["Blue"], ["Green"], "still_wrong"),
        (["Red"], ["Blue"], "not listed", "unjudged"),
    ],
)
def test_effect_of_a_change(
    a: list[str] | None, b: list[str] | None, gold: list[str] | str | None, effect: str
) -> None:
    listed = {} if isinstance(gold, str) else {"Color": gold}
    records = [GoldRecord("1", "Shirts", listed, title="Red Green Blue")]
    runs = [eval_run(records, {"1": {"Color": said}}) for said in (a, b)]
    [change] = [change for listing in compare_listings(*runs).changed for change in listing.attributes]
    assert isinstance(change, AttributeChange)
    assert (change.attribute, change.a, change.b, change.effect) == ("Color", a, b, effect)


# -- check ---------------------------------------------------------------------------------------------------


def test_check_counts_tokens_and_warns(place: Place) -> None:
    write_prompt(
        place.folder / "prompts",
        TEXT.replace("embedded-v1", "t3").replace("{{attributes}}<|text|>{{text}}", "{{text}}{{attributes}}"),
        "attributes/t3.toml",
    )
    ended = command("prompts", "check", "--prompts", place.folder / "prompts")
    assert (ended.code, ended.out) == (0, "")
    assert "embedded: prompt tokens of a typical listing" in ended.err
    rows = {line.split()[0]: line.split()[1:] for line in ended.err.splitlines() if "attributes@t" in line}
    shared, wasted = (int(rows[f"attributes@{version}"][1]) for version in ("t1", "t3"))
    assert shared > 50 > wasted
    assert "warning: attributes@t3: {{attributes}} stands behind {{text}}; put it before" in ended.err
    assert ended.err.endswith("3 prompts, no problem, 1 warning\n")


@pytest.mark.filterwarnings("ignore")
def test_check_counts_chat_prompts_for_a_model_that_can_chat(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    ended = command("prompts", "check", "--model", model, "--model", model)
    assert ended.err.count("tiny: prompt tokens of a typical listing") == 2
    rows = [line.split() for line in ended.err.splitlines() if "attributes@v2" in line]
    assert [len(row) for row in rows] == [5, 5]
    assert "no chat template" not in ended.err


def test_check_of_a_model_that_is_not_there(tmp_path: Path) -> None:
    ended = command("prompts", "check", "--model", tmp_path / "none")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no such model folder" in ended.err


def test_check_ends_with_2_where_a_prompt_is_wrong(place: Place) -> None:
    write_prompt(place.folder / "prompts", "id =", "attributes/t3.toml")
    ended = command("prompts", "check", "--prompts", place.folder / "prompts")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "attributes/t3.toml: " in ended.err
