"""Prediction files in, values by record and attribute out; every complaint names file and line."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError
from extractor.gold import Values, read_rows, to_values


def read_predictions(path: Path, known: Container[str]) -> dict[str, dict[str, Values]]:
    """`{"id", "predicted": {name: value | [values] | null}}` lines; ids have to be gold ids, each once."""
    predictions: dict[str, dict[str, Values]] = {}
    for where, row in read_rows(path, ("predicted",)):
        if row["id"] not in known:
            raise ConfigError(
                f"{where}: id {row['id']!r} is not in the gold file; score against the right one"
            )
        if row["id"] in predictions:
            raise ConfigError(f"{where}: id {row['id']!r} stands twice; keep one prediction a record")
        predictions[row["id"]] = predicted_values(row, where)
    if not predictions:
        raise ConfigError(f"{path}: holds no prediction; give a file with one a line")
    return predictions


def predicted_values(row: Mapping[str, Any], where: str) -> dict[str, Values]:
    """Attribute -> values of a prediction line."""
    return {name: to_values(value, f"{where}: {name}") for name, value in row["predicted"].items()}
