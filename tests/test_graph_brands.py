"""Brands in the graph: mentions linked to a registry, feed held against text, and a registry learned back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_brands import APPLE, HP, PHILIPS, SONICARE, SONY, write
from test_cli import command
from test_graph import TARGETS, in_memory, outcome, said, snapshot, write_run
from test_graph_cli import graph as graph_cli

from extractor.brands.link import Linker
from extractor.brands.registry import load_registry
from extractor.graph.check import problems
from extractor.graph.exports import export
from extractor.graph.merge import merge_runs
from extractor.graph.statements import ProductFacts, facts_of
from extractor.records import CategoryChoice, Outcome

PHONES = CategoryChoice("phones.phones", ("Phones", "Phones"), 0.8)
FRUIT = CategoryChoice("grocery.fruit", ("Grocery", "Fruit"), 0.8)


@pytest.fixture
def linker(tmp_path: Path) -> Linker:
    return Linker(load_registry(write(tmp_path / "brands.jsonl", HP, SONY, PHILIPS, SONICARE, APPLE)))


def of(title: str, brand: str | None, feed: str | None = None, canonical: str = "", **fields: Any) -> Outcome:
    values = [said("brand", brand, title, canonical)] if brand else []
    return outcome("x", title, *values, **{"feed": {"brand": feed} if feed else {}, **fields})


def stated(facts: ProductFacts | None) -> list[tuple[str, str, str, str, str]]:
    """(subject, predicate, object, source, quote) of all that is said about brands."""
    assert facts is not None
    return [
        (s.subject, s.predicate, s.object, s.provenance.source, s.provenance.quote)
        for s in facts.statements.values()
        if "brand" in s.predicate
    ]


def brand_of(facts: ProductFacts | None) -> tuple[str, str]:
    """The brand's node id and why."""
    edges = {predicate: target for _, predicate, target, _, _ in stated(facts)}
    rule, _, written = edges["brand_link"].removeprefix("value:brand_link:").partition(": ")
    assert written
    return edges["has_brand"], rule


# --- linking


def test_a_mention_is_linked_with_its_evidence(linker: Linker) -> None:
    facts = facts_of(of("Philips Sonicare 4100", "Philips Sonicare"), "r1", TARGETS, linker)
    assert stated(facts) == [
        ("product:x", "has_brand", "brand:sonicare", "title", "Philips Sonicare"),
        (
            "product:x",
            "brand_link",
            "value:brand_link:sub-brand: Philips Sonicare",
            "title",
            "Philips Sonicare",
        ),
        ("brand:sonicare", "sub_brand_of", "brand:philips", "title", "Philips Sonicare"),
    ]
    assert facts is not None
    assert facts.nodes["brand:sonicare"].label == "Sonicare"
    models = {s.provenance.model for s in facts.statements.values() if "brand" in s.predicate}
    assert models == {f"embedded+{linker.registry.id}"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (of("HP Inc. Laptop", "HP Inc."), ("brand:hp", "company name")),
        (of("hewlett packard laptop", "hewlett packard"), ("brand:hp", "name")),
        (of("Sonos One", "Sonos"), ("brand:sonos", "new brand")),
        # The schema knows the spelling, the registry does not.
        (of("Hewlet Laptop", "Hewlet", canonical="HP"), ("brand:hp", "name")),
        (of("Apple 14", "Apple", category=PHONES), ("brand:apple", "name")),
        (of("Apple, 1 kg", "Apple", category=FRUIT), ("brand:apple@grocery", "other meaning")),
        (
            of("Apple", "Apple", category=CategoryChoice("unknown", (), 0.0)),
            ("brand:apple@unknown", "undecided"),
        ),
    ],
)
def test_a_brand_is_known_or_a_new_node(linker: Linker, found: Outcome, expected: tuple[str, str]) -> None:
    assert brand_of(facts_of(found, "r1", TARGETS, linker)) == expected


def test_a_new_brand_takes_no_node_of_the_registry(tmp_path: Path) -> None:
    """Somebody's id may be what another brand is called."""
    linker = Linker(load_registry(write(tmp_path / "b.jsonl", {"id": "sonos", "name": "Sony"})))
    assert brand_of(facts_of(of("Sonos One", "Sonos"), "r1", TARGETS, linker)) == (
        "brand:sonos@electronics",
        "new brand",
    )


