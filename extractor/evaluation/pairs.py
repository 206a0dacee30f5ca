"""How well labelled pairs of listings are told apart: same product or not, on a public matching set.

In: the train, valid and test part of a set. Out: precision, recall and F1 on test of two scorers: `shipped`, the
package's, and `fitted`, made of the train part as `extractor graph match-fit` does. Thresholds come from valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractor.evaluation.metrics import Counts
from extractor.evaluation.tasks import Measured
from extractor.match.fit import examples_of, fit_scorer, tune_bands
from extractor.match.pairs import Pairs, read_pairs
from extractor.match.score import shipped_scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FITTED, SHIPPED = "fitted", "shipped"


def measure(inputs: Mapping[str, Path]) -> Measured:
    """Score the pairs of `test`; `valid` tunes, `train` fits. ConfigError when a file is missing or broken."""
    train, valid, test = (read_pairs(inputs[part]) for part in ("train", "valid", "test"))
    tuning, judged = examples_of(valid), examples_of(test)
    fitted, shipped = fit_scorer([examples_of(train)], tuning), shipped_scorer()
    tuned = tune_bands(shipped.of_examples(tuning.features, tuning.words), tuning.labels)
    parts: dict[str, dict[str, float]] = {}
    mistakes: list[dict[str, Any]] = []
    for name, scorer, bands in ((FITTED, fitted, fitted.bands), (SHIPPED, shipped, tuned)):
        probabilities = scorer.of_examples(judged.features, judged.words)
        parts[name] = {**_figures(test.labels, probabilities >= bands.same), "threshold": bands.same}
        mistakes += _mistakes(name, test, probabilities, bands.same)
    # The same pairs twice: they count once.
    parts[FITTED] = {"records": len(test.labels), **parts[FITTED]}
    return Measured(parts, mistakes)


def _figures(labels: NDArray[np.int64], said: NDArray[np.bool_]) -> dict[str, float]:
    right, same = int(labels[said].sum()), int(labels.sum())
    counts = Counts(nv=int(said.sum()) - right, vn=same - right, vc=right)
    return {**counts.scores(), "same": same, "spurious": counts.nv, "missed": counts.vn}


def _mistakes(
    scorer: str, pairs: Pairs, probabilities: NDArray[np.float64], threshold: float
) -> Iterator[dict[str, Any]]:
    for number, (label, probability) in enumerate(zip(pairs.labels, probabilities, strict=True)):
        if bool(label) != bool(probability >= threshold):
            titles = (pairs.listings[side[number]].title for side in (pairs.left, pairs.right))
            sides = dict(zip(("left", "right"), titles, strict=True))
            yield {
                "id": pairs.ids[number],
                "scorer": scorer,
                "label": int(label),
                "probability": round(float(probability), 4),
                **sides,
            }
