"""extractor.graph: what outcomes say, merged in any order, taken back, checked and exported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractor.attribute import Attribute
from extractor.errors import ConfigError, ExtractorError
from extractor.graph.check import problems
from extractor.graph.exports import export
from extractor.graph.exports.jsonld import iri
from extractor.graph.merge import merge_runs
from extractor.graph.nodes import Node, Said, slug
from extractor.graph.show import describe
from extractor.graph.statements import Facts, facts_of, gathered
from extractor.graph.stores import Change
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.stores.snapshot import write_snapshot
from extractor.graph.targets import Targets
from extractor.records import (
    UNKNOWN_CATEGORY,
    AttributeValue,
    CategoryChoice,
    MadeBy,
    Outcome,
    Provenance,
    Reason,
    Rejection,
    Source,
    Span,
    Statement,
)
from extractor.schema_set import SchemaSet, shipped_schemas, write_schemas

RELATIONS = {"brand": "has_brand", "gender": "suits", "occasion": "used_for", "product_type": "is_a"}
TVS = CategoryChoice("electronics.tvs", ("Electronics", "TVs"), 0.75)
SCHEMAS = SchemaSet.of(
    {
        "base": [
            Attribute(
                name,
                name,
                "",
                relation=relation,
                functional=name == "brand",
                normalizer="brand" if name == "brand" else None,
            )
            for name, relation in RELATIONS.items()
        ]
    }
)
TARGETS = Targets(SCHEMAS)
MADE_BY = MadeBy(prompt="attributes@v1", schema="electronics.tvs", model="embedded")


def said(
    attribute: str, surface: str, text: str, canonical: str = "", unit: str | None = None
) -> AttributeValue:
    start = text.index(surface)
    span = Span(start, start + len(surface))
    return AttributeValue(attribute, surface, canonical or surface, unit, span, "title", "span", 0.9)


def outcome(product_id: str, title: str, *values: AttributeValue, **fields: Any) -> Outcome:
    return Outcome(
        product_id,
        **{"content_hash": f"hash of {title}", "where": "feed.jsonl:1", "title": title, "description": ""}
        | {"category": TVS, "values": values, "made_by": MADE_BY}
        | fields,
    )


TITLE = "SONY Bravia 65 inch TV for men"
SONY = outcome(
    "x",
    TITLE,
    said("brand", "SONY", TITLE, "Sony"),
    said("screen_size", "65 inch", TITLE, "65", "inch"),
    said("gender", "men", TITLE),
    feed={
        "brand": "sony",
        "category_path": ["TV & Video", "TVs"],
        "attributes": {"Screen Size": ["65 inch"], "Finish": []},
        "facts": {"price": "499.99", "merchant": "Shop & Co", "url": "https://example.org/x"},
    },
)


def write_run(
    folder: Path,
    run_id: str,
    outcomes: Sequence[Outcome],
    schemas: SchemaSet | None = None,
    created: str = "",
) -> Path:
    """The folder of a run; without schemas, of one that began before runs kept any: it has the package's."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, Any] = {"run_id": run_id} | ({"created": created} if created else {})
    if schemas:
        manifest["config"] = {"schemas": schemas.hash}
        write_schemas(folder, schemas)
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    lines = [json.dumps(o.to_json(), ensure_ascii=False) + "\n" for o in outcomes]
    (folder / "outcomes.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def snapshot(store: DuckDBStore) -> dict[str, list[tuple[Any, ...]]]:
    """All that is in a graph, but for when it was merged."""
    tables = {
        "statements": "SELECT id::VARCHAR, * EXCLUDE (id) FROM statements",
        "nodes": "FROM nodes",
        "listings": "FROM listings",
        "members": "FROM members",
        "runs": "SELECT id, manifest FROM runs",
        **{name: f"FROM {name}" for name in ("schemas", "run_schemas", "functional")},
    }
    return {name: sorted(store.query(sql)[1], key=repr) for name, sql in tables.items()}


def pair(
    one: str, other: str, run: str = "m1", confidence: float = 0.9, predicate: str = "same_as", act: str = ""
) -> Said:
    """A match of two products, or a person's word on them."""
    source: Source = "person" if act else "match"
    origin = Provenance(run, "", source, None, "same model number", act, "", "ann" if act else "matcher")
    ends = (Node(f"product:{name}", "Product", name) for name in (one, other))
    return Said(next(ends), predicate, next(ends), confidence, origin)


def word(product: str, brand: str, run: str, act: str) -> Said:
    """A person's word on a brand."""
    origin = Provenance(run, product, "person", None, "", act, "", "ann")
    node = Node(f"product:{product}", "Product", product)
    return Said(node, "has_brand", Node(brand, "Brand", brand[6:]), 1.0, origin)


def in_memory(batch_statements: int = 8) -> DuckDBStore:
    """A graph that merges in small batches."""
    return DuckDBStore(Path(":memory:"), batch_statements=batch_statements)


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A graph of one run with one product."""
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "run", "r1", [SONY], SCHEMAS)], store)
        yield store


# ---- statements


def test_what_an_outcome_says() -> None:
    facts = facts_of(SONY, "r1", TARGETS)
    assert facts is not None
    text, feed = (MADE_BY.prompt, MADE_BY.schema, MADE_BY.model), ("", "", "")
    route = Provenance("r1", "x", "taxonomy", None, "", "", "", "")

    def origin(source: Any, span: Span | None, made_by: tuple[str, str, str]) -> Provenance:
        return Provenance("r1", "x", source, span, span.slice(TITLE) if span else "", *made_by)

    expected = [
        ("product:x", "in_category", "category:electronics.tvs", 0.75, route),
        (
            "product:x",
            "has_screen_size",
            "value:screen_size:65 inch",
            0.9,
            origin("title", Span(12, 19), text),
        ),
        ("product:x", "suits", "audience:men", 0.9, origin("title", Span(27, 30), text)),
        (
            "product:x",
            "has_feed_category",
            "value:feed_category:TV & Video > TVs",
            1.0,
            origin("feed", None, feed),
        ),
        ("product:x", "has_screen_size", "value:screen_size:65 inch", 1.0, origin("feed", None, feed)),
        ("product:x", "has_price", "value:price:499.99", 1.0, origin("feed", None, feed)),
        ("product:x", "sold_by", "merchant:shop-co", 1.0, origin("feed", None, feed)),
        ("product:x", "has_url", "value:url:https://example.org/x", 1.0, origin("feed", None, feed)),
        ("product:x", "has_brand", "brand:sony", 0.9, origin("title", Span(0, 4), text)),
        ("product:x", "has_brand", "brand:sony", 1.0, origin("feed", None, feed)),
        ("product:x", "brand_check", "value:brand_check:agreement", 0.9, origin("title", Span(0, 4), text)),
    ]
    of_category = [
        ("category:electronics.tvs", "subcategory_of", "category:electronics"),
        ("category:electronics.tvs", "has_attribute", "attribute:brand"),
        ("category:electronics.tvs", "has_attribute", "attribute:gender"),
    ]
    assert list(facts.statements.values()) == [
        Statement(subject, predicate, target, "normal", confidence, provenance)
        for subject, predicate, target, confidence, provenance in expected
    ]
    assert list(facts.shared.statements.values()) == [
        Statement(*edge, "normal", 1.0, route._replace(product="")) for edge in of_category
    ]
    assert all(name == statement.id for name, statement in facts.statements.items())
    assert facts.nodes["product:x"] == Node("product:x", "Product", TITLE)
    assert facts.nodes["brand:sony"] == Node("brand:sony", "Brand", "Sony")
    assert facts.shared.nodes["category:electronics"] == Node(
        "category:electronics", "Category", "Electronics"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Black & Decker", "black-decker"),
        ("Black+Decker", "black-decker"),
        ("L'Oréal", "l-oréal"),
        ("L'Ore\u0301al", "l-oréal"),
        ("ＳＯＮＹ™", "sonytm"),
        ("Straße", "strasse"),
        ("हिन्दी", "हिन्दी"),
        ("  3M  ", "3m"),
        ("???", ""),
    ],
)
def test_slug(name: str, expected: str) -> None:
    assert slug(name, "-") == expected


def test_a_brand_without_a_letter_keeps_its_signs() -> None:
    facts = facts_of(outcome("x", "???", said("brand", "???", "???")), "r", TARGETS)
    assert facts is not None
    assert "brand:???" in facts.nodes


@pytest.mark.parametrize("reason", [Reason.UNREADABLE, Reason.DUPLICATE_ID])
def test_what_is_no_product_says_nothing(reason: Reason) -> None:
    assert facts_of(replace(SONY, rejections=(Rejection("x", None, reason, ""),)), "r", TARGETS) is None


def test_a_failed_product_is_there_without_statements() -> None:
    failed = outcome(
        "x", "T", category=UNKNOWN_CATEGORY, rejections=(Rejection("x", None, Reason.ENGINE, ""),)
    )
    facts = facts_of(failed, "r", TARGETS)
    assert facts is not None
    assert (list(facts.nodes), facts.statements) == (["product:x"], {})


def test_a_taxonomy_whose_ids_are_no_paths_has_no_known_ancestors() -> None:
    facts = facts_of(outcome("x", "T", category=CategoryChoice("4711", ("A", "B", "C"), 1.0)), "r", TARGETS)
    assert facts is not None
    assert list(facts.nodes.values())[1:] == [Node("category:4711", "Category", "C")]


def test_a_bundle_is_also_in_the_categories_of_its_other_parts() -> None:
    speakers = CategoryChoice("electronics.speakers", ("Electronics", "Speakers"), 0.6)
    facts = facts_of(outcome("x", "TV + speaker", also=(speakers,)), "r1", TARGETS)
    assert facts is not None
    assert [(s.subject, s.predicate, s.object, s.confidence) for s in facts.statements.values()] == [
        ("product:x", "in_category", "category:electronics.tvs", 0.75),
        ("product:x", "also_in_category", "category:electronics.speakers", 0.6),
    ]
    assert [(s.subject, s.predicate, s.object) for s in facts.shared.statements.values()] == [
        ("category:electronics.tvs", "subcategory_of", "category:electronics"),
        ("category:electronics.speakers", "subcategory_of", "category:electronics"),
    ]


def test_a_long_literal_is_named_by_its_hash_and_keeps_its_text() -> None:
    facts = facts_of(outcome("x", "T", feed={"facts": {"care": "wash " * 100}}), "r", TARGETS)
    assert facts is not None
    (value,) = [node for node in facts.nodes.values() if node.kind == "Value"]
    assert (len(value.id), value.label) == (len("value:care:") + 32, ("wash " * 100).strip())


def test_no_key_grows_with_what_a_feed_says() -> None:
    long = "long word " * 1000
    facts = facts_of(
        outcome("x", "T", feed={"brand": long, "facts": {"merchant": long, long: long}}), "r", TARGETS
    )
    assert facts is not None
    keys = [*facts.nodes, *(statement.predicate for statement in facts.statements.values())]
    assert max(map(len, keys)) < 100
    labels = {node.label for node in facts.nodes.values() if len(node.label) > 100}
    assert labels == {long.strip()}


# ---- merge and undo

# An example opens graphs and runs dozens of SQL statements.
FEW = settings(deadline=None, max_examples=15)
MANY = settings(FEW, max_examples=25)
PRODUCTS = ("a", "b", "c")
SPELLINGS = ("Sony", "SONY", "sony", "LG")


@st.composite
def outcomes(draw: st.DrawFn, product_id: str) -> Outcome:
    words = draw(st.lists(st.sampled_from([*SPELLINGS, "65 inch", "日本", "it's"]), min_size=1, max_size=4))
    title = " ".join(words)
    values = [said("brand" if w in SPELLINGS else "note", w, title) for w in words if draw(st.booleans())]
    confidence = draw(st.sampled_from([0.25, 0.5]))
    category = draw(st.sampled_from([TVS, UNKNOWN_CATEGORY, CategoryChoice("toys", ("Toys",), 0.5)]))
    brand = draw(st.sampled_from([None, *SPELLINGS]))
    return outcome(
        product_id,
        title,
        *(replace(value, confidence=confidence) for value in values),
        category=category,
        feed={"brand": brand},
    )


one_run = st.sets(st.sampled_from(PRODUCTS)).flatmap(
    lambda ids: st.tuples(*(outcomes(product_id) for product_id in sorted(ids)))
)
dates = st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])
# Another shop has other names for relations, one true note for each product, and a category of its own.
_NOTE = Attribute("note", "Note", "", functional=True)
OTHER_SHOP = SchemaSet.of(
    {
        "base": [Attribute("brand", "Brand", "", relation="has_brand"), replace(_NOTE, relation="has_note")],
        "toys": [replace(_NOTE, relation="has_remark"), Attribute("brand", "Maker", "", relation="made_by")],
    }
)
some_runs = st.dictionaries(
    st.sampled_from(["r1", "r2", "r3"]),
    st.tuples(one_run, st.sampled_from([SCHEMAS, OTHER_SHOP]), dates),
    min_size=1,
)


pair_predicates = st.sampled_from(["same_as", "different_from"])
# Of matches: each run says of some pairs that they are the same.
matches = st.lists(
    st.tuples(st.sampled_from(["ab", "ac", "bc"]), st.sampled_from([0.5, 0.75])),
    max_size=3,
    unique_by=lambda p: p[0],
)
# Of persons: what they state or take back, of values and of pairs.
acts = st.sampled_from(["assert", "retract"])


def words(run: str) -> st.SearchStrategy[Said]:
    brands = st.builds(
        word, st.sampled_from(PRODUCTS), st.sampled_from(["brand:sony", "brand:lg"]), st.just(run), acts
    )
    pairs = st.tuples(st.sampled_from(["ab", "bc"]), pair_predicates, acts)
    return (
        brands
        | pairs.map(lambda p: pair(*p[0], run=run, predicate=p[1], act=p[2]))
        | acts.map(lambda act: word_of_category(run, act))
    )


def word_of_category(run: str, act: str) -> Said:
    """A person's word on where a category stands."""
    origin = Provenance(run, "", "person", None, "", act, "", "ann")
    one = Node("category:electronics.tvs", "Category", "TVs")
    return Said(one, "subcategory_of", Node("category:electronics", "Category", "Electronics"), 1.0, origin)


@dataclass(frozen=True, eq=False)
class Event:
    """One thing that a graph is told."""

    run_id: str
    # A folder to merge, or what to state.
    content: Path | Facts
    created: str = ""

    def tell(self, store: DuckDBStore) -> None:
        if isinstance(self.content, Path):
            merge_runs([self.content], store)
        else:
            store.state(self.run_id, {"created": self.created} if self.created else {}, self.content)


@st.composite
def events(draw: st.DrawFn, folder: Path) -> list[Event]:
    found = [
        Event(run_id, write_run(folder / run_id, run_id, *run)) for run_id, run in draw(some_runs).items()
    ]
    for number, pairs in enumerate(draw(st.lists(matches, max_size=2))):
        said = [pair(*ends, run=f"m{number}", confidence=sure) for ends, sure in pairs]
        found.append(Event(f"m{number}", gathered(said)))
    spoken = draw(st.sets(st.sampled_from(["p1", "p2", "p3"])))
    found += [Event(run, gathered([draw(words(run))]), draw(dates)) for run in sorted(spoken)]
    return found


@MANY
@given(data=st.data())
def test_order_repetition_and_what_was_undone_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    told = data.draw(events(tmp_path_factory.mktemp("runs")))
    undone, restless = (data.draw(st.sets(st.sampled_from(told))) for _ in range(2))
    again = data.draw(st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=2))]))
    with in_memory() as once, in_memory() as other:
        for event in told:
            if event not in undone:
                event.tell(once)
        for event in again:
            event.tell(other)
            if event in restless:
                other.undo(event.run_id)
                event.tell(other)
        for event in data.draw(st.permutations(sorted(undone, key=attrgetter("run_id")))):
            other.undo(event.run_id)
        assert snapshot(once) == snapshot(other)
        assert list(problems(once)) == []


