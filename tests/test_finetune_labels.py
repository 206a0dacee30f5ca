"""One's own labels: what is learned of gold lines and of a teacher's run, and what is told of bad ones."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from answers import answering
from hypothesis import given
from hypothesis import strategies as st

from extractor.config import RunConfig
from extractor.derive import derive_schemas
from extractor.errors import ConfigError
from extractor.gold import GoldRecord
from extractor.run import run
from extractor.schema import SchemaStore, default_folder
from extractor.split import held_out
from extractor.training.finetune import Labels
from extractor.training.finetune.draw import Pointers, Turns, whole_turn
from extractor.training.finetune.lessons import Lesson, Lessons, read_lessons
from extractor.training.finetune.measure import Judged, measure_answers, members_of
from extractor.training.finetune.recipe import load_tune, recipe_path
from extractor.training.finetune.teacher import read_teacher

SHIRTS = "clothing.tops.t_shirts"
SHOE = {"id": "shoe-1", "title": "Acme Trail Shoe, Red, red", "category": "Shoes"}
SHIRT = {
    "id": "shirt",
    "title": "Bolt Men's Half Sleeve T-Shirt, Blue",
    "description": "100% cotton.",
    "category": SHIRTS,
}


def write_gold(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def lessons_of(path: Path, *rows: Mapping[str, Any], max_chars: int = 1000) -> Lessons:
    return read_lessons(Labels((write_gold(path, rows),)), max_chars=max_chars)


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.jsonl.gz"])
def test_labels_are_asked_for_as_the_pipeline_would(tmp_path: Path, name: str) -> None:
    shoe = {**SHOE, "attributes": {"Size": None, "Color": ["Red", "red"], "Brand": ["Acme"]}}
    shirt = {
        **SHIRT,
        "attributes": {"sleeve_length": ["short"], "material": ["cotton"], "fit": None, "color": ["Blue"]}
        | {"gender": ["men"], "occasion": None},
    }
    lessons = lessons_of(tmp_path / name, shoe, shirt)
    assert lessons.notes == [
        "2 listing(s) to learn from, with 5 value(s) and 2 attribute(s) known to have none; 0 to measure on"
    ]
    named, shipped = lessons.train
    # Of a category of its own: names in alphabetical order, all of them words of the text.
    assert whole_turn(named).answer == {"Brand": "Acme", "Color": "Red"}
    assert [attribute.id for attribute in whole_turn(named).schema.attributes] == ["Brand", "Color", "Size"]
    assert named.evidence() == {"Size": None, "Color": ("Red", "red"), "Brand": ("Acme",)}
    # Of a category of ours: its schema without what words decide, and a choice is stated by other words.
    assert whole_turn(shipped).answer == {"color": "Blue", "material": "cotton", "sleeve_length": "short"}
    assert shipped.path == ("Clothing", "Tops", "T-shirts")
    assert shipped.evidence()["sleeve_length"] == ("Half Sleeve",)
    assert "brand" in shipped.unjudged
    assert not {"gender", "occasion"} & {attribute.id for attribute in shipped.schema.attributes}


def test_a_value_that_is_not_in_the_text_is_told_and_left_out(tmp_path: Path) -> None:
    rows = [
        {**SHOE, "attributes": {"Brand": ["Acme"], "Color": ["Green"]}},
        {**SHOE, "id": "shoe-b", "attributes": {"Brand": ["Acme", "ACME Corp"], "Color": ["Black"]}},
    ]
    lessons = lessons_of(tmp_path / "mine.jsonl", *rows)
    assert lessons.notes[0] == (
        f"{tmp_path}/mine.jsonl:1: Color 'Green' does not stand in the text as the schema allows it;"
        " 3 of 5 values are left out"
    )
    assert [lesson.gold.attributes for lesson in lessons.train] == [{"Brand": ["Acme"]}] * 2
    assert all(lesson.unjudged == () for lesson in lessons.train)


def test_what_the_cut_text_does_not_say_is_not_judged(tmp_path: Path) -> None:
    shirt = {**SHIRT, "attributes": {"color": ["Blue"], "material": ["cotton"], "fit": None}}
    [lesson] = lessons_of(tmp_path / "mine.jsonl", shirt, max_chars=42).train
    assert lesson.gold.text == "Bolt Men's Half Sleeve T-Shirt, Blue\n100%"
    assert lesson.gold.attributes == {"color": ["Blue"], "fit": None}


def test_the_held_out_tenth_trains_nothing_nor_do_titles_like_it(tmp_path: Path) -> None:
    rows = [
        {"id": f"bb-{n}", "title": f"Acme Shoe {n}", "category": "Shoes", "attributes": {"Brand": ["Acme"]}}
        for n in range(20)
    ]
    rows[2]["title"] = "Acme - SHOE 13"
    lessons = lessons_of(tmp_path / "mine.jsonl", *rows)
    measured = {lesson.gold.id for lesson in lessons.held_out}
    assert measured == {row["id"] for row in rows if held_out(str(row["id"]))} == {"bb-1", "bb-13", "bb-14"}
    assert {lesson.gold.id for lesson in lessons.train} == {row["id"] for row in rows} - measured - {"bb-2"}
    assert lessons.notes[0] == "1 listing(s) left out: their titles are like one that is measured on"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "mine.jsonl: holds no record"),
        ([{**SHOE, "attributes": {"Brand": None}}], "mine.jsonl: states no value at all"),
        (
            [{**SHOE, "attributes": {"Brand": ["Bolt"]}}],
            "mine.jsonl:1: Brand 'Bolt' does not stand in the text",
        ),
        ([{**SHOE, "title": "", "attributes": {"Brand": ["Acme"]}}], "mine.jsonl:1: 'shoe-1' has no title"),
        ([{**SHOE, "attributes": {"a|b": ["Acme"]}}], "mine.jsonl: Shoes: 'a|b' cannot be a name"),
        ([{"id": "1", "title": "Acme"}], "mine.jsonl:1: expected an object with id, category and attributes"),
        (
            [{**SHIRT, "attributes": {"color": ["Blue"], "colour": ["Blue"]}}],
            "mine.jsonl:1: category 'clothing.tops.t_shirts' has no attribute 'colour'",
        ),
        (
            [{**SHOE, "id": "bb-1", "attributes": {"Brand": ["Acme"]}}],
            "every labelled listing (1) is of the tenth",
        ),
    ],
)
def test_bad_labels_are_one_line(tmp_path: Path, rows: Sequence[Mapping[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError) as told:
        lessons_of(tmp_path / "mine.jsonl", *rows)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_two_files_may_not_have_the_same_id(tmp_path: Path) -> None:
    row = {**SHOE, "attributes": {"Brand": ["Acme"]}}
    one, other = write_gold(tmp_path / "one.jsonl", [row]), write_gold(tmp_path / "other.jsonl", [row])
    with pytest.raises(ConfigError, match=r"other\.jsonl: id 'shoe-1' stands in .*one\.jsonl too"):
        read_lessons(Labels((one, other)), max_chars=100)


# -- teachers


# Says nothing that a rule would read for the model.
TEE = {"title": "Bolt T-Shirt, Blue", "description": "100% cotton."}


def teacher(folder: Path, answers: Mapping[str, str]) -> Path:
    """The run of a model that answers so; its confidence is 0.5, as it gives no probabilities."""
    feed = write_gold(folder.with_suffix(".jsonl"), [{"id": i, **TEE} for i in answers])
    run(
        RunConfig(feeds=(str(feed),), out=folder, schema_id=SHIRTS, policy="decode-all"),
        engine=answering(answers),
    )
    return folder


def test_a_teachers_values_are_labels_and_its_silence_is_one(tmp_path: Path, store: SchemaStore) -> None:
    folder = teacher(tmp_path / "run", {"a": '{"brand":"Bolt","color":"Blue"}', "b": "no JSON"})
    taught = read_teacher(folder, store, 0.5)
    names = [attribute.id for attribute in store.by_id(SHIRTS).attributes if not attribute.cues]
    stated = {"brand": ["Bolt"], "color": ["Blue"]}
    [listing] = taught.listings
    assert listing.gold == GoldRecord(
        "a",
        listing.gold.category,
        {name: stated.get(name) for name in names},
        **TEE,
    )
    assert [attribute.id for attribute in listing.schema.attributes] == names
    assert (taught.values, taught.unsure, taught.outcomes) == (2, 0, 2)


def test_a_teacher_was_asked_what_the_schemas_of_its_run_say(tmp_path: Path, store: SchemaStore) -> None:
    """Of a shop's own schemas, of which nothing is left but what the run keeps."""
    shop = write_gold(tmp_path / "shop.jsonl", [{"id": "li", "path": ["Lamps"], "attributes": ["w", "s"]}])
    lines = write_gold(
        tmp_path / "lines.jsonl", [{"id": "w", "name": "Power"}, {"id": "s", "name": "Socket"}]
    )
    derive_schemas(shop, lines, tmp_path / "derived")
    feed = write_gold(tmp_path / "feed.jsonl", [{"id": "a", "title": "Humla lamp, 40 W"}])
    config = RunConfig(
        feeds=(str(feed),),
        out=tmp_path / "run",
        taxonomy=tmp_path / "derived",
        schema_id="li",
        policy="decode-all",
    )
    run(config, engine=answering({"a": '{"brand":"Humla","w":"40 W"}'}))
    shutil.rmtree(tmp_path / "derived")
    [listing] = read_teacher(tmp_path / "run", store, 0.5).listings
    labels = listing.gold.attributes
    assert (labels["brand"], labels["w"], labels["s"]) == (["Humla"], ["40 W"], None)
    assert listing.schema.attribute("s").title == "Socket"
    assert "gender" not in labels  # words decide that


