"""What products cost, with the currency: amounts of two currencies are never compared.

In: a graph and ids of SPUs or products. Out: the offers of their listings.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

from extractor.graph.answers.attributes import CURRENCY, PRICE
from extractor.graph.answers.things import THING_OF
from extractor.graph.stores.duckdb import DuckDBStore

# A sign or code of a currency may come first: "Rs. 499".
_BEGINS_AS_NUMBER = re.compile(r"\W*[^\W\d]{0,3}\W*\d")
_NO_SIGN = re.compile(r"[\d.,\s]+")

_OFFERS = f"""
SELECT thing, p.label AS price, c.label AS currency
FROM ({THING_OF}) AS t
JOIN edges AS e ON e.subject = t.product AND e.predicate = '{PRICE}' JOIN nodes AS p ON p.id = e.object
LEFT JOIN (SELECT subject, first(object ORDER BY object) AS object FROM edges WHERE predicate = '{CURRENCY}'
    GROUP BY subject) AS f ON f.subject = t.product
LEFT JOIN nodes AS c ON c.id = f.object
WHERE thing IN (SELECT unnest(?)) ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Money:
    """What something costs."""

    amount: float
    # As the feed has it, "EUR", or the sign at the price; empty where neither is stated.
    currency: str


def offers(graph: DuckDBStore, things: Collection[str]) -> dict[str, list[Money]]:
    """SPU or product -> what its listings cost; without those that state no price."""
    found: dict[str, list[Money]] = defaultdict(list)
    for row in graph.rows(_OFFERS, [list(things)]):
        if cost := money_of(row["price"], row["currency"] or ""):
            found[row["thing"]].append(cost)
    return found


def money_of(price: str, currency: str) -> Money | None:
    """What a listing states; None where its price is no number."""
    amount = number_of(price)
    return None if amount is None else Money(amount, currency or _NO_SIGN.sub("", price))


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


def number_of(text: str) -> float | None:
    """A number as shops write it: "1,234", "$499.99", "4.5 out of 5"; None for a url with digits in it."""
    from price_parser import Price

    try:
        number = float(text)
    except ValueError:
        amount = Price.fromstring(text).amount if _BEGINS_AS_NUMBER.match(text) else None
        return None if amount is None else float(amount)
    return number if math.isfinite(number) else None
