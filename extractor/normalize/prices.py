"""Prices: "₹63,400" in, an amount and its ISO 4217 code out."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal
from extractor.normalize.spelling import fold, tidy
from extractor.units import Units

# As shops of the currency write it themselves; babel has the signs.
_LOCAL = {
    "RS": "INR",
    "RP": "IDR",
    "RM": "MYR",
    "฿": "THB",
    "ZŁ": "PLN",
    "KR": "SEK",
    "FR": "CHF",
    "S$": "SGD",
    "SGD$": "SGD",
}
# Digits of a code, not of a price.
TOO_MUCH = 10**12
# One number, grouped as "1 299,00" or "1'299.00", with a few words around it.
_ONE_NUMBER = re.compile(r"[^\d/]{0,12}\d(?:[\d.,' ]*\d)?\D{0,16}")
_MINUS = re.compile(r"[-\u2212]\W{0,2}\d")


class Price(NamedTuple):
    """One amount of money."""

    amount: Decimal
    # ISO 4217; None where none is stated, or nobody knows it.
    currency: str | None


def read_price(text: str) -> Price | None:
    """The one price that a text states; None for a range, a price of several, a debt, or prose."""
    from price_parser import Price as Parsed

    tidied = tidy(text)
    if _MINUS.search(text) or not _ONE_NUMBER.fullmatch(tidied):
        return None
    found = Parsed.fromstring(tidied)
    if found.amount is None or found.amount >= TOO_MUCH:
        return None
    return Price(found.amount, currency_code(found.currency) if found.currency else None)


def price(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "$1,299" -> "1299.00" USD, "19,90 €" -> "19.90" EUR; a price without a currency has no unit."""
    found = read_price(surface)
    if found is None:
        return Normal(fold(surface))
    # Always two decimals: "1.299" would be read as thousands the next time.
    return Normal(format(found.amount, ".2f"), found.currency)


def currency_code(written: str) -> str | None:
    """ "$" -> "USD", "Rs." -> "INR", "eur" -> "EUR"; None where nobody knows it."""
    name = written.strip(" .").upper()
    return _codes().get(name) or _LOCAL.get(name)


@cache
def _codes() -> dict[str, str]:
    """Sign or code -> code, as English readers take it: "$" is the US one."""
    from babel.numbers import get_currency_symbol, list_currencies

    codes = {code: code for code in list_currencies("en")}
    return codes | {get_currency_symbol(code, "en").upper(): code for code in codes}
