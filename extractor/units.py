"""schemas/units.json in, a table of units out: which unit a word means, and numbers from one unit to another.

Knows nothing of products and attributes; what a row may hold says the file itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import SchemaError

FILE = "units.json"
# Longest unit in words: "revolutions per minute", "ct t w".
_MAX_WORDS = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit; `number * factor + offset` is the number in the base unit of its dimension."""

    name: str
    dimension: str
    factor: Fraction
    offset: Fraction


class Units:
    """All units of one file."""

    def __init__(self, rows: Iterable[tuple[Unit, Sequence[str], Sequence[str]]]) -> None:
        """Take units, each with its words and with its words for attributes of its own dimension."""
        self._by_name: dict[str, Unit] = {}
        self._exact: dict[str, Unit] = {}
        self._folded: dict[str, Unit] = {}
        self._in_context: dict[tuple[str, str], Unit] = {}
        for unit, words, context_words in rows:
            self._by_name[unit.name] = unit
            for word in {unit.name: None, **dict.fromkeys(words)}:
                key = _spelling(word)
                if self._exact.setdefault(key, unit) != unit:
                    raise ValueError(f"{word!r} means {self._exact[key].name} and {unit.name}; keep one")
                self._folded.setdefault(key.casefold(), unit)
            for word in context_words:
                self._in_context.setdefault((unit.dimension, _spelling(word).casefold()), unit)

    @property
    def names(self) -> frozenset[str]:
        """Canonical names: what x-unit may say."""
        return frozenset(self._by_name)

    def get(self, name: str | None) -> Unit | None:
        """The unit of this canonical name."""
        return self._by_name.get(name) if name else None

    def find(self, word: str, expected: Unit | None = None) -> Unit | None:
        """The unit that `word` means where a value in `expected`, or convertible to it, is awaited."""
        key = _spelling(word)
        if expected and (unit := self._in_context.get((expected.dimension, key.casefold()))):
            return unit
        unit = self._exact.get(key) or self._folded.get(key.casefold())
        # A lone letter of another dimension is no unit but something else: 700C wheels, a width W.
        if unit and expected and unit.dimension != expected.dimension and len(key) == 1 and key.isalpha():
            return None
        return unit

    def leading(self, words: Sequence[str], expected: Unit | None = None) -> tuple[Unit | None, int]:
        """The unit that most of the first words mean together, and how many words that takes."""
        for count in range(min(_MAX_WORDS, len(words)), 0, -1):
            if unit := self.find(" ".join(words[:count]), expected):
                return unit, count
        return None, 0


def convert(number: Fraction, unit: Unit, target: Unit) -> Fraction:
    """The same quantity in another unit of the same dimension."""
    return (number * unit.factor + unit.offset - target.offset) / target.factor


def load_units(folder: Path) -> Units:
    """Read units.json of a schemas folder.

    Raises:
        SchemaError: one line: the file, what is wrong with it, and what to do.
    """
    path = folder / FILE
    try:
        file = _File.model_validate(parse_json(read_text(path)))
        return Units(
            (_unit(name, dimension, row), row.synonyms, row.in_context)
            for dimension, rows in file.dimensions.items()
            for name, row in rows.items()
        )
    except ValidationError as error:
        raise SchemaError(f"{path}: {explain(error)}") from None
    except (DataFileError, ValueError) as error:
        raise SchemaError(f"{path}: {error}") from None


class _Row(BaseModel):
    """A unit as the file has it; numbers are text ("5/9", "0.0254"), so that they stay exact."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    factor: str
    offset: str = "0"
    synonyms: list[str] = []
    in_context: list[str] = []


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    description: str
    dimensions: Mapping[str, Mapping[str, _Row]]


def _unit(name: str, dimension: str, row: _Row) -> Unit:
    try:
        unit = Unit(name, dimension, Fraction(row.factor), Fraction(row.offset))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{name}: factor or offset is no number; write 0.0254 or 5/9") from None
    if unit.factor <= 0:
        raise ValueError(f"{name}: factor is not above 0; correct it")
    return unit


def _spelling(word: str) -> str:
    """ "Fl. Oz.", "fl-oz" and "fl_oz" are one word."""
    return " ".join(word.translate(_SEPARATORS).split())


_SEPARATORS = str.maketrans(".-_", "   ")
