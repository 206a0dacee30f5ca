"""The page of an SPU: what is said stands on it with its words, and no product text becomes markup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from html_page import CLOSING, HOSTILE, assert_harmless, assert_self_contained, in_browser, read_page
from shop_graph import HEADPHONES, matched, shop
from test_graph import outcome, said, write_run
from test_graph_store import largest_file

from extractor.errors import SinkError
from extractor.graph.answers.prices import comparable, typical
from extractor.graph.answers.rivals import Rival, rivals
from extractor.graph.answers.view import write_view
from extractor.graph.feed_numbers import Money
from extractor.graph.find import find_thing
from extractor.graph.merge import merge_runs
from extractor.graph.person import Speaker, state_fact
from extractor.graph.statements import gathered
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.records import Outcome


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    yield from shop(tmp_path_factory.mktemp("shop") / "run", products=40)


def product(name: str, title: str, *attributes: tuple[str, str], price: str = "") -> Outcome:
    values = [said(attribute, surface, title) for attribute, surface in attributes]
    facts = {"price": price, "currency": "EUR"} if price else {}
    return outcome(name, title, *values, category=HEADPHONES, feed={"facts": facts})


OURS = product(
    "ours", "Acme red in-ear", ("brand", "Acme"), ("color", "red"), ("wear_style", "in-ear"), price="20"
)
NEAR = product(
    "near", "Corvo red on-ear", ("brand", "Corvo"), ("color", "red"), ("wear_style", "on-ear"), price="25"
)
FAR = product(
    "far", "Corvo black over-ear", ("brand", "Corvo"), ("color", "black"), ("wear_style", "over-ear")
)
OWN = product("own", "Acme red in-ear 2", ("brand", "Acme"), ("color", "red"), ("wear_style", "in-ear"))
NAMELESS = product("nameless", "red in-ear", ("color", "red"), ("wear_style", "in-ear"))


def test_rivals_are_of_another_brand_and_share_values(tmp_path: Path) -> None:
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs(
            [write_run(tmp_path / "run", "r", [OURS, NEAR, FAR, OWN, NAMELESS])],
            store,
        )
        assert rivals(store, find_thing(store, "ours")) == [
            Rival(
                "product:near",
                NEAR.title,
                ("Corvo",),
                Money(25.0, "EUR"),
                3,
                ("red",),
                ("on-ear",),
                ("in-ear",),
            )
        ]
        assert [each.id for each in rivals(store, find_thing(store, "nameless"))] == [
            "product:ours",
            "product:own",
            "product:near",
        ]
        assert len(rivals(store, find_thing(store, "nameless"), most=2)) == 2


def test_who_shares_more_comes_before_who_says_little(tmp_path: Path) -> None:
    # Both state all that the other does, but of one that is hardly anything.
    bare = product("bare", "Delphi red", ("brand", "Delphi"), ("color", "red"))
    full = product("full", "Corvo red in-ear", ("brand", "Corvo"), ("color", "red"), ("wear_style", "in-ear"))
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", [OURS, bare, full])], store)
        found = rivals(store, find_thing(store, "ours"))
    assert [(each.id, each.shared, each.stated) for each in found] == [
        ("product:full", ("red", "in-ear"), 2),
        ("product:bare", ("red",), 2),
    ]


def test_a_listing_has_the_rivals_of_its_spu(tmp_path: Path, graph: DuckDBStore) -> None:
    assert rivals(graph, find_thing(graph, "h0")) == rivals(graph, find_thing(graph, "spu:h0")) != []
    page = read_page(write_view(graph, "h0", tmp_path / "view.html"))
    assert "One listing of spu:h0" in page.said and "58.76" in page.said and "49.99" not in page.said


def test_prices_of_two_currencies_are_never_compared(tmp_path: Path) -> None:
    mixed = [Money(1099, "INR"), Money(20, "EUR"), Money(30, "EUR")]
    assert (comparable(mixed), typical(mixed), typical([])) == ([20, 30], Money(25, "EUR"), None)
    rupees = replace(NEAR, feed={"facts": {"price": "₹1,099"}})
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", [OURS, rupees])], store)
        page = read_page(write_view(store, "ours", tmp_path / "view.html"))
        store.state("match", {}, gathered([matched("near", "ours")]))
        both = read_page(write_view(store, "spu:near", tmp_path / "both.html"))
    assert "20.00 EUR" in page.said and "1,099.00 INR" in page.said
    assert "Price 20.00 EUR, 1 in other currencies" in both.said
    assert "+5" not in page.said


def test_the_page_says_what_is_said_and_in_which_words(tmp_path: Path, graph: DuckDBStore) -> None:
    page = read_page(write_view(graph, "spu:h0", tmp_path / "view.html"))
    assert_self_contained(page)
    assert "One product, 2 listings · Electronics › Audio › Headphones" in page.said
    # Once for the value, once in the title of the listing.
    assert page.marks.count("noise cancelling") == 2 and page.marks.count("Delphi") == 4
    assert "… H0 in-ear headphones red noise cancelling title of h0 0.90" in page.said
    assert "49.99 to 58.76" in page.said
    assert "h0 = h0-b same model number match 0.95" in page.said
    assert "Corvo H53 in-ear headphones red noise cancelling" not in page.said  # of another, larger shop
    assert page.said.count("To ours") == 1


def test_long_lists_are_folded(tmp_path: Path) -> None:
    titles = {f"p{number:02}": f"Acme in-ear c{number:02}" for number in range(30)}
    many = [product(name, title, ("color", title[-3:])) for name, title in titles.items()]
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", many)], store)
        store.state("match", {}, gathered(matched("p00", name) for name in titles if name != "p00"))
        page = read_page(write_view(store, "spu:p00", tmp_path / "view.html"))
    assert "22 more values" in page.said and "10 more" in page.said and "9 more" in page.said
    assert page.count("article") == 30 and page.count("details") == 3


def test_what_was_decided_against_is_there_with_the_reason(tmp_path: Path) -> None:
    torn = product("torn", "Acme in-ear over-ear", ("wear_style", "in-ear"), ("wear_style", "over-ear"))
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", [torn])], store)
        because = Speaker("kim", "looked at it")
        state_fact(store, "torn", "has_wear_style", "over-ear", because)
        state_fact(store, "torn", "has_color", "green", because)
        page = read_page(write_view(store, "torn", tmp_path / "view.html"))
    assert "over-ear by hand looked at it kim 1.00" in page.said
    assert "in-ear decided against" in page.said
    assert "value:wear_style:over-ear counts: a person comes before the text" in page.said
    assert "green by hand looked at it kim 1.00" in page.said
    # The loser is quoted, and not marked in the title.
    assert page.marks.count("in-ear") == 1 and page.marks.count("over-ear") == 2


def test_a_product_in_no_category_has_a_page(tmp_path: Path) -> None:
    from extractor.records import UNKNOWN_CATEGORY

    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", [outcome("x", "T", category=UNKNOWN_CATEGORY)])], store)
        page = read_page(write_view(store, "x", tmp_path / "view.html"))
    assert "No attribute was read from its text." in page.said
    assert "Nothing of another brand in this category states the same values." in page.said


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[DuckDBStore]:
    title = f"{HOSTILE} {CLOSING}"
    feed = {"brand": HOSTILE, "facts": {"price": CLOSING, "seller": HOSTILE, CLOSING: HOSTILE}}
    ours = outcome(HOSTILE, title, said("brand", HOSTILE, title), said("color", CLOSING, title), feed=feed)
    rival = outcome("r", title, said("brand", CLOSING, title), said("color", CLOSING, title))
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs(
            [write_run(tmp_path / "run", "r", [ours, rival, outcome("z", title)])],
            store,
        )
        store.state("match", {}, gathered([matched(HOSTILE, "z")]))
        yield store


def test_hostile_text_stays_text(tmp_path: Path, hostile: DuckDBStore) -> None:
    for name in (HOSTILE, f"spu:{HOSTILE}"):
        page = read_page(write_view(hostile, name, tmp_path / "view.html"))
        assert_harmless(page)
        assert_self_contained(page)
        assert HOSTILE in page.marks and CLOSING in page.marks


def test_a_browser_shows_what_was_written(tmp_path: Path, hostile: DuckDBStore) -> None:
    path = write_view(hostile, f"spu:{HOSTILE}", tmp_path / "view.html")
    shown = in_browser(path, tmp_path / "profile")
    assert_harmless(shown)
    assert shown.said == read_page(path).said


def test_a_page_that_cannot_be_written(tmp_path: Path, graph: DuckDBStore) -> None:
    with largest_file(50), pytest.raises(SinkError, match="put that right and run the same command again"):
        write_view(graph, "h0", tmp_path / "view.html")
    assert not (tmp_path / "view.html").exists()
