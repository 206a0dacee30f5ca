"""Two listings in, what they share in words out: the quote of a "same as" statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from extractor.match.listing import Listing
from extractor.match.tokens import fold, tokenize

_T = TypeVar("_T", str, tuple[str, str])
_SHOWN = 8


def evidence(left: Listing, right: Listing) -> str:
    """One line: "gtin 00012345678905; model dcs5m2; 32 gb; words lumix, camera"; the same in either order."""
    return "; ".join(_shared(left, right)) or "similar titles"


def _shared(left: Listing, right: Listing) -> Iterator[str]:
    one, other = tokenize(left.title), tokenize(right.title)
    yield from (f"gtin {gtin}" for gtin in sorted(left.gtins & right.gtins))
    codes = _both(one.codes, other.codes)
    yield from (f"model {code}" for code in codes[:_SHOWN])
    yield from (f"{number} {unit}" for unit, number in _both(one.measures, other.measures)[:_SHOWN])
    if left.brand and fold(left.brand) == fold(right.brand):
        yield f"brand {fold(left.brand)}"
    for name in sorted(left.attributes.keys() & right.attributes.keys()):
        if values := sorted(left.attributes[name] & right.attributes[name]):
            yield f"{name} {', '.join(values)}"
    if words := [word for word in _both(one.words, other.words) if word.isalpha()]:
        yield f"words {', '.join(words[:_SHOWN])}"


def _both(one: Iterable[_T], other: Iterable[_T]) -> list[_T]:
    return sorted(set(one) & set(other))
