"""A listing as another shop would write it: what catalogues without duplicates lack, for fitting and for benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace
from random import Random

from extractor.match.listing import Listing

_SHOPS = ("| Velora Shop", "- free shipping", "@ Okapi Outlet", "NEW", "- buy online", "price", "kaufen", "")
# Of four words one may go, if one listing in so many says it: the others tell what it is.
_DROPPED, _USUAL = 4, 250
# Shops ask other prices: so much less or more.
_CHEAPER, _DEARER = 0.75, 1.3


def usual_words(listings: Sequence[Listing]) -> Set[str]:
    """Words of titles that many of a collection have: a shop may leave them out."""
    count = Counter(word for listing in listings for word in {*listing.title.split()})
    return {word for word, listed in count.items() if listed * _USUAL >= len(listings)}


def reword(listing: Listing, chance: Random, usual: Set[str]) -> Listing:
    """The same product: usual words dropped, words moved, other signs and case, a shop's words behind, the brand
    elsewhere, another price and fewer attributes; the id ends in "'"."""
    words = listing.title.split()
    for _ in range(chance.randint(0, len(words) // _DROPPED)):
        if droppable := [at for at, word in enumerate(words) if word in usual]:
            words.pop(chance.choice(droppable))
    if len(words) > 2 and chance.random() < 0.5:
        words.append(words.pop(0))
    title = " ".join(words)
    if chance.random() < 0.5:
        title = title.translate(str.maketrans("-/,()", "     "))
    title = f"{title.upper() if chance.random() < 0.2 else title} {chance.choice(_SHOPS)}".strip()
    brand = listing.brand if chance.random() < 0.7 else ""
    if listing.brand and chance.random() < 0.3:
        title = f"{listing.brand} {title}"
    return replace(
        listing,
        id=f"{listing.id}'",
        title=title,
        brand=brand,
        makers=listing.makers if brand else frozenset[str](),
        price=_another_price(listing.price, chance),
        attributes={name: values for name, values in listing.attributes.items() if chance.random() < 0.6},
    )


def _another_price(price: float | None, chance: Random) -> float | None:
    """Often the same."""
    if price is None or chance.random() < 0.4:
        return price
    return round(price * chance.uniform(_CHEAPER, _DEARER), 2) if chance.random() < 0.8 else None
