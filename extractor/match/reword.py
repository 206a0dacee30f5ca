"""A listing as another shop would write it: what catalogues without duplicates lack, for fitting and for benchmarks."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from extractor.match.listing import Listing

_SHOPS = ("| Velora Shop", "- free shipping", "@ Okapi Outlet", "NEW", "- buy online", "price", "kaufen", "")
# Of four words so many may go.
_DROPPED = 4


def reword(listing: Listing, chance: Random) -> Listing:
    """The same product: words dropped and moved, other signs and case, a shop's words behind; the id ends in "'"."""
    words = listing.title.split()
    for _ in range(chance.randint(0, len(words) // _DROPPED)):
        words.pop(chance.randrange(len(words)))
    if len(words) > 2 and chance.random() < 0.5:
        words.append(words.pop(0))
    title = " ".join(words)
    if chance.random() < 0.5:
        title = title.translate(str.maketrans("-/,()", "     "))
    title = f"{title.upper() if chance.random() < 0.2 else title} {chance.choice(_SHOPS)}".strip()
    brand = listing.brand if chance.random() < 0.7 else ""
    return replace(listing, id=f"{listing.id}'", title=title, brand=brand)
