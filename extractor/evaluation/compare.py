"""Two eval runs of one suite in, what got better and worse out, and whether it is more than noise.

Every number has its interval: listings are drawn again and again, for both runs together (statistics.py). Knows
nothing of how it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import false_discovery_control

from extractor.errors import ConfigError
from extractor.evaluation.metrics import Cell, Protocol, judged_cells, sums_by_record
from extractor.evaluation.runs import EvalRun
from extractor.evaluation.slice_scores import KEYS
from extractor.evaluation.statistics import (
    ALPHA,
    Difference,
    Interval,
    Scores,
    difference,
    difference_of,
    micro,
    resampled,
)
from extractor.evaluation.verdict import verdict
from extractor.evaluation.views import VIEWS, scores_of_views, sums_of_views
from extractor.gold import Values


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs."""

    # "attributes@v2"; the model where both used the same prompt; the folder where they have that in common, too.
    label: str
    folder: Path
    # See EvalRun.settings.
    settings: Mapping[str, Any]
    # View (views.py) -> F1.
    scores: Mapping[str, Interval]
    precision: Mapping[str, Interval]
    recall: Mapping[str, Interval]
    # Prompt and output tokens together; None where nothing was counted.
    tokens_per_listing: float | None
    listings_per_s: float | None


@dataclass(frozen=True, slots=True)
class Slice:
    """One category, or one attribute over all categories."""

    # "category" or "attribute".
    kind: str
    name: str
    # Listings with a cell in the slice, and its cells.
    records: int
    cells: int
    # F1 of both, 0..100.
    a: float
    b: float
    difference: Difference
    # Corrected over all slices of the comparison, by Benjamini and Hochberg.
    p_adjusted: float

    @property
    def is_worse(self) -> bool:
        return self.difference.value < 0 and self.p_adjusted < ALPHA

    @property
    def is_better(self) -> bool:
        return self.difference.value > 0 and self.p_adjusted < ALPHA


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that is right in one of the runs only."""

    direction: Literal["fixed", "regressed"]
    product_id: str
    category: str
    attribute: str
    # Accepted forms; None: judged to have no value, or, under strict, not listed.
    gold: Values
    a: Values
    b: Values


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is to be said about run b against run a."""

    suite: str
    records: int
    # What slices and changes are counted under.
    protocol: Protocol
    a: Side
    b: Side
    # View -> difference of F1.
    differences: Mapping[str, Difference]
    # Worst difference first.
    slices: Sequence[Slice]
    changes: Sequence[Change]
    # One line.
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """What `eval compare --json` prints."""
        content: dict[str, Any] = _rounded(asdict(self))
        for name, side in (("a", self.a), ("b", self.b)):
            content[name] |= {"folder": str(side.folder), "settings": side.settings}
        return content