@FEW
@given(first=one_run, second=one_run)
def test_a_run_says_what_its_folder_says_now(
    tmp_path_factory: pytest.TempPathFactory, first: tuple[Outcome, ...], second: tuple[Outcome, ...]
) -> None:
    """A run that grew or was extracted anew leaves nothing of what it said before about its products."""
    folder = tmp_path_factory.mktemp("runs")
    now = {o.product_id: o for o in first} | {o.product_id: o for o in second}
    with in_memory() as grown, in_memory() as fresh:
        merge_runs([write_run(folder / "1", "r", first, SCHEMAS)], grown)
        merge_runs([write_run(folder / "2", "r", list(now.values()), SCHEMAS)], grown)
        merge_runs([write_run(folder / "2", "r", list(now.values()), SCHEMAS)], fresh)
        assert list(problems(grown)) == []
        # What lies above a category is no product's, so it stays until the run is undone.
        about_products = "SELECT id::VARCHAR, label, confidence FROM statements WHERE product <> ''"
        assert sorted(grown.query(about_products)[1]) == sorted(fresh.query(about_products)[1])


def test_labels_are_the_spelling_that_most_use_and_the_title_of_the_last_run(tmp_path: Path) -> None:
    titles = {"r1": ["Sony TV", "SONY TV"], "r2": ["SONY TV set", "SONY TV"]}
    folders = [
        write_run(
            tmp_path / run_id,
            run_id,
            [outcome(str(n), t, said("brand", t.split()[0], t)) for n, t in enumerate(of_run)],
        )
        for run_id, of_run in titles.items()
    ]
    with in_memory() as store:
        merge_runs(folders, store)
        labels = dict(store.query("SELECT id, label FROM nodes")[1])
        assert (labels["brand:sony"], labels["product:0"]) == ("SONY", "SONY TV set")
        store.undo("r2")
        assert dict(store.query("SELECT id, label FROM nodes")[1])["product:0"] == "Sony TV"


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "r", [SONY])
    with (folder / "outcomes.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"product_id": "y", "cont')
    with in_memory() as store:
        (merged,) = merge_runs([folder], store)
        assert (merged.outcomes, merged.half_written, store.stats()["nodes"]["Product"]) == (1, True, 1)


@pytest.mark.parametrize(
    "line",
    [
        '{"product_id": "y"}',
        "no json",
        json.dumps(outcome("y", "T").to_json() | {"feed": []}),
        json.dumps(outcome("y", "T").to_json() | {"title": 5}),
        json.dumps(outcome("y", "lone \ud800 surrogate").to_json()),
    ],
)
def test_a_broken_line_is_told_and_what_came_before_stays(tmp_path: Path, line: str) -> None:
    folder = write_run(tmp_path / "run", "r", [SONY, SONY])
    journal = folder / "outcomes.jsonl"
    journal.write_text(journal.read_text("utf-8") + line + "\n", encoding="utf-8")
    with in_memory(batch_statements=1) as store:
        with pytest.raises(ExtractorError) as error:
            merge_runs([folder], store)
        assert "\n" not in str(error.value)
        assert store.stats()["nodes"]["Product"] == 1
        assert list(problems(store)) == []


def test_every_folder_is_looked_at_before_any_is_merged(tmp_path: Path) -> None:
    with in_memory() as store:
        with pytest.raises(ConfigError, match=r"nothing"):
            merge_runs([write_run(tmp_path / "run", "r", [SONY]), tmp_path / "nothing"], store)
        assert store.stats() == {"nodes": {}, "statements": 0, "runs": 0}


def test_undo_of_an_unknown_run(graph: DuckDBStore) -> None:
    before = snapshot(graph)
    with pytest.raises(ConfigError, match="no run 'r7'"):
        graph.undo("r7")
    assert snapshot(graph) == before


# ---- what is said of several listings


def members(store: DuckDBStore) -> list[tuple[Any, ...]]:
    return sorted(store.query("FROM members")[1])


def test_matches_make_spus_and_a_later_match_replaces_its_own(tmp_path: Path) -> None:
    with in_memory() as store:
        run = write_run(tmp_path / "run", "r1", [outcome(name, f"Title {name}") for name in "abcd"])
        merge_runs([run], store)
        before = snapshot(store)
        assert store.state("m1", {}, gathered([pair("a", "b"), pair("b", "c")])) == Change(2, 0)
        assert members(store) == [("spu:a", f"product:{name}") for name in "abc"]
        assert store.state("m1", {}, gathered([pair("b", "c")])) == Change(0, 1)
        assert members(store) == [("spu:b", "product:b"), ("spu:b", "product:c")]
        assert list(store.query("FROM nodes WHERE kind = 'SPU'")[1]) == [("spu:b", "SPU", "Title b")]
        assert store.state("m1", {}, gathered([pair("b", "c")])) == Change()
        store.state("p1", {}, gathered([pair("b", "c", "p1", predicate="different_from", act="assert")]))
        assert members(store) == []
        lost = "SELECT reason FROM statements WHERE rank = 'deprecated'"
        assert list(store.query(lost)[1]) == [("a person says different_from",)]
        assert list(problems(store)) == []
        store.undo("r1")
        assert (members(store), list(problems(store))) == ([], [])
        merge_runs([run], store)
        store.undo("p1")
        assert members(store) == [("spu:b", "product:b"), ("spu:b", "product:c")]
        store.undo("m1")
        assert snapshot(store) == before


# ---- the file

BEFORE_3 = """
DROP TABLE schemas;
DROP TABLE run_schemas;
UPDATE graph_format SET version = 2;
"""
BEFORE_2 = f"""{BEFORE_3}
DROP TABLE members;
DROP TABLE functional;
ALTER TABLE statements DROP COLUMN reason;
UPDATE graph_format SET version = 1;
"""


@pytest.mark.parametrize("older", [BEFORE_2, BEFORE_3])
def test_an_older_graph_is_brought_up_to_date_by_the_next_write(
    tmp_path: Path, graph: DuckDBStore, older: str
) -> None:
    before, run = snapshot(graph), tmp_path / "run"
    graph._connection.execute(older)
    graph.close()
    with DuckDBStore(tmp_path / "g.duckdb") as opened:
        merge_runs([run], opened)
        assert (snapshot(opened), list(problems(opened))) == (before, [])


def test_a_graph_of_format_1_is_not_read_and_one_of_format_2_is(tmp_path: Path, graph: DuckDBStore) -> None:
    graph._connection.execute(BEFORE_3)
    graph.close()
    write_old_snapshot(tmp_path)
    for path in (tmp_path / "g.duckdb", tmp_path / "snapshot"):
        with DuckDBStore(path, read_only=True) as opened:
            # Its runs have the package's schemas.
            assert opened.schemas().relations == shipped_schemas().relations
            assert describe(opened, "x")["label"] == TITLE
            assert "do not follow from the runs" in "\n".join(problems(opened))
    with DuckDBStore(tmp_path / "g.duckdb") as opened:
        opened._connection.execute(BEFORE_2)
    with pytest.raises(ConfigError, match=r"an older version .* brings it up to date"):
        DuckDBStore(tmp_path / "g.duckdb", read_only=True)


def write_old_snapshot(folder: Path) -> None:
    """What an older package would have written of the graph there."""
    with DuckDBStore(folder / "g.duckdb", read_only=True) as opened:
        write_snapshot(opened, folder / "snapshot")
    for name in ("schemas", "run_schemas"):
        (folder / "snapshot" / "current" / f"{name}.parquet").unlink()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM statements",
        "SELECT 1; DELETE FROM statements",
        "COPY nodes TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/new.duckdb'",
        "SELECT * FROM read_text('{folder}/run/run.json')",
        "SET enable_external_access = true",
        "SELEC 1",
        "SELECT label::INTEGER FROM nodes",
        "",
    ],
)
def test_a_query_reads_the_graph_and_nothing_else(tmp_path: Path, graph: DuckDBStore, sql: str) -> None:
    graph.close()
    files = sorted(tmp_path.iterdir())
    with DuckDBStore(tmp_path / "g.duckdb", read_only=True, closed=True) as closed:
        with pytest.raises(ConfigError, match=r"^query: ") as error:
            list(closed.query(sql.format(folder=tmp_path))[1])
        assert "\n" not in str(error.value)
        assert list(closed.query("SELECT count(*) FROM statements")[1]) == [(14,)]
    assert sorted(tmp_path.iterdir()) == files


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE statements SET object = 'brand:lg' WHERE object = 'brand:sony'", "end that is no node"),
        ("UPDATE statements SET quote = 'LG' WHERE span_start = 0", "not as long as their span"),
        ("UPDATE statements SET quote = 'Sony' WHERE span_start = 0", "do not stand in the title"),
        ("UPDATE statements SET quote = '' WHERE span_start = 0", "not as long as their span"),
        ("UPDATE statements SET span_end = NULL", "half-given"),
        ("UPDATE statements SET prompt = 'other@v1'", "do not follow from what is stated"),
        ("UPDATE statements SET confidence = 1.5", "rank or confidence"),
        ("INSERT INTO statements FROM statements", "statement ids are not unique"),
        ("INSERT INTO nodes FROM nodes", "node ids are not unique"),
        ("INSERT INTO nodes VALUES ('brand:lg', 'Brand', 'LG')", "mentioned by no statement"),
        ("UPDATE nodes SET kind = 'Value'", "kind that their id does not say"),
        ("DELETE FROM runs", "run that was not merged"),
        ("DELETE FROM listings", "their run does not list"),
        ("INSERT INTO listings FROM listings", "listings are not unique"),
        ("UPDATE statements SET reason = 'so'", "reasons are missing, or given"),
        ("UPDATE statements SET rank = 'deprecated', reason = 'so'", "do not follow from the statements"),
        ("UPDATE statements SET rank = 'preferred'", "do not follow from the statements"),
        ("INSERT INTO members VALUES ('spu:x', 'product:x')", "members of a SPU are no nodes"),
        ("INSERT INTO members VALUES ('spu:x', 'product:x')", "do not follow from the statements"),
        ("DELETE FROM run_schemas", "schemas or functional relations do not follow"),
        ("UPDATE run_schemas SET hash = 'other'", "schemas or functional relations do not follow"),
        ("INSERT INTO functional VALUES ('has_color')", "do not follow from the runs, such as has_color"),
    ],
)
def test_check_finds(graph: DuckDBStore, damage: str, problem: str) -> None:
    assert list(problems(graph)) == []
    graph._connection.execute(damage)
    assert problem in "\n".join(problems(graph))


