"""WDC-PAVE's conventions for `normalized` values, on top of our normalizers: a data set's rules, none of the package's.

In: a category, an attribute and its gold surfaces. Out: what the data set writes for them. The rules were read off
its train split, and follow the four operations of its paper (arXiv 2403.02130); classes (product type, interface,
processor) are learned from that split when a suite runs. Where its conventions are odd they stay here: a measure
without a unit is in inches, paper weighs kilograms, and of a UPC only the maker's prefix counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from extractor.attribute import Attribute
from extractor.evaluation.generalization import Example, Generalizer
from extractor.normalize import normalize_value
from extractor.quantity import Quantity, find_numbers, format_number, parse_quantity
from extractor.records import AttributeValue
from extractor.units import Units

EXPANSION, GENERALIZATION = "name expansion", "name generalization"
UNIT, STRING = "unit normalization", "string wrangling"

# Attribute -> operation, in the paper's words.
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("Manufacturer", "Brand", "Generation", "Capacity", "Cache"), EXPANSION),
    **dict.fromkeys(("Product Type", "Interface", "Processor Type", "Color", "Color(s)"), GENERALIZATION),
    **dict.fromkeys(("Width", "Height", "Length", "Depth", "Size/Weight", "Paper Weight"), UNIT),
    **dict.fromkeys(("Rotational Speed", "Ports", "Processor Core", "Pack Quantity"), STRING),
    **dict.fromkeys(("Manufacturer Stock Number", "Part Number", "Model Number", "Retail UPC"), STRING),
}
_LEARNED = frozenset({"Product Type", "Interface", "Processor Type"})

_PALETTE = {
    "clear": "No Color/Transparent",
    "navy": "Blue",
    "multicolor": "Assorted/Others",
    **dict.fromkeys(("gray", "silver", "gold", "rose gold", "bronze"), "Gray and Metallic"),
    **{
        name.lower(): name
        for name in "Beige Black Blue Brown Green Orange Pink Purple Red White Yellow".split()
    },
}
_COMPANIES = {
    "HP": "Hewlett-Packard",
    "HPE": "Hewlett-Packard Enterprise",
    "IBM": "International Business Machines",
    "AMD": "Advanced Micro Devices",
}
_company = re.compile(r"\b(?:HPE?|IBM|AMD)\b")
_GENERATIONS = {
    "G": "Generation",
    "GEN": "Generation",
    "DDR": "Double Data Rate",
    "DLT": "Digital Linear Tape",
    "LTO": "Linear Tape-Open",
    "AIT": "Advanced Intelligent Tape",
}
_generation = re.compile(r"\b(G|GEN|DDR|DLT|LTO|AIT)[ -]?(?=[0-9]|$)", re.IGNORECASE)
_UNIT_NAMES = {
    "KB": "Kilobytes",
    "MB": "Megabytes",
    "GB": "Gigabytes",
    "TB": "Terabytes",
    "W": "Watts",
}
# 512K, 8-G: bytes all the same.
_bare_prefix = re.compile(r"(?<=[0-9])([ -]?[KMGT])\b(?!B)", re.IGNORECASE)
_PORTS = {"dp": "2", "sp": "1", "qc": "4"}
# As its authors multiplied.
_CM = {"inch": 2.54, "ft": 30.48, "yd": 91.44, "m": 100, "cm": 1, "mm": 0.1}
_GRAMS = {"oz": 28.3495, "lb": 453.592, "g": 1, "kg": 1000}
_KILOGRAMS = {"lb": 0.453, "kg": 1, "g": 0.001, "g/m2": 0.001}


class Labelled(NamedTuple):
    """A cell of the train split."""

    category: str
    attribute: str
    surfaces: Sequence[str]
    normalized: Sequence[str]


class Conventions:
    """Normalizes as the data set does."""

    def __init__(self, train: Iterable[Labelled], color: Attribute, units: Units) -> None:
        """Learn classes.

        Args:
            train: The train split's cells that have values.
            color: The package's color attribute, with its palette.
            units: All units there are.
        """
        self._color, self._units = color, units
        self._classes = Generalizer(
            Example(f"{cell.category}/{cell.attribute}", surface, label)
            for cell in train
            if cell.attribute in _LEARNED
            # Several classes beside several surfaces do not say which is whose.
            for surface in (cell.surfaces if len(cell.normalized) == 1 else ())
            for label in cell.normalized
        )

    def normalize(self, category: str, attribute: str, surfaces: Sequence[str]) -> list[str]:
        """What the data set would write for all surfaces of one cell, each once."""
        if attribute in _LEARNED:
            labels = [self._classes.label(f"{category}/{attribute}", surface) for surface in surfaces]
            return [max(filter(None, labels), key=labels.count)] if any(labels) else list(surfaces)
        rule = self._rules.get(attribute)
        if rule is None:
            return list(surfaces)
        return list(dict.fromkeys(value for surface in surfaces for value in rule(surface)))

    @property
    def _rules(self) -> Mapping[str, Callable[[str], list[str]]]:
        length = partial(self._measured, _CM, "inch", 1)
        code = partial(self._code, "model")
        return {
            **dict.fromkeys(("Width", "Height", "Length", "Depth"), length),
            "Size/Weight": partial(self._measured, _GRAMS, None, 0),
            "Paper Weight": partial(self._measured, _KILOGRAMS, "lb", 1),
            **dict.fromkeys(("Capacity", "Cache"), self._bytes),
            "Rotational Speed": self._rotations,
            **dict.fromkeys(("Ports", "Processor Core"), self._ports),
            "Pack Quantity": self._packs,
            **dict.fromkeys(("Manufacturer Stock Number", "Part Number", "Model Number"), code),
            "Retail UPC": lambda surface: [digits[3:8] for digits in self._code("gtin", surface)],
            **dict.fromkeys(("Color", "Color(s)"), self._base_color),
            "Manufacturer": lambda surface: [_company.sub(lambda name: _COMPANIES[name[0]], surface)],
            "Brand": lambda surface: [surface.upper()],
            "Generation": lambda surface: [_expanded(surface)],
        }

    def _ours(self, surface: str, definition: Attribute) -> str:
        value = AttributeValue(definition.id, surface, "", None, None, "title", "span", 1.0)
        return normalize_value(value, definition, self._units)[0].canonical

    def _quantity(self, surface: str) -> Quantity | None:
        found = parse_quantity(surface.strip(), self._units)
        return found if isinstance(found, Quantity) else None

    def _measured(
        self, factors: Mapping[str, float], default: str | None, places: int, surface: str
    ) -> list[str]:
        """Converted, in floats as the data set; the last number of a range."""
        found = self._quantity(surface)
        factor = factors.get(found.unit or default or "") if found else None
        if not found or factor is None:
            return [surface]
        return [f"{float(find_numbers(found.canonical)[-1]) * factor:.{places}f}"]

    def _bytes(self, surface: str) -> list[str]:
        """ "40/80-GB" -> "40/80 Gigabytes", "2 x 2GB" -> "4 Gigabytes", "512" -> "512 Megabytes"."""
        found = self._quantity(_bare_prefix.sub(r"\1B", surface))
        name = _UNIT_NAMES.get(found.unit or "MB") if found else None
        if not found or not name:
            return [surface]
        if " x " in found.canonical:
            one, other = find_numbers(found.canonical)[:2]
            return [f"{format_number(one * other)} {name}"]
        return [f"{found.canonical.replace(' / ', '/')} {name}"]

    def _rotations(self, surface: str) -> list[str]:
        bare = surface.upper().removesuffix("RPM").strip()
        return [self._ours(f"{bare} RPM", Attribute("speed", "", "", normalizer="quantity", unit="rpm"))]

    def _ports(self, surface: str) -> list[str]:
        """ "Dual Port", "DP" -> "2", "2-ports Int/4-ports Ext" -> "6"."""
        numbers = find_numbers(surface)
        if len(numbers) > 1:
            return [format_number(sum(numbers, Fraction()))]
        number = self._ours(surface, Attribute("ports", "", "", normalizer="number"))
        return [_PORTS.get(number, number)]

    def _packs(self, surface: str) -> list[str]:
        """Every number that is written, else the one that a word means."""
        if numbers := find_numbers(surface):
            return [format_number(number) for number in numbers]
        return [self._ours(surface, Attribute("pack", "", "", normalizer="pack"))]

    def _code(self, normalizer: str, surface: str) -> list[str]:
        code = self._ours(surface, Attribute("code", "", "", normalizer=normalizer))
        return [code.replace(".", "")]

    def _base_color(self, surface: str) -> list[str]:
        """The first of several colors."""
        first = self._ours(surface, self._color).split("/")[0]
        return [_PALETTE.get(first, _PALETTE["multicolor"])]


def _expanded(surface: str) -> str:
    return _generation.sub(lambda found: f"{_GENERATIONS[found[1].upper()]} ", surface).strip()
