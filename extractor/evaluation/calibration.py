"""How far confidence can be trusted, and the curves that make it so: an EvalRun in, records and a Calibration out.

A value is judged where gold lists its attribute (protocol *paper*): right when it is one of the accepted forms. Of
what gold does not list nobody knows. Reliability is that of Guo et al., "On Calibration of Modern Neural Networks"
(arXiv 1706.04599): bins of equal width, and the expected calibration error (ECE).

Curves are isotonic regressions by pool adjacent violators (Ayer et al. 1955; for confidences Zadrozny & Elkan 2002),
with steps of a least size whose middles are joined by straight lines. On held-out fifths of the training listings
this was better than temperature or Platt scaling, and one curve a kind better than one for all (eval/LOG.md).
Pure: no files, no models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from extractor.calibrate import Calibration, Curve, kind_of
from extractor.evaluation.runs import EvalRun, gold_form

# Confidence, and whether the value was right.
Pair = tuple[float, bool]

# As Guo et al. have it.
BINS = 15
THRESHOLDS = tuple(k / 10 for k in range(10))
# The share of the right among so many values is known to 5 points (one standard error, at worst).
STEP_VALUES = 100
# A kind of value with fewer keeps its raw confidence.
KIND_VALUES = 3 * STEP_VALUES
FOLDS = 5
# What the journal keeps.
_PLACES = 4


@dataclass(frozen=True, slots=True)
class Bin:
    """Judged values whose confidence is above `low` and at most `high`; the first bin has 0 as well."""

    low: float
    high: float
    values: int
    # Their mean confidence, and the share that is right; None without values.
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram in numbers."""

    # Of equal width, from 0 to 1.
    bins: tuple[Bin, ...]
    # Mean distance of confidence and accuracy, bins weighted by their values; 0..1.
    ece: float
    # Values that were judged.
    values: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is left when values below a threshold are dropped."""

    threshold: float
    # Share of the right among those left; None when nothing is left.
    precision: float | None
    # Share of the judged values that is left.
    coverage: float


class Judged(NamedTuple):
    """A predicted value, held against gold."""

    product_id: str
    # See calibrate.kind_of.
    kind: str
    confidence: float
    correct: bool


def judged(run: EvalRun) -> list[Judged]:
    """Every predicted value whose attribute the gold record lists."""
    return [
        Judged(
            record.id, kind_of(value.how, value.source), value.confidence, gold_form(value) in (forms or ())
        )
        for record in run.gold
        if record.id in run.outcomes
        for value in run.outcomes[record.id].values
        for forms in [record.attributes.get(value.attribute)]
        if value.attribute in record.attributes
    ]


def judged_values(run: EvalRun) -> list[Pair]:
    """The same without product and kind: what `reliability` and `coverage` take."""
    return pairs(judged(run))


def pairs(values: Iterable[Judged]) -> list[Pair]:
    return [(value.confidence, value.correct) for value in values]


# --- measuring


def reliability(judged_pairs: Sequence[Pair], bins: int = BINS) -> Reliability:
    """Confidence against accuracy, in bins of equal width."""
    confidence, correct = _columns(judged_pairs)
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    stated = np.bincount(place, confidence, minlength=bins)
    right = np.bincount(place, correct, minlength=bins)
    return Reliability(
        bins=tuple(
            Bin(float(low), float(high), int(n), float(c / n) if n else None, float(r / n) if n else None)
            for low, high, n, c, r in zip(edges, edges[1:], count, stated, right, strict=False)
        ),
        ece=float(np.abs(stated - right).sum() / max(1, len(confidence))),
        values=len(confidence),
    )


def coverage(judged_pairs: Sequence[Pair], thresholds: Sequence[float] = THRESHOLDS) -> list[Coverage]:
    """Precision and coverage of the values at and above each threshold."""
    confidence, correct = _columns(judged_pairs)
    rows = []
    for threshold in thresholds:
        left = confidence >= threshold
        precision = float(correct[left].mean()) if left.any() else None
        rows.append(Coverage(threshold, precision, float(left.sum() / max(1, len(left)))))
    return rows


# --- fitting


def fit(pairs_by_kind: Mapping[str, Sequence[Pair]], fitted_on: Sequence[str] = ()) -> Calibration:
    """A curve for every kind of value that has `KIND_VALUES` judged ones."""
    curves = {
        kind: isotonic_curve(judged_pairs)
        for kind, judged_pairs in sorted(pairs_by_kind.items())
        if len(judged_pairs) >= KIND_VALUES
    }
    return Calibration(curves, tuple(fitted_on))


def isotonic_curve(judged_pairs: Sequence[Pair], step_values: int = STEP_VALUES) -> Curve:
    """The never descending curve that is nearest to what was judged (least squares).

    Args:
        judged_pairs: One at least.
        step_values: Steps with fewer values join the next one, so that a few lucky values make no peak.
    """
    rounded = sorted((round(confidence, _PLACES), correct) for confidence, correct in judged_pairs)
    steps = [_Step.of(list(equal)) for _, equal in groupby(rounded, key=itemgetter(0))]
    steps = _widened(pooled(steps), step_values)
    return Curve(
        tuple(round(step.confidence / step.values, 6) for step in steps),
        tuple(round(step.correct / step.values, _PLACES) for step in steps),
    )


class _Step(NamedTuple):
    """Values next to each other that get one calibrated confidence: their number, and sums over them."""

    values: int
    confidence: float
    correct: float

    @classmethod
    def of(cls, judged_pairs: Sequence[Pair]) -> _Step:
        return cls(
            len(judged_pairs), sum(c for c, _ in judged_pairs), sum(right for _, right in judged_pairs)
        )

    def join(self, other: _Step) -> _Step:
        return _Step(
            self.values + other.values, self.confidence + other.confidence, self.correct + other.correct
        )

    @property
    def accuracy(self) -> float:
        return self.correct / self.values


def pooled(steps: Iterable[_Step]) -> list[_Step]:
    """Pool adjacent violators: a step that is not above the one before joins it."""
    kept: list[_Step] = []
    for step in steps:
        while kept and kept[-1].accuracy >= step.accuracy:
            step = kept.pop().join(step)
        kept.append(step)
    return kept


def _widened(steps: Sequence[_Step], least: int) -> list[_Step]:
    """Small steps joined to the next one, a small last one to the one before; stays ascending."""
    kept: list[_Step] = []
    for step in steps:
        if kept and kept[-1].values < least:
            step = kept.pop().join(step)
        kept.append(step)
    if len(kept) > 1 and kept[-1].values < least:
        last = kept.pop()
        kept.append(kept.pop().join(last))
    return kept


def by_kind(values: Iterable[Judged]) -> dict[str, list[Pair]]:
    """What `fit` takes."""
    kinds: dict[str, list[Pair]] = defaultdict(list)
    for value in values:
        kinds[value.kind].append((value.confidence, value.correct))
    return dict(kinds)


def calibrated(values: Iterable[Judged], calibration: Calibration) -> list[Judged]:
    """The same values with calibrated confidences."""
    curves = calibration.curves
    return [
        value._replace(confidence=curves[value.kind](value.confidence)) if value.kind in curves else value
        for value in values
    ]


def cross_calibrated(values: Sequence[Judged], folds: int = FOLDS) -> list[Judged]:
    """Every value calibrated by curves that were fitted without its listing; order kept.

    Listings are dealt out to the folds in the order they come in: values of one listing stay together.
    """
    order = {product_id: k for k, product_id in enumerate(dict.fromkeys(v.product_id for v in values))}
    fold_of = [order[value.product_id] % folds for value in values]
    fitted = [
        fit(by_kind(value for value, its in zip(values, fold_of, strict=True) if its != fold))
        for fold in range(folds)
    ]
    return [calibrated([value], fitted[fold])[0] for value, fold in zip(values, fold_of, strict=True)]


def _columns(judged_pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Confidences and 0/1, as arrays."""
    table = np.array(judged_pairs, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]
