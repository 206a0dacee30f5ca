"""Sums per listing in, intervals and differences out: how sure a score is, and whether two runs differ.

Listings are what is drawn, never single cells: values of one listing stand and fall together, and intervals from
single cells would be too narrow (cluster bootstrap; Miller, "Adding error bars to evals", arXiv 2411.00640). Micro
precision, recall and F1 are computed anew from the summed counts of each draw. Knows no records and no runs, only
arrays whose first axis is the listing and whose last axis is metrics.Sums; everything is in percent points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

# Axes: (listing, ..., Sums).
SumsArray = NDArray[np.float64]
Array = NDArray[np.float64]

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
# Fewer listings that differ are never significant, even when all point the same way: 2 * 0.5**5 > 0.05.
FEWEST = 6
# Weights held at once: 32 MB.
CHUNK = 1 << 22
_NORMAL = NormalDist()
# Differences that floating point alone makes.
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with its 95 % interval, all in percent points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Micro scores of one run under one protocol."""

    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of run b minus F1 of run a, in percent points."""

    value: float
    # Ends of the 95 % interval.
    low: float
    high: float
    # Two-sided.
    p: float
    # Smallest true difference that is found in 80 of 100 cases: from the paired standard error, and never less than
    # what so few listings make that no test could tell.
    detectable: float

    @property
    def is_worse(self) -> bool:
        return self.value < 0 and self.p < ALPHA

    @property
    def is_better(self) -> bool:
        return self.value > 0 and self.p < ALPHA


def micro(totals: Array) -> Array:
    """(..., Sums) -> (..., precision recall F1), 0..100; where nothing is predicted or stated, 0."""
    predicted_right, stated_right, predicted, stated = np.moveaxis(totals, -1, 0)
    precision = _ratio(predicted_right, predicted)
    recall = _ratio(stated_right, stated)
    f1 = _ratio(2 * precision * recall, precision + recall)
    return 100 * np.stack((precision, recall, f1), axis=-1)


def resampled(sums: SumsArray, resamples: int, rng: np.random.Generator) -> Array:
    """Totals of `resamples` samples of as many listings, drawn with replacement.

    Listings with equal sums are drawn together: how often one of each kind comes up is multinomial, and there are far
    fewer kinds than listings. The order of the listings does not matter.

    Args:
        sums: (listing, ...).

    Returns:
        (resample, ...).
    """
    kinds, sizes = np.unique(sums.reshape(len(sums), -1), axis=0, return_counts=True)
    drawn = [
        rng.multinomial(len(sums), sizes / len(sums), size=size) @ kinds
        for size in _chunks(resamples, len(kinds))
    ]
    return np.concatenate(drawn).reshape(resamples, *sums.shape[1:])


def scores(sums: SumsArray, *, resamples: int = 10_000, seed: int = 0) -> Scores:
    """Micro precision, recall and F1 of one run with their intervals; `sums` is (listing, Sums)."""
    rng = np.random.default_rng(seed)
    return scores_of(sums, resampled(sums, resamples, rng), rng)


def scores_of(sums: SumsArray, totals: Array, rng: np.random.Generator) -> Scores:
    """The same from samples that were drawn before: (listing, Sums) and (resample, Sums).

    Ten listings without a mistake do not prove that there are none, which is what drawing from these ten alone says.
    So one more listing, an average one that is half right, comes up as often as any other (in the spirit of Agresti
    and Coull 1998): 20 listings of a system with F1 92 then cover it 97 times in 100, not 90.
    """
    _, _, predicted, stated = average = sums.mean(axis=0)
    average[:2] = predicted / 2, stated / 2
    unseen = rng.poisson(1.0, size=(len(totals), 1)) * average
    values, draws = micro(sums.sum(axis=0)), micro(totals + unseen)
    return Scores(*(_expanded(float(values[i]), draws[:, i], len(sums)) for i in range(3)))


def difference(a: SumsArray, b: SumsArray, *, resamples: int = 10_000, seed: int = 0) -> Difference:
    """Paired difference of micro F1, b minus a; both are (listing, Sums) of the same listings."""
    rng = np.random.default_rng(seed)
    return difference_of(a, b, resampled(np.stack((a, b), axis=1), resamples, rng), rng)


def difference_of(a: SumsArray, b: SumsArray, totals: Array, rng: np.random.Generator) -> Difference:
    """The same from samples of both that were drawn before, together: (resample, side, Sums)."""
    value = float(_f1_difference(a.sum(axis=0), b.sum(axis=0)))
    draws = _f1_difference(totals[:, 0], totals[:, 1])
    differing, cell = int(np.any(a != b, axis=1).sum()), _one_cell(a, b)
    interval = _expanded(value, draws, differing)
    low, high = interval.low, interval.high
    if differing < FEWEST:
        # What has not been seen may exist: with none that differ, so many more could have, one cell each.
        reach = (FEWEST - differing) * cell
        low, high = max(-100.0, min(low, value - reach, 0.0)), min(100.0, max(high, value + reach, 0.0))
    factor = _NORMAL.inv_cdf(1 - ALPHA / 2) + _NORMAL.inv_cdf(POWER)
    return Difference(
        value=value,
        low=low,
        high=high,
        p=randomization_p(a, b, len(totals), rng),
        detectable=min(100.0, max(factor * float(draws.std()), FEWEST * cell)),
    )


def randomization_p(a: SumsArray, b: SumsArray, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the difference of micro F1: approximate randomization over listings.

    If it did not matter which run made a listing's predictions, swapping the two would change nothing but by chance
    (Noreen 1989; Yeh 2000, "More accurate tests for the statistical significance of result differences", for F1).
    The test keeps its level however few listings there are, which the bootstrap alone does not: where only four
    listings differ, all in the same direction, it gives 1/8, the bootstrap 0.04. With few differing listings every
    swap is tried, so the p-value is exact.
    """
    changes = (b - a)[np.any(a != b, axis=1)]
    if not len(changes):
        return 1.0
    middle, observed = (a + b).sum(axis=0), abs(_f1_difference(a.sum(axis=0), b.sum(axis=0)))
    extreme = trials = 0
    for swapped in _swaps(changes, resamples, rng):
        # Half of what b has more than a, after swapping.
        shift = swapped / 2
        differences = _f1_difference(middle / 2 - shift, middle / 2 + shift)
        extreme += int((np.abs(differences) >= observed - _TINY).sum())
        trials += len(swapped)
    exact = 2 ** len(changes) <= resamples
    return extreme / trials if exact else (extreme + 1) / (trials + 1)


