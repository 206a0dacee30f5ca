"""How much oftener than by chance products with a value are on top, among similar products; exact, however few.

In: counts of each stratum of similar products. Out: a Lift with its interval and p-value. Knows no graph.

With the margins of every stratum given, the number of products that have the value and are on top is a sum of
hypergeometric numbers if the value makes no difference, and of Fisher's noncentral ones if it multiplies the odds.
The test and the interval of that common odds ratio follow from the distribution itself, without any approximation
(Mehta, Patel and Gray 1985, "Computing an exact confidence interval for the common odds ratio in several 2x2
contingency tables"; what R's mantelhaen.test does with exact=TRUE). People are told the ratio of what is seen to
what chance gives, which they understand better than odds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import hypergeom

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

# Outside the interval of 95 %, on each side.
_TAIL = 0.025
# Odds are multiplied by e^30 at most: no count that fits in memory tells more from infinity.
_FURTHEST = 30.0


@dataclass(frozen=True, slots=True)
class Lift:
    """What goes with a value; all but `p` in products or ratios of products."""

    # Products that have the value.
    products: int
    # Of these, so many are on top.
    top: int
    # So many would be if the value made no difference.
    expected: float
    # top / expected, with the ends of its 95 % interval.
    ratio: float
    low: float
    high: float
    # Two-sided: twice the smaller tail.
    p: float


def lift_of(strata: Counts) -> Lift:
    """Lift of one value.

    Args:
        strata: (stratum, 4): products, of these on top, with the value, with the value and on top. Products with
            the value are compared with the others of their stratum, so each stratum has both.
    """
    weights = _Weights(strata)
    seen = int(strata[:, 3].sum())
    expected = weights.mean(0.0)
    by_chance = weights.total(0.0)
    at = seen - weights.least
    p = min(1.0, 2 * min(by_chance[: at + 1].sum(), by_chance[at:].sum()))
    low, high = _interval(weights, seen)
    return Lift(
        products=int(strata[:, 2].sum()),
        top=seen,
        expected=expected,
        ratio=seen / expected,
        low=low / expected,
        high=high / expected,
        p=float(p),
    )


class _Weights:
    """Log weights of what each stratum may hold; a log odds ratio tilts them."""

    def __init__(self, strata: Counts) -> None:
        products, top, having, _ = (column[:, None] for column in strata.T)
        lowest = np.maximum(0, having + top - products)
        width = int((np.minimum(having, top) - lowest).max()) + 1
        self.possible = lowest + np.arange(width)
        # -inf where a stratum cannot hold so many.
        self.logs = hypergeom.logpmf(self.possible, products, top, having)
        self.least = int(lowest.sum())
        self.most = int(np.minimum(having, top).sum())

    def each(self, log_odds: float) -> Array:
        """(stratum, possible): probabilities."""
        tilted = self.logs + log_odds * self.possible
        shares = np.exp(tilted - tilted.max(axis=1, keepdims=True))
        normed: Array = shares / shares.sum(axis=1, keepdims=True)
        return normed

    def mean(self, log_odds: float) -> float:
        return float((self.each(log_odds) * self.possible).sum())

    def total(self, log_odds: float) -> Array:
        """Probabilities of the sum over strata, from `least` to `most`."""
        sums = [np.trim_zeros(row, "b") if row[-1] == 0 else row for row in self.each(log_odds)]
        while len(sums) > 1:  # in pairs: long arrays meet long ones only at the end
            sums = [reduce(np.convolve, sums[i : i + 2]) for i in range(0, len(sums), 2)]
        total = np.zeros(self.most - self.least + 1)
        total[: len(sums[0])] = sums[0][: len(total)]
        return total


def _interval(weights: _Weights, seen: int) -> tuple[float, float]:
    """What would be expected at the ends of the exact interval of the common odds ratio."""
    # Tilted so that what is seen is likely: from there no weight that matters is too small for a float.
    near = _root(lambda log_odds: weights.mean(log_odds) - seen)
    with np.errstate(divide="ignore"):
        base = np.log(weights.total(near))
    off = np.arange(weights.least, weights.most + 1) - seen

    def probability(side: NDArray[np.bool_], log_odds: float) -> float:
        tilted = base + (log_odds - near) * off
        shares = np.exp(tilted - tilted.max())
        return float(shares[side].sum() / shares.sum())

    low, high = float(weights.least), float(weights.most)
    if seen > weights.least:
        low = weights.mean(_root(lambda log_odds: probability(off >= 0, log_odds) - _TAIL))
    if seen < weights.most:
        high = weights.mean(_root(lambda log_odds: _TAIL - probability(off <= 0, log_odds)))
    return low, high


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that does not fall is 0; the end of the range where it is nowhere."""
    if rising(-_FURTHEST) >= 0:
        return -_FURTHEST
    if rising(_FURTHEST) <= 0:
        return _FURTHEST
    return float(brentq(rising, -_FURTHEST, _FURTHEST, xtol=1e-6))
