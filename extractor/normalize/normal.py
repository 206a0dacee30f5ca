"""What all normalizers share: their form, and the names that a schema gives to values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from extractor.attribute import Attribute
from extractor.records import Reason
from extractor.units import Units


class Problem(NamedTuple):
    """Why a value had to be left as it was written."""

    reason: Reason
    detail: str


class Normal(NamedTuple):
    """What a normalizer finds."""

    canonical: str
    unit: str | None = None
    problem: Problem | None = None


# The surface, the attribute's definition and all units there are -> what it finds.
Normalizer = Callable[[str, Attribute, Units], Normal]


def member(folded: str, attribute: Attribute) -> str | None:
    """The enum member or canonical value that a folded text names."""
    for canonical in (*attribute.enum, *attribute.synonyms):
        if canonical.casefold() == folded:
            return canonical
    return next((key for key, forms in attribute.synonyms.items() if folded in forms), None)
