"""Text in, the tokens by which listings are compared out: words, model keys, measures, colors.

Knows no collection and no weights. Written for titles in any European language; a script without spaces gives long
words, which the character n-grams of table.py still compare.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

_T = TypeVar("_T")

# Spelling of a unit -> unit and factor. A letter that is a word elsewhere ("l", "v", "w") counts only beside a digit.
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("gb", "gig", "gbyte", "gigabyte", "gigabytes", "gib", "go"), ("gb", 1.0)),
    **dict.fromkeys(("tb", "terabyte", "terabytes", "tib", "to"), ("gb", 1000.0)),
    **dict.fromkeys(("mb", "megabyte", "megabytes", "mib", "mo"), ("mb", 1.0)),
    **dict.fromkeys(("mp", "megapixel", "megapixels", "mpix", "megapixeles"), ("mp", 1.0)),
    **dict.fromkeys(("in", "inch", "inches", "zoll", "pouces", "pulgadas", '"', "''", "”", "″"), ("in", 1.0)),
    **dict.fromkeys(("ft", "feet", "foot"), ("ft", 1.0)),
    **dict.fromkeys(("mm", "millimeter", "millimeters"), ("mm", 1.0)),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), ("mm", 10.0)),
    **dict.fromkeys(("ghz",), ("mhz", 1000.0)),
    **dict.fromkeys(("mhz",), ("mhz", 1.0)),
    **dict.fromkeys(("oz", "ounce", "ounces"), ("oz", 1.0)),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), ("lb", 1.0)),
    **dict.fromkeys(("kg", "kilo", "kilogram"), ("g", 1000.0)),
    **dict.fromkeys(("g", "gram", "grams", "gr"), ("g", 1.0)),
    **dict.fromkeys(("ml", "milliliter"), ("ml", 1.0)),
    **dict.fromkeys(("cl",), ("ml", 10.0)),
    **dict.fromkeys(("l", "liter", "liters", "litre", "litres", "ltr"), ("ml", 1000.0)),
    **dict.fromkeys(("gal", "gallon", "gallons"), ("gal", 1.0)),
    **dict.fromkeys(("w", "watt", "watts"), ("w", 1.0)),
    **dict.fromkeys(("v", "volt", "volts"), ("v", 1.0)),
    **dict.fromkeys(("mah",), ("mah", 1.0)),
    **dict.fromkeys(("rpm",), ("rpm", 1.0)),
    **dict.fromkeys(("btu",), ("btu", 1.0)),
    **dict.fromkeys(("mb/s", "mbs", "mbps", "mo/s"), ("mb/s", 1.0)),
    **dict.fromkeys(("pk", "pack", "packs", "pcs", "pc", "pieces", "count", "ct", "er-pack"), ("pack", 1.0)),
    **dict.fromkeys(("pin", "pins"), ("pin", 1.0)),
    **dict.fromkeys(("user", "users"), ("user", 1.0)),
}
_SPELLINGS = "|".join(re.escape(name) for name in sorted(_UNITS, key=lambda name: (-len(name), name)))
_MEASURE = re.compile(rf"(?<![\w.,-])(\d{{1,6}}(?:[.,]\d{{1,3}})?)\s?-?\s?({_SPELLINGS})(?![^\W_]|['\"])")
_PACK_OF = re.compile(r"\b(?:pack|set|box|case|lot) of (\d{1,4})\b")
_WORD = re.compile(r"[^\W_]+")
_CODE = re.compile(r"[^\W_]+(?:[-./][^\W_]+)*")
_NOT_WORD = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")
_SHORTEST_CODE, _SHORTEST_NUMBER = 4, 5
COLORS: dict[str, str] = {
    shade: base
    for base, shades in {
        "black": "black blk noir negro nero schwarz preto zwart onyx ebony",
        "white": "white wht blanc blanco bianco weiss wit ivory blanche",
        "silver": "silver slv argent plata silber platinum",
        "gray": "gray grey gris grau grigio graphite charcoal anthracite gunmetal slate",
        "red": "red rouge rojo rosso rot crimson burgundy maroon",
        "blue": "blue blu bleu azul blau navy royal cobalt cyan teal turquoise",
        "green": "green vert verde grun olive lime emerald",
        "yellow": "yellow jaune amarillo giallo gelb volt",
        "orange": "orange naranja arancione",
        "pink": "pink rosa rose magenta fuchsia",
        "purple": "purple violet lila morado plum lavender",
        "brown": "brown marron braun marrone tan chocolate espresso walnut",
        "gold": "gold dorado oro champagne",
        "beige": "beige cream sand khaki",
    }.items()
    for shade in shades.split()
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text, taken apart; each token once, in the order of the text."""

    words: tuple[str, ...]
    # Two neighboring words as one ("cush top" is "cushtop" elsewhere), and model keys without their signs.
    joined: tuple[str, ...]
    # "dcs5m2": letters with digits, or a long number; without signs.
    codes: tuple[str, ...]
    # Letters with digits, however short, without signs: "t3i", "dcs5m2"; what names a model in most trades.
    models: tuple[str, ...]
    # ("gb", "32"): unit, and number in that unit.
    measures: tuple[tuple[str, str], ...]
    # Base colors.
    colors: tuple[str, ...]


def tokenize(text: str) -> Tokens:
    """Take a title or a description apart."""
    folded = fold(text)
    measures: list[tuple[str, str]] = [
        ("pack", _number(match[1], 1.0)) for match in _PACK_OF.finditer(folded)
    ]

    def canonical(match: re.Match[str]) -> str:
        unit, factor = _UNITS[match[2]]
        measures.append((unit, _number(match[1], factor)))
        return f" {measures[-1][1]}{unit} "

    unified = _MEASURE.sub(canonical, folded)
    words = _WORD.findall(unified)
    known = {_NOT_WORD.sub("", f"{number}{unit}") for unit, number in measures}
    codes = [code for match in _CODE.finditer(unified) if (code := _code(match[0])) and code not in known]
    joined = [a + b for a, b in pairwise(words)]
    return Tokens(
        _once(words),
        _once([*joined, *codes]),
        _once(codes),
        _once([token for token in (*words, *codes) if _is_mixed(token) and token not in known]),
        _once(measures),
        _once([COLORS[word] for word in words if word in COLORS]),
    )


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Lower case without accents, each run of white space one space."""
    if text.isascii():  # has no accents: most titles are spared a look at every character
        return " ".join(text.lower().split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def squeeze(text: str) -> str:
    """Letters and digits alone: "DC-S5 M2" -> "dcs5m2"."""
    return _NOT_WORD.sub("", fold(text))


def _code(word: str) -> str:
    if word.isalpha():  # most words
        return ""
    code = _NOT_WORD.sub("", word)
    if code.isdigit():
        return code if len(code) >= _SHORTEST_NUMBER else ""
    return code if len(code) >= _SHORTEST_CODE and _DIGIT.search(code) else ""


def _is_mixed(token: str) -> bool:
    return not token.isalpha() and not token.isdigit()


def _number(digits: str, factor: float) -> str:
    return f"{float(digits.replace(',', '.')) * factor:.6g}"


def _once(tokens: list[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(tokens))
