"""Text such as '10 1/2" x 20"' in, numbers with their unit out: the grammar of quantities in listings.

Reads one tidied value (NFKC, straight quotation marks), no sentence. Knows units, but no attributes:
which unit to convert to is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from extractor.units import Unit, Units, convert


class Quantity(NamedTuple):
    """One number, a range, or the sides of something, in one unit."""

    # "65", "5-10", "10 x 20", "110 / 220".
    canonical: str
    # None when none is written.
    unit: str | None
    # What follows the quantity: "bottle".
    rest: str


class _Parsed(NamedTuple):
    """A quantity, and the unit it is written in."""

    quantity: Quantity
    written: Unit | None


class UnknownUnit(NamedTuple):
    """A number followed by a word that is no unit."""

    word: str


class _Part(NamedTuple):
    """One number of a quantity."""

    # What stands between the part before and this one: "x", "-", "/", or "+" for nothing; "" for the first.
    joiner: str
    number: Fraction
    unit: Unit | None


# Digits of a number that is one; more are a code.
_MAX_DIGITS = 25
_NUMBER = r"(?:[0-9]+(?:[.,][0-9]+)*|\.[0-9]+)"
_JOINER = rf"(?:(?P<times>[x\u00d7*]|by\b)|(?P<slash>/)|[-\u2013\u2014~]|to\b)\s*(?=-?{_NUMBER})"
_NO_JOINER = r"(?!(?:x|by|to)\s*-?\.?[0-9])"
# "oz", "m2", "pcs/lot", "°C", '"'; not the start of a code such as V1.
_WORD = rf"""(?:{_NO_JOINER}(?:°\s?)?[^\W\d_]++[23]?+(?:/[^\W\d_]++[23]?+)*+(?![0-9])|[%°"'])"""

_part = re.compile(rf"\s*(?P<number>-?{_NUMBER})\s*(?P<words>(?:{_WORD}\s*){{0,4}})", re.IGNORECASE)
_joiner = re.compile(rf"\s*{_JOINER}", re.IGNORECASE)
_word = re.compile(_WORD, re.IGNORECASE)
_number = re.compile(rf"(?<![0-9.,]){_NUMBER}")
_signed_number = re.compile(rf"^-{_NUMBER}|{_number.pattern}")
# Dots, hyphens and underscores of "fl. oz.", "65-inch" and "fl_oz": white space, as far as units go.
_punctuation = re.compile(r"\.(?![0-9])|-(?=[^\W\d_])|_")
_parentheses = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_fraction = re.compile(r"(?<![0-9.,/])(?:([0-9]+)(?:-|\s+))?([0-9]{1,2})/([0-9]{1,2})(?![0-9.,/])")
_multiply_inside = re.compile(r"([0-9]\s?[^\W\d_]{1,3}?)x(?=[0-9])", re.IGNORECASE)
# "2-pack of 500 g", "case of 24 x 330 ml": so many times.
_packed = re.compile(
    r"(?<![\w.,/])(?:(?P<many>[0-9]{1,5})[\s-]*(?:pack|pk|pc|pcs|piece|count|ct|box|bag|can|bottle|tube|jar|sachet|pouch"
    r"|carton|roll|unit)(?:s|es)?\s*(?:of|x|\u00d7)"
    r"|(?:pack|set|case|box|carton|lot|bundle)\s*of\s*(?P<of>[0-9]{1,5})\s*(?:x|\u00d7|,))\s*(?=[0-9])",
    re.IGNORECASE,
)
# "Pack of 3", "100's": a count.
_counted = re.compile(
    r"(?:pack|set|case|box|carton|lot|bundle)s? of (?P<of>[0-9]{1,5})|(?P<these>[0-9]{1,5})'s", re.IGNORECASE
)
# "H12 x W20 cm", "Length: 10 cm": which side it is.
_label = re.compile(
    r"(?<![^\W_])(?:length|width|height|depth|diameter|dia|[lwhd\u00f8])(?:\s*[:=.]\s*|\s*)(?=\.?[0-9])",
    re.IGNORECASE,
)
_by_commas = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?")
_by_dots = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,})")
_ungrouped = re.compile(r"[0-9]*(?:[.,]?[0-9]+)")
_DENOMINATORS = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 32, 64))
# Dimension in which "10 x 20 cm" is two lengths; "4 x 125 ml" is four times a volume.
_SIDES = "length"
_COUNT = "count"
# Written numbers stay as they are, converted ones are rounded to so many digits.
_CONVERTED_DIGITS = 6


