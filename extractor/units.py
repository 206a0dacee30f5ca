"""schemas/units.json in, a table of units out: which unit a word means, and numbers from one unit to another.

Which words are units says the file, how much one is says pint. That is asked for the file's own names only: for
words of listings it has too many answers (to it a "2 ply" tissue has two petalight-years). Knows nothing of products
and attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import SchemaError

FILE = "units.json"
# Longest unit in words: "revolutions per minute", "ct t w".
_MAX_WORDS = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit."""

    name: str
    # Units of the same dimension convert into one another.
    dimension: str
    # What pint calls it: "inch", "m**3/hour"; None: nothing that could be converted.
    pint: str | None = None
    # Attributes that its `in_context` words count for: those whose unit has the same context.
    context: str = ""

    def exceeds(self, other: Unit) -> bool:
        """Whether it is the larger one of two of the same dimension, as feet are beside inches."""
        return self.dimension == other.dimension and _scale(self.pint).factor > _scale(other.pint).factor


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
                self._in_context.setdefault((unit.context, _spelling(word).casefold()), unit)

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
        if expected and (unit := self._in_context.get((expected.context, key.casefold()))):
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

    def problems(self) -> Iterator[str]:
        """What pint does not know, and units of one dimension that do not convert; a line each."""
        kinds: dict[str, Any] = {}
        for unit in self._by_name.values():
            if unit.pint is None:
                continue
            try:
                kind = _registry().get_dimensionality(unit.pint)
            except _unknown_to_pint():
                yield f'{unit.name}: pint knows no {unit.pint!r}; correct its "pint", or make that null'
            else:
                if kinds.setdefault(unit.dimension, kind) != kind:
                    yield f'{unit.name}: is no {unit.dimension} to pint; move it, or correct its "pint"'


def convert(number: Fraction, unit: Unit, target: Unit) -> Fraction:
    """The same quantity in another unit of the same dimension, exactly.

    Raises:
        SchemaError: pint does not know one of the two; `Units.problems` tells beforehand.
    """
    if unit == target:
        return number
    one, other = _scale(unit.pint), _scale(target.pint)
    return (number * one.factor + one.offset - other.offset) / other.factor


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


class _Scale(NamedTuple):
    """`number * factor + offset` is the number in pint's base unit."""

    factor: Fraction
    offset: Fraction


@cache  # as many as there are units
def _scale(pint: str | None) -> _Scale:
    if pint is None:
        return _Scale(Fraction(1), Fraction(0))
    try:
        zero, one = (_registry().Quantity(Fraction(n), pint).to_base_units().magnitude for n in (0, 1))
    except _unknown_to_pint():
        raise SchemaError(f"{FILE}: pint knows no unit {pint!r}; see extractor schemas check") from None
    return _Scale(one - zero, zero)


@cache
def _registry() -> Any:
    """A second to load, so only once something is to be converted."""
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)


def _unknown_to_pint() -> tuple[type[Exception], ...]:
    import pint

    return (pint.errors.PintError, AttributeError, ValueError, TypeError)


class _Row(BaseModel):
    """A unit as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # Its own name where the row says nothing.
    pint: str | None = ""
    synonyms: list[str] = []
    in_context: list[str] = []
    context: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    description: str
    dimensions: Mapping[str, Mapping[str, _Row]]


def _unit(name: str, dimension: str, row: _Row) -> Unit:
    return Unit(name, dimension, name if row.pint == "" else row.pint, row.context or dimension)


def _spelling(word: str) -> str:
    """ "Fl. Oz.", "fl-oz" and "fl_oz" are one word."""
    return " ".join(word.translate(_SEPARATORS).split())


_SEPARATORS = str.maketrans(".-_", "   ")
