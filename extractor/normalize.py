"""A value as written in, the same fact in one spelling out: canonical text, and the unit of a number.

In: an AttributeValue, its Attribute and the units of units.json. Out: the value with `canonical` and `unit`
set from its surface, and a Rejection when a unit had to be left out. Normalizing twice is normalizing once,
and no text makes it fail. It knows no product text and no other values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from extractor.attribute import Attribute
from extractor.quantity import Quantity, UnknownUnit, find_numbers, format_number, parse_quantity
from extractor.records import AttributeValue, Reason, Rejection
from extractor.units import Units, load_units

__all__ = ["NORMALIZERS", "Units", "fold", "load_units", "normalize_value"]


class Normal(NamedTuple):
    """What a normalizer finds."""

    canonical: str
    unit: str | None = None
    # The word after a number that is no unit of units.json.
    unknown_unit: str | None = None


Normalizer = Callable[[str, Attribute, Units], Normal]


def normalize_value(
    value: AttributeValue, attribute: Attribute, units: Units, product_id: str = ""
) -> tuple[AttributeValue, Rejection | None]:
    """Set canonical and unit of a value.

    Args:
        value: Grounded value; only its surface counts.
        attribute: Its definition: normalizer, synonyms, enum and unit.
        units: All units there are.
        product_id: For the rejection.

    Returns:
        The value, and a Rejection when its unit is unknown: the value is then kept as text, without a unit.
    """
    normalizer = NORMALIZERS[attribute.normalizer or ("text" if attribute.type == "string" else "number")]
    member = _known(fold(value.surface), attribute) if attribute.enum else None
    normal = Normal(member) if member else normalizer(value.surface, attribute, units)
    # What is nothing but punctuation stays as it is: a value is never empty.
    normalized = replace(value, canonical=normal.canonical or value.surface, unit=normal.unit)
    if normal.unknown_unit is None:
        return normalized, None
    detail = (
        f"{normal.unknown_unit!r} in {value.surface!r} is no unit of units.json; kept as text, without unit"
    )
    return normalized, Rejection(product_id, attribute.id, Reason.UNKNOWN_UNIT, detail)


# Normalizers


def _text(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "  Long-Sleeved. " -> "long-sleeved", or what the schema's synonyms make of it."""
    folded = fold(surface)
    return Normal(_known(folded, attribute) or folded)


