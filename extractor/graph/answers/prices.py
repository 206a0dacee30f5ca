"""What products cost, with the currency: amounts of two currencies are never compared.

In: a graph and ids of SPUs or products. Out: the offers of their listings. A sale price comes before the usual one: it
is what people pay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from statistics import median

from extractor.graph.answers.attributes import PRICES
from extractor.graph.answers.things import THING_OF
from extractor.graph.feed_numbers import Money, money_of
from extractor.graph.stores.duckdb import DuckDBStore

_OFFERS = f"""
SELECT thing, product, predicate, n.label AS label
FROM ({THING_OF}) JOIN edges AS e ON e.subject = product JOIN nodes AS n ON n.id = e.object
WHERE list_contains($1, predicate) AND thing IN (SELECT unnest($2)) ORDER BY ALL
"""


def offers(graph: DuckDBStore, things: Collection[str]) -> dict[str, list[Money]]:
    """SPU or product -> what its listings cost; without those that state no price."""
    found: dict[str, list[Money]] = defaultdict(list)
    rows = graph.rows(_OFFERS, [list(PRICES), list(things)])
    for (thing, _), listing in groupby(rows, key=itemgetter("thing", "product")):
        stated: dict[str, list[str]] = defaultdict(list)
        for row in listing:
            stated[row["predicate"]].append(row["label"])
        if costs := asked(stated):
            found[thing] += costs
    return found


def asked(stated: Mapping[str, Sequence[str]]) -> list[Money]:
    """What one listing asks, of all that it states: relation -> labels."""
    costs = ([cost for label in stated.get(name, ()) if (cost := money_of(label))] for name in PRICES)
    return next(filter(None, costs), [])


def comparable(of_thing: Sequence[Money]) -> list[float]:
    """Amounts in the currency that most of a thing's offers have, in order."""
    currency = _usual(of_thing)
    return sorted(each.amount for each in of_thing if each.currency == currency)


def typical(of_thing: Sequence[Money]) -> Money | None:
    """The median of comparable offers; None without any."""
    return Money(median(comparable(of_thing)), _usual(of_thing)) if of_thing else None


def _usual(of_thing: Sequence[Money]) -> str:
    currencies = Counter(each.currency for each in of_thing)
    return min(currencies, key=lambda name: (-currencies[name], name), default="")
