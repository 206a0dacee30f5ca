"""A surface and a text in, the places where it stands out; case and white space may differ, words stay whole.

Knows spans and attributes' words, no grammar and no answer of a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from extractor.attribute import Attribute
from extractor.chunks import is_unspaced
from extractor.cues import find_cues
from extractor.records import Span

# No value crosses one, as no constrained engine decodes one.
_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def find_words(surface: str, text: str) -> Span | None:
    """As written, else whatever the case and the white space; whole words before parts, then the first."""
    surface = unicodedata.normalize("NFC", surface).strip()
    if not surface or _BREAK.search(surface):
        return None
    return _preferred(_exact(surface, text), text) or _preferred(_folded(surface, text), text)


def find_evidence(attribute: Attribute, member: str, text: str) -> Span | None:
    """The first whole-word occurrence of an enum member or of one of its synonyms; the longest of those.

    Of an attribute with cues the first place where a cue stands that would count in some category.
    """
    if attribute.cues:
        return find_cues(attribute.cues, text).get(member)
    forms = (member, *attribute.synonyms.get(member, ()))
    spans = (span for form in forms for span in _folded(form, text) if _is_whole(span, text))
    return min(spans, key=lambda span: (span.start, -span.end), default=None)


def _preferred(spans: Iterator[Span], text: str) -> Span | None:
    first = None
    for span in spans:
        if _is_whole(span, text):
            return span
        first = first or span
    return first


def _exact(surface: str, text: str) -> Iterator[Span]:
    start = text.find(surface)
    while start >= 0:
        yield Span(start, start + len(surface))
        start = text.find(surface, start + 1)


def _folded(surface: str, text: str) -> Iterator[Span]:
    needle = _fold_form(surface)
    haystack, origins = _fold_text(text)
    for span in _exact(needle, haystack) if needle else ():
        start, end = origins[span.start], origins[span.end]
        # One character may fold to several: "s" stands in a folded "ß", but not in the text.
        if origins[span.start - 1] != start and origins[span.end - 1] != end:
            yield Span(start, end)


# A run of white space, or one other character.
_UNIT = re.compile(r"\s+|\S")


def _fold(text: str) -> tuple[str, list[int]]:
    """Case and white space folded; with the origin in `text` of each folded character and of the end."""
    folded: list[str] = []
    origins: list[int] = []
    for match in _UNIT.finditer(text):
        unit = _fold_unit(match[0])
        folded.append(unit)
        origins += [match.start()] * len(unit)
    return "".join(folded), [*origins, len(text)]


@lru_cache(maxsize=65_536)
def _fold_form(form: str) -> str:
    """Enum members and their synonyms come again with every product."""
    return _fold(form)[0]


@lru_cache(maxsize=16)
def _fold_text(text: str) -> tuple[str, list[int]]:
    """All values of a product are searched in the same text."""
    return _fold(text)


def _fold_unit(unit: str) -> str:
    if _BREAK.search(unit):
        return "\n"
    return " " if unit.isspace() else unit.casefold()


def _is_whole(span: Span, text: str) -> bool:
    """Whether neither end cuts through a word or a number."""
    return not (_cuts(text, span.start) or _cuts(text, span.end))


# Between the digits of one number.
_IN_NUMBER = re.compile(r"(?<=\d[.,])(?=\d)|(?<=\d)(?=[.,]\d)")


def _cuts(text: str, position: int) -> bool:
    """Whether a word or a number goes on across this position."""
    if not 0 < position < len(text):
        return False
    in_word = _in_word(text[position - 1]) and _in_word(text[position])
    return in_word or _IN_NUMBER.match(text, position) is not None


def _in_word(character: str) -> bool:
    """Not for a script without spaces: there every character may end a word."""
    if is_unspaced(character):
        return False
    return character.isalnum() or unicodedata.category(character)[0] == "M"