def _brand(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "LEGO® Systems, Inc." -> "LEGO Systems": case is kept, for people read it."""
    name = _settled(surface, lambda text: _LEGAL_FORM.sub("", _tidy(text)) or _tidy(text))
    return Normal(_known(fold(name), attribute) or name)


def _color(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "Grey & Black" -> "gray/black": each color by itself, in the order they are written."""
    folded = fold(surface)
    if known := _known(folded, attribute):
        return Normal(known)
    colors = filter(None, map(fold, _COLOR_JOINER.split(folded)))
    return Normal("/".join(_known(color, attribute) or color for color in colors))


def _quantity(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "5.5 oz (156 g)" -> "5.5" oz, or in the attribute's unit where it can be converted."""
    found = _parsed(surface, attribute, units)
    if isinstance(found, Quantity):
        return Normal(found.canonical, found.unit)
    return Normal(fold(surface), unknown_unit=found.word if found else None)


def _size(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "X-Large" -> "XL" by the schema's synonyms, "10 inch" -> "10" inch, "14 M US" -> "14 m us"."""
    folded = fold(surface)
    if known := _known(folded, attribute):
        return Normal(known)
    # A size is a measure only when a unit is all that follows, and no letter such as a shoe's width.
    found = parse_quantity(folded, units, units.get(attribute.unit))
    if isinstance(found, Quantity) and found.unit and not found.rest and not _LETTER.search(folded):
        return Normal(found.canonical, found.unit)
    return Normal(folded)


def _number(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "8-core" -> "8": the only number there is; its unit is the attribute's, whatever word follows."""
    found = _parsed(surface, attribute, units)
    if isinstance(found, Quantity) and found.unit and found.unit == attribute.unit:
        return Normal(found.canonical, found.unit)
    return _only_number(surface, attribute.unit) or Normal(fold(surface))


def _pack(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "Pack of 2", "2-pack", "2pcs/lot" -> "2" count; a pack of "10.7 oz" is a quantity."""
    folded = fold(surface)
    known = _known(folded, attribute) or folded
    found = parse_quantity(known, units, units.get("count"))
    if isinstance(found, Quantity) and found.unit not in (None, "count"):
        return Normal(found.canonical, found.unit)
    return _only_number(known, "count") or Normal(known)


NORMALIZERS: Mapping[str, Normalizer] = {
    "text": _text,
    "brand": _brand,
    "color": _color,
    "quantity": _quantity,
    "number": _number,
    "size": _size,
    "pack": _pack,
}

# What they share

_LEGAL_FORM = re.compile(
    r"[\s,]+(?:(?:&\s*)?co(?:mpany)?\.?[\s,]+|private[\s,]+|pvt\.?[\s,]+)?"
    r"(?:inc|incorporated|l\.?l\.?c|ltd|corp|corporation|gmbh(?:\s*&\s*co\.?\s*kg)?|plc|pty|s\.r\.l|s\.p\.a|b\.v"
    r"|(?<=private )limited|(?<=company )limited)\.?$",
    re.IGNORECASE,
)
_COLOR_JOINER = re.compile(r"\s*[/&+,]\s*|\s+and\s+")
_LETTER = re.compile(r"[0-9]\s*[^\W\d_]$")
_VULGAR_FRACTION = re.compile("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])")
# One sign for quotation marks, primes, minus and fraction slash; none for trade marks and what is invisible.
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u2033\u3003", '"'),
        **dict.fromkeys("\u2018\u2019\u2032\u02b9`\u00b4", "'"),
        **dict.fromkeys("\u2010\u2011\u2212", "-"),
        "\u2044": "/",
        **dict.fromkeys("\u00ae\u2122\u00a9\u2120\u200b\u200c\u200d\u2060\ufeff\u00ad", None),
    }
)
_EDGES = " .,;:!?|/\\-\u2013\u2014_*\u2022\u00b7~"


def _parsed(surface: str, attribute: Attribute, units: Units) -> Quantity | UnknownUnit | None:
    """The quantity that the surface, or the synonym it is, stands for."""
    expected = units.get(attribute.unit)
    folded = fold(surface)
    if known := _known(folded, attribute):
        return parse_quantity(known, units, expected)
    # With its case first: MW is not mW.
    found = parse_quantity(_settled(surface, _tidy), units, expected)
    if isinstance(found, Quantity):
        return found
    refound = parse_quantity(folded, units, expected)
    return refound if isinstance(refound, Quantity) else found


def _only_number(surface: str, unit: str | None) -> Normal | None:
    numbers = find_numbers(fold(surface))
    return Normal(format_number(numbers[0]), unit) if len(numbers) == 1 else None


def _known(folded: str, attribute: Attribute) -> str | None:
    """The enum member or canonical value that a folded text names."""
    for canonical in (*attribute.enum, *attribute.synonyms):
        if canonical.casefold() == folded:
            return canonical
    return next((key for key, forms in attribute.synonyms.items() if folded in forms), None)


def fold(text: str) -> str:
    """ "  Long\u2011Sleeved. " -> "long-sleeved": spellings of one value that no one would tell apart."""
    return _settled(text, lambda text: _tidy(text).casefold())


def _settled(text: str, step: Callable[[str], str]) -> str:
    """The fixed point of `step`: Unicode's foldings can open the way for one another."""
    while (after := step(text)) != text:
        text = after
    return text


def _tidy(text: str) -> str:
    """One spelling of signs and spaces, nothing but the value at the edges."""
    text = _VULGAR_FRACTION.sub(" ", text).translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).replace("''", '"')
    return _stripped(" ".join(text.split()))


def _stripped(text: str) -> str:
    """Without punctuation at the edges, but with the sign or the point of a number."""
    start = text.lstrip(_EDGES)
    before = text[: len(text) - len(start)]
    if start[:1].isdecimal() and before[-1:] in (".", "-"):
        start = before[-1] + start
    return start.rstrip(_EDGES)
