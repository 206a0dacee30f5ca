"""Labelled listings: JSON Lines, gzip'ed or not, in, GoldRecords out; every complaint names file and line.

What is scored against, what demonstrations are picked from, and what calibration is fitted on all have this form.
Does not know what a record is for, nor how predictions are counted.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractor.datafile import DataFileError, parse_json
from extractor.errors import ConfigError
from extractor.records import clean_text

Values = Sequence[str] | None
# Keys that hold {attribute: value}.
_OBJECTS = frozenset({"attributes", "predicted"})
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class GoldRecord:
    """A labelled listing."""

    id: str
    category: str
    # Accepted forms; None: judged to have no value. What is not listed was not judged.
    attributes: Mapping[str, Values]
    title: str = ""
    description: str = ""

    @property
    def text(self) -> str:
        """As `Product.text`."""
        return f"{self.title}\n{self.description}" if self.description else self.title


def read_gold(path: Path) -> list[GoldRecord]:
    """`{"id", "title", "description"?, "category", "attributes": {name: [values] | null}}` lines, file order.

    An attribute named in `na_first` was first labelled "n/a" and counts as having no value (AE-110K's protocol).
    To score predictions a title is not needed; a suite insists on it.
    """
    records: dict[str, GoldRecord] = {}
    for where, row in read_rows(path, ("category", "attributes")):
        if row["id"] in records:
            raise ConfigError(f"{where}: id {row['id']!r} stands twice; make ids unique")
        records[row["id"]] = gold_record(row, where)
    if not records:
        raise ConfigError(f"{path}: holds no record; give a file with one gold record a line")
    return list(records.values())


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file:line", object) pairs; every object has an id, which is text, and the keys that are needed."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as lines
        ):
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{number}", _object(line, f"{path}:{number}", needed)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {getattr(error, 'strerror', None) or error}; give a JSON Lines file"
        ) from None


def gold_record(row: Mapping[str, Any], where: str) -> GoldRecord:
    """A gold line; titles and descriptions lose their edge spaces."""
    without = row.get("na_first", [])
    if not isinstance(without, list):
        raise ConfigError(f"{where}: na_first is {without!r}; write a list of attribute names")
    attributes = {
        name: None if name in without else _accepted(value, f"{where}: {name}")
        for name, value in row["attributes"].items()
    }
    texts = {name: _text(row.get(name), f"{where}: {name}") for name in ("category", "title", "description")}
    return GoldRecord(id=row["id"], attributes=attributes, **texts)


def to_values(value: Any, where: str) -> Values:
    """One value, a list or null, as a list or None; spaces at a value's edges are slips of annotation tools."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str | int | float) for item in items):
        raise ConfigError(f"{where} is {value!r}; write texts in a list, or null")
    return [clean_text(str(item)).strip() for item in items] or None


def normalize_title(title: str) -> str:
    """Its words without case, signs and white space: what makes two listings the same one to a reader."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", title).casefold()))


def _object(line: str, where: str, needed: Sequence[str]) -> dict[str, Any]:
    try:
        row = parse_json(line.strip())
    except DataFileError as error:
        raise ConfigError(f"{where}: no JSON: {str(error).removeprefix('line 1: ')}") from None
    if not isinstance(row, dict) or not all(key in row for key in ("id", *needed)):
        raise ConfigError(f"{where}: expected an object with {_listed(('id', *needed))}")
    if type(row["id"]) not in (str, int) or row["id"] == "":
        raise ConfigError(f"{where}: id is {row['id']!r}; write a text")
    for key in _OBJECTS.intersection(needed):
        if not isinstance(row[key], dict):
            raise ConfigError(f"{where}: {key} is no object; write {{name: value}}")
    return {**row, "id": str(row["id"])}


def _accepted(value: Any, where: str) -> Values:
    forms = to_values(value, where)
    if forms and "" in forms:
        raise ConfigError(f"{where} is {value!r}; an empty text is no value, write null where there is none")
    return forms


def _listed(names: Sequence[str]) -> str:
    """ "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str | None):
        raise ConfigError(f"{where} is {value!r}; write a text")
    return clean_text(value or "").strip()
