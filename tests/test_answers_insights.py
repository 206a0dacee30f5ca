"""extractor.graph.answers.insights: a planted effect is found, luck is not, and too little is said to be too little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, nchypergeom_fisher
from scipy.stats.contingency import odds_ratio
from shop_graph import HEADPHONES, shop
from test_graph import outcome, said, write_run

from extractor.errors import ConfigError
from extractor.graph.answers.insights import insights, judge
from extractor.graph.answers.lift import lift_of
from extractor.graph.answers.performers import Stated, performers
from extractor.graph.answers.strata import BAND_PRODUCTS, Flags, Numbers, in_both, on_top, stratify
from extractor.graph.find import find_category
from extractor.graph.merge import merge_runs
from extractor.graph.stores.duckdb import DuckDBStore


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    yield from shop(tmp_path_factory.mktemp("shop") / "run")


# ---- lift


@pytest.mark.parametrize(
    ("products", "top", "having", "both"),
    [
        (40, 10, 12, 6),
        (40, 10, 12, 10),
        (40, 10, 12, 0),
        (40, 10, 35, 8),
        (1000, 250, 300, 200),
        (2, 1, 1, 1),
    ],
)
def test_of_one_stratum_the_interval_is_that_of_scipy(
    products: int, top: int, having: int, both: int
) -> None:
    lift = lift_of(np.array([[products, top, having, both]]))
    table = [[both, having - both], [top - both, products - having - top + both]]
    ends = odds_ratio(table).confidence_interval(0.95)
    expected = having * top / products
    low = (
        nchypergeom_fisher.mean(products, top, having, ends.low)
        if ends.low
        else max(0, having + top - products)
    )
    high = (
        nchypergeom_fisher.mean(products, top, having, ends.high)
        if np.isfinite(ends.high)
        else min(having, top)
    )
    tails = [fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert (lift.products, lift.top) == (having, both)
    assert (lift.expected, lift.ratio) == pytest.approx((expected, both / expected))
    assert (lift.low, lift.high) == pytest.approx((low / expected, high / expected), abs=1e-5)
    assert lift.p == pytest.approx(min(1.0, 2 * min(tails)))


Stratum = st.tuples(st.integers(2, 30), st.integers(), st.integers(), st.integers()).map(
    lambda drawn: stratum(*drawn)
)


def stratum(products: int, top: int, having: int, both: int) -> list[int]:
    """Any numbers as counts that are possible."""
    top, having = 1 + top % (products - 1), 1 + having % (products - 1)
    least = max(0, top + having - products)
    return [products, top, having, least + both % (min(top, having) - least + 1)]


@given(st.lists(Stratum, min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_interval_and_p_agree_whatever_is_counted(strata: list[list[int]]) -> None:
    counts = np.array(strata)
    lift = lift_of(counts)
    assert lift.low - 1e-6 <= lift.ratio <= lift.high + 1e-6
    assert 0 <= lift.p <= 1
    # What is significant leaves 1 out, and what is not leaves it in.
    assert (lift.p < 0.05) == (lift.low > 1 or lift.high < 1) or abs(lift.p - 0.05) < 1e-4
    shuffled = lift_of(counts[::-1])
    assert (shuffled.low, shuffled.high, shuffled.p) == pytest.approx((lift.low, lift.high, lift.p), abs=1e-6)


def test_an_effect_of_thousands_of_products_is_no_problem() -> None:
    strata = np.array([[40, 10, 20, 10]] * 500)
    lift = lift_of(strata)
    assert (lift.ratio, lift.p) == (2.0, 0.0)
    assert 1.99 < lift.low < lift.high == 2.0


# ---- strata


def test_products_are_compared_within_category_and_price_band() -> None:
    prices = np.array([*range(80), *[np.nan] * 3, *range(1, 4)], dtype=float)
    categories = np.array([0] * 83 + [1] * 3)
    strata = stratify(categories, prices)
    assert [list(strata).count(each) for each in dict.fromkeys(strata)] == [BAND_PRODUCTS, 40, 3, 3]
    assert len(set(stratify(categories, np.full(86, 5.0)))) == 2


def test_the_best_quarter_is_on_top_and_ties_stay_together() -> None:
    one = np.zeros(8, dtype=int)
    assert on_top(np.array([1, 2, 3, 4, 5, 6, 7, 8.0]), one).sum() == 2
    assert list(on_top(np.array([5, 5, 5, 1, 1, 1, 1, 1.0]), one)) == [True] * 3 + [False] * 5
    same = on_top(np.full(8, 5.0), one)
    assert not in_both(one, same).any()


def test_prices_of_two_currencies_are_never_in_one_band(tmp_path: Path) -> None:
    listings = [
        outcome(f"h{number}", "T", category=HEADPHONES, feed={"facts": {"sales": "1,200", "price": price}})
        for number, price in enumerate(["$20", "€20", "$30", "n/a"])
    ]
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", listings)], store)
        found = performers(store, find_category(store, "Headphones"), "sales")
    assert list(found.performance) == [1200] * 4
    assert [found.categories[0] == each for each in found.categories] == [True, False, True, False]
    assert list(found.prices[:3]) == [20, 20, 30] and np.isnan(found.prices[3])


# ---- many values at once


def planted(rng: np.random.Generator, effect: float, products: int = 300) -> tuple[Stated, Numbers, Flags]:
    """Three attributes of four values; the first value multiplies sales by e to the power of `effect`; price counts."""
    values = rng.integers(0, 4, size=(3, products))
    prices = rng.normal(size=products)
    sales = effect * (values[0] == 0) - prices + rng.normal(size=products)
    strata = stratify(np.zeros(products, dtype=int), prices)
    stated = {
        f"has_{name}": {
            f"{name}:{value}": (f"{name} {value}", list(np.flatnonzero(of_attribute == value)))
            for value in range(4)
        }
        for name, of_attribute in zip("abc", values, strict=True)
    }
    return stated, strata, on_top(sales, strata)


def test_of_200_shuffles_hardly_one_finds_anything() -> None:
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values, rare = judge(*planted(rng, 0.0, products=120))
        assert rare == 0
        found.append(any(value.found for value in values))
    # At most 5 % are allowed; the test is exact, so of small numbers it finds less.
    assert sum(found) <= 10


def test_a_planted_effect_is_found_and_little_else() -> None:
    hits = false = flagged = 0
    for seed in range(40):
        values, _ = judge(*planted(np.random.default_rng(seed), 1.0))
        found = [value for value in values if value.found]
        hits += any(value.value == "a:0" and value.lift.ratio > 1 for value in found)
        flagged += len(found)
        false += sum(value.attribute != "a" for value in found)
    assert hits >= 36
    assert false <= 0.1 * flagged


# ---- of a graph


def test_what_was_planted_in_a_shop_is_found(graph: DuckDBStore) -> None:
    answer = insights(graph, "Headphones", "sales")
    best = answer.values[0]
    assert (best.attribute, best.label, best.against) == ("noise_cancelling", "active", "not stated")
    assert best.found and best.lift.ratio > 2 and best.lift.low > 1
    assert [value for value in answer.values[1:] if value.found] == []
    # An SPU of two listings is one product: 120, not 132.
    assert (answer.products, answer.not_enough) == (120, "")
    assert insights(graph, "category:electronics.audio", "Sales").products == 120
    assert "sales" not in {value.attribute for value in answer.values}


def test_without_an_effect_nothing_is_found(tmp_path: Path) -> None:
    for store in shop(tmp_path / "run", effect=0.0):
        assert [value for value in insights(store, "Headphones", "sales").values if value.found] == []


def test_too_little_is_said_to_be_too_little(tmp_path: Path, graph: DuckDBStore) -> None:
    answer = insights(graph, "Headphones", "sales", min_support=100)
    assert answer.values == () and answer.rare > 0
    assert answer.not_enough == "no value has 100 products and as many similar ones without it"
    for store in shop(tmp_path / "small", products=20):
        few = insights(store, "Headphones", "sales")
        assert few.not_enough == "products with sales: 20; 40 are needed"
        assert few.to_json()["not_enough_data"] == few.not_enough


def test_of_a_price_is_asked_what_goes_with_dear_products(tmp_path: Path) -> None:
    listings = [
        outcome(
            f"h{number}",
            title := "red headphones" if number % 2 else "blue headphones",
            said("color", title.split()[0], title),
            category=HEADPHONES,
            feed={"facts": {"price": f"${number % 50 + 100 * (number % 2)}"}},
        )
        for number in range(1, 101)
    ]
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", listings)], store)
        answer = insights(store, "Headphones", "price")
    # Without bands of price: all are similar.
    assert (answer.strata, [value.label for value in answer.found(better=True)]) == (1, ["red"])
    assert [value.label for value in answer.found(better=False)] == ["blue"]


@pytest.mark.parametrize(
    ("category", "metric", "message"),
    [
        ("Headphnes", "sales", "no such category; near ones are category:electronics.audio.headphones"),
        ("Headphones", "sale", "no product of Headphones carries it as a number; there are sales"),
        ("Headphones", "url", "carries it as a number; there are"),
        ("Portable speakers", "sales", "its feed has no numbers; add such a column"),
    ],
)
def test_what_is_not_there_is_named(graph: DuckDBStore, category: str, metric: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        insights(graph, category, metric)
    assert "\n" not in str(error.value)


def test_a_code_is_no_metric(tmp_path: Path) -> None:
    facts = {"gtin": "4006381333931", "rating": "4.5"}
    phones = [outcome("h", "T", category=HEADPHONES, feed={"facts": facts})]
    with DuckDBStore(Path(":memory:")) as store:
        merge_runs([write_run(tmp_path / "run", "r", phones)], store)
        with pytest.raises(ConfigError, match=r"carries it as a number; there are rating$"):
            insights(store, "Headphones", "sales")
