"""Products that may be compared: of one category, about as dear, and so many on top by a metric.

In: category, price and metric of each product, in arrays. Out: the stratum of each, and whether it is on top there.
Knows no graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Products of a price band. Five bands take away 90 % of what price explains (Cochran 1968, "The effectiveness of
# adjustment by subclassification"); with so few in one there are more of them as soon as a category is large.
BAND_PRODUCTS = 40
# The best quarter of a stratum is on top.
TOP_SHARE = 0.25


def stratify(categories: Numbers, prices: Floats) -> Numbers:
    """Number of each product's stratum: its category, and within that its band of price.

    Args:
        categories: A number for each category.
        prices: NaN where unknown: these products make up one band.
    """
    bands = np.full(len(prices), -1)
    for category in np.unique(categories):
        known = np.flatnonzero((categories == category) & ~np.isnan(prices))
        bands[known] = _bands(prices[known])
    return np.unique(np.stack((categories, bands)), axis=1, return_inverse=True)[1].reshape(-1)


def on_top(metric: Floats, strata: Numbers) -> Flags:
    """Which products are in the best quarter of their stratum; of ties, all or none, what comes closer to a quarter."""
    top = np.zeros(len(metric), dtype=bool)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        top[members] = _best(metric[members])
    return top


def in_both(strata: Numbers, top: Flags) -> Flags:
    """Which products are in strata where some are on top and others are not."""
    size = int(strata.max(initial=-1)) + 1
    products, best = np.bincount(strata, minlength=size), np.bincount(strata[top], minlength=size)
    told: Flags = (best > 0) & (best < products)
    return told[strata]


def _bands(prices: Floats) -> Numbers:
    """Bands of about BAND_PRODUCTS; equal prices are in one band."""
    bands = max(1, round(len(prices) / BAND_PRODUCTS))
    edges = np.quantile(prices, np.arange(1, bands) / bands) if len(prices) else prices
    return np.searchsorted(np.unique(edges), prices, side="left")


def _best(metric: Floats) -> Flags:
    least = np.quantile(metric, 1 - TOP_SHARE, method="inverted_cdf")
    choices: list[Callable[[], Flags]] = [lambda: metric > least, lambda: metric >= least]
    return min((each() for each in choices), key=lambda best: abs(best.mean() - TOP_SHARE))
