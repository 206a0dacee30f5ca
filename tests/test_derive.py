"""A taxonomy that names attributes becomes schemas that a run extracts by; wrong lines are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answers import in_turn
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_cli import command

from extractor.config import RunConfig
from extractor.constraint import compile_attributes
from extractor.derive import Derived, derive_schemas
from extractor.errors import ExtractorError
from extractor.journal import read_outcomes
from extractor.run import run
from extractor.schema import SchemaStore

CATEGORIES: list[dict[str, Any]] = [
    {"id": "g", "path": ["Garden"], "attributes": ["color", "age_group"]},
    {"id": "g-1", "path": ["Garden", "Hoses"], "parent": "g", "attributes": ["hose/pipe_material"]},
    {"id": "g-1-1", "path": ["Garden", "Hoses", "Soaker hoses"], "parent": "g-1"},
    {"id": "g-2", "path": ["Garden", "Gnomes"], "parent": "g", "attributes": ["color", "motto"]},
]
ATTRIBUTES: list[dict[str, Any]] = [
    {"id": "color", "name": "Color", "extends": None, "values": ["Gray", "Rose gold", "Other"]},
    {"id": "age_group", "name": "Age group", "values": ["Adults"]},
    {
        "id": "hose/pipe_material",
        "name": "Hose material",
        "values": ["Polyvinyl chloride (PVC)", "Rubber", "Rubber (R)", "Nylon (PVC)"],
    },
    {"id": "hose_pipe_material", "name": "Material of old"},
    {"id": "motto", "name": "Motto"},
]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return path


def derive(folder: Path, categories: list[Any] = CATEGORIES, attributes: list[Any] = ATTRIBUTES) -> Derived:
    lines = write(folder / "attributes.jsonl", attributes)
    return derive_schemas(write(folder / "shop.jsonl", categories), lines, folder / "out")


def test_every_category_has_a_schema_with_what_it_inherits(tmp_path: Path) -> None:
    derived = derive(tmp_path)
    assert derived == Derived(
        categories=4,
        leaves=2,
        attributes=5,
        kept_from_base=("age_group",),
        most_attributes=11,
        out_dir=str(tmp_path / "out"),
    )
    store = SchemaStore(tmp_path / "out")
    assert store.check() == []
    base = [attribute.id for attribute in store.by_id("base").attributes]
    added = {
        node.id: [a.id for a in store.for_category(node.id).attributes][len(base) :]
        for node in store.taxonomy
    }
    assert added == {
        "g": ["color"],
        "g-1": ["color", "hose_pipe_material"],
        "g-1-1": ["color", "hose_pipe_material"],
        "g-2": ["color", "motto"],
    }
    stated = json.loads((tmp_path / "out" / "attributes" / "g-1-1.json").read_text("utf-8"))
    assert list(stated["properties"]) == ["color", "hose_pipe_material"]


def test_values_are_choices_with_the_words_for_them(tmp_path: Path) -> None:
    derive(tmp_path)
    schema = SchemaStore(tmp_path / "out").for_category("g-1")
    color, material = schema.attribute("color"), schema.attribute("hose_pipe_material")
    assert (color.how, color.enum, color.multi, color.max_items) == ("choice", ("Gray", "Rose gold"), True, 2)
    # Our own words for colors.
    assert "charcoal" in color.synonyms["Gray"]
    # Neither a word that is two values' nor a letter is a word for one.
    assert material.synonyms == {
        "Polyvinyl chloride (PVC)": ("polyvinyl chloride",),
        "Nylon (PVC)": ("nylon",),
    }
    motto = SchemaStore(tmp_path / "out").for_category("g-2").attribute("motto")
    assert (motto.how, motto.enum, motto.title) == ("span", (), "Motto")


def test_a_run_extracts_what_the_category_has(tmp_path: Path) -> None:
    derive(tmp_path)
    rows = [
        {"id": "1", "title": "Soaker hose, charcoal, nylon"},
        {"id": "2", "title": "Garden gnome: be happy"},
    ]
    feed = write(tmp_path / "feed.jsonl", rows)
    answers = {
        "1": ['{"color":["Gray"],"hose_pipe_material":["Nylon (PVC)"]}'],
        "2": ['{"motto":"be happy"}'],
    }
    config = RunConfig(
        feeds=(str(feed),), out=tmp_path / "run", taxonomy=tmp_path / "out", policy="decode-all"
    )
    run(config, engine=in_turn(answers))
    hose, gnome = read_outcomes(tmp_path / "run")
    assert (hose.category.id, gnome.category.id) == ("g-1-1", "g-2")
    assert [(v.attribute, v.surface, v.canonical) for v in hose.values] == [
        ("color", "charcoal", "Gray"),
        ("hose_pipe_material", "nylon", "Nylon (PVC)"),
    ]
    assert [(v.attribute, v.surface) for v in gnome.values] == [("motto", "be happy")]


def test_deriving_again_replaces_what_was_there(tmp_path: Path) -> None:
    derive(tmp_path)
    derive(tmp_path, CATEGORIES[:2])
    assert sorted(path.stem for path in (tmp_path / "out" / "attributes").iterdir()) == ["g", "g-1"]


WRONG = [
    ("shop", 2, {"id": "x", "path": ["X"], "attributes": ["wheels"]}, "has no attribute 'wheels'; add it"),
    ("shop", 2, {"id": "x", "path": ["X"], "attributes": "wheels"}, "attributes is no list of ids"),
    ("shop", 2, {"id": "a/b", "path": ["X"]}, "a/b: no name for a file"),
    ("shop", 2, {"id": "..", "path": ["X"]}, "..: no name for a file"),
    ("shop", 2, {"id": "g", "path": ["X"]}, "g: this id is already taken"),
    ("attributes", 6, {"id": "motto", "name": "M"}, "motto: this id is already taken"),
    ("attributes", 6, {"id": "x"}, "has no name; add it"),
    ("attributes", 6, {"id": "x", "name": "X", "values": [" a"]}, "values.0: "),
    ("attributes", 6, "{", "correct the JSON"),
    ("attributes", 6, [], "correct it"),
]


@pytest.mark.parametrize(("file", "number", "line", "message"), WRONG)
def test_a_wrong_line_is_named(tmp_path: Path, file: str, number: int, line: Any, message: str) -> None:
    shop, attributes = CATEGORIES[:1], ATTRIBUTES
    if file == "shop":
        shop = [*shop, line]
    else:
        attributes = [*attributes, line]
    with pytest.raises(ExtractorError) as caught:
        derive(tmp_path, shop, attributes)
    assert str(caught.value).startswith(f"{tmp_path / file}.jsonl:{number}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_taxonomy_without_attributes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractorError, match="no category names attributes"):
        derive(tmp_path, [{"id": "a", "path": ["A"]}])


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ExtractorError, match="holds something else; choose another --out"):
        derive(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_the_command_line_tells_what_to_do_with_it(tmp_path: Path) -> None:
    shop, lines = write(tmp_path / "s.jsonl", CATEGORIES), write(tmp_path / "a.jsonl", ATTRIBUTES)
    out = tmp_path / "schemas"
    ended = command("schemas", "derive", "--taxonomy", shop, "--attributes", lines, "--out", out)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == (
        "4 schemas, 2 of leaves; 5 attributes, at most 11 of a category; as base.json has them: age_group;"
        f" use them with --taxonomy {out}\n"
    )
    shown = json.loads(command("schemas", "show", "g-2", "--schemas", out).out)
    assert list(shown["properties"])[-2:] == ["color", "motto"]
    assert "g-1-1" in command("schemas", "list", "--schemas", out).out.splitlines()
    assert command("schemas", "check", "--schemas", out).code == 0


values = st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9), max_size=6)


@settings(max_examples=50)
@given(values)
def test_any_values_make_a_schema_that_loads_and_is_bounded(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    kept = [value for value in values if value == value.strip()]
    attributes = [{"id": "a", "name": "A", "values": kept}]
    folder = tmp_path_factory.mktemp("derived")
    derive(folder, [{"id": "x", "path": ["X"], "attributes": ["a"]}], attributes)
    store = SchemaStore(folder / "out")
    assert store.check() == []
    schema = store.for_category("x")
    Draft202012Validator.check_schema(schema.json_schema)
    assert compile_attributes(schema, " ".join(kept) or "x", max_tokens=2048).max_tokens <= 2048