def test_show_describes_a_product_and_what_mentions_a_brand(graph: DuckDBStore) -> None:
    product = describe(graph, "x")
    assert product == describe(graph, "product:x")
    assert (product["label"], product["category"]) == (TITLE, ["Electronics", "TVs"])
    (size,) = [s for s in product["statements"] if s["quote"] == "65 inch"]
    assert (size["label"], size["span"], size["prompt"]) == ("65 inch", [12, 19], "attributes@v1")
    brand = describe(graph, "brand:sony")
    assert brand["mentions"] == [{"id": "product:x", "predicate": "has_brand", "label": TITLE}]
    assert describe(graph, "category:electronics.tvs")["category"] == ["Electronics"]
    with pytest.raises(ConfigError, match="no such node"):
        describe(graph, "y")


# ---- exports


def test_parquet_has_what_the_graph_has(tmp_path: Path, graph: DuckDBStore) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / "it's out"
    export(graph, "parquet", out)
    tables = {file.stem: pq.read_table(file).to_pylist() for file in out.iterdir()}
    counts = {"nodes": 13, "edges": 12, "members": 0, "statements": 14}
    assert {name: len(rows) for name, rows in tables.items()} == counts
    facts = facts_of(SONY, "r1", TARGETS)
    assert facts is not None
    assert {row["id"] for row in tables["statements"]} == {
        *facts.statements,
        *facts.shared.statements,
    }


