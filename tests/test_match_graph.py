"""`extractor graph match`: listings of a graph become products, and people have the last word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_graph import outcome, pair, snapshot, write_run
from test_graph_cli import graph

import extractor
from extractor.brands.link import Linker
from extractor.brands.registry import load_registry
from extractor.graph.match import listings_of, match_graph
from extractor.graph.merge import merge_runs
from extractor.graph.statements import gathered
from extractor.graph.stores import Change
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.match.listing import Listing
from extractor.match.score import shipped_scorer
from extractor.records import AttributeValue, CategoryChoice, Outcome

SNEAKERS = CategoryChoice("footwear.shoes.sneakers", ("Footwear", "Shoes", "Sneakers"), 0.9)
CARDS = CategoryChoice(
    "computers.storage_memory.memory_cards", ("Computers", "Storage and memory", "Memory cards"), 0.9
)
PHONES = CategoryChoice("phones.phones.smartphones", ("Phones", "Phones", "Smartphones"), 0.9)


EMBEDDED = Path(extractor.__file__).parent / "models" / "embedded"


def sneaker(name: str, title: str, color: str, size: str) -> Outcome:
    values = [
        AttributeValue(attribute, value, value, None, None, "title", "choice", 0.9)
        for attribute, value in (("color", color), ("shoe_size", size))
    ]
    feed = {"brand": "Velora", "facts": {"price": "79.90", "currency": "EUR"}}
    return outcome(name, title, *values, category=SNEAKERS, feed=feed)


def phone(name: str, title: str, **facts: Any) -> Outcome:
    return outcome(name, title, category=PHONES, feed={"brand": "Nuvia", "facts": facts})


def card(name: str, title: str, model: str, capacity: str) -> Outcome:
    values = [
        AttributeValue(attribute, value, value, None, None, "title", "span", 0.9)
        for attribute, value in (("model_name", model), ("capacity", capacity))
    ]
    return outcome(name, title, *values, category=CARDS, feed={"brand": "Nuvia"})


LISTED = (
    sneaker("s1", "Velora Swift 3 VS-3011 running shoes red 42", "red", "eu 42"),
    sneaker("s2", "Velora Swift 3 running shoe VS3011 crimson 42", "red", "eu 42"),
    sneaker("s3", "Velora Swift 3 VS-3011 running shoes red 43", "red", "eu 43"),
    phone("p1", "Nuvia Halo X2 NHX-220 64 GB graphite", gtin="4006381333931"),
    phone("p2", "Nuvia smartphone Halo-X2 graphite", gtin="04006381333931"),
    phone("p3", "Nuvia Halo X2 NHX-220 128 GB graphite", gtin="4006381333932"),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "g.duckdb"
    assert graph("merge", write_run(tmp_path / "run", "r1", LISTED), "--graph", file)[0] == 0
    return file


@pytest.fixture
def store(file: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(file) as store:
        yield store


def members(store: DuckDBStore) -> list[tuple[str, str]]:
    rows = store.rows("FROM members ORDER BY ALL")
    return [(row["spu"], row["product"].removeprefix("product:")) for row in rows]


def test_what_matching_knows_of_a_listing(store: DuckDBStore) -> None:
    listings = {listing.id: listing for listing in listings_of(store)}
    keys = listings["s1"].keys
    assert {"has_shoe_size", "has_color"} <= keys
    assert listings["s1"] == Listing(
        "s1",
        "Velora Swift 3 VS-3011 running shoes red 42",
        brand="Velora",
        makers=frozenset({"Velora"}),
        price=79.9,
        attributes={"has_color": frozenset({"red"}), "has_shoe_size": frozenset({"eu 42"})},
        keys=keys,
    )
    gtins = {name: set(listings[name].gtins) for name in ("p1", "p2", "p3")}
    assert gtins == {
        "p1": {"04006381333931"},
        "p2": {"04006381333931"},
        "p3": set(),
    }  # the last: no check digit


def test_whose_a_listing_is_its_shop_says_and_the_registry(tmp_path: Path) -> None:
    read = AttributeValue("brand", "Moorhen", "Moorhen", None, None, "title", "span", 0.9)
    listed = [
        outcome("a", "Moorhen kettle", read, category=PHONES, feed={"brand": "Tarn Home"}),
        outcome("b", "Moorhen kettle", read, category=PHONES),
    ]
    rows = [{"id": "tarn", "name": "Tarn"}, {"id": "tarn home", "name": "Tarn Home", "parent": "tarn"}]
    registry = tmp_path / "brands.jsonl"
    registry.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "r", "r1", listed)], store, linker=Linker(load_registry(registry)))
        brands = [(listing.brand, set(listing.makers)) for listing in listings_of(store)]
    assert brands == [("Tarn Home", {"Tarn", "Tarn Home"}), ("Moorhen", set())]


def test_listings_become_products_and_matching_again_changes_nothing(store: DuckDBStore) -> None:
    first = match_graph(store, shipped_scorer())
    assert members(store) == [("spu:p1", "p1"), ("spu:p1", "p2"), ("spu:s1", "s1"), ("spu:s1", "s2")]
    said = store.rows("SELECT subject, object, source, quote FROM statements WHERE predicate = 'same_as'")
    assert sorted(
        (row["subject"], row["object"], row["source"], row["quote"].split(";")[0]) for row in said
    ) == [
        ("product:p1", "product:p2", "match", "gtin 04006381333931"),
        ("product:s1", "product:s2", "match", "model vs3011"),
    ]
    before = snapshot(store)
    assert match_graph(store, shipped_scorer()).change == Change()
    assert snapshot(store) == before
    store.undo(first.run_id)
    assert members(store) == []


def test_free_text_in_other_words_forbids_nothing_and_a_capacity_does(tmp_path: Path) -> None:
    cards = [
        card("c1", "Nuvia Extreme Pro NX-5032 SDHC card 32GB", "Extreme Pro", "32 GB"),
        card("c2", "Nuvia ExtremePro (NX5032) SDHC card 32 GB", "ExtremePro", "32 GB"),
        card("c3", "Nuvia Extreme Pro NX-5032 SDHC card 64GB", "Extreme Pro", "64 GB"),
    ]
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "r", "r1", cards)], store)
        keys = {listing.id: listing.keys for listing in listings_of(store)}
        assert "has_capacity" in keys["c1"] and not {"has_model_name", "has_speed_class"} & keys["c1"]
        match_graph(store, shipped_scorer())
        assert members(store) == [("spu:c1", "c1"), ("spu:c1", "c2")]


def test_what_a_merchant_lists_apart_stays_apart_when_it_lists_once(tmp_path: Path) -> None:
    soaps = {
        "a1": ("Moorhen bath soap bar lavender mild", "Anser"),
        "a2": ("Moorhen bath soap bar lavender, mild", "Anser"),
        "a3": ("Moorhen bath soap bar lavender extra mild", "Anser"),
        "b1": ("Moorhen bath soap bar lavender mild - buy online", "Brenta"),
    }
    listed = [
        outcome(name, title, category=PHONES, feed={"brand": "Moorhen", "facts": {"merchant": merchant}})
        for name, (title, merchant) in soaps.items()
    ]
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "r", "r1", listed)], store)
        match_graph(store, shipped_scorer())
        assert [name for _, name in members(store)] == ["a1", "a2", "a3", "b1"]
        match_graph(store, shipped_scorer(), listed_once=True)
        assert [name for _, name in members(store)] == ["a1", "a2", "b1"]


def test_matching_after_new_listings_is_matching_from_scratch(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "r1", "r1", LISTED[::2]), write_run(tmp_path / "r2", "r2", LISTED[1::2])]
    with DuckDBStore(tmp_path / "a.duckdb") as grown, DuckDBStore(tmp_path / "b.duckdb") as whole:
        for run in runs:
            merge_runs([run], grown)
            match_graph(grown, shipped_scorer())
        merge_runs(runs, whole)
        match_graph(whole, shipped_scorer())
        assert snapshot(grown) == snapshot(whole)


def test_another_setting_takes_the_place_of_the_first(store: DuckDBStore) -> None:
    first = match_graph(store, shipped_scorer())
    second = match_graph(store, shipped_scorer(), neighbors=2)
    assert second.run_id != first.run_id
    runs = [row["id"] for row in store.rows("SELECT id FROM runs WHERE id <> 'r1'")]
    assert runs == [second.run_id]
    assert second.change == Change(added=2, removed=2)
    third = match_graph(store, shipped_scorer())
    assert (third.run_id, third.resolution) == (first.run_id, first.resolution)


def test_a_graph_that_cannot_be_told_keeps_the_matches_it_has(store: DuckDBStore) -> None:
    first = match_graph(store, shipped_scorer())
    before = snapshot(store)
    no_json = {"match": object()}  # found out once the earlier run is gone
    with pytest.raises(TypeError):
        store.state("match-x", no_json, gathered([pair("p1", "s1", run="match-x")]), replacing=[first.run_id])
    assert snapshot(store) == before


def test_people_have_the_last_word(store: DuckDBStore) -> None:
    match_graph(store, shipped_scorer())
    words = [
        pair("p1", "p2", "ann", predicate="different_from", act="assert"),
        pair("s1", "s3", "ann", act="assert"),
    ]
    store.state("ann", {}, gathered(words))
    matched = match_graph(store, shipped_scorer())
    assert members(store) == [("spu:s1", "s1"), ("spu:s1", "s2"), ("spu:s1", "s3")]
    assert matched.resolution.pairs["vetoed"] >= 1


def test_the_command(file: Path, tmp_path: Path) -> None:
    code, out, err = graph("match", "--graph", file, "--json", "--ask-out", tmp_path / "ask.jsonl")
    counts = json.loads(out)
    assert (code, err, set(counts)) == (
        0,
        "",
        {"run_id", "pairs", "clusters", "listings", "added", "removed"},
    )
    assert (counts["clusters"], counts["listings"], counts["added"]) == (2, 4, 2)
    asked = [json.loads(line) for line in (tmp_path / "ask.jsonl").read_text().splitlines()]
    assert len(asked) == counts["pairs"]["ask"]
    assert graph("check", "--graph", file)[0] == 0
    _, out, _ = graph("match", "--graph", file)
    assert out.splitlines()[0] == f"{counts['run_id']}: 2 products with 4 listings"
    assert out.splitlines()[2] == "0 statements added, 0 removed"


def test_what_the_command_refuses(file: Path, tmp_path: Path) -> None:
    absent = tmp_path / "none.duckdb"
    assert graph("match", "--graph", absent) == (
        2,
        "",
        f"{absent}: no such graph; `extractor graph merge RUN_DIR --graph {absent}` makes one\n",
    )
    code, _, err = graph("match", "--graph", file, "--scorer", tmp_path)
    assert (code, err) == (2, f"{tmp_path / 'scorer.json'}: no such file; create it or correct the path\n")
    code, _, err = graph("match", "--graph", file, "--engine", "transformers", "--model", EMBEDDED)
    assert (code, err.split(";")[0]) == (
        2,
        "embedded: no chat model, which the question of match@v1 is for",
    )
    code, _, err = graph("match", "--graph", file, "--ask-out", tmp_path / "no" / "ask.jsonl")
    assert (code, err.split(";")[0]) == (2, f"{tmp_path / 'no' / 'ask.jsonl'}: its folder is not there")
    code, _, err = graph("match", "--graph", file, "--listed-once")
    assert (code, err.split(" (")[0]) == (2, f"{file}: no listing states a merchant")
