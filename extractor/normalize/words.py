"""Values that are words: any text, names of brands, yes and no."""

from __future__ import annotations

import re

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal, member
from extractor.normalize.spelling import fold, tidy_without
from extractor.units import Units

_LEGAL_FORM = re.compile(
    r"[\s,]+(?:(?:&\s*)?co(?:mpany)?\.?[\s,]+|private[\s,]+|pvt\.?[\s,]+)?"
    r"(?:inc|incorporated|l\.?l\.?c|ltd|corp|corporation|gmbh(?:\s*&\s*co\.?\s*kg)?|plc|pty|s\.r\.l|s\.p\.a|b\.v"
    r"|(?<=private )limited|(?<=company )limited)\.?$",
    re.IGNORECASE,
)
# English and the languages that our gold is written in; with what shops tick and cross.
_YES = frozenset("yes y true included available with si sí sim oui ja ✓ ✔ ☑ はい 是".split())
_NO = frozenset(
    "no n false none not without never nein nicht non sans ohne sin não nao ✗ ✘ ✕ いいえ 否".split()
)
_WORD = re.compile(r"[^\W\d_]+|[✓✔☑✗✘✕]")


def text(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "  Long-Sleeved. " -> "long-sleeved", or what the schema's synonyms make of it."""
    folded = fold(surface)
    return Normal(member(folded, attribute) or folded)


def brand(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "LEGO® Systems, Inc." -> "LEGO Systems": case is kept, for people read it."""
    name = tidy_without(surface, _LEGAL_FORM)
    return Normal(member(fold(name), attribute) or name)


def yes_no(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "Batteries included" -> "yes", "without batteries" -> "no"; that the text names the feature means yes."""
    folded = fold(surface)
    if known := member(folded, attribute):
        return Normal(known)
    words = _WORD.findall(folded)
    if not _NO.isdisjoint(words):
        return Normal("no")
    stated = folded == fold(attribute.title) or not _YES.isdisjoint(words)
    return Normal("yes" if stated else folded)
