"""Text in, one of all its spellings out: signs, spaces, case, broken encodings. Knows no values and no attributes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

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


def fold(text: str) -> str:
    """ "  Long\u2011Sleeved. " -> "long-sleeved": spellings of one value that no one would tell apart."""
    return settled(text, lambda text: _tidy(text).casefold())


def tidy(text: str) -> str:
    """The same with its case: MW is not mW."""
    return settled(text, _tidy)


def tidy_without(text: str, without: re.Pattern[str]) -> str:
    """Tidied, and without what matches, unless nothing else is there."""
    return settled(text, lambda text: without.sub("", _tidy(text)) or _tidy(text))


def settled(text: str, step: Callable[[str], str]) -> str:
    """The fixed point of `step`: Unicode's foldings can open the way for one another."""
    while (after := step(text)) != text:
        text = after
    return text


def _tidy(text: str) -> str:
    """One spelling of signs and spaces, nothing but the value at the edges."""
    text = _VULGAR_FRACTION.sub(" ", _decoded(text)).translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).replace("''", '"')
    return _stripped(" ".join(text.split()))


def _decoded(text: str) -> str:
    """ "CafÃ©" -> "Café": a shop that read UTF-8 as something else."""
    if text.isascii():
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def _stripped(text: str) -> str:
    """Without punctuation at the edges, but with the sign or the point of a number."""
    start = text.lstrip(_EDGES)
    before = text[: len(text) - len(start)]
    if start[:1].isdecimal() and before[-1:] in (".", "-"):
        start = before[-1] + start
    return start.rstrip(_EDGES)
