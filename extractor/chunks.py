"""A product text in, the chunks out between which a span may start or end; knows no grammar and no schema."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

# Classes that others ask for: what no span crosses, and what none starts or ends with (spaces, invisible signs).
BREAK, EDGELESS = "X", "SF"


def split_chunks(text: str) -> list[str]:
    """Cut a text where a span may start or end.

    A chunk is a number with its decimals, a run of letters, one sign, one space, or one character of a script
    that writes no spaces. Letters are cut from digits ("80|mm"), where case says that words were glued
    ("Black|ALTERNATE"), and before a plural s ("Letter|s"): 99 % of gold values start and end at such cuts.
    Grapheme clusters stay whole.
    """
    return [text[start:end] for start, end in chunk_bounds(classify(text))]


def classify(text: str) -> str:
    """One class letter for each character of the text."""
    return text.translate(_CLASSES)


def chunk_bounds(classes: str) -> Iterator[tuple[int, int]]:
    """Start and end of each chunk, from the text's class letters."""
    return (match.span() for match in _CHUNK.finditer(classes))


def is_unspaced(character: str) -> bool:
    """Whether it is a letter of a script that writes no spaces between words."""
    return _CLASSES[ord(character)] == "C"


class _CharacterClasses(dict[int, str]):
    """One letter for each code point, worked out when first met: a table for `str.translate`."""

    def __missing__(self, code: int) -> str:
        self[code] = letter = _character_class(code)
        return letter


_CLASSES = _CharacterClasses({ord("s"): "s", ord("."): ".", ord(","): ",", 0x200D: "J", 0x200C: "M"})
# Scripts without spaces, and Hangul, whose particles are glued to the noun.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0xA4CF),  # Han, Kana, Bopomofo, Yi
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFFDC),  # half-width forms
    (0x16FE0, 0x18DFF),  # Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana, Nushu
    (0x20000, 0x3FFFF),  # Han
)
# Marks by Unicode's grapheme rules (UAX 29), though not by their category: Thai and Lao AM, half-width sound
# marks, skin tones, flag tags.
_MARKS = ((0x0E33, 0x0E33), (0x0EB3, 0x0EB3), (0xFF9E, 0xFF9F), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F))


def _character_class(code: int) -> str:
    category = unicodedata.category(chr(code))
    if category[0] == "M" or _within(code, _MARKS):
        return "M"
    if category[0] == "L" and _within(code, _UNSPACED):
        return "C"
    if 0x1F1E6 <= code <= 0x1F1FF:
        return "R"
    return _CATEGORY_CLASSES.get(category, "l" if category[0] == "L" else "P")


# X: no span crosses it. F: invisible, thus no edge of a span. All other letters are l, all other signs P.
_CATEGORY_CLASSES = {
    "Lu": "U",
    "Lt": "U",
    "Nd": "D",
    "Zs": "S",
    "Cf": "F",
    "Cc": "X",
    "Cs": "X",
    "Zl": "X",
    "Zp": "X",
}


def _within(code: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= code <= last for first, last in ranges)


# Over class letters, not over the text: the standard library's patterns know no Unicode categories.
_PLURAL = "(?:(?<=UU)|(?<=[Uls][ls]l))s(?![UlsMJ])"
_CHUNK = re.compile(
    "|".join(
        (
            "X+",
            _PLURAL,
            f"(?:U[MJ]*+)+(?![MJ]*+(?!{_PLURAL})[ls])",  # capitals, less the one that starts the next word
            f"(?:U[MJ]*+)?(?:(?!{_PLURAL})[ls][MJ]*+)+",
            r"(?:D[MJ]*+)+(?:,(?:D[MJ]*+){3}(?!D))*(?:\.(?:D[MJ]*+)+)*",
            "C[MJ]*+",
            "RR?[MJ]*+",  # a flag is a pair
            "[P.,][MJ]*+(?:(?<=J)P[MJ]*+)*",  # a joiner glues two emoji
            "S[MJ]*+",
            "[MJ]+",
            "F",
        )
    )
)
