"""Sizes by their system: letters (XS to 10XL), a region's numbers (US, EU, UK ...), waist and leg, or a measure.

"6.5 Medium US" and "US 6.5 M" are one size; US 8 and UK 8 are two, and nothing is converted between systems: makers'
tables differ.
"""

from __future__ import annotations

import re

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal, member
from extractor.normalize.spelling import fold, settled
from extractor.quantity import Quantity, parse_quantity
from extractor.units import Units

_SYSTEMS = {
    "US": ("us", "usa", "u.s", "u.s.a"),
    "UK": ("uk", "u.k", "gb"),
    "EU": ("eu", "eur", "euro", "european", "europe"),
    "FR": ("fr",),
    "IT": ("it",),
    "DE": ("de",),
    "JP": ("jp", "jpn", "japan"),
    "CN": ("cn", "chn", "china"),
    "AU": ("au", "aus"),
    "BR": ("br",),
    "IN": ("ind", "india", "indian"),
    "KR": ("kr", "korea"),
}
_PEOPLE = {
    "women": ("women", "women's", "womens", "ladies", "ladies'"),
    "men": ("men", "men's", "mens"),
    "kids": ("kids", "kids'", "kid's", "kid", "child", "children", "children's", "youth", "yth", "junior"),
    "toddler": ("toddler", "toddlers", "tod"),
    "infant": ("infant", "infants", "baby"),
    "girls": ("girls", "girls'", "girl's"),
    "boys": ("boys", "boys'", "boy's"),
}
# Widths of shoes.
_WIDTHS = {
    "M": ("m", "medium", "med", "standard", "regular", "normal"),
    "W": ("w", "wide"),
    "N": ("n", "narrow", "slim"),
    "XW": ("xw", "ww", "x-wide", "x wide", "extra wide", "extra-wide"),
    "2A": ("2a", "aa"),
    "2E": ("2e", "ee"),
    "3E": ("3e", "eee"),
    "4E": ("4e", "eeee"),
    **{letter.upper(): (letter,) for letter in "abcde"},
}
_LETTERS = {"S": ("s", "sm", "small"), "M": ("m", "med", "medium"), "L": ("l", "lg", "lrg", "large")}