def test_a_link_is_taken_back_by_merging_without_the_registry(tmp_path: Path, linker: Linker) -> None:
    products = [
        of("HP Inc. Laptop", "HP Inc.", "Hewlett-Packard"),
        of("Philips Sonicare", "Philips Sonicare"),
    ]
    run = write_run(
        tmp_path / "run", "r1", [products[0], outcome("y", "Philips Sonicare", *products[1].values)]
    )
    with in_memory() as store, in_memory() as other:
        merge_runs([run], store)
        before = snapshot(store)
        linked = merge_runs([run], store, linker=linker)
        assert list(problems(store)) == []
        assert {row["id"] for row in store.rows("SELECT id FROM nodes WHERE kind = 'Brand'")} == {
            "brand:hp",
            "brand:sonicare",
            "brand:philips",
        }
        assert linked[0].change.added > 0
        assert merge_runs([run], store, linker=linker)[0].change.added == 0
        merge_runs([run], store)
        assert snapshot(store) == before
        merge_runs([run], store, linker=linker)
        store.undo("r1")
        assert snapshot(store) == snapshot(other)


# --- feed against text


@pytest.mark.parametrize(
    ("title", "brand", "feed", "check"),
    [
        ("SONY Bravia", "SONY", "Sony", ("agreement", "title", "SONY")),
        ("HP Laptop", "HP", "Sony", ("conflict", "title", "HP")),
        ("Laptop 15", None, "Sony", ("absent", "feed", "")),
        # No model saw it, but there it stands.
        ("Laptop by sony", None, "Sony", ("agreement", "title", "sony")),
        # A longer or shorter name at the same place.
        (
            "Kestrel Bay Designs tee",
            "Kestrel Bay",
            "Kestrel Bay Designs",
            ("agreement", "title", "Kestrel Bay"),
        ),
        ("Bosch GmbH drill", "Bosch GmbH", "BOSCH", ("agreement", "title", "Bosch GmbH")),
        # It stands in the text, but another is the brand.
        ("Spigen case for Sony Xperia", "Spigen", "Sony", ("conflict", "title", "Spigen")),
        # "And" is a brand, but not in "sandals".
        ("Leather sandals", None, "And", ("absent", "feed", "")),
        ("SONY Bravia", "SONY", "No Brand", None),
        ("SONY Bravia", "SONY", None, None),
    ],
)
def test_the_feeds_brand_is_held_against_the_text(
    title: str, brand: str | None, feed: str | None, check: tuple[str, str, str] | None
) -> None:
    found = stated(facts_of(of(title, brand, feed), "r1", TARGETS))
    checks = [
        (target.removeprefix("value:brand_check:"), source, quote)
        for _, predicate, target, source, quote in found
        if predicate == "brand_check"
    ]
    assert checks == ([check] if check else [])
    assert not [edge for edge in found if edge[2] == "brand:no-brand"]


@pytest.mark.parametrize(
    ("title", "brand", "feed", "check"),
    [
        ("HP Laptop", "HP", "Hewlett-Packard", "agreement"),
        ("Sonicare brush", "Sonicare", "Philips", "agreement"),
        ("Sonicare brush", "Sonicare", "Sony", "conflict"),
    ],
)
def test_a_registry_knows_what_agrees(linker: Linker, title: str, brand: str, feed: str, check: str) -> None:
    found = stated(facts_of(of(title, brand, feed), "r1", TARGETS, linker))
    assert [target for _, predicate, target, *_ in found if predicate == "brand_check"] == [
        f"value:brand_check:{check}"
    ]


# --- a registry learned from a graph


