"""Prices: "₹63,400" in, an amount and its ISO 4217 code out."""

from __future__ import annotations

from functools import cache

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
    "SGD$": "SGD",
}
# Digits of a code, not of a price.
_TOO_MUCH = 10**12


def price(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "$1,299" -> "1299.00" USD, "19,90 €" -> "19.90" EUR; a price without a currency has no unit."""
    from price_parser import Price

    found = Price.fromstring(tidy(surface))
    if found.amount is None or abs(found.amount) >= _TOO_MUCH:
        return Normal(fold(surface))
    # Always two decimals: "1.299" would be read as thousands the next time.
    return Normal(format(found.amount, ".2f"), _code(found.currency) if found.currency else None)


def _code(currency: str) -> str | None:
    """ "$" -> "USD", "Rs." -> "INR", "EUR" -> "EUR"."""
    written = currency.strip(".").upper()
    return _codes().get(written) or _LOCAL.get(written)


@cache
def _codes() -> dict[str, str]:
    """Sign or code -> code, as English readers take it: "$" is the US one."""
    from babel.numbers import get_currency_symbol, list_currencies

    codes = {code: code for code in list_currencies("en")}
    return codes | {get_currency_symbol(code, "en").upper(): code for code in codes}
