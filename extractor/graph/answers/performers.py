"""Products of a category as numbers: what they perform, what they cost, which values they have.

In: a graph and the names of a category and a metric. Out: Performers. Products are SPUs where listings were matched;
their metric is the mean of their listings', their price the median. Where the metric is a price, what goes with dear
products is asked: these are not told apart by price.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from extractor.errors import ConfigError
from extractor.graph.answers.attributes import PRICES, attribute_name, attribute_relations
from extractor.graph.answers.prices import offers, typical
from extractor.graph.answers.strata import Floats, Numbers
from extractor.graph.answers.things import CATEGORY_OF_THING, THING_OF
from extractor.graph.feed_numbers import Money, number_of
from extractor.graph.find import Category, near
from extractor.graph.nodes import GTINS, slug
from extractor.graph.stores.duckdb import DuckDBStore

# More products than that sharpen nothing that a person would act on; these are drawn by a hash of their ids.
_MOST_PRODUCTS = 20_000

# Relation -> value (node id) -> its label, and places of the products that have it.
Stated = Mapping[str, Mapping[str, tuple[str, list[int]]]]


@dataclass(frozen=True, slots=True)
class Performers:
    """Products that carry a metric, in order of their ids; of very many, some."""

    # How many carry it.
    carrying: int

    # A number for each category, and within it for each currency.
    categories: Numbers
    # NaN where unknown.
    prices: Floats
    # The metric.
    performance: Floats
    stated: Stated


def performers(graph: DuckDBStore, category: Category, metric: str) -> Performers:
    """Read them.

    Raises:
        ConfigError: No product of the category has this metric as a number.
    """
    products = _products(graph, category)
    relation = f"has_{slug(metric, '_')}"
    performance = _numbers(graph, relation, products)
    if not performance:
        raise ConfigError(_no_such_metric(graph, category, metric, products))
    places = _drawn(performance)
    found = offers(graph, places)
    costs = [typical(found.get(thing, ())) or Money(np.nan, "") for thing in places]
    names = [f"{products[thing]} {cost.currency}" for thing, cost in zip(places, costs, strict=True)]
    prices = np.array([np.nan if relation in PRICES else cost.amount for cost in costs])
    return Performers(
        carrying=len(performance),
        categories=np.unique(names, return_inverse=True)[1],
        prices=prices,
        performance=np.array([performance[thing] for thing in places]),
        stated=_stated(graph, places),
    )


def _products(graph: DuckDBStore, category: Category) -> dict[str, str]:
    """SPU or product -> its category, of those below a category."""
    rows = graph.rows(
        f"SELECT thing, category FROM ({CATEGORY_OF_THING}) WHERE list_contains(?, category) ORDER BY thing",
        [list(category.subtree)],
    )
    return {row["thing"]: row["category"] for row in rows}


def _no_such_metric(graph: DuckDBStore, category: Category, metric: str, products: Collection[str]) -> str:
    """That a metric is not there, and which are."""
    carried = {attribute_name(each): len(_numbers(graph, each, products)) for each in _metrics(graph)}
    names = sorted((name for name in carried if carried[name]), key=lambda name: (-carried[name], name))
    others = f"there are {near(metric, names)}" if names else "its feed has no numbers; add such a column"
    return f"--metric {metric}: no product of {category.label} carries it as a number; {others}"


def _metrics(graph: DuckDBStore) -> list[str]:
    """Relations of the feed some of whose values are numbers that count something."""
    rows = graph.rows(
        "SELECT predicate FROM statements WHERE source = 'feed' AND rank <> 'deprecated'"
        " AND starts_with(object, 'value:') GROUP BY predicate"
        " HAVING bool_or(try_cast(label AS DOUBLE) IS NOT NULL) OR list_contains(?, predicate) ORDER BY predicate",
        [list(PRICES)],
    )
    return [row["predicate"] for row in rows if row["predicate"] not in GTINS]


def _numbers(graph: DuckDBStore, relation: str, things: Collection[str]) -> dict[str, float]:
    """SPU or product -> the mean of the numbers that its listings state; those without one are left out."""
    rows = graph.rows(
        f"SELECT thing, n.label AS label FROM edges AS e JOIN ({THING_OF}) AS t ON t.product = e.subject"
        " JOIN nodes AS n ON n.id = e.object WHERE e.predicate = ?",
        [relation],
    )
    stated: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["thing"] in things and (number := number_of(row["label"])) is not None:
            stated[row["thing"]].append(number)
    return {thing: fmean(numbers) for thing, numbers in stated.items()}


def _drawn(things: Iterable[str]) -> dict[str, int]:
    """SPU or product -> its place; some of them where there are too many, the same ones every time."""
    ordered = sorted(things)
    if len(ordered) > _MOST_PRODUCTS:
        by_chance = sorted(ordered, key=lambda thing: hashlib.blake2b(thing.encode()).digest())
        ordered = sorted(by_chance[:_MOST_PRODUCTS])
    return {thing: place for place, thing in enumerate(ordered)}


def _stated(graph: DuckDBStore, things: Mapping[str, int]) -> Stated:
    """Relation -> value -> its label and the products that have it."""
    rows = graph.rows(
        "SELECT DISTINCT thing, e.predicate, e.object, n.label FROM edges AS e"
        f" JOIN ({THING_OF}) AS t ON t.product = e.subject JOIN nodes AS n ON n.id = e.object"
        " WHERE list_contains(?, e.predicate) ORDER BY ALL",
        [attribute_relations(graph)],
    )
    stated: dict[str, dict[str, tuple[str, list[int]]]] = defaultdict(dict)
    for row in rows:
        if (place := things.get(row["thing"])) is not None:
            stated[row["predicate"]].setdefault(row["object"], (row["label"], []))[1].append(place)
    return stated
