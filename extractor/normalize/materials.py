"""Materials: "60% Cotton, 40% Poly" in, one name for each and the largest share first out."""

from __future__ import annotations

import re
from typing import NamedTuple

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal, member
from extractor.normalize.spelling import fold
from extractor.units import Units

_JOINER = r"\s*(?:[/&+;|]|,(?![0-9])|-(?=[0-9]+\s?%))\s*|\s+and\s+"
# Shares go before the names, or after them.
_SHARES_FIRST = re.compile(rf"{_JOINER}|(?<=[^\W\d_])\s+(?=[0-9.,]+\s*%)")
_NAMES_FIRST = re.compile(rf"{_JOINER}|(?<=%)\s+(?=[^\W\d_])")
_PLAIN = re.compile(_JOINER)
_SHARE = r"(?P<{}>[0-9]{{1,3}}(?:[.,][0-9]{{1,2}})?)\s*%"
_PART = re.compile(rf"(?:{_SHARE.format('before')}\s*)?(?P<name>[^%]*?)(?:[\s:]*{_SHARE.format('after')})?")


class _Part(NamedTuple):
    """One material of several."""

    name: str
    # "60", "97.5"; "" where none is stated.
    share: str

    def __str__(self) -> str:
        # All of it: "100% cotton" and "cotton" are one fact.
        return f"{self.share}% {self.name}" if self.share and float(self.share) != 100 else self.name


def material(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "40% Poly 60% Cotton" -> "60% cotton/40% polyester", by the schema's synonyms; without shares, as written."""
    folded = fold(surface)
    if known := member(folded, attribute):
        return Normal(known)
    parts = [_part(part, attribute) for part in _divided(folded) if part]
    if not all(part and part.name for part in parts):
        return Normal(folded)
    shared = [part for part in parts if part]
    if all(part.share for part in shared):
        shared.sort(key=lambda part: -float(part.share))
    return Normal("/".join(dict.fromkeys(map(str, shared))))


def _divided(folded: str) -> list[str]:
    """At commas and the like; where shares stand in line, between one material and the next as well."""
    if folded[:1].isdecimal():
        return _SHARES_FIRST.split(folded)
    return (_NAMES_FIRST if folded.endswith("%") else _PLAIN).split(folded)


def _part(text: str, attribute: Attribute) -> _Part | None:
    """None where percent signs stand otherwise: "30% recycled 5% off"."""
    match = _PART.fullmatch(text.strip())
    if not match or (match["before"] and match["after"]):
        return None
    name, share = fold(match["name"]), (match["before"] or match["after"] or "").replace(",", ".")
    return _Part(member(name, attribute) or name, share)
