"""A brand name as somebody wrote it in, keys that are equal for spellings of one name out.

Three keys, each folding more than the one before; none is equal for names that only look alike ("Sony" and "Sonos").
Knows no registry.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from extractor.normalize import fold
from extractor.normalize.blanks import says_nothing


class Keys(NamedTuple):
    """Of one name, from the strictest to the loosest; all are empty for a name without letters and digits."""

    # Without case, accents, punctuation and trade marks: "hewlett packard", "moet and chandon".
    exact: str
    # Without spaces, "and" and a first "the" as well: "hewlettpackard", "moetchandon", "northface".
    loose: str
    # Without what only a company's name has as well: "hp" for "HP Inc.", "samsung" for "Samsung India Pvt. Ltd.".
    company: str


@lru_cache(maxsize=65_536)
def keys(name: str) -> Keys:
    """The keys of a brand name."""
    plain = _plain(name)
    words = _words(plain)
    return Keys(" ".join(words), _glued(words), _glued(_words(_brand_of_company(plain))))


def is_no_brand(name: str) -> bool:
    """Whether a shop says by this that it states no brand: "N/A", "Generic", "-"."""
    exact = keys(name).exact
    return exact in _NO_BRAND or says_nothing(exact)


_NO_BRAND = frozenset(
    "generic|no brand|no name|nobrand|oem|other|others|unbranded|tidak ada merek|ohne marke|sans marque"
    "|sin marca".split("|")
)
# Letters that Unicode does not take apart into a base letter and its accent.
_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "ı": "i"})
# Of Latin, Greek and Cyrillic letters; the vowel signs of other scripts are no accents.
_ACCENT = re.compile("[\u0300-\u036f]")
# "Black & Decker", "BLACK+DECKER", "Black 'n Decker", "Moët et Chandon"; a last "+" belongs to the name.
_AND = re.compile(r"\s*&\s*|(?<=\w)\s*\+\s*(?=\w)|(?<=\w)\s+(?:'?n'?|et|und)\s+(?=\w)")
# "L'Oréal" and "U.S." are one word each.
_GLUE = re.compile(r"'|(?<=\b\w)\.\s?(?=\w\b)")
# Forms and further words that end a company's name. Lists of all the world's forms have "PC", "OK" and "spa" in them
# too, with which brands end.
_COMPANY_ENDS = (
    *(
        r"(?:(?:&|and)\s*)?co",
        r"(?:(?:&|and)\s*)?company",
        "corp",
        "corporation",
        "inc",
        "incorporated",
        "limited",
    ),
    *("ltd", "ltda", "private", "pvt", "pte", "pty", "plc", r"l\.?l\.?c", r"l\.?l\.?p", r"l\.p", "ulc"),
    *(
        "gmbh",
        "mbh",
        "ag",
        "kg",
        "kgaa",
        "se",
        r"s\.?a",
        "sas",
        "sarl",
        r"s\.r\.l",
        "srl",
        r"s\.\s?p\.\s?a",
        r"n\.?v",
    ),
    *(
        r"b\.?v",
        "ab",
        "a/s",
        "aps",
        "oy",
        "oyj",
        r"k\.?k",
        "sro",
        "group",
        "holding",
        "holdings",
        "international",
    ),
    # Where a branch of it is.
    *(r"(?:of\s+)?(?:north\s+)?america", "asia", "europe", "deutschland", "france", "india", "japan"),
    *(r"u\.?k", r"u\.?s\.?a?"),
)
_COMPANY_END = re.compile(rf"[\s,(]+(?:{'|'.join(_COMPANY_ENDS)})[\s.,)]*$")


def _plain(name: str) -> str:
    """Without case, accents and trade marks."""
    folded = unicodedata.normalize("NFKD", fold(html.unescape(name)))
    return unicodedata.normalize("NFKC", _ACCENT.sub("", folded)).translate(_LETTERS)


def _words(plain: str) -> list[str]:
    joined = _GLUE.sub("", _AND.sub(" and ", plain).replace("+", " plus "))
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in joined).split()


def _glued(words: list[str]) -> str:
    if words[:1] == ["the"]:
        words = words[1:] or words
    around = zip(("", *words), words, (*words[1:], ""), strict=False)
    # "M&S" is not "MS".
    kept = (word for left, word, right in around if word != "and" or len(left) == len(right) == 1)
    return "".join(kept) or "".join(words)


def _brand_of_company(plain: str) -> str:
    """Cut off what ends a company's name; never all of it."""
    while _words(cut := _COMPANY_END.sub("", plain)) and cut != plain:
        plain = cut
    return plain