def test_an_export_replaces_only_an_export(tmp_path: Path, graph: DuckDBStore) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(ConfigError, match="taken"):
            export(graph, "parquet", taken, force=force)
    assert (taken / "thesis.txt").read_text() == "years of work"
    out = tmp_path / "out"
    out.mkdir()
    export(graph, "parquet", out)
    with pytest.raises(ConfigError, match="--force"):
        export(graph, "parquet", out)
    export(graph, "parquet", out, force=True)
    with pytest.raises(ConfigError, match="something else"):
        export(graph, "jsonld", out, force=True)
    with pytest.raises(ConfigError, match="its folder is not there"):
        export(graph, "jsonld", tmp_path / "nowhere" / "g.jsonld")
    with pytest.raises(ConfigError, match="choose one of parquet, neo4j-csv, jsonld"):
        export(graph, "csv", tmp_path / "g.csv")
    assert sorted(f.name for f in tmp_path.iterdir() if f.name.startswith(".")) == []


NASTY = 'a "b" \\ <c> @id {x} \u2028 \U0001f3a7 https://evil.example/> .'


def test_jsonld_is_read_back_with_all_text_as_text(tmp_path: Path) -> None:
    from pyoxigraph import Literal, NamedNode, RdfFormat, Store

    nasty = outcome(
        NASTY, NASTY, said("brand", NASTY, NASTY), said("note", NASTY, NASTY), feed={"facts": {NASTY: NASTY}}
    )
    with in_memory() as graph:
        merge_runs([write_run(tmp_path / "run", "r", [SONY, nasty])], graph)
        export(graph, "jsonld", tmp_path / "g.jsonld")
        products = graph.stats()["nodes"]["Product"]
    document = (tmp_path / "g.jsonld").read_bytes()
    json.loads(document)
    rdf = Store()
    rdf.load(document, format=RdfFormat.JSON_LD)

    schema = "https://schema.org/"
    product = NamedNode(iri(f"product:{NASTY}"))
    assert [q.object for q in rdf.quads_for_pattern(product, NamedNode(f"{schema}name"), None)] == [
        Literal(NASTY)
    ]
    types = rdf.query(f"SELECT ?p WHERE {{ ?p a <{schema}Product> ; <{schema}brand>/<{schema}name> ?b }}")
    assert len(list(types)) == products
    sizes = rdf.query(
        f"SELECT ?v WHERE {{ <{iri('product:x')}> <{schema}additionalProperty>"
        f' [ <{schema}propertyID> "screen_size" ; <{schema}value> ?v ] }}'
    )
    assert [row["v"] for row in sizes] == [Literal("65 inch")]
    prices = rdf.query(f"SELECT ?v WHERE {{ <{iri('product:x')}> <{schema}offers>/<{schema}price> ?v }}")
    assert [row["v"] for row in prices] == [Literal("499.99")]
    assert all(
        node.value.startswith(("urn:extractor:", schema, "http://www.w3.org/"))
        for quad in rdf
        for node in (quad.subject, quad.predicate, quad.object)
        if isinstance(node, NamedNode)
    )


def test_jsonld_of_an_empty_graph(tmp_path: Path) -> None:
    with in_memory() as graph:
        export(graph, "jsonld", tmp_path / "g.jsonld")
    assert json.loads((tmp_path / "g.jsonld").read_text())["@graph"] == []