def _expanded(value: float, draws: Array, listings: int) -> Interval:
    """Percentile interval, widened for few listings.

    Hesterberg 2015, "What teachers should know about the bootstrap", expanded percentiles: of n listings the plain
    percentiles are too narrow, by sqrt((n - 1) / n) and by the difference between normal and t distribution.
    """
    n = max(2, listings)
    tail = _NORMAL.cdf(-math.sqrt(n / (n - 1)) * _t_quantile((1 + CONFIDENCE) / 2, n - 1))
    low, high = np.quantile(draws, (tail, 1 - tail))
    return Interval(value, min(float(low), value), max(float(high), value))


def _t_quantile(share: float, freedom: int) -> float:
    """Student's t from the normal distribution: Abramowitz and Stegun 26.7.5, within 1 % from 3 degrees on."""
    z = _NORMAL.inv_cdf(share)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _swaps(changes: Array, resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """(trial, Sums) chunks: the summed changes of all listings after some were swapped."""
    listings = len(changes)
    if 2**listings <= resamples:
        patterns = np.arange(2**listings)[:, None] >> np.arange(listings) & 1
        yield (1.0 - 2.0 * patterns) @ changes
        return
    # As in `resampled`: of the listings that changed alike, so many are swapped.
    kinds, sizes = np.unique(changes, axis=0, return_counts=True)
    for size in _chunks(resamples, len(kinds)):
        kept = rng.binomial(sizes, 0.5, size=(size, len(kinds)))
        yield (2.0 * kept - sizes) @ kinds


def _chunks(resamples: int, width: int) -> Iterator[int]:
    """So many rows at once that memory stays bounded."""
    rows = max(1, CHUNK // width)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _one_cell(a: SumsArray, b: SumsArray) -> float:
    """What one cell that turns right adds to F1, in points."""
    cells = float((a + b)[:, 2:].sum()) / 2
    return 200 / cells if cells else 0.0


def _f1_difference(a: Array, b: Array) -> Array:
    result: Array = micro(b)[..., 2] - micro(a)[..., 2]
    return result


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
