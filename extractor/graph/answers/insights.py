"""Which attribute values go with top performers of a category.

In: a graph whose products carry a metric (sales, rating, reviews), a category and the metric's name. Out: for every
value with enough support, how much oftener products that have it are on top than similar ones that have another; or
why that cannot be said. Products are SPUs where listings were matched: their metric is the mean of the listings'.

Similar are products of one category in one band of price (strata.py). The best quarter of such a stratum is on top.
The test is exact (lift.py), and p-values are adjusted for so many values (Benjamini and Hochberg 1995): of what is
found, 5 % are expected to be there by luck. What goes with sales need not cause them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from extractor.graph.answers.attributes import attribute_name
from extractor.graph.answers.lift import Counts, Lift, lift_of
from extractor.graph.answers.performers import Stated, performers
from extractor.graph.answers.strata import Flags, Numbers, in_both, on_top, stratify
from extractor.graph.find import Category, find_category
from extractor.graph.stores.duckdb import DuckDBStore

ALPHA = 0.05
# With fewer products nothing but a landslide could be told from luck.
LEAST_PRODUCTS = 40
# Products with a value, and without it, that can be compared.
MIN_SUPPORT = 10


@dataclass(frozen=True, slots=True)
class Insight:
    """What goes with one value."""

    # Relation without "has_", node id and label of the value.
    attribute: str
    value: str
    label: str
    # Products it is compared with: "other values" of the attribute, or, where all that state it say the same,
    # "not stated".
    against: str
    lift: Lift
    # p adjusted for all values that were tested.
    p_adjusted: float

    @property
    def found(self) -> bool:
        return self.p_adjusted < ALPHA

    def to_json(self) -> dict[str, Any]:
        names = {"attribute": self.attribute, "value": self.value, "label": self.label}
        rest = {"p_adjusted": self.p_adjusted, "found": self.found}
        return {**names, "against": self.against, **asdict(self.lift), **rest}


@dataclass(frozen=True, slots=True)
class Insights:
    """The answer for one category and metric."""

    category: Category
    metric: str
    # Products that carry the metric, and those of them that are compared: of very many some are drawn.
    carrying: int
    products: int
    # Groups of similar products: of one category, and, unless the metric is a price itself, of one band of price.
    strata: int
    # All values that were tested, the surest first.
    values: tuple[Insight, ...]
    # Values that too few products have.
    rare: int
    # Why nothing can be said; empty when something can.
    not_enough: str = ""

    def found(self, *, better: bool) -> list[Insight]:
        """What goes with the best oftener than by chance, or more seldom; the surest first."""
        return [value for value in self.values if value.found and (value.lift.ratio > 1) == better]

    def to_json(self) -> dict[str, Any]:
        return {
            "category": self.category.id,
            "metric": self.metric,
            "carrying": self.carrying,
            "products": self.products,
            "strata": self.strata,
            "tested": len(self.values),
            "rare": self.rare,
            "not_enough_data": self.not_enough or None,
            "values": [value.to_json() for value in self.values],
        }


def insights(
    graph: DuckDBStore, category_name: str, metric: str, *, min_support: int = MIN_SUPPORT
) -> Insights:
    """Ask which values go with the best by a metric; higher is better.

    Args:
        graph: Open for reading.
        category_name: Node id or label; what is below it counts too.
        metric: Name of a fact in the feed, such as "sales".
        min_support: Fewest products with a value, and without it.

    Raises:
        ConfigError: No such category, or no product of it carries such a metric.
    """
    category = find_category(graph, category_name)
    found = performers(graph, category, metric)
    strata = stratify(found.categories, found.prices)
    top = on_top(found.performance, strata)
    comparable = in_both(strata, top)
    products, groups = int(comparable.sum()), len(np.unique(strata[comparable]))
    if products < LEAST_PRODUCTS:
        why = _too_few(found.carrying, products, metric)
        return Insights(category, metric, found.carrying, products, groups, (), 0, why)
    values, rare = judge(found.stated, strata, top, min_support=min_support)
    why = "" if values else f"no value has {min_support} products and as many similar ones without it"
    return Insights(category, metric, found.carrying, products, groups, values, rare, why)


def judge(
    stated: Stated, strata: Numbers, top: Flags, *, min_support: int = MIN_SUPPORT
) -> tuple[tuple[Insight, ...], int]:
    """Test every value of every attribute.

    Args:
        stated: Which products have which value.
        strata: Number of each product's stratum.
        top: Whether it is on top there.
        min_support: Fewest products with a value, and without it, in strata that have both.

    Returns:
        What was tested, the surest first, and how many values were too rare to be.
    """
    values = list(_values(stated, strata, top, min_support))
    tested = [value for value in values if value is not None]
    return _adjusted(tested), len(values) - len(tested)


def _values(stated: Stated, strata: Numbers, top: Flags, min_support: int) -> Iterator[Insight | None]:
    """Every value of every attribute; None for one with too little support."""
    for relation, values in stated.items():
        known = np.zeros(len(top), dtype=bool)
        known[[place for _, places in values.values() for place in places]] = True
        # Where a value is missing it may just not be stated: the others that state one are a fairer comparison.
        among, against = (known, "other values") if len(values) > 1 else (np.ones_like(known), "not stated")
        for value, (label, places) in sorted(values.items()):
            having = np.zeros(len(top), dtype=bool)
            having[places] = True
            counts = _counts(strata[among], top[among], having[among])
            if counts[:, 2].sum() < min_support or (counts[:, 0] - counts[:, 2]).sum() < min_support:
                yield None
            else:
                yield Insight(attribute_name(relation), value, label, against, lift_of(counts), 1.0)


def _counts(strata: Numbers, top: Flags, having: Flags) -> Counts:
    """(stratum, 4) as `lift_of` takes them; strata that compare nothing are left out."""
    size = int(strata.max(initial=-1)) + 1
    columns = [np.bincount(strata[rows], minlength=size) for rows in (top | True, top, having, having & top)]
    counts = np.stack(columns, axis=1)
    products, best, with_value, _ = counts.T
    tells = (best > 0) & (best < products) & (with_value > 0) & (with_value < products)
    return np.asarray(counts[tells])


def _adjusted(values: Sequence[Insight]) -> tuple[Insight, ...]:
    """With p adjusted for all of them, the surest first."""
    if not values:
        return ()
    adjusted = false_discovery_control([value.lift.p for value in values])
    sure = [replace(value, p_adjusted=float(p)) for value, p in zip(values, adjusted, strict=True)]
    return tuple(
        sorted(sure, key=lambda value: (value.p_adjusted, value.lift.p, -value.lift.ratio, value.value))
    )


def _too_few(carrying: int, comparable: int, metric: str) -> str:
    if comparable < carrying:
        return (
            f"products with {metric}: {carrying}, of which {comparable} can be told from similar ones;"
            f" {LEAST_PRODUCTS} are needed"
        )
    return f"products with {metric}: {carrying}; {LEAST_PRODUCTS} are needed"
