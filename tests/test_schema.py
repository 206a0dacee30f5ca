"""schema, taxonomy, attribute and datafile: small folders in, whole records or one-line errors out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schema_folder import BRAND, COLOR, FEATURES, SLEEVE, only, schema_file, write_folder

from extractor.errors import SchemaError
from extractor.schema import (
    Attribute,
    SchemaStore,
    schema_from_names,
)

# -- effective schemas ---------------------------------------------------------------------------------------


def test_category_inherits_along_its_path(tmp_path: Path) -> None:
    store = write_folder(
        tmp_path,
        {
            "defs.json": {"$defs": {"color": COLOR}},
            "attributes/clothing.json": schema_file(color={"$ref": "../defs.json#/$defs/color"}, size=COLOR),
            "attributes/clothing.tops.t_shirts.json": schema_file(
                sleeve=SLEEVE,
                color={"$ref": "../defs.json#/$defs/color", "title": "Shirt color", "x-key": True},
            ),
        },
    )

    schema = store.for_category("clothing.tops.t_shirts")

    # The leaf's color replaces the vertical's, in its place.
    assert [attribute.id for attribute in schema.attributes] == ["brand", "color", "size", "sleeve"]
    assert schema.attribute("color") == Attribute(
        id="color",
        title="Shirt color",
        description="Main color.",
        normalizer="color",
        relation="has_color",
        key=True,
    )
    assert schema.attribute("sleeve") == Attribute(
        id="sleeve",
        title="Sleeve length",
        description="How long the sleeves are.",
        how="choice",
        enum=("short", "long"),
        relation="has_sleeve",
        synonyms={"short": ("half sleeve",)},
    )
    with pytest.raises(KeyError):
        schema.attribute("voltage")
    # Hats have no file: they fall back to what the vertical has; the store's title is the taxonomy's name.
    hats = store.for_category("clothing.hats")
    assert [attribute.id for attribute in hats.attributes] == ["brand", "color", "size"]
    assert (hats.id, hats.title, schema.title) == ("clothing.hats", "Hats", "A title")
    assert store.check() == []


@pytest.mark.parametrize("category_id", ["unknown", "", "no.such", "../base", "base"])
def test_categories_outside_the_taxonomy_get_the_base_schema(tmp_path: Path, category_id: str) -> None:
    store = write_folder(tmp_path, {})
    assert store.for_category(category_id) is store.by_id("base")


def test_a_category_takes_back_what_it_inherits_and_a_leaf_has_it_again(tmp_path: Path) -> None:
    store = write_folder(
        tmp_path,
        {
            "attributes/clothing.json": schema_file(color=COLOR, sleeve=SLEEVE),
            "attributes/clothing.tops.json": schema_file(brand=False, color=False),
            "attributes/clothing.tops.t_shirts.json": schema_file(color=COLOR | {"title": "Colour"}),
        },
    )
    assert store.check() == []
    found = {
        name: [attribute.title for attribute in store.for_category(name).attributes]
        for name in ("clothing.hats", "clothing.tops", "clothing.tops.t_shirts")
    }
    assert found == {
        "clothing.hats": ["Brand", "Color", "Sleeve length"],
        "clothing.tops": ["Sleeve length"],
        "clothing.tops.t_shirts": ["Colour", "Sleeve length"],
    }
    assert "color" not in store.for_category("clothing.tops").json_schema["properties"]


def test_what_no_file_above_has_cannot_be_taken_back(tmp_path: Path) -> None:
    store = write_folder(
        tmp_path,
        {
            "base.json": schema_file(brand=BRAND, bad=only(type=None)),
            "attributes/clothing.json": schema_file(brand=False, wheels=False, color=True),
        },
    )
    path = tmp_path / "attributes" / "clothing.json"
    assert [problem for problem in store.check() if problem.startswith(f"{path}: ")] == [
        f"{path}: color: is no object; write {{...}} with type, title and description, or false to take it back"
    ]
    assert len(store.check()) == 2
    (tmp_path / "base.json").write_text(json.dumps(schema_file(brand=BRAND)))
    assert SchemaStore(tmp_path).check()[0] == (
        f"{path}: wheels: false takes back what no file above has; remove it"
    )


def test_schema_is_built_once(tmp_path: Path) -> None:
    store = write_folder(tmp_path, {})
    assert store.for_category("clothing.hats") is store.for_category("clothing.hats")


def test_file_beside_base_stands_alone(tmp_path: Path) -> None:
    store = write_folder(tmp_path, {"merchant.json": schema_file(color=COLOR), "units.json": "[]"})
    assert [attribute.id for attribute in store.by_id("merchant").attributes] == ["color"]
    assert store.ids() == ("base", "merchant")
    # An entity kind is no category, also after it was loaded.
    assert store.for_category("merchant").id == "base"


def test_unknown_id_lists_what_there_is(tmp_path: Path) -> None:
    store = write_folder(tmp_path, {"attributes/clothing.json": schema_file(color=COLOR)})
    with pytest.raises(
        SchemaError, match=r"no schema 'clothes'; there are base, clothing and the categories"
    ):
        store.by_id("clothes")


def test_json_schema_describes_the_sparse_object(tmp_path: Path) -> None:
    number = {"type": "number", "title": "Rating", "description": "Stars.", "minimum": 0, "maximum": 5}
    members = FEATURES | {"items": {"type": "string", "enum": ["a", "b"]}}
    store = write_folder(
        tmp_path,
        {"base.json": schema_file(color=COLOR, sleeve=SLEEVE, features=FEATURES, rating=number, of=members)},
    )

    schema = store.by_id("base").json_schema

    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "color": {"type": "string", "minLength": 1, "maxLength": 100},
            "sleeve": {"type": "string", "enum": ["short", "long"]},
            "features": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 40},
                "minItems": 1,
                "maxItems": 3,
            },
            "rating": {"type": "number", "minimum": 0, "maximum": 5},
            "of": {
                "type": "array",
                "items": {"type": "string", "enum": ["a", "b"]},
                "minItems": 1,
                "maxItems": 3,
            },
        },
        "additionalProperties": False,
    }
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    for good in ({}, {"color": "red"}, {"features": ["x"]}, {"rating": 4.5, "of": ["a"]}):
        assert judge.is_valid(good), good
    for bad in ({"size": "L"}, {"color": ""}, {"color": "r" * 101}, {"sleeve": "half"}, {"features": []}):
        assert not judge.is_valid(bad), bad


def test_hash_follows_the_meaning_not_the_layout(tmp_path: Path) -> None:
    direct = write_folder(tmp_path / "a", {"base.json": schema_file(color=COLOR)})
    referred = write_folder(
        tmp_path / "b",
        {
            "defs.json": {"$defs": {"color": COLOR}},
            "base.json": json.dumps(schema_file(color={"$ref": "defs.json#/$defs/color"}), indent=4),
        },
    )
    other = write_folder(tmp_path / "c", {"base.json": schema_file(color=only(maxLength=50))})

    assert direct.by_id("base").hash == referred.by_id("base").hash
    assert direct.by_id("base").hash != other.by_id("base").hash


def test_references_may_go_over_several_files_and_name_odd_keys(tmp_path: Path) -> None:
    store = write_folder(
        tmp_path,
        {
            "defs.json": {"$defs": {"a/b~c d": COLOR, "color": {"$ref": "#/$defs/a~1b~0c%20d"}}},
            "attributes/clothing.json": schema_file(
                color={"$ref": "../defs.json#/$defs/color"},
                trim={"$ref": "#/properties/color", "title": "Trim"},
            ),
        },
    )
    schema = store.by_id("clothing")
    assert (schema.attribute("color").title, schema.attribute("trim").title) == ("Color", "Trim")


# -- what is refused -----------------------------------------------------------------------------------------

REFUSED: list[tuple[Any, str]] = [
    ("text", "is no object"),
    (only(type=None), "has no type"),
    (only(title=None), "has no title"),
    (only(description=None), "has no description"),
    (only(title=" "), "title: "),
    (only(title="two\nlines"), "title: "),
    (only(type="boolean"), "type: input should be"),
    (only(type=["string", "null"]), "type: input should be"),
    (only(pattern="a+"), "unknown keyword 'pattern'"),
    (only(**{"x-hwo": "span"}), "unknown keyword 'x-hwo'"),
    (only(required=["a"]), "unknown keyword 'required'"),
    (only(maxLength=0), "maxLength: "),
    (only(maxLength="40"), "maxLength: "),
    (only(maxLength=True), "maxLength: "),
    (only(minimum=1), "minimum and maximum are for numbers"),
    (only(type="number", minimum=3, maximum=2), "minimum is above maximum"),
    (only(type="number", maxLength=3), "type number takes no enum or maxLength"),
    (only(type="integer", enum=["1"]), "type integer takes no enum or maxLength"),
    (only(enum=[]), "enum: "),
    (only(enum=["a", "a"]), "an enum member stands twice"),
    (only(enum=["a", 1]), "enum.1: "),
    (only(enum=["a "]), "enum.0: "),
    (only(enum=["a"], **{"x-how": "span"}), "an enum is no span"),
    (only(**{"x-how": "choice"}), "x-how choice needs enum"),
    (only(**{"x-how": "derived"}), "x-how derived needs enum"),
    (only(**{"x-how": "guess"}), "x-how: "),
    (only(**{"x-normalizer": "colour"}), "x-normalizer: "),
    (only(**{"x-relation": "Has Brand"}), "x-relation: "),
    (only(**{"x-functional": "yes"}), "x-functional: "),
    (only(**{"x-key": 1}), "x-key: "),
    (only(**{"x-unit": ""}), "x-unit: "),
    (only(**{"x-examples": [1]}), "x-examples.0: "),
    (only(**{"x-examples": "red"}), "x-examples: "),
    (only(**{"x-synonyms": {"gray": []}}), "x-synonyms.gray: "),
    (only(**{"x-synonyms": {"g\nray": ["a"]}}), "x-synonyms.g ray"),
    (only(**{"x-synonyms": {"gray": ["Grey"]}}), "x-synonyms: 'Grey' is not lower-case"),
    (only(**{"x-synonyms": {"gray": ["grey"], "silver": ["grey"]}}), "'grey' is 'gray' and 'silver'"),
    (SLEEVE | {"x-synonyms": {"short": ["long"]}}, "x-synonyms: 'long' is 'long' and 'short'"),
    (SLEEVE | {"x-synonyms": {"midi": ["mid"]}}, "x-synonyms names 'midi', no member of the enum"),
    (only(items={"type": "string"}), "only an array has items and maxItems"),
    (only(maxItems=3), "only an array has items and maxItems"),
    (only(type="array", maxItems=3), "an array has no items"),
    (only(type="array", items={"type": "string"}), "an array has no maxItems"),
    (only(type="array", items={"type": "array"}, maxItems=3), "an array of arrays"),
    (only(type="array", items={"type": "string", "title": "x"}, maxItems=3), "unknown keyword 'items.title'"),
    (FEATURES | {"maxLength": 40}, "type array takes no enum or maxLength"),
    (FEATURES | {"x-functional": True}, "an array cannot be x-functional"),
    ({"$ref": 1}, "$ref is no text"),
    ({"$ref": "https://example.org/defs.json#/$defs/a"}, "is remote"),
    ({"$ref": "//example.org/defs.json#/$defs/a"}, "is remote"),
    ({"$ref": "urn:defs#/$defs/a"}, "is remote"),
    ({"$ref": "file:///etc/passwd#/a"}, "is remote"),
    ({"$ref": "../../other.json#/$defs/a"}, "leaves the schema folder"),
    ({"$ref": "..%2F..%2Fother.json#/$defs/a"}, "leaves the schema folder"),
    ({"$ref": "/other.json#/$defs/a"}, "leaves the schema folder"),
    ({"$ref": "../defs.json"}, "has no JSON pointer"),
    ({"$ref": "../defs.json#color"}, "has no JSON pointer"),
    ({"$ref": "../defs.json#/$defs/nothing"}, "points to nothing"),
    ({"$ref": "../nowhere.json#/$defs/a"}, "no such file"),
    ({"$ref": "../defs.json#/$defs/loop"}, "leads back to itself"),
    ({"$ref": "#/properties/bad"}, "leads back to itself"),
    ({"$ref": "../defs.json#/$defs/list"}, "is no object"),
]


@pytest.mark.parametrize(("definition", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_bad_definition_is_refused_in_one_line(tmp_path: Path, definition: Any, message: str) -> None:
    defs = {"$defs": {"loop": {"$ref": "#/$defs/pool"}, "pool": {"$ref": "#/$defs/loop"}, "list": []}}
    file = "attributes/clothing.json"
    store = write_folder(
        tmp_path / "schemas", {"defs.json": defs, file: schema_file(good=COLOR, bad=definition)}
    )

    with pytest.raises(SchemaError) as caught:
        store.for_category("clothing.hats")

    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'schemas' / file}: bad: ")
    assert message in line
    assert "; " in line
    assert "\n" not in line
    assert store.check() == [line]


@pytest.mark.parametrize("name", ["", " a", "a ", "a|b", "a\nb"])
def test_bad_attribute_id_is_refused(tmp_path: Path, name: str) -> None:
    store = write_folder(tmp_path, {"base.json": schema_file(**{name: COLOR})})
    [problem] = store.check()
    assert "cannot be a name" in problem
    assert "\n" not in problem
    with pytest.raises(SchemaError, match="cannot be a name"):
        schema_from_names("suite", [name])


REFUSED_FILES: list[tuple[Any, str]] = [
    ("{", "line 1: "),
    ("[]", "input should be a valid dictionary"),
    ('{"title": "a", "title": "b"}', "the key 'title' stands twice"),
    ('{"title": NaN}', "NaN is not JSON"),
    ('{"title": ' + "9" * 5000 + "}", "correct the JSON"),
    (json.dumps(schema_file(a=only(type="number", minimum=7))).replace("7", "1e999"), "a: minimum: "),
    ("[" * 100_000, "nested too deeply"),
    (schema_file() | {"required": ["color"]}, "unknown keyword 'required'"),
    (schema_file() | {"additionalProperties": True}, "additionalProperties: "),
    (schema_file() | {"type": "array"}, "type: "),
    (schema_file() | {"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema: "),
    (schema_file() | {"properties": []}, "properties: "),
    ({"type": "object"}, "has no $schema; add it"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED_FILES, ids=[message for _, message in REFUSED_FILES])
def test_bad_file_is_refused_in_one_line(tmp_path: Path, content: Any, message: str) -> None:
    store = write_folder(tmp_path, {"attributes/clothing.json": content})
    [problem] = store.check()
    assert problem.startswith(f"{tmp_path / 'attributes/clothing.json'}: ")
    assert message in problem
    assert "\n" not in problem


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    store = write_folder(tmp_path, {})
    (tmp_path / "base.json").write_bytes('{"title": "é"}'.encode("latin-1"))
    assert store.check() == [f"{tmp_path / 'base.json'}: byte 11 is not UTF-8; save it as UTF-8"]


def test_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(json.dumps({"a": COLOR}))
    store = write_folder(tmp_path / "schemas", {"base.json": schema_file(a={"$ref": "link.json#/a"})})
    (tmp_path / "schemas/link.json").symlink_to("../secret.json")
    with pytest.raises(SchemaError, match="leaves the schema folder"):
        store.by_id("base")


def test_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    write_folder(
        tmp_path / "real", {"base.json": schema_file(b={"$ref": "defs.json#/a"}), "defs.json": {"a": COLOR}}
    )
    (tmp_path / "link").symlink_to("real")
    assert SchemaStore(tmp_path / "link").check() == []


def test_check_reports_every_problem(tmp_path: Path) -> None:
    store = write_folder(
        tmp_path,
        {
            "base.json": schema_file(a=only(type=None), b=only(title=None)),
            "attributes/cloting.json": schema_file(color=COLOR),
            "attributes/clothing.json": "{",
        },
    )
    problems = store.check()
    assert len(problems) == 4
    assert any(
        "cloting.json: taxonomy.jsonl has no category 'cloting'; rename the file" in p for p in problems
    )


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"nowhere: no such folder; give the folder that holds base\.json"):
        SchemaStore(tmp_path / "nowhere")


# -- schemas made from names ---------------------------------------------------------------------------------


def test_schema_from_names_keeps_the_names_verbatim() -> None:
    schema = schema_from_names("suite", ["Hard Drive Capacity", "brand"])
    assert [attribute.id for attribute in schema.attributes] == ["Hard Drive Capacity", "brand"]
    assert schema.attribute("Hard Drive Capacity").how == "span"
    assert list(schema.json_schema["properties"]) == ["Hard Drive Capacity", "brand"]
    assert schema.id == "suite"


def test_schema_from_names_refuses_a_name_twice() -> None:
    with pytest.raises(SchemaError, match="'brand' stands twice"):
        schema_from_names("suite", ["brand", "brand"])


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="|\r\n"), min_size=1).filter(lambda n: n == n.strip()),
        unique=True,
    )
)
def test_schema_from_names_is_valid_json_schema(names: list[str]) -> None:
    Draft202012Validator.check_schema(schema_from_names("suite", names).json_schema)
