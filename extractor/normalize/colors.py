"""Colors: what a shop calls them in, the schema's palette out; the shade stays in the surface.

The palette is the attribute's x-synonyms: base color -> the shades that count as it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal, member
from extractor.normalize.spelling import fold
from extractor.units import Units

_JOINER = re.compile(r"\s*[/&+,;|]\s*|\s+(?:and|with|y|et|und|e)\s+")
_WORD = re.compile(r"[^\W\d_]+")
# Longest shade in words: "light heather gray".
_MAX_WORDS = 3


class _Named(NamedTuple):
    """A color that a phrase names."""

    base: str
    # By the palette's own name, not by one of a shade.
    is_plain: bool


def color(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "Heather Grey & Midnight Blue" -> "gray/blue": each color once, in the order they are written."""
    folded = _american(fold(surface))
    if known := member(folded, attribute):
        return Normal(known)
    parts = filter(None, map(fold, _JOINER.split(folded)))
    bases = dict.fromkeys(base for part in parts for base in _bases(part, attribute))
    return Normal("/".join(bases))


def _bases(phrase: str, attribute: Attribute) -> list[str]:
    """What one phrase names; the phrase itself when nothing in it is a color."""
    named = _named(_WORD.findall(phrase), attribute)
    if plain := [color.base for color in named if color.is_plain]:
        return plain
    # Of shades alone the last is the head: "golden brown", "cherry wine".
    return [named[-1].base] if named else [phrase]


def _named(words: list[str], attribute: Attribute) -> list[_Named]:
    """Colors from left to right, the longest shade first: "rose gold" is neither rose nor gold."""
    named: list[_Named] = []
    position = 0
    while position < len(words):
        for length in range(min(_MAX_WORDS, len(words) - position), 0, -1):
            shade = " ".join(words[position : position + length])
            if base := member(shade, attribute):
                named.append(_Named(base, is_plain=shade == base.casefold()))
                break
        else:
            length = 1
        position += length
    return named


def _american(folded: str) -> str:
    return folded.replace("grey", "gray").replace("colour", "color")
