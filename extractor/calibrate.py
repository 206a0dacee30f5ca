"""Confidence as a model has it in, confidence as its values turned out to be right out.

The curves were fitted by `extractor eval calibrate` and travel with the model, in its extractor.json. A value keeps
all but its confidence, and of two values of one kind the surer one stays the surer one. Knows no gold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from extractor.datafile import DataFileError, parse_json, read_text
from extractor.errors import ConfigError
from extractor.records import AttributeValue, How, Source, with_confidence


@dataclass(frozen=True, slots=True)
class Curve:
    """A confidence for each raw one: straight between its points, level before the first and after the last."""

    # Ascending, 0..1; one at least.
    raw: tuple[float, ...]
    # What becomes of each of them; 0..1, never descending.
    calibrated: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.raw or len(self.raw) != len(self.calibrated):
            raise ValueError("needs as many raw as calibrated confidences, and one at least")
        if not all(0.0 <= number <= 1.0 for number in (*self.raw, *self.calibrated)):
            raise ValueError("confidences must be numbers from 0 to 1")
        if not all(low < high for low, high in pairwise(self.raw)):
            raise ValueError("raw confidences must ascend")
        if not all(low <= high for low, high in pairwise(self.calibrated)):
            raise ValueError("calibrated confidences must not descend")

    def __call__(self, confidence: float) -> float:
        after = bisect_right(self.raw, confidence)
        if after in (0, len(self.raw)):
            return self.calibrated[after and -1]
        (left, right), (low, high) = self.raw[after - 1 : after + 1], self.calibrated[after - 1 : after + 1]
        # Rounding must not carry it past a point.
        return min(high, low + (high - low) * (confidence - left) / (right - left))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The curves of one model; without any, confidences stay as they are."""

    # Kind of value (see `kind_of`) -> its curve.
    curves: Mapping[str, Curve] = field(default_factory=dict)
    # The suites on whose training listings they were fitted.
    fitted_on: tuple[str, ...] = ()

    def apply(self, confidence: float, how: How, source: Source = "title") -> float:
        """The calibrated confidence; the same one for a kind of value that was not seen in fitting."""
        curve = self.curves.get(kind_of(how, source))
        return curve(confidence) if curve else confidence

    def to_json(self) -> dict[str, Any]:
        """What stands in extractor.json."""
        return {
            "fitted_on": list(self.fitted_on),
            "curves": {
                kind: {"raw": list(curve.raw), "calibrated": list(curve.calibrated)}
                for kind, curve in self.curves.items()
            },
        }

    @classmethod
    def from_json(cls, content: Any) -> Calibration:
        """Inverse of `to_json`; ValueError says what is wrong."""
        try:
            curves = {
                str(kind): Curve(_numbers(points["raw"]), _numbers(points["calibrated"]))
                for kind, points in content["curves"].items()
            }
            return cls(curves, tuple(map(str, content["fitted_on"])))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"is not what `extractor eval calibrate` writes ({error})") from None


UNCALIBRATED = Calibration()
# What this package writes down about a model, in the model's folder.
MODEL_NOTES = "extractor.json"


def read_calibration(folder: Path) -> Calibration:
    """What stands in a model's folder; ConfigError when it is broken."""
    path = folder / MODEL_NOTES
    try:
        notes = parse_json(read_text(path)) if path.is_file() else {}
        return Calibration.from_json(notes["calibration"]) if "calibration" in notes else UNCALIBRATED
    except (DataFileError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValueError as error:
        raise ConfigError(f'{path}: "calibration" {error}; calibrate the model again') from None


def kind_of(how: How, source: Source) -> str:
    """Values that share a curve: "span/title". In a long description much more is wrong at the same probability."""
    return f"{how}/{source}"


def calibrate(value: AttributeValue, calibration: Calibration) -> AttributeValue:
    """The same value with its calibrated confidence."""
    return with_confidence(value, calibration.apply(value.confidence, value.how, value.source))


def _numbers(points: Sequence[Any]) -> tuple[float, ...]:
    if not all(isinstance(number, (int, float)) for number in points):
        raise TypeError("confidences must be numbers")
    return tuple(map(float, points))
