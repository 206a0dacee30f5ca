"""A text in, the numbers that it writes out: where they stand, and which of them an attribute can have.

Knows neither units (quantity.py does) nor grammars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from extractor.records import Span
from extractor.schema import Attribute

_NUMBER = re.compile(r"(?:(?<![\w.,])-)?(?P<digits>[0-9]+(?:,[0-9]{3}(?![0-9]))*(?:\.[0-9]+)*)")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")


def find_numbers(text: str) -> Iterator[Span]:
    """Numbers as written, thousands separators included; "-5" also without its sign, which may be a dash."""
    for match in _NUMBER.finditer(text):
        yield Span(*match.span())
        if match.start("digits") > match.start():
            yield Span(*match.span("digits"))


def numbers_for(attribute: Attribute, text: str) -> list[str]:
    """Numbers that are JSON as they stand and that the attribute admits, each once, in text order."""
    written = dict.fromkeys(span.slice(text) for span in find_numbers(text))
    return [number for number in written if _admits(attribute, number)]


def _admits(attribute: Attribute, number: str) -> bool:
    match = _JSON_NUMBER.fullmatch(number)
    if match is None or (attribute.type == "integer" and match[1]):
        return False
    above = attribute.minimum is None or float(number) >= attribute.minimum
    return above and (attribute.maximum is None or float(number) <= attribute.maximum)