def test_of_an_old_run_whose_schema_has_changed_only_what_the_teacher_stated_was_asked(
    tmp_path: Path, store: SchemaStore
) -> None:
    folder = teacher(tmp_path / "run", {"a": '{"brand":"Bolt"}', "b": '{"color":"Blue"}'})
    (folder / "schemas.json").unlink()
    outcomes = folder / "outcomes.jsonl"
    text = outcomes.read_text("utf-8")
    hash_ = json.loads(text.splitlines()[0])["made_by"]["schema_hash"]
    outcomes.write_text(text.replace(hash_, "0" * 32), "utf-8")
    found = [dict(listing.gold.attributes) for listing in read_teacher(folder, store, 0.5).listings]
    assert found == [{"brand": ["Bolt"], "color": None}, {"brand": None, "color": ["Blue"]}]


def test_of_what_a_teacher_is_unsure_or_wrong_nothing_is_said(tmp_path: Path, store: SchemaStore) -> None:
    # "Nike" is rejected, as it does not stand in the text.
    folder = teacher(tmp_path / "run", {"a": '{"brand":"Nike","color":"Blue"}'})
    outcomes = folder / "outcomes.jsonl"
    line = json.loads(outcomes.read_text("utf-8"))
    assert [value["attribute"] for value in line["values"]] == ["color"]
    line["values"] = [
        {**line["values"][0], "confidence": 0.9},
        {**line["values"][0], "attribute": "size", "confidence": 0.6},
    ]
    outcomes.write_text(json.dumps(line) + "\n", "utf-8")
    [listing] = read_teacher(folder, store, 0.8).listings
    assert listing.gold.attributes["color"] == ["Blue"]
    assert not {"brand", "size"} & listing.gold.attributes.keys()
    assert listing.gold.attributes["material"] is None


