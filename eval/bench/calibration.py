"""Which calibrator: raw, temperature, Platt and isotonic, one for all values or one a kind, on held-out fifths.

    extractor eval calibrate oamine ae110k wdcpave --out DIR --dry-run
    python eval/bench/calibration.py DIR

Reads the run folders of training listings that the first command leaves; no test split is involved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from extractor.evaluation.calibration import FOLDS, Judged, Pair, isotonic_curve, judged, pairs, reliability
from extractor.evaluation.runs import open_eval_run

Calibrator = Callable[[float], float]
_NEWTON_STEPS = 50
_EDGE = 1e-4


def logit(confidence: np.ndarray | float) -> np.ndarray:
    clipped = np.clip(confidence, _EDGE, 1 - _EDGE)
    return np.log(clipped / (1 - clipped))


def scaled(judged_pairs: Sequence[Pair], *, bias: bool) -> Calibrator:
    """Logistic regression on the logit: temperature scaling without a bias, Platt scaling with one."""
    confidence, correct = np.array(judged_pairs, dtype=float).T
    inputs = np.column_stack([logit(confidence), np.ones_like(confidence)][: 1 + bias])
    weights = np.zeros(inputs.shape[1])
    for _ in range(_NEWTON_STEPS):
        predicted = 1 / (1 + np.exp(-inputs @ weights))
        slope = (inputs * (predicted * (1 - predicted))[:, None]).T @ inputs
        weights += np.linalg.solve(slope, inputs.T @ (correct - predicted))
    slope, shift = (*weights, 0.0)[:2]
    return lambda confidence: float(1 / (1 + np.exp(-(slope * logit(confidence) + shift))))


FITS: dict[str, Callable[[Sequence[Pair]], Calibrator]] = {
    "raw": lambda _: lambda confidence: confidence,
    "temperature": lambda found: scaled(found, bias=False),
    "Platt": lambda found: scaled(found, bias=True),
    "isotonic": isotonic_curve,
}


def cross_fitted(
    values: Sequence[Judged], fit: Callable[[Sequence[Pair]], Calibrator], *, by_kind: bool
) -> list[Judged]:
    """As `cross_calibrated`, with any calibrator."""
    order = {product_id: k for k, product_id in enumerate(dict.fromkeys(v.product_id for v in values))}
    kind_of = [value.kind if by_kind else "all" for value in values]
    fold_of = [order[value.product_id] % FOLDS for value in values]
    rows = list(zip(values, kind_of, fold_of, strict=True))
    fitted = {
        (kind, fold): fit(pairs(v for v, k, f in rows if k == kind and f != fold))
        for kind in set(kind_of)
        for fold in range(FOLDS)
    }
    return [value._replace(confidence=fitted[kind, fold](value.confidence)) for value, kind, fold in rows]


def main(folder: Path) -> None:
    runs = {path.name: judged(open_eval_run(path)) for path in sorted(folder.glob("*-train"))}
    values = [value for found in runs.values() for value in found]
    print(f"{'':22} ECE    Brier   ECE of {', '.join(runs)}")
    for by_kind in (False, True):
        for name, fit in FITS.items():
            found = cross_fitted(values, fit, by_kind=by_kind)
            brier = np.mean([(value.confidence - value.correct) ** 2 for value in found])
            left = iter(found)
            each = (reliability(pairs(next(left) for _ in run)).ece for run in runs.values())
            label = f"{name}{', by kind' if by_kind else ''}"
            errors = "  ".join(f"{ece:.3f}" for ece in each)
            print(f"{label:22} {reliability(pairs(found)).ece:.4f} {brier:.4f}  {errors}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
