"""What people say of a graph, and how what it says came about: assert, retract, history, diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_graph import outcome, pair, said, write_run
from test_graph_cli import graph

from extractor.graph.check import problems
from extractor.graph.nodes import Node, Said
from extractor.graph.person import Speaker, take_back
from extractor.graph.statements import Facts, ProductFacts, gathered
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.records import Provenance
from extractor.schema_set import shipped_schemas

TITLE = "LG case for Sony TV, 55 inch"
READ_WRONG = outcome(
    "y", TITLE, said("brand", "Sony", TITLE), said("screen_size", "55 inch", TITLE, "55", "inch")
)
READ_RIGHT = outcome("y", TITLE, said("brand", "LG", TITLE), feed={"brand": "Samsung"})
NIGHTS = {"r1": "2026-11-20T03:00:00Z", "r2": "2026-11-21T03:00:00Z", "r3": "2026-11-22T03:00:00Z"}


def write_night(folder: Path, run_id: str, *outcomes: Any) -> Path:
    """A run folder that says when it began."""
    run = write_run(folder / run_id, run_id, outcomes)
    (run / "run.json").write_text(json.dumps({"run_id": run_id, "created": NIGHTS[run_id]}))
    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A graph of one listing that two runs read."""
    file = tmp_path / "g.duckdb"
    runs = [
        write_night(tmp_path, "r2", READ_RIGHT),
        write_night(tmp_path, "r1", READ_WRONG, outcome("z", "Z")),
    ]
    assert graph("merge", *runs, "--graph", file)[0] == 0
    return file


