"""One run's scores category by category and attribute by attribute, the baselines' F1 beside them.

In: cells (metrics.py). Out: one row for each slice. Knows no runs and no pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from extractor.evaluation.metrics import Cell, Counts, Protocol, count, sums_by_record
from extractor.evaluation.statistics import Scores, scores

KEYS: Mapping[str, Callable[[Cell], str]] = {
    "category": lambda cell: cell.record.category,
    "attribute": lambda cell: cell.attribute,
}


@dataclass(frozen=True, slots=True)
class SliceScores:
    """One category, or one attribute over all categories."""

    name: str
    # Listings with a cell in the slice.
    records: int
    counts: Counts
    # Micro, with intervals over the slice's listings.
    scores: Scores
    # Baseline -> F1, 0..100; those without a cell in the slice are not in it.
    baselines: Mapping[str, float]


def slice_scores(
    cells: Sequence[Cell],
    baselines: Mapping[str, Sequence[Cell]],
    kind: str,
    *,
    protocol: Protocol = "paper",
    resamples: int = 2_000,
) -> list[SliceScores]:
    """Every slice of a kind ("category", "attribute") in which something is stated or predicted, largest first."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.counts_under(protocol):
            groups[KEYS[kind](cell)].append(cell)
    others = {
        name: count((cell for cell in found if cell.counts_under(protocol)), KEYS[kind])
        for name, found in baselines.items()
    }
    rows = [
        _row(
            name,
            group,
            {other: c[name].scores()["f1"] for other, c in others.items() if name in c},
            resamples,
        )
        for name, group in groups.items()
        if any(cell.judgment.kind != "nn" for cell in group)
    ]
    return sorted(rows, key=lambda row: (-row.records, row.name))


def _row(name: str, cells: Sequence[Cell], baselines: Mapping[str, float], resamples: int) -> SliceScores:
    ids = list(dict.fromkeys(cell.record.id for cell in cells))
    # All cells count: those that do not were left out before.
    sums = np.array(sums_by_record(cells, ids, protocol="strict"), dtype=np.float64)
    counts = count(cells, lambda _: name)[name]
    return SliceScores(name, len(ids), counts, scores(sums, resamples=resamples), baselines)
