"""Prices and metrics of a feed in one spelling: "Rs. 1,299" is "1299.00 INR", "1.2k sold" is "1200".

In: the name of a fact, its text, and the currency that the same record states. Out: the text of its node, or a number.
Writing twice is writing once, so what reads a graph reads its nodes as it would the feed. Knows no graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from extractor.graph.nodes import slug
from extractor.normalize.prices import TOO_MUCH, currency_code, read_price

# What a record says of its currency, best first.
_CURRENCIES = ("currency", "price_currency", "currency_code")
_PRICES = frozenset(
    {
        *("price", "sale_price", "list_price", "regular_price", "original_price", "retail_price"),
        *("selling_price", "final_price", "discounted_price", "actual_price", "mrp"),
    }
)
_METRICS = frozenset(
    {
        *("sales", "sold", "units_sold", "items_sold", "historical_sold", "orders", "views", "likes"),
        *("discount", "discount_percent", "discount_percentage"),
        *("rating", "average_rating", "avg_rating", "star_rating", "stars", "ratings", "rating_count"),
        *("ratings_count", "reviews", "review_count", "reviews_count", "number_of_reviews", "num_reviews"),
    }
)
# Names of facts that are of an offer, or of how it sells.
FIGURES = frozenset({*_CURRENCIES, *_PRICES, *_METRICS})
# As we write it.
_CANONICAL = re.compile(r"(\d+\.\d\d)(?: (\S+))?")
_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
# "1,234", "1.2k+ sold", "(4.5 out of 5 stars)", "90 %": a number, and at most a few words about it.
_METRIC = re.compile(
    r"[(+~≈\s]*(?P<number>-?\d(?:[\d.,' ]*\d)?)\s*(?P<times>k|rb|m|mil|million|mio|jt|b)?(?![^\W_])"
    r"[+%)★\s]*(?:(?:/|out of|of)\s*\d+)?(?:\s*[^\W\d_]+){0,4}[+%)★\s]*",
    re.IGNORECASE | re.ASCII,
)
# What a float does not hold to the last digit is a code, no metric.
_TOO_MUCH = 1e15
# English, and Indonesian as its shops write it.
_TIMES = {
    **{"": 1, "k": 10**3, "rb": 10**3, "b": 10**9},
    **dict.fromkeys(("m", "mil", "million", "mio", "jt"), 10**6),
}


@dataclass(frozen=True, slots=True)
class Money:
    """What something costs."""

    # Above 0.
    amount: float
    # ISO 4217, or as the feed has it; empty where none is stated.
    currency: str


def currency_of(facts: Mapping[str, Any]) -> str:
    """The currency that a record states in a column of its own; empty where it has none."""
    named = {slug(name, "_"): value for name, value in facts.items()}
    return next((str(named[name]).strip() for name in _CURRENCIES if named.get(name)), "")


def canonical(name: str, text: str, currency: str = "") -> str:
    """A fact in one spelling.

    Args:
        name: As a slug, "sale_price".
        text: As the feed has it.
        currency: Of the record; comes before a sign at the price, since "$" is that of many.

    Returns:
        The text as it is where it is no price above 0 and no number, or where the name is of neither.
    """
    if name in _PRICES:
        cost = money_of(text, currency)
        return f"{cost.amount:.2f} {cost.currency}".rstrip() if cost else text
    number = metric_of(text) if name in _METRICS else None
    return text if number is None else f"{number:.15g}"


@lru_cache(maxsize=65_536)
def money_of(text: str, currency: str = "") -> Money | None:
    """What a price says; None where it is no price above 0: shops write 0 for what they do not know."""
    if canonically := _CANONICAL.fullmatch(text):
        amount, stated = Decimal(canonically[1]), canonically[2] or ""
    elif _PLAIN.fullmatch(text):  # a column of numbers, where "1.299" has a decimal point
        amount, stated = Decimal(text), ""
    elif price := read_price(text):
        amount, stated = price.amount, price.currency or ""
    else:
        return None
    if not Decimal("0.005") <= amount < TOO_MUCH:
        return None
    return Money(float(round(amount, 2)), _code(currency) or stated)


def number_of(text: str) -> float | None:
    """A number of any fact: a metric as shops write it, or an amount; None for prose, and for a url with digits."""
    number = metric_of(text)
    if number is None and (cost := money_of(text)):
        return cost.amount
    return number


def metric_of(text: str) -> float | None:
    """ "1,234", "4.5 out of 5" and "1.2k sold" as a number; None for prose, "PG-13" and codes."""
    if _PLAIN.fullmatch(text):
        return _sane(float(text))
    found = _METRIC.fullmatch(text)
    if not found:
        return None
    times = (found["times"] or "").lower()
    number = _number(found["number"], decimal=bool(times))
    return None if number is None else _sane(_TIMES[times] * number)


def _number(digits: str, *, decimal: bool) -> float | None:
    """Of "1,234"; `decimal`: its one comma or point can only stand before decimals, as in "1,2k"."""
    from price_parser import Price

    if decimal and len(re.findall(r"\D", digits.lstrip("-"))) == 1:
        return float(re.sub("[,' ]", ".", digits))
    amount = Price.fromstring(digits.lstrip("-")).amount
    return None if amount is None else float(-amount if digits.startswith("-") else amount)


def _sane(number: float) -> float | None:
    return number if abs(number) < _TOO_MUCH else None  # neither inf nor nan is


def _code(currency: str) -> str:
    return currency_code(currency) or "".join(currency.split())