def learned(tmp_path: Path, *outcomes: Outcome, linker: Linker | None = None) -> list[dict[str, Any]]:
    named = [
        outcome(f"p{n}", o.title, *o.values, category=o.category, feed=o.feed) for n, o in enumerate(outcomes)
    ]
    out = tmp_path / "learned.jsonl"
    with in_memory() as store:
        merge_runs([write_run(tmp_path / "run", "r1", named)], store, linker=linker)
        export(store, "brands", out)
    load_registry(out)
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_spellings_of_a_brand_become_one_line(tmp_path: Path) -> None:
    rows = learned(
        tmp_path,
        of("Bosch drill", "Bosch", "Robert Bosch GmbH"),
        of("BOSCH saw", "BOSCH"),
        of("Bosch GmbH mixer", "Bosch GmbH"),
        of("Sonos One", "Sonos", "No Brand"),
    )
    assert rows == [
        {"id": "bosch", "name": "BOSCH", "aliases": ["Bosch GmbH"]},
        {"id": "robert-bosch", "name": "Robert Bosch", "aliases": ["Robert Bosch GmbH"]},
        {"id": "sonos", "name": "Sonos", "aliases": []},
    ]


def test_what_a_registry_said_is_learned_back(tmp_path: Path, linker: Linker) -> None:
    rows = learned(
        tmp_path,
        of("HP Inc. Laptop", "HP Inc."),
        of("Hewlett Packard Laptop", "Hewlett Packard"),
        of("Apple 14", "Apple", category=PHONES),
        of("Apple, 1 kg", "Apple", category=FRUIT),
        of("Philips Sonicare", "Philips Sonicare"),
        linker=linker,
    )
    assert rows == [
        {"id": "hp", "name": "HP", "aliases": ["HP Inc.", "Hewlett Packard"]},
        {"id": "apple", "name": "Apple", "aliases": [], "categories": ["phones"]},
        {"id": "apple@grocery", "name": "Apple", "aliases": [], "categories": ["grocery"]},
        {"id": "sonicare", "name": "Sonicare", "aliases": ["Philips Sonicare"], "parent": "philips"},
        {"id": "philips", "name": "Philips", "aliases": []},
    ]


def test_a_name_that_nothing_tells_apart_stays_with_the_larger_brand(tmp_path: Path, linker: Linker) -> None:
    """Some listings had no category that the registry knows."""
    watches = CategoryChoice("phones", ("Phones",), 1.0)
    strange = CategoryChoice("phones.odd", ("Strange",), 1.0)
    rows = learned(
        tmp_path,
        of("Apple 14", "Apple", category=watches),
        of("Apple 15", "Apple", category=watches),
        of("Apple tin", "Apple", category=CategoryChoice("unknown", (), 0.0)),
        of("Apple jam", "Apple", category=strange),
        linker=linker,
    )
    assert [row["id"] for row in rows] == ["apple"]


# --- the command line


def test_brands_are_linked_by_a_registry_file(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "r1", [of("HP Inc. Laptop", "HP Inc.")])
    brands, file = write(tmp_path / "brands.jsonl", HP), tmp_path / "g.duckdb"
    assert graph_cli("merge", run, "--graph", file, "--brands", brands)[0] == 0
    shown = json.loads(graph_cli("show", "brand:hp", "--graph", file, "--json")[1])
    assert (shown["label"], shown["mentioned_by"]) == ("HP", 1)
    out = tmp_path / "learned.jsonl"
    assert graph_cli("export", "--to", "brands", "--out", out, "--graph", file)[:2] == (0, f"{out}\n")
    assert json.loads(out.read_text("utf-8"))["aliases"] == ["HP Inc."]


def test_a_broken_registry_is_told_before_anything_is_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "r1", [of("HP Inc. Laptop", "HP Inc.")])
    brands = write(tmp_path / "brands.jsonl", HP, SONY, {**HP, "id": "packard"})
    code, out, err = graph_cli("merge", run, "--graph", tmp_path / "g.duckdb", "--brands", brands)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{brands}:3: 'HP' is a name of 'hp' too" in err
    assert not (tmp_path / "g.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--brands", "{}/none.jsonl", "--graph", "{}/g.duckdb"), "none.jsonl: No such file"),
        (("--brands", "{}/none.jsonl"), "brands are linked in the graph; give --graph as well"),
    ],
)
def test_a_run_finds_a_wrong_registry_before_the_work(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    feed = write(tmp_path / "feed.jsonl", {"id": "1", "title": "HP Laptop"})
    arguments = [option.format(tmp_path) for option in options]
    ended = command("run", feed, "--out", tmp_path / "run", "--engine", "scripted", *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert told in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feed.jsonl"]
