"""Gold and prediction files <-> records: JSON Lines, gzip'ed or not, errors with file and line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError
from extractor.evaluation.metrics import GoldRecord, Values


def read_gold(path: Path) -> list[GoldRecord]:
    """`{"id", "category", "attributes": {name: [values] | null}}` lines, file order.

    An attribute named in `na_first` was first labelled "n/a" and counts as having no value (AE-110K's protocol).
    """
    records: dict[str, GoldRecord] = {}
    for where, row in read_rows(path, ("category", "attributes")):
        first_none = row.get("na_first", ())
        attributes = {
            name: None if name in first_none else _values(value) for name, value in row["attributes"].items()
        }
        if row["id"] in records:
            raise ConfigError(f"{where}: id {row['id']!r} stands twice; make ids unique")
        records[row["id"]] = GoldRecord(row["id"], row["category"], attributes)
    return list(records.values())


def read_predictions(path: Path, known: Mapping[str, GoldRecord]) -> dict[str, dict[str, Values]]:
    """`{"id", "predicted": {name: value | [values] | null}}` lines; ids have to be gold ids, each once."""
    predictions: dict[str, dict[str, Values]] = {}
    for where, row in read_rows(path, ("predicted",)):
        if row["id"] not in known:
            raise ConfigError(
                f"{where}: id {row['id']!r} is not in the gold file; score against the right one"
            )
        if row["id"] in predictions:
            raise ConfigError(f"{where}: id {row['id']!r} stands twice; keep one prediction a record")
        predictions[row["id"]] = {name: _values(value) for name, value in row["predicted"].items()}
    return predictions


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file:line", object) pairs; every object has an id and the keys that are needed."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as lines
        ):
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{number}", _object(line, f"{path}:{number}", needed)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {getattr(error, 'strerror', None) or error}; give a JSON Lines file"
        ) from None


def _object(line: str, where: str, needed: Sequence[str]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: no JSON: {error}") from None
    if not isinstance(row, dict) or not all(key in row for key in ("id", *needed)):
        raise ConfigError(f"{where}: expected an object with id, {' and '.join(needed)}")
    if not isinstance(row[needed[-1]], dict):
        raise ConfigError(f"{where}: {needed[-1]} is no object; write {{name: value}}")
    return row


def _values(value: Any) -> Values:
    """One value, a list or null, as a list or None; spaces at a value's edges are slips of annotation tools."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    return [str(item).strip() for item in items] or None
