"""Gold and predictions in, the numbers that statistics resample out, under every view that is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from extractor.evaluation.metrics import (
    Cell,
    Measure,
    Protocol,
    judged_cells,
    sums_by_record,
)
from extractor.evaluation.statistics import Array, Scores, SumsArray, resampled, scores_of
from extractor.gold import GoldRecord, Values

# Name of a view -> cells that count, and how a value is matched.
VIEWS: Mapping[str, tuple[Protocol, Measure]] = {
    "paper": ("paper", "exact"),
    "strict": ("strict", "exact"),
    "normalized": ("paper", "normalized"),
    "overlap": ("paper", "overlap"),
}


def scores_with_intervals(
    gold: Sequence[GoldRecord],
    predictions: Mapping[str, Mapping[str, Values]],
    offered: Mapping[str, Sequence[str]] | None = None,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Scores]:
    """View -> micro scores; the arguments are those of `metrics.tally`."""
    sums = sums_of_views(list(judged_cells(gold, predictions, offered)), [record.id for record in gold])
    rng = np.random.default_rng(seed)
    return scores_of_views(sums, resampled(sums, resamples, rng), rng)


def sums_of_views(cells: Sequence[Cell], ids: Sequence[str]) -> SumsArray:
    """(listing, view, Sums), listings in the order of their ids, views in that of VIEWS."""
    views = [
        sums_by_record(cells, ids, protocol=protocol, measure=measure) for protocol, measure in VIEWS.values()
    ]
    return np.array(views, dtype=np.float64).swapaxes(0, 1)


def scores_of_views(sums: SumsArray, totals: Array, rng: np.random.Generator) -> dict[str, Scores]:
    """From (listing, view, Sums) and the samples drawn of it, (resample, view, Sums)."""
    return {view: scores_of(sums[:, i], totals[:, i], rng) for i, view in enumerate(VIEWS)}
