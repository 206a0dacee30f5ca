"""Intervals and p-values against what can be worked out by hand, and their invariants; coverage: eval/bench."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.evaluation.statistics import (
    Difference,
    Interval,
    Scores,
    SumsArray,
    difference,
    micro,
    randomization_p,
    resampled,
    scores,
)

RIGHT, WRONG, MISSED = (1, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1)


def listings(*rows: tuple[int, ...]) -> SumsArray:
    return np.array(rows, dtype=np.float64)


counts = st.integers(0, 4)
row = st.tuples(counts, counts, counts).map(lambda n: (n[0], n[0], n[0] + n[1], n[0] + n[2]))
pairs = st.lists(st.tuples(row, row), min_size=1, max_size=12)


def test_micro_scores_come_from_sums() -> None:
    totals = np.array([[3, 2, 4, 8], [0, 0, 0, 0]], dtype=np.float64)
    np.testing.assert_allclose(micro(totals), [[75, 25, 37.5], [0, 0, 0]])


def test_resampled_totals_are_those_of_as_many_listings() -> None:
    sums = listings(RIGHT, RIGHT, MISSED)
    totals = resampled(sums, 2_000, np.random.default_rng(0))
    assert (totals[:, 3] == 3).all()
    # Each of the three draws is right with probability 2/3.
    np.testing.assert_allclose(
        np.bincount(totals[:, 0].astype(int)) / 2_000, [1 / 27, 6 / 27, 12 / 27, 8 / 27], atol=0.03
    )


def test_same_predictions_differ_by_nothing() -> None:
    sums = listings(*[RIGHT] * 30, *[WRONG] * 20)
    # Six listings of one cell each could turn out differently and would not be told from chance.
    assert difference(sums, sums) == Difference(value=0.0, low=-12.0, high=12.0, p=1.0, detectable=12.0)


def test_with_few_differing_listings_the_p_value_is_exact() -> None:
    same = [RIGHT] * 50
    for regressed, p in ((1, 1.0), (4, 0.125), (5, 0.0625), (6, 0.03125), (8, 2 / 256)):
        before, after = listings(*same, *[RIGHT] * regressed), listings(*same, *[WRONG] * regressed)
        found = difference(before, after)
        assert found.p == pytest.approx(p)
        assert found.is_worse == (p < 0.05)
        assert (found.high < 0) == (p < 0.05)


def test_a_listing_is_one_draw_however_many_values_it_has() -> None:
    # 40 cells turn wrong, but in two listings only.
    before, after = (
        listings(*[(20, 20, 20, 20)] * 10),
        listings(*[(20, 20, 20, 20)] * 8, *[(0, 0, 20, 20)] * 2),
    )
    found = difference(before, after)
    assert found.value == pytest.approx(-20)
    assert found.p == 0.5
    assert found.low <= 0 <= found.high


def test_a_clear_change_is_found_with_its_size() -> None:
    before = listings(*[RIGHT] * 800, *[WRONG] * 200)
    after = listings(*[RIGHT] * 750, *[WRONG] * 250)
    found = difference(before, after)
    assert found.is_worse and not found.is_better
    assert found.value == pytest.approx(-5)
    # Standard error of a paired share: sqrt(50) / 1000 = 0.7 points.
    assert (found.low, found.high) == (pytest.approx(-6.4, abs=0.15), pytest.approx(-3.65, abs=0.15))
    assert found.detectable == pytest.approx(2.8 * 0.69, abs=0.1)
    assert found.p == pytest.approx(1e-4, abs=1e-4)


def test_randomization_tries_every_swap_or_many() -> None:
    before, after = listings(*[RIGHT] * 5, *[WRONG] * 2), listings(*[WRONG] * 5, *[RIGHT] * 2)
    # |5 - 2| of 7 signs: 2 * (1 + 7 + 21) of 128 are as far from even.
    exact = randomization_p(before, after, 1_000, np.random.default_rng(0))
    assert exact == pytest.approx(58 / 128)
    sampled = randomization_p(before, after, 100, np.random.default_rng(0))
    assert sampled == pytest.approx(exact, abs=0.15)


def test_ten_listings_without_a_mistake_do_not_prove_that_there_are_none() -> None:
    found = scores(listings(*[RIGHT] * 10))
    assert found.f1.value == found.f1.high == 100
    assert 75 < found.f1.low < 90


def test_an_interval_is_that_of_a_binomial_where_cells_are_independent() -> None:
    found = scores(listings(*[RIGHT] * 700, *[WRONG] * 300))
    assert isinstance(found, Scores)
    for each in (found.precision, found.recall, found.f1):
        assert each.value == pytest.approx(70)
        # 1.96 * sqrt(0.7 * 0.3 / 1000)
        assert (each.low, each.high) == (pytest.approx(67.16, abs=0.3), pytest.approx(72.84, abs=0.3))


def test_nothing_predicted_and_nothing_stated_is_no_error() -> None:
    nothing = listings((0, 0, 0, 0), (0, 0, 0, 0))
    assert scores(nothing).f1 == Interval(0, 0, 0)
    assert difference(nothing, nothing).p == 1


@given(pairs)
def test_who_is_called_a_turns_the_sign_and_nothing_else(rows: list[tuple[tuple[int, ...], ...]]) -> None:
    a, b = (listings(*side) for side in zip(*rows, strict=True))
    one, other = difference(a, b, resamples=300), difference(b, a, resamples=300)
    assert one.value == pytest.approx(-other.value)
    assert 0 < one.p <= 1 and one.low <= one.value <= one.high
    if len(rows) <= 8:  # every swap is tried
        assert one.p == pytest.approx(other.p)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_listings_does_not_matter(
    rows: list[tuple[tuple[int, ...], ...]], random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (
        difference(*(listings(*side) for side in zip(*each, strict=True)), resamples=300)
        for each in (rows, shuffled)
    )
    assert first == second