def parse_quantity(text: str, units: Units, expected: Unit | None = None) -> Quantity | UnknownUnit | None:
    """Read a quantity.

    Args:
        text: One tidied value.
        units: All units there are.
        expected: Unit that is awaited: it settles what an ambiguous word means, and is converted to.

    Returns:
        None when the text is no quantity.
    """
    found = _read(text, units, expected)
    if isinstance(found, Quantity):
        return found
    unlabeled = _read(_label.sub("", text), units, expected)
    # Without its label V1 is no number, but H12 cm is.
    return unlabeled if isinstance(unlabeled, Quantity) and unlabeled.unit else found


def _read(text: str, units: Units, expected: Unit | None) -> Quantity | UnknownUnit | None:
    ways = [_parse(way, units, expected) for way in _ways(text)]
    # What is written in the awaited unit needs no conversion: 32 inches of "80 cm (32 inches)".
    awaited = (way for way in ways if isinstance(way, _Parsed) and expected and way.written == expected)
    best = next(awaited, ways[0] if ways else None)
    return best.quantity if isinstance(best, _Parsed) else best


def find_numbers(text: str) -> list[Fraction]:
    """All numbers of a tidied text."""
    values = map(_value, _signed_number.findall(_decimals(text)))
    return [value for value in values if value is not None]


