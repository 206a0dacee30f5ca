"""Numbers that name a product: GTINs (UPC, EAN, ISBN) and makers' model numbers."""

from __future__ import annotations

import re

from extractor.attribute import Attribute
from extractor.normalize.normal import Normal, Problem, member
from extractor.normalize.spelling import fold
from extractor.records import Reason
from extractor.units import Units

_LABEL = re.compile(r"^(?:(?:upc|ean|gtin|isbn|jan|barcode)(?:[- ]?(?:a|8|10|12|13|14))?\b)[\s:#.]*")
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])[\s-]+(?=[0-9x])")
_DIGIT = re.compile("[0-9]")
_GTIN = re.compile(r"[0-9]{8}|[0-9]{12,14}")
_ISBN_10 = re.compile(r"[0-9]{9}[0-9x]")
# A model number is at most so many groups of letters and digits: "WB 9532-WR".
_CODE = re.compile(r"[^\W_]+(?:[ ./_()+#-]+[^\W_]+){0,7}[)+]*", re.ASCII)
# Word of a name, which a number has none of: "Galaxy S21", "cyber-shot dsc-w120"; but "KTMSX-2411" and "RTX 3080".
_NAME = re.compile(r"(?<!\S)[^\s0-9]{4,}(?!\S)")
# Dropped, but 1.5 is not 15.
_SEPARATOR = re.compile(r"(?<![0-9])\.|\.(?![0-9])|[^\w.]|_", re.ASCII)


def gtin(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "UPC: 0 12345-67890 5" -> the 14 digits that GS1 compares by, where the check digit is right."""
    folded = fold(surface)
    digits = _gtin_of(folded)
    if digits and not _is_right(digits):
        detail = f"{surface!r}: the last digit of {digits} is not its check digit; kept as text"
        return Normal(folded, problem=Problem(Reason.CHECK_DIGIT, detail))
    return Normal(digits.zfill(14) if digits else folded)


def gtin_digits(text: str) -> str:
    """The 14 digits that GS1 compares by; empty for what is no GTIN, or has a wrong check digit."""
    digits = _gtin_of(fold(text))
    return digits.zfill(14) if digits and _is_right(digits) else ""


def model(surface: str, attribute: Attribute, units: Units) -> Normal:
    """ "hlx-j270dw", "HLX J270DW" -> "HLXJ270DW"; a name, "Galaxy S21", stays one: "galaxy s21"."""
    folded = fold(surface)
    if known := member(folded, attribute):
        return Normal(known)
    if not _DIGIT.search(folded) or not _CODE.fullmatch(folded) or _NAME.search(folded):
        return Normal(folded)
    return Normal(_SEPARATOR.sub("", folded).upper())


def _gtin_of(folded: str) -> str:
    """The digits of what has the form of a GTIN or ISBN; empty for all else."""
    digits = _BETWEEN_DIGITS.sub("", _LABEL.sub("", folded))
    if _ISBN_10.fullmatch(digits) and not _isbn_10_remainder(digits):
        digits = _with_check_digit(f"978{digits[:9]}")
    # Zeros are what shops write who know none.
    return digits if _GTIN.fullmatch(digits) and int(digits) else ""


def _is_right(digits: str) -> bool:
    return digits == _with_check_digit(digits[:-1])


def _with_check_digit(body: str) -> str:
    """GS1 General Specifications, 7.9: from the right, every other digit counts three times."""
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(body)))
    return f"{body}{-total % 10}"


def _isbn_10_remainder(digits: str) -> int:
    """ISO 2108: digits weighted 10 to 1 are a multiple of 11, x being 10."""
    weighted = (
        (10 if digit == "x" else int(digit)) * weight
        for digit, weight in zip(digits, range(10, 0, -1), strict=True)
    )
    return sum(weighted) % 11
