"""extractor.graph.targets: feed, text and people meet in one node, and "N/A" is in none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import clean_texts
from test_graph import outcome, said, snapshot, write_run

from extractor.attribute import Attribute
from extractor.errors import ConfigError
from extractor.graph.column_names import meant, names_of
from extractor.graph.merge import merge_runs
from extractor.graph.nodes import Node
from extractor.graph.person import Speaker, state_fact, take_back
from extractor.graph.statements import facts_of
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.targets import Target, Targets
from extractor.normalize.blanks import says_nothing
from extractor.records import CategoryChoice, MadeBy
from extractor.schema_set import SchemaSet, shipped_schemas

SCHEMAS = shipped_schemas()
TARGETS = Targets(SCHEMAS)
PHONES = CategoryChoice("phones.phones.smartphones", ("Phones", "Phones", "Smartphones"), 0.9)
TITLE = "Fold X phone, gray, 6.7 inch"
PHONE = outcome(
    "p",
    TITLE,
    said("color", "gray", TITLE),
    said("screen_size", "6.7 inch", TITLE, "6.7", "inch"),
    category=PHONES,
    made_by=MadeBy(prompt="attributes@v1", schema=PHONES.id, model="embedded"),
    feed={
        "attributes": {"Color": ["Grey"], "Screen Size": ["6.7 inches"], "Material": ["--"]},
        "facts": {"Sold by": "SHOP+CO"},
    },
)
ANN = Speaker("ann")


@pytest.mark.parametrize(
    ("attribute", "words", "expected"),
    [
        ("Color", "Grey", ["value:color:gray"]),
        ("Screen Size", "6.7 inches", ["value:screen_size:6.7 inch"]),
        ("material", "100% Cotton", ["value:material:cotton"]),
        ("brand", "Philips India Pvt. Ltd.", ["brand:philips-india"]),
        # Several, where the schema takes several and has them all.
        ("occasion", "Party, Wedding", ["occasion:party", "occasion:wedding"]),
        ("occasion", "Party, Moon Landing", ["occasion:party-moon-landing"]),
        ("connectivity", "USB, HDMI", ["value:connectivity:usb, hdmi"]),
        # No unit is made up, and a unit that nobody knows is kept.
        ("width", "10", ["value:width:10"]),
        ("width", "10 parsecs", ["value:width:10 parsecs"]),
        ("price", "₹1,299", ["value:price:1299.00 INR"]),
        # Of no schema: as it is written.
        ("Mood Board", "Grey", ["value:mood_board:Grey"]),
        ("Color", "n.a.", []),
        ("Mood Board", "----------------", []),
        # A member of the vocabulary, and what is not there.
        ("adhesive", "None", ["value:adhesive:none"]),
    ],
)
def test_words_of_a_feed_become_what_they_would_in_a_text(
    attribute: str, words: str, expected: list[str]
) -> None:
    assert [target.node.id for target in TARGETS.written(attribute, words)] == expected


@pytest.mark.parametrize(
    ("column", "relation"),
    [
        ("Colour", "has_color"),
        ("Colours", "has_color"),
        ("Brand Name", "has_brand"),
        ("Features", "has_feature"),
        ("Memory (RAM)", "has_memory"),
        # An id of its own is not the name of another.
        ("Model Name", "has_model_name"),
        ("Dial Colour", "has_dial_color"),
        # What no schema has keeps its name, and so do an offer's figures.
        ("Mood Colour", "has_mood_colour"),
        ("Ratings", "has_ratings"),
        ("Seller", "sold_by"),
    ],
)
def test_a_column_of_another_spelling_is_of_the_same_attribute(column: str, relation: str) -> None:
    assert [target.predicate for target in TARGETS.written(column, "Nova")] == [relation]


def test_a_name_that_two_attributes_have_is_neither() -> None:
    shirts, shoes = (Attribute(f"{of}_size", title="Size", description="") for of in ("shirt", "shoe"))
    odd = Attribute("Key Features", title="What it can", description="")
    names = names_of([shirts, shoes, odd])
    columns = ("Size", "shirt size", "KEY_FEATURES", "what it can", "what it is")
    assert [meant(each, names) for each in columns] == [None, "shirt_size", odd.id, odd.id, None]


def test_feed_and_text_meet_and_the_feeds_own_words_are_the_quote() -> None:
    facts = facts_of(PHONE, "r", TARGETS)
    assert facts is not None
    stated = [
        (s.predicate, s.object, s.provenance.source, s.provenance.quote) for s in facts.statements.values()
    ]
    assert stated[1:] == [
        ("has_color", "value:color:gray", "title", "gray"),
        ("has_screen_size", "value:screen_size:6.7 inch", "title", "6.7 inch"),
        ("has_color", "value:color:gray", "feed", "Grey"),
        ("has_screen_size", "value:screen_size:6.7 inch", "feed", "6.7 inches"),
        ("sold_by", "merchant:shop-co", "feed", ""),
    ]
    attributes = [s.object for s in facts.shared.statements.values() if s.predicate == "has_attribute"]
    # Not the material, of which nothing is known.
    assert attributes == ["attribute:color", "attribute:screen_size"]


def test_a_person_meets_them_in_their_own_words(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "run", "r", [PHONE])], store)
        assert state_fact(store, "p", "has_color", "GREY", ANN).object == "value:color:gray"
        assert state_fact(store, "p", "used_for", "Party", ANN).object == "occasion:party"
        assert state_fact(store, "p", "sold_by", "Shop & Co", ANN).object == "merchant:shop-co"
        word = take_back(store, ("p", "has_screen_size", '6.7"'), ANN)
        assert word.object == "value:screen_size:6.7 inch"
        with pytest.raises(ConfigError, match="has_color N/A: says that there is no value; give one"):
            state_fact(store, "p", "has_color", "N/A", ANN)
        with pytest.raises(ConfigError, match="used_for Party, Wedding: these are several values"):
            state_fact(store, "p", "used_for", "Party, Wedding", ANN)


def test_merging_again_brings_an_old_graph_up_to_date(tmp_path: Path) -> None:
    """Once written as the feed has it, by a version of before.

    What is said of a category, which attributes it has, stays until the run is undone.
    """
    phone = replace(PHONE, feed={"attributes": {"Color": ["Grey"], "Screen Size": ["6.7 inches"]}})
    run = write_run(tmp_path / "run", "r", [phone])
    with DuckDBStore(tmp_path / "new.duckdb") as store:
        merge_runs([run], store)
        expected = snapshot(store)
    with DuckDBStore(tmp_path / "old.duckdb") as store:
        raw = facts_of(phone, "r", _AsWritten(SCHEMAS))
        assert raw is not None
        store.add_run("r", {"run_id": "r"}, SCHEMAS)
        store.merge("r", [raw])
        assert "value:color:Grey" in {node[0] for node in snapshot(store)["nodes"]}
        word = take_back(store, ("p", "has_color", "Grey"), ANN)
        assert word.object == "value:color:Grey"
        store.undo(word.run_id)
        merge_runs([run], store)
        assert snapshot(store) == expected
        assert merge_runs([run], store)[0].change.added == 0


class _AsWritten(Targets):
    def written(
        self, attribute: str, words: str, category: str = "", currency: str = ""
    ) -> tuple[Target, ...]:
        name = attribute.lower().replace(" ", "_")
        return (Target(f"has_{name}", Node(f"value:{name}:{words}", "Value", words)),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "--",
        "----------------",
        "N/A",
        "n/a",
        "n.a.",
        "#N/A",
        "none",
        "(null)",
        "Nil",
        "—",
        "...",
    ],
)
def test_says_nothing(text: str) -> None:
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text", ["0", "no", "?", "✓", "A+", "Nan", "Nothing Phone", "none of the above", "N"]
)
def test_says_something(text: str) -> None:
    assert not says_nothing(text)


def test_what_was_read_from_a_text_may_be_nothing_too() -> None:
    title = "Phone ---- black"
    dashes = outcome("x", title, said("color", "----", title), said("model_name", "N/A", f"{title} N/A"))
    facts = facts_of(dashes, "r", TARGETS)
    assert facts is not None
    assert [s.predicate for s in facts.statements.values()] == ["in_category"]


ATTRIBUTES = st.sampled_from([*SCHEMAS.definitions])
WORDS = clean_texts | st.sampled_from(["1,5 kg", "Heather Grey", "2 x 500ml", "S/M", "-", "Men/Women"])


@given(ATTRIBUTES, WORDS.map(lambda text: " ".join(text.split())))
def test_what_is_written_twice_is_written_once(attribute: str, words: str) -> None:
    once = TARGETS.written(attribute, words)
    again = [target for each in once for target in TARGETS.written(attribute, each.node.label)]
    assert again == [*once]


def test_an_attribute_leads_where_its_category_says() -> None:
    """One id with two relations: of people's bags and of paper ones."""
    sized = {
        category: [Attribute("size", title="Size", description="", relation=relation)]
        for category, relation in (("base", "has_size"), ("bags", "has_volume"), ("paper", "has_format"))
    }
    schemas = SchemaSet.of(sized)
    for category, relation in (("bags", "has_volume"), ("paper", "has_format"), ("shoes", "has_size")):
        assert [target.predicate for target in Targets(schemas).written("Size", "A4", category)] == [relation]
    assert schemas.relations == {"has_size", "has_volume", "has_format"}
