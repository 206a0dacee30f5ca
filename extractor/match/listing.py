"""What matching knows of a listing, whoever sells it and wherever it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of the collection in which the same products are looked for."""

    # Unique in the collection.
    id: str
    title: str
    # Empty when there is none.
    description: str = ""
    # The shop's word, else what was read in the text; empty when there is neither.
    brand: str = ""
    # Whose it is by what its shop states: that brand and those above it; empty when only a model read one in the text.
    makers: frozenset[str] = frozenset()
    # None: not known; the currency is not looked at.
    price: float | None = None
    # Attribute id -> canonical values; of attributes that do not tell products apart as well.
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    # Attributes whose values tell products apart (x-key of the category's schema).
    keys: frozenset[str] = frozenset()
    # Of these the ones whose values are measures ("16.1 megapixel"), which shops round.
    measured: frozenset[str] = frozenset()
    # GTINs in 14 digits.
    gtins: frozenset[str] = frozenset()
    # Merchants who have it, of those that list a product once; what one lists apart is never brought together.
    merchants: frozenset[str] = frozenset()