def brands(file: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Run or source, and brand -> rank and reason, of listing y."""
    described = json.loads(graph("show", "y", "--graph", file, "--json")[1])
    found = [s for s in described["statements"] if s["predicate"] == "has_brand"]
    return {
        (s["source"] if s["source"] == "person" else s["run"], s["label"]): (s["rank"], s["reason"])
        for s in found
    }


LG_LOST = ("deprecated", "brand:samsung counts: the feed comes before the text")
SONY_LOST = ("deprecated", "run r2 read this listing later")
NORMAL, PREFERRED = ("normal", ""), ("preferred", "")


def test_a_later_run_replaces_what_it_read_and_the_feed_comes_before_the_text(file: Path) -> None:
    assert brands(file) == {("r1", "Sony"): SONY_LOST, ("r2", "LG"): LG_LOST, ("r2", "Samsung"): NORMAL}
    assert graph("undo", "r2", "--graph", file)[0] == 0
    assert brands(file) == {("r1", "Sony"): NORMAL}


def test_a_person_states_a_brand_and_takes_it_back(tmp_path: Path, file: Path) -> None:
    before = brands(file)
    code, out, _ = graph(
        *("assert", "y", "has_brand", "LG", "--because", "it is an LG case", "--by", "ann", "--json"),
        "--graph",
        file,
    )
    word = json.loads(out)
    assert (code, word["subject"], word["object"]) == (0, "product:y", "brand:lg")
    lost = ("deprecated", "brand:lg counts: a person comes before the feed")
    stated = {
        ("r1", "Sony"): SONY_LOST,
        ("r2", "LG"): NORMAL,
        ("r2", "Samsung"): lost,
        ("person", "LG"): PREFERRED,
    }
    assert brands(file) == stated
    # It survives a later run, and saying it again.
    again = graph("assert", "y", "has_brand", "brand:lg", "--by", "ann", "--json", "--graph", file)[1]
    assert json.loads(again)["run_id"] == word["run_id"]
    later = write_night(tmp_path, "r3", outcome("y", TITLE, said("brand", "Sony", TITLE)))
    graph("merge", later, "--graph", file)
    assert brands(file)["r3", "Sony"] == ("deprecated", "brand:lg counts: a person comes before the text")
    assert graph("check", "--graph", file)[0] == 0
    graph("undo", "r3", "--graph", file)
    graph("undo", word["run_id"], "--graph", file)
    assert brands(file) == before


@pytest.mark.parametrize("by_id", [True, False])
def test_what_a_person_takes_back_stays_so_when_a_run_says_it_again(
    tmp_path: Path, file: Path, by_id: bool
) -> None:
    described = json.loads(graph("show", "y", "--graph", file, "--json")[1])
    (statement,) = [s for s in described["statements"] if s["label"] == "Samsung"]
    named = [statement["id"]] if by_id else ["y", "has_brand", "Samsung"]
    assert graph("retract", *named, "--because", "wrong row", "--by", "bob", "--graph", file)[0] == 0
    lost = ("deprecated", "bob took it back: wrong row")
    expected = {("r2", "LG"): NORMAL, ("r2", "Samsung"): lost}
    assert brands(file).items() >= expected.items()
    graph("merge", write_night(tmp_path, "r3", READ_RIGHT), "--graph", file)
    assert brands(file)["r3", "Samsung"] == lost
    assert graph("check", "--graph", file)[0] == 0


def test_what_is_taken_back_of_a_brand_is_so_for_all_listings_that_say_it() -> None:
    """A statement that stands with many listings, and is about none of them."""
    brand, parent = (Node(f"brand:{name}", "Brand", name) for name in ("omen", "hp"))

    def listing(run: str, name: str) -> ProductFacts:
        origin = Provenance(run, name, "title", None, "", "", "", "")
        product = Node(f"product:{name}", "Product", "T")
        edges = [(product, "has_brand", brand), (brand, "sub_brand_of", parent)]
        facts = gathered(Said(*edge, 1.0, origin) for edge in edges)
        return ProductFacts(name, "T", "hash", facts.nodes, facts.statements, Facts({}, {}))

    def ranks() -> list[tuple[Any, ...]]:
        said = "SELECT source, rank FROM statements WHERE predicate = 'sub_brand_of' ORDER BY ALL"
        return [*store.query(said)[1]]

    with DuckDBStore(Path(":memory:")) as store:
        store.add_run("r1", {}, shipped_schemas())
        store.merge("r1", [listing("r1", "x")])
        word = take_back(store, ("brand:omen", "sub_brand_of", "brand:hp"), Speaker("ann"))
        assert ranks() == [("person", "deprecated"), ("title", "deprecated")]
        store.add_run("r2", {}, shipped_schemas())
        store.merge("r2", [listing("r2", "y")])
        assert ranks() == [("person", "deprecated"), ("title", "deprecated"), ("title", "deprecated")]
        assert list(problems(store)) == []
        store.undo(word.run_id)
        assert ranks() == [("title", "normal"), ("title", "normal")]
        assert list(problems(store)) == []


def test_what_is_taken_back_of_a_category_stays_so_when_a_later_run_says_it_again(
    tmp_path: Path, file: Path
) -> None:
    edge = ("category:electronics.tvs", "subcategory_of", "Electronics")
    assert graph("retract", *edge, "--by", "ann", "--graph", file)[0] == 0
    graph("merge", write_night(tmp_path, "r3", outcome("q", "Q")), "--graph", file)
    assert graph("check", "--graph", file)[0] == 0
    stated = json.loads(graph("show", edge[0], "--graph", file, "--json")[1])["statements"]
    said = {(s["run"][:6], s["rank"]) for s in stated if s["predicate"] == "subcategory_of"}
    assert said == {(run, "deprecated") for run in ("person", "r1", "r2", "r3")}


def test_a_run_that_says_it_began_later_has_the_later_word(file: Path) -> None:
    with DuckDBStore(file) as store:
        store.add_run("r1", {"run_id": "r1", "created": "2026-11-23T03:00:00Z"}, shipped_schemas())
    assert brands(file)["r2", "LG"] == ("deprecated", "run r1 read this listing later")
    assert graph("check", "--graph", file)[0] == 0


@pytest.mark.parametrize(
    ("relation", "text", "meant"),
    [
        ("in_category", "TVs", "category:electronics.tvs"),
        ("in_category", "electronics", "category:electronics"),
        ("sold_by", "Shop & Co", "merchant:shop-co"),
        ("suits", "Women", "audience:women"),
        ("has_price", "$5", "value:price:5.00 USD"),
    ],
)
def test_a_word_means_the_node_that_a_feed_would_mean(
    tmp_path: Path, file: Path, relation: str, text: str, meant: str
) -> None:
    feed = {"facts": {"merchant": "Other Shop", "price": "10"}}
    graph("merge", write_night(tmp_path, "r3", outcome("q", "Q", feed=feed)), "--graph", file)
    told = graph("assert", "y", relation, text, "--by", "ann", "--json", "--graph", file)[1]
    assert json.loads(told)["object"] == meant
    assert graph("retract", "y", relation, text, "--by", "ann", "--graph", file)[0] == 0
    assert graph("check", "--graph", file)[0] == 0


def test_a_person_says_that_listings_are_the_same_or_different(file: Path) -> None:
    assert graph("assert", "z", "same_as", "y", "--graph", file)[1].startswith(
        "stated: product:y same_as product:z\n"
    )
    assert "one of the listings of spu:y" in graph("show", "z", "--graph", file)[1]
    assert "product:z" in graph("show", "spu:y", "--graph", file)[1]
    assert "say it of one" in graph("assert", "spu:y", "has_brand", "LG", "--graph", file)[2]
    assert graph("retract", "z", "same_as", "y", "--graph", file)[0] == 0
    assert graph("show", "spu:y", "--graph", file)[0] == 2
    graph("assert", "z", "same_as", "product:y", "--graph", file)
    graph("assert", "z", "different_from", "y", "--graph", file)
    assert graph("show", "spu:y", "--graph", file)[0] == 2
    assert graph("check", "--graph", file)[0] == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("assert nobody has_brand LG", "nobody: no such node"),
        ("assert y has_brnd LG", "has_brnd: no relation of this graph or its schemas; such as has_brand"),
        ("assert y same_as y", "two different products"),
        ("assert y same_as brand:sony", "two different products"),
        ("assert y has_brand product:q", "no such Product"),
        ("assert y has_brand ''", "its value is blank"),
        ("assert y in_category Phones", "Phones: no such category"),
        (
            "assert y in_category brand:lg",
            "brand:lg: in_category leads to nodes of kind Category; give the id of one",
        ),
        (
            "assert y has_brand category:electronics",
            "has_brand leads to nodes of kind Brand; give the id of one, such as",
        ),
        ("assert category:electronics has_attribute Color", "has_attribute leads to nodes of kind Attribute"),
        ("retract y has_brand Nikon", "nobody states that"),
        ("retract 0123", "0123: no such statement"),
        ("retract 00000000000000000000000000000000", "no such statement"),
        ("retract y has_brand", "give the id of a statement"),
        ("history nobody", "nobody: no such node"),
        ("diff r1 r7", "r7: no such run"),
    ],
)
def test_what_cannot_be_said_is_told_in_a_line(file: Path, command: str, message: str) -> None:
    import shlex

    before = graph("stats", "--graph", file, "--json")
    code, out, err = graph(*shlex.split(command), "--graph", file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert graph("stats", "--graph", file, "--json") == before


def test_history_tells_what_each_run_said(file: Path) -> None:
    graph("assert", "y", "has_brand", "LG", "--by", "ann", "--graph", file)
    found = json.loads(graph("history", "y", "--graph", file, "--json")[1])
    told = [
        [(s["predicate"], s["label"], s["rank"]) for s in run["said"] if s["predicate"] == "has_brand"]
        for run in found["runs"]
    ]
    assert [run["run"][:6] for run in found["runs"]] == ["r1", "r2", "person"]
    assert told == [
        [("has_brand", "Sony", "deprecated")],
        [("has_brand", "LG", "normal"), ("has_brand", "Samsung", "deprecated")],
        [("has_brand", "LG", "preferred")],
    ]
    of_brand = json.loads(graph("history", "brand:lg", "--graph", file, "--json")[1])
    assert [(run["said"], run["mentions"]) for run in of_brand["runs"]] == [([], 1), ([], 1)]
    statement = found["runs"][0]["said"][0]["id"]
    of_statement = json.loads(graph("history", statement, "--graph", file, "--json")[1])
    assert {s["predicate"] for run in of_statement["runs"] for s in run["said"]} == {"has_brand"}
    in_sql = graph(
        "query", f"SELECT id FROM statements WHERE id = '{statement}'::UUID", "--graph", file, "--json"
    )
    ((hyphened,),) = json.loads(in_sql[1])["rows"]
    assert "-" in hyphened
    assert json.loads(graph("history", hyphened, "--graph", file, "--json")[1]) == of_statement
    assert "run r2 read this listing later" in graph("history", "y", "--graph", file)[1]


def test_history_of_an_spu_tells_what_made_it_and_what_others_said_since(file: Path) -> None:
    matched = gathered([pair("y", "z", "match-1")])
    with DuckDBStore(file) as store:
        store.state("match-1", {}, matched)
    found = json.loads(graph("history", "spu:y", "--graph", file, "--json")[1])
    told = [
        (run["run"], [(s["subject"], s["predicate"], s["object"]) for s in run["said"]])
        for run in found["runs"]
    ]
    assert told == [("match-1", [("product:y", "same_as", "product:z")])]
    out = graph("history", "spu:y", "--graph", file)[1]
    assert all(name in out for name in ("product:y", "same_as", "product:z"))
    # Matching has no date of its own; it came after what it matched.
    runs = json.loads(graph("history", "y", "--graph", file, "--json")[1])["runs"]
    assert [run["run"] for run in runs] == ["r1", "r2", "match-1"]
    assert "graph view spu:y" in graph("show", "spu:y", "--graph", file)[2]


def test_diff_tells_what_two_runs_say_differently(file: Path) -> None:
    found = json.loads(graph("diff", "r1", "r2", "--graph", file, "--json")[1])
    assert found["listings"] == {"both": 1, "only_a": 1, "only_b": 0}
    assert found["relations"] == {
        "brand_check": {"both": 0, "only_a": 0, "only_b": 1},
        "has_brand": {"both": 0, "only_a": 1, "only_b": 2},
        "has_screen_size": {"both": 0, "only_a": 1, "only_b": 0},
        "in_category": {"both": 1, "only_a": 0, "only_b": 0},
    }
    assert [(c["predicate"], c["object"], c["run"]) for c in found["changes"]] == [
        ("brand_check", "value:brand_check:conflict", "r2"),
        ("has_brand", "brand:lg", "r2"),
        ("has_brand", "brand:samsung", "r2"),
        ("has_brand", "brand:sony", "r1"),
        ("has_screen_size", "value:screen_size:55 inch", "r1"),
    ]
    assert "- A" in graph("diff", "r1", "r2", "--graph", file)[1]
