"""Normalizing one surface under a definition made for a test."""

from __future__ import annotations

from extractor.attribute import Attribute
from extractor.normalize import load_units, normalize_value
from extractor.records import AttributeValue, Rejection
from extractor.schema import default_folder

UNITS = load_units(default_folder())


def attribute(normalizer: str | None, unit: str | None = None, **more: object) -> Attribute:
    return Attribute("x", "X", "", normalizer=normalizer, unit=unit, **more)  # type: ignore[arg-type]


def normalize(surface: str, definition: Attribute) -> tuple[AttributeValue, Rejection | None]:
    value = AttributeValue("x", surface, "", None, None, "title", "span", 1.0)
    return normalize_value(value, definition, UNITS, "p1")
