"""Numbers with their unit: measures, counts, packs. The grammar of a quantity is quantity.py's."""

from __future__ import annotations

import re

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal, Problem, member
from extractor.normalize.spelling import fold, tidy
from extractor.quantity import Quantity, UnknownUnit, find_numbers, format_number, parse_quantity
from extractor.records import Reason
from extractor.units import Units

_IN_WORDS = {
    **dict.fromkeys(("one", "single", "mono"), 1),
    **dict.fromkeys(("two", "double", "dual", "twin", "duo", "twofold"), 2),
    **dict.fromkeys(("three", "triple", "trio", "tri"), 3),
    **dict.fromkeys(("four", "quad", "quadruple", "quartet"), 4),
    **dict.fromkeys(("five", "quintuple"), 5),
    **dict.fromkeys(("six", "hexa"), 6),
    "seven": 7,
    **dict.fromkeys(("eight", "octa"), 8),
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    **dict.fromkeys(("twelve", "dozen"), 12),
    "twenty": 20,
    "fifty": 50,
    "hundred": 100,
}
_DOZENS = re.compile(r"(?:(?P<half>half|1/2)(?: a)?|(?P<many>[0-9]{1,3})) dozen")
_WORD = re.compile(r"[^\W\d_]+")


def quantity(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "5.5 oz (156 g)" -> "5.5" oz, or in the attribute's unit where it can be converted."""
    found = _parsed(surface, attribute, units)
    if isinstance(found, Quantity):
        return Normal(found.canonical, found.unit)
    if found is None:
        return Normal(fold(surface))
    wanted = f" that becomes {attribute.unit}" if attribute.unit else ""
    detail = f"{found.word!r} in {surface!r} is no unit of units.json{wanted}; kept as text, without unit"
    return Normal(fold(surface), problem=Problem(Reason.UNKNOWN_UNIT, detail))


def number(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "8-core", "octa core" -> "8": the only number there is; its unit is the attribute's, whatever word follows."""
    found = _parsed(surface, attribute, units)
    if isinstance(found, Quantity) and found.unit and found.unit == attribute.unit:
        return Normal(found.canonical, found.unit)
    return _only_number(fold(surface), attribute.unit) or Normal(fold(surface))


def pack(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "Pack of 2", "twin pack", "2pcs/lot" -> "2" count; a pack of "10.7 oz" is a quantity."""
    folded = fold(surface)
    known = member(folded, attribute) or folded
    found = parse_quantity(known, units, units.get("count"))
    if isinstance(found, Quantity) and found.unit not in (None, "count"):
        return Normal(found.canonical, found.unit)
    return _only_number(known, "count") or Normal(known)


def _parsed(surface: str, attribute: Attribute, units: Units) -> Quantity | UnknownUnit | None:
    """The quantity that the surface, or the synonym it is, stands for."""
    expected = units.get(attribute.unit)
    folded = fold(surface)
    if known := member(folded, attribute):
        return parse_quantity(known, units, expected)
    # With its case first: MW is not mW.
    found = parse_quantity(tidy(surface), units, expected)
    if isinstance(found, Quantity):
        return found
    refound = parse_quantity(folded, units, expected)
    return refound if isinstance(refound, Quantity) else found


def _only_number(folded: str, unit: str | None) -> Normal | None:
    if dozens := _DOZENS.fullmatch(folded):
        return Normal("6" if dozens["half"] else str(12 * int(dozens["many"])), unit)
    numbers = find_numbers(folded)
    if numbers:
        return Normal(format_number(numbers[0]), unit) if len(numbers) == 1 else None
    words = {_IN_WORDS[word] for word in _WORD.findall(folded) if word in _IN_WORDS}
    return Normal(str(words.pop()), unit) if len(words) == 1 else None
