"""extractor.graph.feed_numbers: prices and metrics of feeds in one spelling, in a graph and out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_graph import HEADPHONES
from test_graph import outcome, write_run

from extractor.graph.answers.prices import offers
from extractor.graph.exports import jsonld
from extractor.graph.feed_numbers import Money, canonical, currency_of, metric_of, money_of, number_of
from extractor.graph.merge import merge_runs
from extractor.graph.stores.duckdb import DuckDBStore


@pytest.mark.parametrize(
    ("text", "currency", "label"),
    [
        *(("Rs. 1,299", "", "1299.00 INR"), ("₹63,400", "", "63400.00 INR"), ("19,90 €", "", "19.90 EUR")),
        *(("$868", "MXN", "868.00 MXN"), ("1 299,00 kr", "", "1299.00 SEK"), ("From $5", "", "5.00 USD")),
        *(("16499000", "IDR", "16499000.00 IDR"), ("4.958000000000000e+01", "sgd", "49.58 SGD")),
        *(("20", "", "20.00"), ("20", "Galactic Credits", "20.00 GalacticCredits")),
        # No price above 0, or not one price: as the feed has it.
        *(("0", "USD", "0"), ("-5", "USD", "-5"), ("-$5", "", "-$5"), ("0.001", "", "0.001")),
        *(("nan", "", "nan"), ("1e400", "", "1e400"), ("1e999999999", "", "1e999999999")),
        *(("12.99 - 15.99", "USD", "12.99 - 15.99"), ("3 for 10 USD", "", "3 for 10 USD")),
        *(("call us", "", "call us"), ("https://a.example/h1", "", "https://a.example/h1")),
    ],
)
def test_prices_as_shops_write_them(text: str, currency: str, label: str) -> None:
    assert canonical("price", text, currency) == canonical("sale_price", text, currency) == label
    assert canonical("title", text, currency) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("12", 12), ("-3.5", -3.5), ("1,234", 1234), ("(1,234 reviews)", 1234), ("1.234 ratings", 1234)),
        *(("4.5 out of 5 stars", 4.5), ("4.5/5", 4.5), ("4,6", 4.6), ("4.5 ★", 4.5), ("90 %", 90)),
        *(("1.2k sold", 1200), ("10K+ bought in past month", 10_000), ("1,2RB terjual", 1200), ("3 jt", 3e6)),
        *(("nan", None), ("inf", None), ("1e400", None), ("1e300", None), ("n/a", None), ("", None)),
        *(
            ("PG-13", None),
            ("2020-11-22", None),
            ("5 stars! I loved it", None),
            ("https://a.example/1", None),
        ),
    ],
)
def test_metrics_as_shops_write_them(text: str, number: float | None) -> None:
    assert metric_of(text) == number
    assert canonical("rating", text) == (text if number is None else f"{number:.15g}")


def test_a_number_of_any_fact_may_be_an_amount() -> None:
    assert (number_of("$499.99"), number_of("Rs. 499"), number_of("4.5/5")) == (499.99, 499, 4.5)


@given(
    st.text(max_size=20)
    | st.from_regex(r"[$€]?-?[0-9]{1,9}([.,][0-9]{1,4}){0,2} ?[A-Z]{0,3}", fullmatch=True)
)
def test_writing_twice_is_writing_once(text: str) -> None:
    for name in ("price", "sales"):
        once = canonical(name, text, "EUR")
        assert canonical(name, once, "EUR") == canonical(name, once) == once


def test_a_record_names_its_currency() -> None:
    assert currency_of({"Price Currency": " EUR ", "price": "3"}) == "EUR"
    assert currency_of({"currency": None}) == currency_of({}) == ""


def test_a_graph_states_amounts_with_their_currency_and_keeps_the_words(tmp_path: Path) -> None:
    facts = {"price": "Rs. 1,299", "Sale Price": "999", "currency": "Rs.", "sales": "1.2k sold"}
    run = write_run(tmp_path / "run", "r", [outcome("p", "T", category=HEADPHONES, feed={"facts": facts})])
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([run], store)
        said = store.rows(
            "SELECT predicate, n.label, quote FROM statements JOIN nodes AS n ON n.id = object"
            " WHERE source = 'feed' ORDER BY predicate"
        )
        assert [tuple(row.values()) for row in said] == [
            ("has_currency", "Rs.", ""),
            ("has_price", "1299.00 INR", "Rs. 1,299"),
            ("has_sale_price", "999.00 INR", "999"),
            ("has_sales", "1200", "1.2k sold"),
        ]
        # People pay the sale price.
        assert offers(store, ["product:p"]) == {"product:p": [Money(999, "INR")]}
        product = next(node for node in jsonld.nodes(store) if node["@type"] == "Product")
        assert product["offers"] == {"@type": "Offer", "price": "1299.00", "priceCurrency": "INR"}


def test_a_graph_of_before_is_read_as_well() -> None:
    assert money_of("₹63,400") == money_of("63400.00 INR") == Money(63400, "INR")
