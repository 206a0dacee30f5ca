"""How well surfaces are normalized, given the right ones: our own gold, and WDC-PAVE's `normalized` where it is there.

In: files of gold. Out: precision, recall and F1 (those of attribute scoring, a cell for each value) of each set as a
whole and of each kind of value. WDC-PAVE is normalized by its own conventions (wdc_pave.py), and judged on its core
attributes: the others are copied there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from extractor.attribute import Attribute
from extractor.datafile import explain
from extractor.errors import ConfigError, SchemaError
from extractor.evaluation.metrics import Counts, judge
from extractor.evaluation.tasks import Measured
from extractor.evaluation.wdc_pave import KINDS, Conventions, Labelled
from extractor.gold import read_rows
from extractor.normalize import NORMALIZERS, load_units, normalize_value
from extractor.records import AttributeValue, Reason
from extractor.schema import SchemaStore, default_folder

OURS, WDC_PAVE = "ours", "wdcpave"
# Category whose schema lends the palette; all take the same.
_COLORED = "clothing"


class Cell(NamedTuple):
    """One value, or all values of one attribute of a listing."""

    id: str
    kind: str
    surfaces: Sequence[str]
    gold: Sequence[str]
    found: Sequence[str]


class _Line(BaseModel):
    """A line of our gold."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str
    surface: str
    canonical: str
    unit: str | None = None
    # Why it had to stay as written.
    problem: str | None = None
    # An attribute of our schemas ...
    category: str | None = None
    attribute: str | None = None
    # ... or a bare normalizer, with the unit to convert to.
    normalizer: str | None = None
    x_unit: str | None = None


def measure(inputs: Mapping[str, Path]) -> Measured:
    """Normalize the surfaces of `gold`, and of `wdcpave` with the rules learned from `wdcpave_train`.

    Raises:
        ConfigError: a file is missing or broken.
    """
    sets = {OURS: list(our_cells(inputs["gold"]))}
    if "wdcpave" in inputs and "wdcpave_train" in inputs:
        sets[WDC_PAVE] = list(wdc_pave_cells(inputs["wdcpave"], inputs["wdcpave_train"]))
    parts: dict[str, Mapping[str, float]] = {}
    for name, cells in sets.items():
        parts[name] = {"records": len({cell.id for cell in cells}), **_figures(cells)}
        by_kind = defaultdict(list)
        for cell in cells:
            by_kind[cell.kind].append(cell)
        parts |= {f"{name}: {kind}": _figures(by_kind[kind]) for kind in sorted(by_kind)}
    wrong = [
        {"set": name, **cell._asdict()}
        for name, cells in sets.items()
        for cell in cells
        if not _is_right(cell)
    ]
    return Measured(parts, wrong)


def our_cells(path: Path) -> Iterator[Cell]:
    """What the package makes of our gold."""
    store, units = SchemaStore(default_folder()), load_units(default_folder())
    for where, row in read_rows(path, ("surface", "canonical")):
        line = _line(row, where)
        definition = _definition(line, store, where)
        value = AttributeValue(definition.id, line.surface, "", None, None, "title", "span", 1.0)
        normal, rejection = normalize_value(value, definition, units)
        found = _spelled(normal.canonical, normal.unit, rejection.reason if rejection else None)
        gold = _spelled(line.canonical, line.unit, line.problem)
        yield Cell(line.id, str(definition.normalizer), [line.surface], [gold], [found])


def wdc_pave_cells(test: Path, train: Path) -> Iterator[Cell]:
    """What the data set's conventions make of its gold surfaces."""
    color = SchemaStore(default_folder()).for_category(_COLORED).attribute("color")
    learned = (cell for _, row in read_rows(train, _WDC_KEYS) for cell in _labelled(row))
    conventions = Conventions(learned, color, load_units(default_folder()))
    for _, row in read_rows(test, _WDC_KEYS):
        for cell in _labelled(row):
            found = conventions.normalize(cell.category, cell.attribute, cell.surfaces)
            yield Cell(row["id"], KINDS.get(cell.attribute, "copied"), cell.surfaces, cell.normalized, found)


_WDC_KEYS = ("category", "attributes", "normalized", "core_attributes")


def _labelled(row: Mapping[str, Any]) -> Iterator[Labelled]:
    """Core attributes that have a value."""
    for name in row["core_attributes"]:
        surfaces, normalized = row["attributes"].get(name), row["normalized"].get(name)
        if surfaces and normalized:
            yield Labelled(row["category"], name, surfaces, normalized)


def _line(row: Mapping[str, Any], where: str) -> _Line:
    try:
        line = _Line.model_validate(row)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from None
    if bool(line.normalizer) == bool(line.attribute):
        raise ConfigError(f"{where}: needs category and attribute, or a normalizer; give one of the two")
    if line.normalizer and line.normalizer not in NORMALIZERS:
        raise ConfigError(f"{where}: no normalizer {line.normalizer!r}; there are {', '.join(NORMALIZERS)}")
    if line.problem and line.problem not in set(Reason):
        raise ConfigError(f"{where}: no problem {line.problem!r}; there are {', '.join(Reason)}")
    return line


def _definition(line: _Line, store: SchemaStore, where: str) -> Attribute:
    if line.attribute is None:
        return Attribute("value", "", "", normalizer=line.normalizer, unit=line.x_unit)
    try:
        return store.by_id(line.category or "base").attribute(line.attribute)
    except (SchemaError, KeyError):
        raise ConfigError(
            f"{where}: no attribute {line.attribute!r} in category {line.category!r}; see extractor schemas show"
        ) from None


def _spelled(canonical: str, unit: str | None, problem: str | None) -> str:
    """One text to compare: "2 x 500 g"; "25k !UNKNOWN_UNIT"."""
    return " ".join([canonical, *([unit] if unit else []), *([f"!{problem}"] if problem else [])])


def _is_right(cell: Cell) -> bool:
    return judge(cell.gold, cell.found).is_right


def _figures(cells: Iterable[Cell]) -> dict[str, float]:
    """Of cells, right when everything found is an accepted form; `value_f1` asks for each single value of a cell."""
    counts, shared, listed = Counts(), 0, 0
    for cell in cells:
        gold, found = set(cell.gold), set(cell.found)
        counts.add(judge(cell.gold, cell.found))
        shared, listed = shared + len(gold & found), listed + len(gold) + len(found)
    value_f1 = round(200 * shared / listed, 2) if listed else 0.0
    return {"values": counts.vc + counts.vw, **counts.scores(), "value_f1": value_f1, "wrong": counts.vw}
