"""extractor.graph.answers: features, compare and coverage of a small shop, by Python and on the command line."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_graph import HEADPHONES, fill, shop
from test_graph import outcome, said, write_run
from test_graph_cli import graph as command

from extractor.errors import ConfigError, SinkError
from extractor.graph.answers.compare import compare
from extractor.graph.answers.coverage import Unknown, coverage
from extractor.graph.answers.features import FILES, write_features
from extractor.graph.answers.insights import insights
from extractor.graph.answers.said import said_of
from extractor.graph.find import Thing, find_category, find_node, find_thing
from extractor.graph.merge import merge_runs
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.records import CategoryChoice, Outcome


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    yield from shop(tmp_path_factory.mktemp("shop") / "run", products=40)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[DuckDBStore]:
    """Two headphones."""
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r1", [RED, BLUE])], store)
        yield store


def listing(name: str, title: str, *values: Any, **facts: str) -> Outcome:
    return outcome(name, title, *values, category=HEADPHONES, feed={"facts": facts})


RED_TITLE, BLUE_TITLE = "Acme H1 in-ear headphones red", "Corvo C7 in-ear headphones blush"
RED = listing(
    "red",
    RED_TITLE,
    said("brand", "Acme", RED_TITLE),
    said("wear_style", "in-ear", RED_TITLE),
    said("color", "red", RED_TITLE),
    price="20",
)
BLUE = listing(
    "blue",
    BLUE_TITLE,
    said("brand", "Corvo", BLUE_TITLE),
    said("wear_style", "in-ear", BLUE_TITLE),
    said("color", "blush", BLUE_TITLE, "mauvish"),
)


# ---- what people name


def test_a_thing_is_found_by_its_id_and_by_its_name(graph: DuckDBStore) -> None:
    spu = find_thing(graph, "spu:h0")
    assert (spu.kind, spu.listings) == ("SPU", ("product:h0", "product:h0-b"))
    product = find_thing(graph, "h0")
    assert product == Thing("product:h0", "Product", product.label, ("product:h0",), "spu:h0")
    alone = find_thing(graph, "h1")
    assert alone == Thing("product:h1", "Product", alone.label, ("product:h1",), "product:h1")
    assert find_thing(graph, "product:h0") == product


def test_a_category_has_all_that_is_below_it(graph: DuckDBStore) -> None:
    audio = find_category(graph, "audio")
    assert (audio.id, audio.label, len(audio.subtree)) == ("category:electronics.audio", "Audio", 3)
    assert find_category(graph, "electronics.audio") == find_category(graph, audio.id) == audio


def test_a_label_of_two_categories_is_no_name(tmp_path: Path) -> None:
    cases = [CategoryChoice(f"{top}.cases", (top.title(), "Cases"), 0.9) for top in ("phones", "music")]
    listings = [outcome(each.id, "T", category=each) for each in cases]
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", listings)], store)
        with pytest.raises(
            ConfigError, match=r"give an id, such as category:music\.cases, category:phones\.cases"
        ):
            find_category(store, "cases")
        assert find_category(store, "phones.cases").subtree == ("category:phones.cases",)


def test_what_is_not_there_is_named_with_what_is_near(graph: DuckDBStore) -> None:
    cases = {
        "spu:h00": "spu:h00: no such SPU or product; near ones are spu:h0, ",
        "brand:acme": "brand:acme: is a Brand; give the id of an SPU or product",
        "": ": no such SPU or product; near ones are",
    }
    for name, message in cases.items():
        with pytest.raises(ConfigError) as error:
            find_thing(graph, name)
        assert str(error.value).startswith(message) or "near ones are" in str(error.value), name
        assert "\n" not in str(error.value)


def test_a_node_is_found_as_a_thing_is_and_values_are_near_to_no_name(graph: DuckDBStore) -> None:
    assert find_node(graph, "h0")["id"] == "product:h0"
    assert find_node(graph, "brand:acme") == {"id": "brand:acme", "kind": "Brand", "label": "Acme"}
    with pytest.raises(ConfigError, match=r"^acm e: no such node; near ones are brand:acme, ") as error:
        find_node(graph, "acm\n e")
    assert "value:" not in str(error.value)
    with pytest.raises(ConfigError, match=r"^value:color:rde: no such node; near ones are value:color:red, "):
        find_node(graph, "value:color:rde")
    with pytest.raises(ConfigError, match=r"^y{80}…: no such SPU or product"):
        find_thing(graph, "y" * 3000)


def test_of_an_empty_graph_all_is_said_in_one_line(tmp_path: Path) -> None:
    with DuckDBStore(Path(":memory:")) as store:
        with pytest.raises(ConfigError, match="x: no such SPU or product; the graph has none, merge a run"):
            compare(store, "x", "y")
        with pytest.raises(ConfigError, match="TVs: no such category; the graph has none"):
            insights(store, "TVs", "sales")
        for ask in (coverage, lambda graph: write_features(graph, tmp_path / "features")):
            with pytest.raises(ConfigError, match="it has no products; merge a run into it first"):
                ask(store)
    assert list(tmp_path.iterdir()) == []


# ---- compare


def test_two_products_side_by_side(small: DuckDBStore) -> None:
    compared = compare(small, "red", "product:blue")
    assert [(each.attribute, each.status) for each in compared.attributes] == [
        ("brand", "different"),
        ("color", "different"),
        ("price", "only a"),
        ("in_category", "same"),
        ("wear_style", "same"),
    ]
    color = compared.to_json()["attributes"][1]
    assert color["b"] == [
        {
            "id": "value:color:mauvish",
            "label": "mauvish",
            "confidence": 0.9,
            "evidence": [
                {
                    **{
                        "rank": "normal",
                        "reason": "",
                        "confidence": 0.9,
                        "source": "title",
                        "span": [27, 32],
                    },
                    **{"quote": "blush", "product": "blue", "run": "r1", "model": "embedded"},
                }
            ],
        }
    ]
    assert compared.to_json()["counts"] == {"different": 2, "only a": 1, "only b": 0, "same": 2}


def test_links_are_not_compared_and_attributes_come_first(tmp_path: Path) -> None:
    green = listing(
        "green", RED_TITLE, said("color", "red", RED_TITLE, "green"), aisle="3", url="https://a.example/1"
    )
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r1", [RED, green])], store)
        compared = compare(store, "green", "red")
    assert [(each.attribute, each.status) for each in compared.attributes] == [
        ("color", "different"),
        ("aisle", "only a"),
        ("brand", "only b"),
        ("wear_style", "only b"),
        ("price", "only b"),
        ("in_category", "same"),
    ]


def test_what_most_listings_say_comes_first(tmp_path: Path) -> None:
    doubtful = replace(said("color", "red", RED_TITLE), confidence=0.6)
    several = [listing(name, RED_TITLE, doubtful) for name in "ab"]
    several.append(listing("c", RED_TITLE, said("color", "red", RED_TITLE, "scarlet")))
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r1", several)], store)
        values = said_of(store, [f"product:{name}" for name in "abc"])["has_color"]
    assert [(value.label, value.confidence) for value in values] == [("red", 0.6), ("scarlet", 0.9)]


def test_a_thing_is_the_same_as_itself(graph: DuckDBStore) -> None:
    compared = compare(graph, "spu:h0", "spu:h0")
    assert {each.status for each in compared.attributes} == {"same"}


def test_an_spu_has_the_values_of_all_its_listings(graph: DuckDBStore) -> None:
    prices = next(each for each in compare(graph, "spu:h0", "h1").attributes if each.attribute == "price")
    assert len(prices.a) == 2 and {each.evidence[0].product for each in prices.a} == {"h0", "h0-b"}


# ---- features


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {file.stem: pq.read_table(file).to_pylist() for file in folder.glob("*.parquet")}


def test_the_features_of_two_products(tmp_path: Path, small: DuckDBStore) -> None:
    done = write_features(small, tmp_path / "features")
    found = tables(tmp_path / "features")
    assert sorted(found) == sorted(name.removesuffix(".parquet") for name in FILES)
    assert found["products"] == [{"row": 0, "product": "product:blue"}, {"row": 1, "product": "product:red"}]
    names = {
        row["feature"]: (row["kind"], row["relation"], row["node"], row["label"])
        for row in found["vocabulary"]
    }
    assert names == {
        0: ("attribute", "has_color", "value:color:mauvish", "mauvish"),
        1: ("attribute", "has_color", "value:color:red", "red"),
        2: ("attribute", "has_wear_style", "value:wear_style:in-ear", "in-ear"),
        3: ("brand", "has_brand", "brand:acme", "Acme"),
        4: ("brand", "has_brand", "brand:corvo", "Corvo"),
        5: ("category", "in_category", "category:electronics", "Electronics"),
        6: ("category", "in_category", "category:electronics.audio", "Audio"),
        7: ("category", "in_category", "category:electronics.audio.headphones", "Headphones"),
    }
    weight = np.float32(0.9)
    assert found["attributes"] == [
        {"row": row, "feature": feature, "weight": weight}
        for row, feature in ((0, 0), (0, 2), (1, 1), (1, 2))
    ]
    assert [(each["row"], each["feature"]) for each in found["brands"]] == [(0, 4), (1, 3)]
    assert len(found["categories"]) == 6 and found["spus"] == found["audiences"] == []
    assert (done.products, done.features, done.new_products, done.written) == (2, 8, 2, FILES)


def test_numbers_keep_their_meaning_whatever_comes_and_goes(tmp_path: Path, small: DuckDBStore) -> None:
    out = tmp_path / "it's features"
    write_features(small, out)
    before = tables(out)
    files = {file: file.stat().st_mtime_ns for file in out.glob("*.parquet")}
    again = write_features(small, out)
    assert (again.written, {file: file.stat().st_mtime_ns for file in files}) == ((), files)

    green = "Acme A1 in-ear headphones green"
    added = listing("a-green", green, said("color", "green", green))
    merge_runs([write_run(tmp_path / "more", "r2", [added])], small)
    grown = write_features(small, out)
    assert (grown.new_products, grown.new_features) == (1, 1)
    assert grown.written == (
        "vocabulary.parquet",
        "products.parquet",
        "attributes.parquet",
        "categories.parquet",
    )
    after = tables(out)
    assert after["vocabulary"][:8] == before["vocabulary"] and after["vocabulary"][8]["label"] == "green"
    assert (
        after["products"][:2] == before["products"] and after["products"][2]["product"] == "product:a-green"
    )

    small.undo("r1")
    write_features(small, out)
    gone = tables(out)
    assert gone["vocabulary"] == after["vocabulary"] and gone["products"] == after["products"]
    assert gone["attributes"] == [{"row": 2, "feature": 8, "weight": np.float32(0.9)}]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sets(st.sampled_from("abcd"))), min_size=2, max_size=5))
@settings(deadline=None, max_examples=8)
def test_numbers_only_grow_whatever_is_merged_or_undone(changes: list[tuple[str, set[str]]]) -> None:
    """A run says another thing each time; with no products it is undone."""
    merged: set[str] = set()
    numbered: dict[str, list[dict[str, Any]]] = {"vocabulary": [], "products": []}
    with TemporaryDirectory() as name, DuckDBStore(Path(":memory:")) as store:
        folder = Path(name)
        merge_runs([write_run(folder / "first", "first", [RED])], store)
        for run, products in changes:
            if products:
                titled = [(each, f"{each} {run}") for each in sorted(products)]
                listings = [listing(each, title, said("color", title, title)) for each, title in titled]
                merge_runs([write_run(folder / run, run, listings)], store)
                merged.add(run)
            elif run in merged:
                store.undo(run)
                merged.remove(run)
            write_features(store, folder / "features")
            found = tables(folder / "features")
            for table, known in numbered.items():
                assert found[table][: len(known)] == known
                assert [next(iter(row.values())) for row in found[table]] == list(range(len(found[table])))
                numbered[table] = found[table]


def test_one_process_at_a_time(tmp_path: Path, small: DuckDBStore) -> None:
    write_features(small, tmp_path / "features")
    with (tmp_path / "features" / ".lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SinkError, match="another process writes this"):
            write_features(small, tmp_path / "features")
    assert write_features(small, tmp_path / "features").written == ()


def test_an_spu_is_a_feature_of_its_listings(tmp_path: Path, graph: DuckDBStore) -> None:
    write_features(graph, tmp_path / "features")
    found = tables(tmp_path / "features")
    spus = {row["feature"]: row["node"] for row in found["vocabulary"] if row["kind"] == "spu"}
    rows = {row["row"]: row["product"] for row in found["products"]}
    members = {(spus[each["feature"]], rows[each["row"]]) for each in found["spus"]}
    assert {("spu:h0", "product:h0"), ("spu:h0", "product:h0-b")} <= members and len(members) == 8
    assert {each["weight"] for each in found["spus"]} == {np.float32(0.95)}


def test_the_readme_loads_a_sparse_matrix(tmp_path: Path, graph: DuckDBStore) -> None:
    from scipy.sparse import csr_matrix

    folder = tmp_path / "features"
    write_features(graph, folder)
    shape = [pq.read_metadata(folder / f"{name}.parquet").num_rows for name in ("products", "vocabulary")]
    t = pq.read_table(folder / "attributes.parquet")
    matrix = csr_matrix((t["weight"], (t["row"], t["feature"])), shape=shape)
    assert (matrix.shape, matrix.nnz) == ((46, shape[1]), t.num_rows)


def test_a_folder_of_something_else_stays_as_it_is(tmp_path: Path, small: DuckDBStore) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    broken = tmp_path / "broken"
    write_features(small, broken)
    (broken / "vocabulary.parquet").write_bytes(b"PAR1 and no more")
    other = tmp_path / "other"
    write_features(small, other)
    (other / "products.parquet").write_bytes((other / "vocabulary.parquet").read_bytes())
    cases = {
        "taken": "holds something else than features",
        "taken/thesis.txt": "holds something else than features",
        "broken": "is no whole Parquet file",
        "other": "has other columns than features have",
        "nowhere/features": "its folder is not there",
    }
    for name, message in cases.items():
        with pytest.raises(ConfigError, match=message) as error:
            write_features(small, tmp_path / name)
        assert "\n" not in str(error.value)
    assert [file.name for file in taken.iterdir()] == ["thesis.txt"]


# ---- coverage


def test_what_is_to_be_done(tmp_path: Path) -> None:
    title = "Acme H3 in-ear over-ear headphones with teal cable"
    torn = listing(
        "torn",
        title,
        said("wear_style", "in-ear", title),
        said("wear_style", "over-ear", title),
        said("color", "teal", title, "tealish"),
        casing="oak",
        Color="Grey",
        url="https://example.org/torn",
    )
    doubtful = listing("doubtful", "Acme H4 red", casing="oak", url="https://example.org/doubtful")
    unsure = said("color", "red", doubtful.title)
    doubtful = outcome(
        "doubtful",
        doubtful.title,
        type(unsure)(**{**{name: getattr(unsure, name) for name in unsure.__slots__}, "confidence": 0.4}),
        category=HEADPHONES,
        feed=doubtful.feed,
    )
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs(
            [write_run(tmp_path / "run", "r1", [RED, BLUE, torn, doubtful])],
            store,
        )
        found = coverage(store)
    rows = {row.attribute: row for row in found.attributes}
    color, wear, brand = rows["color"], rows["wear_style"], rows["brand"]
    assert (color.products, color.filled, color.unsure, color.conflicting) == (4, 4, 1, 0)
    assert dict(color.new_values) == {"mauvish": 1, "tealish": 1}
    assert (wear.filled, wear.conflicting, dict(wear.new_values)) == (3, 1, {})
    assert (brand.filled, dict(brand.new_values)) == (2, {})
    assert rows["battery_life"].filled == 0
    # Of four, three state a wear style, so that the fourth likely lacks it; one contradicts itself.
    assert (wear.open, color.open) == (0.75 * 1 + 1, 1 + 2)
    # Of what somebody states, the most to do first; what nobody states comes last.
    stated = [row for row in found.attributes if row.filled]
    assert found.attributes[: len(stated)] == tuple(stated)
    assert [row.open for row in stated] == sorted((row.open for row in stated), reverse=True)
    assert found.unknown == (Unknown("casing", 2, 1, {"oak": 2}),)


def test_coverage_of_one_category(graph: DuckDBStore) -> None:
    found = coverage(graph, "Headphones")
    assert {row.category for row in found.attributes} == {"category:electronics.audio.headphones"}
    assert {row.products for row in found.attributes} == {40}
    both = coverage(graph, "Audio")
    assert {row.category_label for row in both.attributes} == {"Headphones", "Portable speakers"}
    assert both.to_json() == coverage(graph).to_json()


# ---- command line


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    with DuckDBStore(folder / "g.duckdb") as store:
        fill(store, folder / "run", products=60)
    return folder / "g.duckdb"


def test_answers_on_the_command_line(tmp_path: Path, file: Path) -> None:
    code, out, _ = command("compare", "spu:h0", "h1", "--graph", file)
    assert code == 0 and "A: Delphi H0 in-ear red noise cancelling (spu:h0, 2 listings)" in out
    assert 'title "noise cancelling"' in out and out.endswith(" same\n")
    code, out, err = command("insights", "--category", "Headphones", "--metric", "sales", "--graph", file)
    assert code == 0 and "noise_cancelling" in out and "need not cause it" in err
    assert out.startswith("oftener among the best by sales than by chance:\n") and "more seldom" not in out
    code, out, _ = command(
        "insights", "--category", "Headphones", "--metric", "sales", "--min-support", 60, "--graph", file
    )
    assert (code, out) == (
        0,
        "not enough data: no value has 60 products and as many similar ones without it\n",
    )
    code, out, err = command("coverage", "--graph", file)
    assert code == 0 and "wear_style" in out and "casing" in out and "oak 3" in out
    assert (
        "battery_life" not in out and "are stated by no product of their category; --json lists them" in err
    )
    code, out, err = command("features", "--out", tmp_path / "f", "--graph", file)
    assert code == 0 and "69 products, 22 features" in out and "vocabulary.parquet" in err


def test_json_is_one_object(tmp_path: Path, file: Path) -> None:
    commands: dict[tuple[object, ...], set[str]] = {
        ("compare", "h0", "h1"): {"a", "b", "counts", "attributes"},
        ("insights", "--category", "Headphones", "--metric", "sales"): {
            *("category", "metric", "carrying", "products", "strata", "tested", "rare"),
            *("not_enough_data", "values"),
        },
        ("coverage", "--category", "Headphones"): {"attributes", "unknown"},
        ("features", "--out", tmp_path / "f"): {
            "products",
            "features",
            "new_products",
            "new_features",
            "written",
        },
    }
    for arguments, keys in commands.items():
        code, out, err = command(*arguments, "--graph", file, "--json")
        assert (code, set(json.loads(out)), err) == (0, keys, ""), arguments


def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path, file: Path) -> None:
    for arguments in (
        ("compare", "h0", "nobody"),
        ("insights", "--category", "Toys", "--metric", "sales"),
        ("insights", "--category", "Headphones", "--metric", "luck"),
        ("coverage", "--category", "Toys"),
        ("view", "nobody", "--html", tmp_path / "v.html"),
        ("features", "--out", tmp_path / "no" / "f"),
    ):
        code, out, err = command(*arguments, "--graph", file)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
    assert command("compare", "a", "b", "--graph", tmp_path / "none.duckdb")[0] == 2