def _names(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {form: name for name, forms in table.items() for form in forms}


def _any_of(table: dict[str, tuple[str, ...]]) -> str:
    return "|".join(sorted(map(re.escape, _names(table)), key=len, reverse=True))


_system, _person, _width, _letter = map(_names, (_SYSTEMS, _PEOPLE, _WIDTHS, _LETTERS))

_NUMBER = r"[0-9]{1,3}(?:[.,][0-9]{1,2})?"
_TO = r"\s*(?:-|to)\s*"
# What a numbered size is made of, in any order.
_piece = re.compile(
    rf"(?:(?P<width>{_any_of(_WIDTHS)})(?!\w)|(?P<number>{_NUMBER}(?:{_TO}{_NUMBER})?)"
    rf"|(?P<system>{_any_of(_SYSTEMS)})(?![^\W\d_])|(?P<person>{_any_of(_PEOPLE)})(?!\w))[\s.:-]*"
)
_lettered = re.compile(
    rf"(?:(?P<many>[0-9]{{1,2}})\s?x|(?P<signs>x{{1,6}})|(?P<words>(?:(?:extra|x)[\s-]+){{1,4}}))?[\s-]*"
    rf"(?P<letter>{_any_of(_LETTERS)})"
)
_legs = re.compile(
    r"(?:w\s?(?P<w>[2-6][0-9])|(?P<w_>[2-6][0-9])\s?w)?[\s/x]*(?:l\s?(?P<l>[2-4][0-9])|(?P<l_>[2-4][0-9])\s?l)?"
)
# Toddlers', bras, women's plus.
_upper = re.compile(r"[1-7]\s?t|[2-6][0-9]\s?(?:[a-k]|aa|dd|ddd|ff|gg|hh)|[1-6]x")
_size_word = re.compile(
    r"(?:^|\s)(?:sizes?|sz|talla|taille|größe|grösse|pointure)(?:[\s:.#]+|(?=[0-9]))|(?<!one)(?<!free)(?<!any)\s+sizes?$"
)
_alternative = re.compile(r"\s*(?:[/;|()]|,(?![0-9]))+\s*")
_range = re.compile(r"\s*(?:/|\s-\s|\bto\b|(?<=[sml])-(?=[smlx]))\s*")
_fraction = re.compile(r"(?<=[0-9])[ -](1/2|1/3|2/3)(?![0-9])")
_DECIMALS = {"1/2": ".5", "1/3": ".33", "2/3": ".67"}
# A width and what it means for women or men: B(M) and D(M) are their medium.
_meant = re.compile(r"(?<=[0-9\s])[0-9]?[a-e]\s?\(([mwn])\)")
_measured = re.compile(r"(?:size:? |about |approx\.? |ca\.? |up to |ages? )?[~.\[(-]?[0-9]")
_ends_in_letter = re.compile(r"[0-9]\s*[^\W\d_]$")


def size(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "X-Large" -> "XL", "6.5 Medium US" -> "US 6.5 M", "32W x 34L" -> "W32 L34", "10 inch" -> "10" inch."""
    folded = fold(surface)
    if known := member(folded, attribute):
        return Normal(known)
    if measure := _measure(folded, attribute, units):
        return measure
    bare = settled(folded, lambda text: fold(_size_word.sub(" ", text)) or text)
    if known := member(bare, attribute):
        return Normal(known)
    return Normal(_letters(bare, attribute) or _legs_of(bare) or _numbers(bare) or bare)


def _measure(folded: str, attribute: Attribute, units: Units) -> Normal | None:
    """A size is a measure when that is all it is, and no letter follows such as a shoe's width."""
    if not _measured.match(folded):
        return None
    found = parse_quantity(folded, units, units.get(attribute.unit))
    if isinstance(found, Quantity) and found.unit and not found.rest and not _ends_in_letter.search(folded):
        return Normal(found.canonical, found.unit)
    return None


def _letters(text: str, attribute: Attribute) -> str | None:
    """ "x-large", "2xl", "small/medium" -> "XL", "XXL", "S/M"."""
    named = [member(part, attribute) or _one_letter(part) for part in _range.split(text)]
    return "/".join(filter(None, named)) if all(named) else None


def _one_letter(text: str) -> str | None:
    match = _lettered.fullmatch(text)
    if not match:
        return None
    letter = _letter[match["letter"]]
    words = re.findall(r"extra|x", match["words"] or "")
    extra = int(match["many"] or 0) or len(match["signs"] or words)
    if not extra:
        return letter
    if letter == "M":
        return None
    return f"{extra}X{letter}" if extra > 3 else "X" * extra + letter


def _legs_of(text: str) -> str | None:
    """ "32w x 34l", "w34 l32", "36dd", "3t": letters that belong to a number."""
    if _upper.fullmatch(text):
        return text.replace(" ", "").upper()
    match = _legs.fullmatch(text)
    if not match or not text:
        return None
    waist, leg = match["w"] or match["w_"], match["l"] or match["l_"]
    return " ".join([f"W{waist}"] * bool(waist) + [f"L{leg}"] * bool(leg)) or None


def _numbers(text: str) -> str | None:
    """ "41 eu/8 m us" -> "EU 41 / US 8 M"."""
    text = _meant.sub(r"\1", _fraction.sub(lambda match: _DECIMALS[match[1]], text))
    named = [_one_number(part) for part in _alternative.split(text) if part]
    return " / ".join(filter(None, named)) if named and all(named) else None


def _one_number(text: str) -> str | None:
    """ "women's 5.5-6 b us" -> "US 5.5-6 B women"; None when a piece is missing, unknown or there twice."""
    pieces: dict[str, str] = {}
    position = 0
    while match := _piece.match(text, position):
        kind = str(match.lastgroup)
        if kind in pieces or (kind == "width" and "number" not in pieces):
            return None
        pieces[kind] = match[kind]
        position = match.end()
    if position < len(text) or "number" not in pieces:
        return None
    return _spelled(**pieces)


def _spelled(number: str, system: str = "", width: str = "", person: str = "") -> str:
    number = re.sub(_TO, "-", number).replace(",", ".")
    named = (_system.get(system), number, _width.get(width), _person.get(person))
    return " ".join(filter(None, named))