def test_a_teacher_is_believed_less_than_a_person(tmp_path: Path) -> None:
    folder = teacher(tmp_path / "run", {"a": '{"color":"Blue"}', "b": '{"brand":"Bolt"}'})
    gold = write_gold(
        tmp_path / "mine.jsonl",
        [
            {
                **TEE,
                "id": "a",
                "category": SHIRTS,
                "attributes": {"color": None, "fit": None, "brand": ["Bolt"]},
            }
        ],
    )
    lessons = read_lessons(Labels((gold,), (folder,), 0.5), max_chars=1000)
    assert {lesson.gold.id: lesson.gold.attributes["color"] for lesson in lessons.train} == {
        "a": None,
        "b": None,
    }
    assert lessons.notes[0].startswith(f"{folder}: 2 values of confidence 0.5 or more on 2 of 2 listings")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "run.json").unlink(), "run"),
        (lambda folder: (folder / "outcomes.jsonl").write_text("{}\n"), "outcomes.jsonl:1: is no outcome"),
        (lambda folder: None, "no value has a confidence of 0.8, the surest has 0.5; lower --min-confidence"),
    ],
)
def test_a_bad_teacher_is_one_line(tmp_path: Path, spoil: Any, message: str) -> None:
    folder = teacher(tmp_path / "run", {"a": '{"color":"Blue"}'})
    spoil(folder)
    with pytest.raises(ConfigError) as told:
        read_lessons(Labels(teachers=(folder,)), max_chars=100)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


