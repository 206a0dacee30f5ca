"""Where things stand on an axis, in percent of its width: what the pages' SVG is drawn from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis; low, high and step in the unit of what it shows."""

    low: float
    high: float
    step: float

    def at(self, value: float) -> float:
        """Percent of the width, 0..100 with two places; what lies outside stands at the edge."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def holds(self, value: float) -> bool:
        # A billionth of a point is nothing, and too little to be divided by a step.
        return self.low <= round(value, 9) <= self.high

    @property
    def ticks(self) -> list[float]:
        # Steps such as 0.2 do not divide exactly.
        first, last = math.ceil(self.low / self.step - 1e-6), math.floor(self.high / self.step + 1e-6)
        return [number * self.step for number in range(first, last + 1)]


def scale_over(values: Iterable[float], *, low: float = -100.0, high: float = 100.0, parts: int = 8) -> Scale:
    """The smallest round axis within low..high that has all values on it.

    Ticks stand at 1, 2 or 5 times a power of ten and divide it into at most so many parts.
    """
    seen = [min(high, max(low, value)) for value in values if math.isfinite(value)] or [low, high]
    bottom, top = min(seen), max(seen)
    if top - bottom < 1:
        bottom, top = max(low, bottom - 1), min(high, top + 1)
    axes = (_rounded(bottom, top, step) for step in _steps())
    axis = next(axis for axis in axes if round((axis.high - axis.low) / axis.step) <= parts)
    return Scale(max(low, axis.low), min(high, axis.high), axis.step)


def around_zero(values: Iterable[float], *, share: float = 1.0, parts: int = 8) -> Scale:
    """An axis with zero in its middle that holds a share of the values: some are so far that all others look equal."""
    far = sorted(abs(value) for value in values if math.isfinite(value)) or [1.0]
    reach = max(1.0, far[math.ceil(share * len(far)) - 1])
    return scale_over([-reach, reach], parts=parts)


def _rounded(low: float, high: float, step: float) -> Scale:
    return Scale(math.floor(low / step) * step, math.ceil(high / step) * step, step)


def _steps() -> Iterable[float]:
    return (factor * 10.0**power for power in range(-1, 4) for factor in (1, 2, 5))
