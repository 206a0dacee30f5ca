"""Labelled pairs: files in, a collection of listings and who is the same as whom in it out.

A line is `{"id", "left": {...}, "right": {...}, "label": 0 | 1}`; a side has a title and what else is known of it,
under the names that the public matching sets use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractor.errors import ConfigError
from extractor.gold import read_rows
from extractor.match.listing import Listing
from extractor.records import clean_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Names of a field in the order in which they are looked for.
_FIELDS: Mapping[str, Sequence[str]] = {
    "title": ("title", "name", "Beer_Name"),
    "description": ("description",),
    "brand": ("brand", "manufacturer", "Brew_Factory_Name"),
    "price": ("price",),
}
# Said of the product beside its title: part of what is compared.
_BESIDE = ("modelno", "ABV")
# Ditto's records leave the mark of a missing last field; WDC's keep the language of each text.
_MARK = re.compile(r"\s*\bCOL \w+ VAL.*$")
_LANGUAGE = re.compile(r'"?@[a-zA-Z]{2}(?:-[a-zA-Z]{2,4})?(?=\s|$|")|"Null"')


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows of a collection."""

    listings: Sequence[Listing]
    # Row numbers of the two sides.
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    # 1: the same product.
    labels: NDArray[np.int64]
    # As in the file.
    ids: Sequence[str]

    def chosen(self, is_chosen: Callable[[str], bool]) -> Pairs:
        """The pairs whose id is chosen."""
        import numpy as np

        rows = np.array([is_chosen(pair) for pair in self.ids], dtype=bool)
        ids = [pair for pair, stays in zip(self.ids, rows, strict=True) if stays]
        return Pairs(self.listings, self.left[rows], self.right[rows], self.labels[rows], ids)


def read_pairs(path: Path) -> Pairs:
    """Pairs of a file, in its order; equal sides are one listing.

    Raises:
        ConfigError: the file is missing or broken, or a pair has no title or no label.
    """
    import numpy as np

    rows: dict[tuple[str, str, str, float | None], int] = {}
    sides: list[tuple[int, int]] = []
    labels, ids = [], []
    for where, pair in read_rows(path, ("left", "right", "label")):
        if pair["label"] not in (0, 1):
            raise ConfigError(f"{where}: label is {pair['label']!r}; write 1 (same product) or 0")
        one, other = (_side(pair[side], f"{where}: {side}") for side in ("left", "right"))
        sides.append((rows.setdefault(one, len(rows)), rows.setdefault(other, len(rows))))
        labels.append(int(pair["label"]))
        ids.append(pair["id"])
    if not ids:
        raise ConfigError(f"{path}: holds no pair; give a file with one labelled pair a line")
    left, right = np.array(sides, dtype=np.int64).T
    listings = [
        Listing(str(row), title, description, brand, price=price)
        for (title, description, brand, price), row in rows.items()
    ]
    return Pairs(listings, left, right, np.array(labels, dtype=np.int64), ids)


def _side(side: Any, where: str) -> tuple[str, str, str, float | None]:
    """Title, description, brand, price."""
    if not isinstance(side, dict):
        raise ConfigError(f"{where} is no object; write the listing's fields")
    fields = {name: _first(side, names) for name, names in _FIELDS.items()}
    if not fields["title"]:
        raise ConfigError(f"{where} has no title; add one")
    beside = [text for name in _BESIDE if (text := _clean(side.get(name)))]
    title = " ".join([fields["title"], *beside])
    return title, fields["description"], fields["brand"], _price(fields["price"])


def _first(side: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((text for name in names if (text := _clean(side.get(name)))), "")


def _clean(value: Any) -> str:
    text = clean_text(str(value)) if value is not None else ""
    return " ".join(_LANGUAGE.sub(" ", _MARK.sub("", text)).split())


def _price(text: str) -> float | None:
    """None for what is no number, and for 0, which says that nobody knows."""
    try:
        return float(text) or None
    except ValueError:
        return None
