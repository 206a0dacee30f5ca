"""The schemas of its runs in a graph: they say what is functional, a key, or new in a vocabulary."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from answers import in_turn
from test_derive import write
from test_graph import in_memory, outcome, said, snapshot, write_run
from test_graph_cli import graph

from extractor.attribute import Attribute
from extractor.config import RunConfig
from extractor.derive import derive_schemas
from extractor.graph.answers.coverage import coverage
from extractor.graph.check import problems
from extractor.graph.merge import merge_runs
from extractor.graph.schemas import GraphSchemas
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.stores.snapshot import write_snapshot
from extractor.records import CategoryChoice
from extractor.run import run
from extractor.schema_set import SchemaSet

# ---- from a shop's taxonomy to its answers

CATEGORIES: list[dict[str, Any]] = [
    {"id": "li", "path": ["Lighting"], "attributes": ["Bulb power"]},
    {"id": "li-1", "path": ["Lighting", "Table lamps"], "parent": "li", "attributes": ["socket", "shade"]},
]
SHADES = ["Linen", "Rattan", "Opal glass"]
ATTRIBUTES: list[dict[str, Any]] = [
    {"id": "Bulb power", "name": "Bulb power", "functional": True},
    {
        "id": "socket",
        "name": "Lamp socket",
        "values": ["E14", "E27", "GU10"],
        "functional": True,
        "key": True,
    },
    {"id": "shade", "name": "Shade", "values": SHADES},
]
LAMPS: list[dict[str, Any]] = [
    {"id": "a", "title": "Fjordlys FL-2210 table lamp, linen, E27, 40 W", "brand": "Fjordlys"},
    {"id": "b", "title": "Fjordlys table lamp FL2210 linen E27", "brand": "Fjordlys"},
    {"id": "c", "title": "Fjordlys FL-2210 table lamp linen, E14", "brand": "Fjordlys"},
    {"id": "d", "title": "Humla table lamp HU-77", "attributes": {"Bulb power": "60 W", "Shade": "Paper"}},
]
ANSWERS = {
    "a": ['{"bulb_power":"40 W","socket":"E27","shade":["Linen"]}'],
    "b": ['{"socket":"E27","shade":["Linen"]}'],
    "c": ['{"socket":"E14","shade":["Linen"]}'],
}


def extract(folder: Path, attributes: list[dict[str, Any]], feed: list[dict[str, Any]] = LAMPS) -> Path:
    """A run of the shop; its schemas are gone afterwards."""
    folder.mkdir(exist_ok=True)
    shop, lines = write(folder / "shop.jsonl", CATEGORIES), write(folder / "attributes.jsonl", attributes)
    derive_schemas(shop, lines, folder / "derived")
    rows = write(folder / "feed.jsonl", feed)
    config = RunConfig(
        feeds=(str(rows),), out=folder / "run", taxonomy=folder / "derived", policy="decode-all"
    )
    run(config, engine=in_turn(ANSWERS))
    shutil.rmtree(folder / "derived")
    return config.out


def members(file: Path) -> list[tuple[Any, ...]]:
    with DuckDBStore(file, read_only=True) as store:
        return sorted(store.query("FROM members")[1])


def test_derived_schemas_say_what_is_the_same_product(tmp_path: Path) -> None:
    open_sockets = [{**line, "key": False, "functional": False} for line in ATTRIBUTES]
    found = {}
    for name, attributes in (("keyed", ATTRIBUTES), ("keyless", open_sockets)):
        file = tmp_path / f"{name}.duckdb"
        assert graph("merge", extract(tmp_path / name, attributes), "--graph", file)[0] == 0
        assert graph("match", "--graph", file)[0] == 0
        found[name] = [product for _, product in members(file)]
    assert found == {"keyed": ["product:a", "product:b"], "keyless": ["product:a", "product:b", "product:c"]}


def test_derived_schemas_say_what_is_to_be_done(tmp_path: Path) -> None:
    feed = [{**LAMPS[0], "attributes": {"bulb power": "60 W"}}, *LAMPS[1:]]
    with in_memory() as store:
        merge_runs([extract(tmp_path / "lamps", ATTRIBUTES, feed)], store)
        rows = {row.attribute: row for row in coverage(store, "Table lamps").attributes}
        lost = store.query("SELECT predicate, label, reason FROM statements WHERE rank = 'deprecated'")[1]
        assert list(lost) == [
            ("has_bulb_power", "40 w", "value:bulb_power:60 w counts: the feed comes before the text")
        ]
        write_snapshot(store, tmp_path / "snapshot")
        with DuckDBStore(tmp_path / "snapshot", read_only=True, closed=True) as read:
            assert coverage(read) == coverage(store)
    power, shade = rows["bulb_power"], rows["shade"]
    assert (power.products, power.filled, power.conflicting, dict(power.new_values)) == (4, 2, 1, {})
    assert (shade.products, shade.filled, shade.conflicting, dict(shade.new_values)) == (
        4,
        4,
        0,
        {"paper": 1},
    )
    assert rows["socket"].filled == 3


# ---- several runs

LAMP = CategoryChoice("li", ("Lighting",), 0.9)


def schemas(**categories: list[Attribute]) -> SchemaSet:
    return SchemaSet.of({"base": [Attribute("brand", "Brand", "", relation="has_brand")], **categories})


def power(relation: str = "has_power", *, functional: bool = False, key: bool = False) -> Attribute:
    return Attribute("power", "Power", "", relation=relation, functional=functional, key=key)


ONE = schemas(li=[power(functional=True, key=True), Attribute("socket", "Socket", "", relation="has_socket")])
MANY = schemas(li=[power()])
OTHER = schemas(li=[power("has_wattage", functional=True)], lx=[power("has_power", functional=True)])


def test_the_later_run_says_what_an_attribute_is() -> None:
    both = GraphSchemas([MANY, ONE])
    assert both.relations == {"has_brand", "has_power", "has_socket"}
    assert (both.functional, both.for_category("li")) == (set(), (power(),))
    turned = GraphSchemas([ONE, MANY])
    assert turned.functional == {"has_power"}
    assert [(attribute.id, attribute.key) for attribute in turned.for_category("li")] == [
        ("power", True),
        ("socket", False),
    ]
    # What only an earlier run knows stays; a category that none has gets the base attributes.
    apart = GraphSchemas([OTHER, ONE])
    assert apart.relations == {"has_brand", "has_power", "has_socket", "has_wattage"}
    assert apart.functional == {"has_power", "has_wattage"}
    assert [attribute.id for attribute in apart.for_category("lz")] == ["brand"]
    assert GraphSchemas([schemas(li=[])]).for_category("li") == GraphSchemas([]).for_category("li") == ()


def test_undo_takes_back_what_only_that_run_brought(tmp_path: Path) -> None:
    title = "Lamp 40 W or 60 W"
    torn = outcome("x", title, said("power", "40 W", title), said("power", "60 W", title), category=LAMP)

    later = outcome("y", "Lamp", category=LAMP)

    def deprecated() -> int:
        return len(list(store.query("SELECT id FROM statements WHERE rank = 'deprecated'")[1]))

    with in_memory() as store:
        merge_runs([write_run(tmp_path / "1", "r1", [torn], MANY, "2026-01-01T00:00:00Z")], store)
        assert deprecated() == 0
        before = snapshot(store)
        merge_runs([write_run(tmp_path / "2", "r2", [later], ONE, "2026-01-02T00:00:00Z")], store)
        assert (deprecated(), len(store.schemas().for_category("li"))) == (1, 2)
        assert list(problems(store)) == []
        store.undo("r2")
        assert snapshot(store) == before
        store.undo("r1")
        assert snapshot(store)["functional"] == snapshot(store)["schemas"] == []


# ---- the command line


def test_a_run_without_its_schemas_is_told_in_one_line(tmp_path: Path) -> None:
    folder = extract(tmp_path / "lamps", ATTRIBUTES)
    (folder / "schemas.json").unlink()
    code, _, told = graph("merge", folder, "--graph", tmp_path / "g.duckdb")
    assert (code, told.count("\n")) == (2, 1)
    assert f"{folder / 'schemas.json'}: no such file" in told


def test_a_person_may_use_the_relations_of_the_runs(tmp_path: Path) -> None:
    file = tmp_path / "g.duckdb"
    graph("merge", extract(tmp_path / "lamps", ATTRIBUTES), "--graph", file)
    said_so = graph("assert", "b", "has_bulb_power", "25 W", "--by", "ann", "--graph", file)
    assert said_so[0] == 0
    _, shown, _ = graph("show", "b", "--graph", file, "--json")
    assert "value:bulb_power:25 w" in {each["object"] for each in json.loads(shown)["statements"]}
    code, _, told = graph("assert", "b", "has_screen_size", "65 inch", "--by", "ann", "--graph", file)
    assert code == 2
    assert "no relation of this graph or its schemas" in told