def format_number(number: Fraction, digits: int | None = None) -> str:
    """Decimal notation without exponent and closing zeros, rounded to so many digits, but never to tens."""
    with localcontext() as context:
        context.prec = 3 * _MAX_DIGITS
        decimal = Decimal(number.numerator) / Decimal(number.denominator)
        if digits:
            places = max(digits - 1 - decimal.adjusted(), 0) if decimal else 0
            decimal = decimal.quantize(Decimal(1).scaleb(-places))
        text = format(decimal, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _ways(text: str) -> list[str]:
    """ "5.5 oz (156 g)" says it in two ways, "[6 discs]" in one."""
    ways = [_parentheses.sub(" ", text), *(inside[1:-1] for inside in _parentheses.findall(text))]
    return [way for way in ways if _number.search(way)]


def _parse(text: str, units: Units, expected: Unit | None) -> _Parsed | UnknownUnit | None:
    if counted := _counted.fullmatch(text.strip()):
        text = f"{counted['of'] or counted['these']} {_COUNT}"
    text = _packed.sub(lambda match: f"{match['many'] or match['of']} x ", _decimals(text))
    text = _multiply_inside.sub(r"\1 x ", _punctuation.sub(" ", text)).strip()
    start = _start(text)
    if start is None:
        return None
    scanned = _scan(text, start, units, expected)
    if scanned is None or isinstance(scanned, UnknownUnit):
        return None if start else scanned
    parts, rest = scanned
    # Words may go before ("approx. 5 kg"), but then a unit must follow: "SPF 50" is no quantity.
    return _quantity(parts, expected, rest) if parts[-1].unit or not start else None


def _start(text: str) -> int | None:
    """Where the first number begins, unless it stands in the middle of a word."""
    first = _number.search(text)
    if not first:
        return None
    start = first.start() - text[: first.start()].endswith("-")
    return start if not start or text[start - 1] in " ~" else None


def _decimals(text: str) -> str:
    """ "10 1/2" and "10-1/2" -> "10.5"; "20/40" is two numbers."""
    return _fraction.sub(_decimal, text)


def _decimal(match: re.Match[str]) -> str:
    whole, numerator, denominator = match[1] or "0", int(match[2]), int(match[3])
    if denominator not in _DENOMINATORS or not 0 < numerator < denominator or len(whole) > 9:
        return match[0]
    return format_number(int(whole) + Fraction(numerator, denominator), 10)


def _scan(
    text: str, position: int, units: Units, expected: Unit | None
) -> tuple[list[_Part], str] | UnknownUnit | None:
    """Numbers with their units from `position` on, and what is left behind them."""
    parts: list[_Part] = []
    joiner = ""
    while match := _part.match(text, position):
        words = list(_word.finditer(match["words"]))
        unit, used = units.leading([word[0] for word in words], expected)
        if words and not unit:
            return UnknownUnit(words[0][0])
        if (number := _value(match["number"])) is None:
            return None
        parts.append(_Part(joiner, number, unit))
        following = _joiner.match(text, match.end())
        if not following and not (unit and _part.match(text, match.end())):
            end = match.start("words") + (words[used - 1].end() if used else 0)
            return _with_rest(parts, text[end:].strip())
        if any(len(word[0]) > 1 for word in words[used:]):  # one letter labels a side: 60" W x 20" D
            return None
        joiner = "+" if not following else "x" if following["times"] else "/" if following["slash"] else "-"
        position = following.end() if following else match.end()
    return None


def _with_rest(parts: list[_Part], rest: str) -> tuple[list[_Part], str] | None:
    """None where the rest says that this is no quantity: "4-in-1", "2+ years"."""
    if re.search(r"(?<![^\W_])[0-9]", rest) or (rest and not parts[-1].unit):
        return None
    return parts, rest


def _quantity(parts: Sequence[_Part], expected: Unit | None, rest: str) -> _Parsed | None:
    parts = _summed(_one_alternative(_shared_unit(_times_first(parts)), expected))
    if not parts:
        return None
    own = parts[-1].unit
    if any(part.unit and (not own or part.unit.dimension != own.dimension) for part in parts):
        return None
    target = expected if own and expected and own.dimension == expected.dimension else own
    numbers = "".join(_joined(part, target) for part in parts)
    return _Parsed(Quantity(numbers, target.name if target else None, rest), own)


def _times_first(parts: Sequence[_Part]) -> list[_Part]:
    """ "500 g x 2 pcs" -> "2 x 500 g": of a count and something else the count says how many times."""
    if len(parts) != 2 or parts[1].joiner != "x":
        return list(parts)
    counts = [part for part in parts if not part.unit or part.unit.dimension == _COUNT]
    measures = [part for part in parts if part.unit and part.unit.dimension not in (_COUNT, _SIDES)]
    if len(counts) != 1 or len(measures) != 1:
        return list(parts)
    return [counts[0]._replace(joiner="", unit=None), measures[0]._replace(joiner="x")]


def _shared_unit(parts: Sequence[_Part]) -> list[_Part]:
    """A unit holds for the numbers before it too, unless these say how many times."""
    shared: list[_Part] = []
    after: _Part | None = None
    for part in reversed(parts):
        if after and not part.unit and after.unit and (after.joiner != "x" or after.unit.dimension == _SIDES):
            part = part._replace(unit=after.unit)
        shared.insert(0, part)
        after = part
    return shared


def _one_alternative(parts: list[_Part], expected: Unit | None) -> list[_Part]:
    """ "16.9 oz / 500 ml" says one thing twice: the awaited unit counts, else the first."""
    starts = [i for i, part in enumerate(parts) if part.joiner == "/" and part.unit != parts[i - 1].unit]
    alternatives = [parts[i:j] for i, j in pairwise([0, *starts, len(parts)])]
    chosen = next((one for one in alternatives if expected and one[-1].unit == expected), alternatives[0])
    return [chosen[0]._replace(joiner=""), *chosen[1:]]


def _summed(parts: list[_Part]) -> list[_Part]:
    """ "5 ft 6 in", "5' - 6\"" -> 5.5 ft; empty when numbers without joiner do not add up."""
    summed: list[_Part] = []
    for part in parts:
        before = summed[-1] if summed else part
        if part.joiner == "+" or (part.joiner == "-" and _is_smaller(part, before)):
            if not (part.unit and before.unit and _is_smaller(part, before)):
                return []
            number = before.number + convert(part.number, part.unit, before.unit)
            rounded = Fraction(format_number(number, _CONVERTED_DIGITS))
            summed[-1] = before._replace(number=rounded)
        else:
            summed.append(part)
    return summed


def _is_smaller(part: _Part, before: _Part) -> bool:
    """Whether its unit is a smaller one of the same dimension, as inches after feet."""
    return bool(part.unit and before.unit and before.unit.exceeds(part.unit))


def _joined(part: _Part, target: Unit | None) -> str:
    between = {"x": " x ", "/": " / "}.get(part.joiner, part.joiner)
    if not part.unit or not target or part.unit == target:
        return between + format_number(part.number)
    return between + format_number(convert(part.number, part.unit, target), _CONVERTED_DIGITS)


def _value(token: str) -> Fraction | None:
    """ "1,000", "1.000.000" and "1.000,5" are grouped, "2,5" and "0,750" not; "1.2.3" is no number."""
    digits = token.lstrip("-")
    if len(digits) > _MAX_DIGITS:
        return None
    if _by_commas.fullmatch(digits):
        return Fraction(token.replace(",", ""))
    if _by_dots.fullmatch(digits):
        return Fraction(token.replace(".", "").replace(",", "."))
    return Fraction(token.replace(",", ".")) if _ungrouped.fullmatch(digits) else None