def compare(
    a: EvalRun, b: EvalRun, *, protocol: Protocol = "paper", resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare run b with run a.

    Args:
        a: The run before.
        b: The run after, of the same suite and the same gold records.
        protocol: What slices and changes are counted under.
        resamples: Samples of listings that intervals and p-values come from.
        seed: Of these samples.

    Raises:
        ConfigError: the runs are of different suites or of different gold.
    """
    _check_comparable(a, b)
    cells_a, cells_b = _cells(a), _cells(b)
    ids = [record.id for record in a.gold]
    # (listing, side, view, Sums)
    sums = np.stack((sums_of_views(cells_a, ids), sums_of_views(cells_b, ids)), axis=1)
    rng = np.random.default_rng(seed)
    totals = resampled(sums, resamples, rng)
    differences = {
        view: difference_of(sums[:, 0, i], sums[:, 1, i], totals[:, :, i], rng)
        for i, view in enumerate(VIEWS)
    }
    label_a, label_b = _labels(a, b)
    slices = tuple(_slices(cells_a, cells_b, protocol, resamples, seed))
    return Comparison(
        suite=a.suite,
        records=len(ids),
        protocol=protocol,
        a=_side(a, label_a, scores_of_views(sums[:, 0], totals[:, 0], rng)),
        b=_side(b, label_b, scores_of_views(sums[:, 1], totals[:, 1], rng)),
        differences=differences,
        slices=slices,
        changes=tuple(_changes(a, b, cells_a, cells_b, protocol)),
        verdict=verdict(
            label_a,
            label_b,
            protocol,
            differences,
            [f"{each.kind} {each.name}" for each in slices if each.is_worse],
        ),
    )


def _check_comparable(a: EvalRun, b: EvalRun) -> None:
    if a.suite != b.suite:
        raise ConfigError(
            f"{b.folder}: a run of suite {b.suite!r}, {a.folder} is one of {a.suite!r}; compare runs of one suite"
        )
    if a.gold_hash != b.gold_hash:
        raise ConfigError(
            f"{b.folder}: its gold or offered attributes are not those of {a.folder} ({len(b.gold)} and "
            f"{len(a.gold)} records); run the suite again on the same data, sample and seed"
        )


def _cells(run: EvalRun) -> list[Cell]:
    return list(judged_cells(run.gold, run.predictions, run.offered))


def _labels(a: EvalRun, b: EvalRun) -> tuple[str, str]:
    """What tells the runs apart: prompt, model, or else the folder."""
    for name in (_prompt, _model, _folder):
        if name(a) != name(b):
            return name(a), name(b)
    return str(a.folder), str(b.folder)


def _prompt(run: EvalRun) -> str:
    return str(run.settings.get("prompts", {}).get("attributes", {}).get("id", ""))


def _model(run: EvalRun) -> str:
    return str(run.settings.get("model", ""))


def _folder(run: EvalRun) -> str:
    return run.folder.name


def _side(run: EvalRun, label: str, scores: Mapping[str, Scores]) -> Side:
    return Side(
        label=label,
        folder=run.folder,
        settings=run.settings,
        scores={view: score.f1 for view, score in scores.items()},
        precision={view: score.precision for view, score in scores.items()},
        recall={view: score.recall for view, score in scores.items()},
        tokens_per_listing=run.tokens_per_listing,
        listings_per_s=run.listings_per_s,
    )


def _slices(
    cells_a: Sequence[Cell], cells_b: Sequence[Cell], protocol: Protocol, resamples: int, seed: int
) -> list[Slice]:
    """Every category and every attribute that is not all none-none, worst difference first."""
    groups: dict[tuple[str, str], tuple[list[Cell], list[Cell]]] = defaultdict(lambda: ([], []))
    for side, cells in enumerate((cells_a, cells_b)):
        for cell in cells:
            if cell.counts_under(protocol):
                for kind, key in KEYS.items():
                    groups[kind, key(cell)][side].append(cell)
    slices = [
        _slice(kind, name, *pair, protocol=protocol, resamples=resamples, seed=seed)
        for (kind, name), pair in groups.items()
        if any(cell.judgment.kind != "nn" for cells in pair for cell in cells)
    ]
    if not slices:
        return []
    # Benjamini and Hochberg 1995. It holds for slices that share listings: these are positively dependent
    # (Benjamini and Yekutieli 2001). Holm's correction would miss most real regressions of single attributes.
    adjusted = false_discovery_control([each.difference.p for each in slices])
    corrected = [replace(each, p_adjusted=float(p)) for each, p in zip(slices, adjusted, strict=True)]
    return sorted(corrected, key=lambda each: (each.difference.value, each.kind, each.name))


def _slice(
    kind: str,
    name: str,
    cells_a: Sequence[Cell],
    cells_b: Sequence[Cell],
    *,
    protocol: Protocol,
    resamples: int,
    seed: int,
) -> Slice:
    """The listings of the slice are drawn among themselves: their number is given, not chance."""
    cells = {(cell.record.id, cell.attribute) for cell in (*cells_a, *cells_b)}
    ids = sorted({record for record, _ in cells})
    a, b = (np.array(sums_by_record(each, ids, protocol=protocol), float) for each in (cells_a, cells_b))
    found = difference(a, b, resamples=resamples, seed=seed)
    f1_a, f1_b = (float(micro(sums.sum(axis=0))[2]) for sums in (a, b))
    return Slice(kind, name, len(ids), len(cells), f1_a, f1_b, found, p_adjusted=found.p)


def _changes(
    a: EvalRun, b: EvalRun, cells_a: Sequence[Cell], cells_b: Sequence[Cell], protocol: Protocol
) -> Iterator[Change]:
    """In the order of the gold."""
    judged_a, judged_b = (
        {(cell.record.id, cell.attribute): cell for cell in cells if cell.counts_under(protocol)}
        for cells in (cells_a, cells_b)
    )
    position = {record.id: number for number, record in enumerate(a.gold)}
    for key in sorted(judged_a | judged_b, key=lambda key: position[key[0]]):
        cell_a, cell_b = judged_a.get(key), judged_b.get(key)
        # A value where the gold lists nothing is a cell of the run that predicts it; the other run is right.
        right_a, right_b = (not cell or cell.judgment.is_right for cell in (cell_a, cell_b))
        if right_a != right_b:
            record, attribute = (cell_a or judged_b[key]).record, key[1]
            yield Change(
                direction="fixed" if right_b else "regressed",
                product_id=record.id,
                category=record.category,
                attribute=attribute,
                gold=record.attributes.get(attribute),
                a=a.predictions.get(record.id, {}).get(attribute),
                b=b.predictions.get(record.id, {}).get(attribute),
            )


def _rounded(content: Any) -> Any:
    """Four places are enough for points and p-values."""
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return round(content, 4) if isinstance(content, float) else content
