"""Offers with the product that each is of: a file in, listings and products out, split by product.

A line is `{"id", "title", "cluster_id", "brand"?, "attributes"?: {name: [values]}, "price"?}`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError
from extractor.gold import read_rows
from extractor.match.listing import Listing


@dataclass(frozen=True, slots=True)
class Offers:
    """A labelled collection."""

    listings: Sequence[Listing]
    # Of each listing.
    products: Sequence[str]


def read_offers(path: Path, chosen: Callable[[str], bool] = lambda product: True) -> Offers:
    """Offers of the products that are chosen, in the order of the file; ConfigError names a broken line."""
    rows = [
        (where, row)
        for where, row in read_rows(path, ("title", "cluster_id"))
        if chosen(str(row["cluster_id"]))
    ]
    if not rows:
        raise ConfigError(f"{path}: holds no offer; give a file with one offer a line")
    return Offers([_listing(row, where) for where, row in rows], [str(row["cluster_id"]) for _, row in rows])


def _listing(row: dict[str, Any], where: str) -> Listing:
    attributes = row.get("attributes") or {}
    if not isinstance(attributes, dict) or not isinstance(row["title"], str):
        raise ConfigError(f"{where}: title is no text or attributes no object; correct them")
    values = {name: frozenset(map(str, found)) for name, found in attributes.items() if found}
    try:
        price = float(row.get("price") or 0) or None
    except ValueError:
        price = None
    brand = row.get("brand") or ""
    return Listing(
        row["id"],
        row["title"],
        description=row.get("description") or "",
        brand=brand,
        makers=frozenset({brand} - {""}),
        price=price,
        attributes=values,
    )