# -- drawing and measuring


@given(st.integers(0, 10_000))
def test_what_is_drawn_answers_from_its_own_text(seed: int) -> None:
    rng = random.Random(seed)
    turn = TURNS.draw(rng)
    assert turn.answer.keys() <= {attribute.id for attribute in turn.schema.attributes}
    spans = {name: value for name, value in turn.answer.items() if name != "sleeve_length"}
    assert all(value in turn.text for value in spans.values())
    question = POINTERS.draw(rng)
    assert all(form in question.text for forms in question.answers.values() for form in forms or ())


def _drawn() -> tuple[Turns, Pointers]:
    store = SchemaStore(default_folder())
    lessons = [
        Lesson(
            GoldRecord(
                str(n),
                SHIRTS,
                {"sleeve_length": ["short"], "color": [color], "brand": ["Bolt"], "fit": None},
                title,
            ),
            store.for_category(SHIRTS),
            ("Clothing", "Tops", "T-shirts"),
            ("material",),
        )
        for n, (color, title) in enumerate(
            [("Blue", "Bolt Half Sleeve T-Shirt, Blue"), ("Red", "Bolt short sleeve shirt Red")]
        )
    ]
    recipe = load_tune(recipe_path("proposer")).model_copy(update={"swap": 0.9, "rehearsal": 0.0})
    return Turns(lessons, recipe), Pointers(lessons, recipe, lambda names: names)


TURNS, POINTERS = _drawn()


def test_tokens_belong_to_the_member_that_they_spell() -> None:
    # {"a":1,"b":"x"}
    assert members_of({"a": 1, "b": "x"}, range(15)) == [0] * 6 + [1] * 8 + [2]
    assert members_of({}, [0, 1]) == [0, 0]


def test_a_member_is_right_when_all_its_tokens_are() -> None:
    answers = [
        Judged(2.0, [True, False, True, True], [0, 0, 1, 2]),
        Judged(0.0, [True, True], [0, 0]),
    ]
    assert measure_answers(answers) == {"loss": 0.3333, "right": 75.0}
    assert measure_answers([]) == {}


# -- recipes


@pytest.mark.parametrize("name", ["proposer", "decoder", "lora"])
def test_shipped_recipes_load(name: str) -> None:
    assert load_tune(recipe_path(name)).tune == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('tune = "lora"', 'tune = "lore"'), "tune is 'lore'; write one of proposer, decoder, lora"),
        (("rank = 16", "ranks = 16"), "rank"),
        (("epochs = 3", "epochs = 0"), "epochs: Input should be greater than 0"),
    ],
)
def test_what_a_recipe_gets_wrong_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_path("lora").read_text("utf-8").replace(*change), "utf-8")
    with pytest.raises(ConfigError, match=message):
        load_tune(path)


def test_steps_follow_from_labels_and_epochs() -> None:
    recipe = load_tune(recipe_path("proposer"), epochs=2)
    assert recipe.steps([100] * 108) == 10  # 2 x 10,800 tokens are nine tenths of the 24,000 that are drawn
    assert recipe.steps([1]) == 1
