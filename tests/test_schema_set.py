"""All schemas of a folder as one document, which a run keeps and goes on with, or refuses to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import answering
from schema_folder import BRAND, COLOR, NODES, SLEEVE, schema_file, write_folder

from extractor.config import RunConfig
from extractor.errors import ConfigError, SchemaError
from extractor.journal import read_manifest
from extractor.run import run
from extractor.schema import SchemaStore, default_folder
from extractor.schema_set import SCHEMAS, SchemaSet, all_schemas, read_schemas, shipped_schemas

COTTON = {**COLOR, "title": "Material", "x-key": True}
CONTENTS = {
    "values.json": {"$defs": {"sleeve": SLEEVE}},
    "attributes/clothing.json": schema_file(color=COLOR, material=COTTON),
    "attributes/clothing.tops.json": schema_file(sleeve={"$ref": "../values.json#/$defs/sleeve"}),
}


def test_it_says_of_every_category_what_the_folder_says(store: SchemaStore) -> None:
    read = SchemaSet(json.loads(json.dumps(all_schemas(store).document)))
    for node in store.taxonomy:
        expected = store.for_category(node.id).attributes
        assert read.by_id(node.id) == tuple(replace(attribute, cues=None) for attribute in expected)
    assert read.by_id("none of it") is None
    assert read.hash == shipped_schemas().hash
    assert {"has_brand", "suits"} <= read.relations
    assert "has_brand" in read.functional


def test_a_relation_is_functional_where_all_that_have_it_are(tmp_path: Path) -> None:
    one = {**BRAND, "x-functional": True}
    folder = write_folder(
        tmp_path,
        {
            "base.json": schema_file(brand=one, maker={**one, "x-relation": "made_by"}),
            "attributes/clothing.json": schema_file(label=BRAND),
        },
    )
    assert all_schemas(folder).functional == {"made_by"}


def test_the_layout_of_the_files_does_not_count(tmp_path: Path) -> None:
    inline = CONTENTS | {"attributes/clothing.tops.json": schema_file(sleeve=SLEEVE)}
    one, other = (
        all_schemas(write_folder(tmp_path / name, files)) for name, files in (("a", CONTENTS), ("b", inline))
    )
    assert one == other


CHANGED = {
    "a member": {"values.json": {"$defs": {"sleeve": {**SLEEVE, "enum": ["short", "long", "none"]}}}},
    "a key": {"attributes/clothing.json": schema_file(color=COLOR, material=COLOR)},
    "an order": {"attributes/clothing.json": schema_file(material=COTTON, color=COLOR)},
    "a place": {"attributes/clothing.json": schema_file(color=COLOR), "base.json": schema_file(b=COTTON)},
}


@pytest.mark.parametrize("change", sorted(CHANGED))
def test_what_the_files_say_counts(tmp_path: Path, change: str) -> None:
    before = all_schemas(write_folder(tmp_path / "before", CONTENTS))
    after = all_schemas(write_folder(tmp_path / "after", CONTENTS | CHANGED[change]))
    assert before.hash != after.hash


def test_the_words_for_members_count_too() -> None:
    cued = next(each for each in SchemaStore(default_folder()).by_id("base").attributes if each.cues)
    assert SchemaSet.of({"base": [cued]}).hash != SchemaSet.of({"base": [replace(cued, cues=None)]}).hash


# ---- a run


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """Of one listing, which a run with schemas of its own extracts."""
    write_folder(tmp_path / "shop", CONTENTS)
    (tmp_path / "feed.jsonl").write_text('{"id": "1", "title": "Red tee, short sleeves"}\n')
    feed, shop = str(tmp_path / "feed.jsonl"), tmp_path / "shop"
    return RunConfig(feeds=(feed,), out=tmp_path / "run", taxonomy=shop, policy="decode-all")


def extract(config: RunConfig) -> int:
    """How often the model was asked."""
    engine = answering({"1": '{"color":"Red"}'})
    run(config, engine=engine)
    return len(engine.calls)


def test_a_run_keeps_its_schemas(config: RunConfig) -> None:
    assert extract(config) == 1
    kept = read_schemas(config.out, read_manifest(config.out))
    assert kept == all_schemas(SchemaStore(config.taxonomy or Path()))
    assert extract(config) == 0


def edit_attribute(shop: Path) -> None:
    path = shop / "attributes" / "clothing.json"
    path.write_text(json.dumps(schema_file(color=COLOR, material={**COTTON, "x-functional": True})))


def edit_category(shop: Path) -> None:
    rows = [*NODES, {"id": "clothing.socks", "path": ["Clothing", "Socks"], "parent": "clothing"}]
    (shop / "taxonomy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(("edit", "what"), [(edit_attribute, "schemas"), (edit_category, "router")])
def test_a_run_does_not_go_on_with_other_schemas(
    config: RunConfig, edit: Callable[[Path], None], what: str
) -> None:
    extract(config)
    assert config.taxonomy
    edit(config.taxonomy)
    with pytest.raises(
        ConfigError, match=rf"begun with other settings: .*{what} was .*; choose another --out"
    ):
        extract(config)
    write_folder(config.taxonomy, CONTENTS)
    assert extract(config) == 0


def test_a_broken_schema_is_told_before_anything_is_asked(config: RunConfig) -> None:
    assert config.taxonomy
    # Of a category that no listing of the feed is in.
    hats = config.taxonomy / "attributes" / "clothing.hats.json"
    hats.write_text(json.dumps(schema_file(brim={"type": "text"})))
    with pytest.raises(SchemaError, match=r"clothing\.hats\.json: brim: "):
        extract(config)
    assert not config.out.exists()


def damaged(content: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "no such file; the `extractor run` that made it writes it again"),
        (damaged('{"format":1,'), "line 1: "),
        (damaged('{"format":1,"attributes":[],"schemas":{}}'), "not what the run began with"),
        (damaged("[]"), "not what the run began with"),
        (damaged('{"format":2}'), "made by a newer version of this package; upgrade"),
    ],
)
def test_schemas_that_a_run_lost_are_told_and_written_again(
    config: RunConfig, damage: Callable[[Path], Any], message: str
) -> None:
    extract(config)
    kept = read_schemas(config.out, read_manifest(config.out))
    damage(config.out / SCHEMAS)
    with pytest.raises(ConfigError, match=message) as caught:
        read_schemas(config.out, read_manifest(config.out))
    assert str(caught.value).startswith(f"{config.out / SCHEMAS}: ")
    assert "\n" not in str(caught.value)
    extract(config)
    assert read_schemas(config.out, read_manifest(config.out)) == kept
