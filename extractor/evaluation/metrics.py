"""Gold and predictions in, counts and scores out; pure functions, no files, no models.

Both protocols follow ExtractGPT (arXiv 2310.12537, `pieutils/evaluation.py`): exact, case-sensitive match with any
accepted form; five counts over the cells of (record, listed attribute). *strict* adds a cell for every value that
was predicted for an attribute which the category offers and the record does not list: spurious (NV).
Where we differ: a record without a prediction is counted in `failed`, its cells as predicted none.

A value that is not exactly an accepted form earns credit under two milder measures over the same cells:
*normalized*, when only its spelling differs; *overlap*, the share of words that it has in common with one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar, get_args

from extractor.evaluation.matching import FULL, NO_OVERLAP, Overlap, best_overlap, same_but_spelling
from extractor.gold import GoldRecord, Values

Protocol = Literal["paper", "strict"]
Measure = Literal["exact", "normalized", "overlap"]
# What gold and prediction hold: n(one) or v(alue), then c(orrect) or w(rong).
Kind = Literal["nn", "nv", "vn", "vc", "vw"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

_Key = TypeVar("_Key", bound=Hashable)


class Judgment(NamedTuple):
    """What a prediction is worth where it is judged."""

    kind: Kind
    # Right but for the spelling; True for "vc".
    normalized: bool = False
    # Full for "vc", something for "vw", nothing for the others.
    overlap: Overlap = NO_OVERLAP

    @property
    def is_right(self) -> bool:
        return self.kind in ("vc", "nn")


class Cell(NamedTuple):
    """One attribute of one record."""

    record: GoldRecord
    attribute: str
    judgment: Judgment
    # The gold record lists the attribute: a cell of both protocols.
    listed: bool = True
    # The category's schema offers it, the gold record does not list it: a cell of strict only.
    offered: bool = False

    def counts_under(self, protocol: Protocol) -> bool:
        return self.listed or (self.offered and protocol == "strict")


class Sums(NamedTuple):
    """All that precision, recall and F1 are made of; adds up over cells."""

    # Credit of the predicted values, and of the stated ones: the same number but for overlap.
    predicted_right: float
    stated_right: float
    # Values that were predicted, and that gold states.
    predicted: int
    stated: int


@dataclass(slots=True)
class Counts:
    """Cells by their kind, and the credit that they earn."""

    nn: int = 0
    nv: int = 0
    vn: int = 0
    vc: int = 0
    vw: int = 0
    # Cells that are right but for the spelling, "vc" among them.
    normalized: int = 0
    overlap_precision: float = 0.0
    overlap_recall: float = 0.0

    def __iadd__(self, other: Counts) -> Counts:
        self.nn += other.nn
        self.nv += other.nv
        self.vn += other.vn
        self.vc += other.vc
        self.vw += other.vw
        self.normalized += other.normalized
        self.overlap_precision += other.overlap_precision
        self.overlap_recall += other.overlap_recall
        return self

    def add(self, judgment: Judgment) -> None:
        """Count one cell."""
        kind = judgment.kind
        setattr(self, kind, getattr(self, kind) + 1)
        if kind in ("vc", "vw"):
            self.normalized += judgment.normalized
            self.overlap_precision += judgment.overlap.precision
            self.overlap_recall += judgment.overlap.recall

    def sums(self, measure: Measure = "exact") -> Sums:
        """What a bootstrap adds up."""
        right = {
            "exact": (self.vc, self.vc),
            "normalized": (self.normalized, self.normalized),
            "overlap": (self.overlap_precision, self.overlap_recall),
        }[measure]
        return Sums(*right, self.nv + self.vc + self.vw, self.vn + self.vc + self.vw)

    def scores(self, measure: Measure = "exact") -> dict[str, float]:
        """Precision, recall and F1, 0..100, rounded to 2 places."""
        sums = self.sums(measure)
        precision = sums.predicted_right / sums.predicted if sums.predicted else 0.0
        recall = sums.stated_right / sums.stated if sums.stated else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
        return {"precision": _percent(precision), "recall": _percent(recall), "f1": _percent(f1)}


_NO_COUNTS = Counts()


@dataclass(slots=True)
class Tally:
    """All cells of a scoring, by (category, attribute)."""

    cells: dict[tuple[str, str], Counts] = field(default_factory=lambda: defaultdict(Counts))
    # Values predicted for attributes that the gold record does not list; strict judges those that are offered.
    unjudged: int = 0
    # Records without a prediction.
    failed: int = 0
    records: int = 0

    @property
    def total(self) -> Counts:
        total = Counts()
        for counts in self.cells.values():
            total += counts
        return total


def tally(
    gold: Iterable[GoldRecord],
    predictions: Mapping[str, Mapping[str, Values]],
    *,
    protocol: Protocol = "paper",
    offered: Mapping[str, Sequence[str]] | None = None,
) -> Tally:
    """Count cells.

    Args:
        gold: Labelled records.
        predictions: Record id -> attribute -> predicted values.
        protocol: See above.
        offered: Category -> attributes that its schema offers, for *strict*; None: all that the gold records of the
            category list.
    """
    records = list(gold)
    counted = Tally(records=len(records), failed=sum(record.id not in predictions for record in records))
    # One by one: a list of all cells of 100,000 records costs more than counting them.
    for cell in judged_cells(records, predictions, offered):
        counted.unjudged += not cell.listed
        if cell.counts_under(protocol):
            counted.cells[cell.record.category, cell.attribute].add(cell.judgment)
    return counted


def judged_cells(
    gold: Sequence[GoldRecord],
    predictions: Mapping[str, Mapping[str, Values]],
    offered: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Cell]:
    """Every cell that a gold record lists, then every value that was predicted for something else.

    Records come in order; arguments are those of `tally`.
    """
    schemas = {category: frozenset(names) for category, names in (offered or offered_by(gold)).items()}
    for record in gold:
        predicted = predictions.get(record.id, {})
        for name, values in record.attributes.items():
            yield Cell(record, name, judge(values, predicted.get(name)))
        schema = schemas.get(record.category, frozenset())
        for name, found in predicted.items():
            if found and name not in record.attributes:
                yield Cell(record, name, SPURIOUS, listed=False, offered=name in schema)


def count(cells: Iterable[Cell], key: Callable[[Cell], _Key]) -> dict[_Key, Counts]:
    """Counts of the cells that share a key."""
    counted: dict[_Key, Counts] = defaultdict(Counts)
    for cell in cells:
        counted[key(cell)].add(cell.judgment)
    return dict(counted)


def sums_by_record(
    cells: Iterable[Cell],
    records: Iterable[str],
    *,
    protocol: Protocol = "paper",
    measure: Measure = "exact",
) -> list[Sums]:
    """One row for each record id, in order: what statistics.py resamples. Records without a cell have zeros."""
    counted = count((cell for cell in cells if cell.counts_under(protocol)), lambda cell: cell.record.id)
    return [counted.get(record, _NO_COUNTS).sums(measure) for record in records]


NOTHING, SPURIOUS = Judgment("nn"), Judgment("nv")
MISSED, CORRECT = Judgment("vn"), Judgment("vc", normalized=True, overlap=FULL)


def judge(gold: Values, predicted: Values) -> Judgment:
    """One cell. Of several predicted values all have to be accepted forms."""
    if not gold:
        return SPURIOUS if predicted else NOTHING
    if not predicted:
        return MISSED
    if all(value in gold for value in predicted):
        return CORRECT
    return Judgment(
        "vw",
        normalized=all(any(same_but_spelling(value, form) for form in gold) for value in predicted),
        overlap=best_overlap(predicted, gold),
    )


def offered_by(records: Iterable[GoldRecord]) -> dict[str, list[str]]:
    """Category -> every attribute that one of its records lists."""
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        names[record.category].update(dict.fromkeys(record.attributes))
    return {category: list(listed) for category, listed in names.items()}


def macro(counted: Tally) -> dict[str, float]:
    """Mean over (category, attribute) pairs that are not all none-none, 0..100."""
    scores = [
        counts.scores() for counts in counted.cells.values() if counts.nv + counts.vn + counts.vc + counts.vw
    ]
    return {
        name: round(sum(score[name] for score in scores) / max(1, len(scores)), 2)
        for name in ("precision", "recall", "f1")
    }


def summarize(counted: Tally, protocol: Protocol) -> dict[str, object]:
    """What `eval score --json` prints."""
    total = counted.total
    return {
        "protocol": protocol,
        "micro": total.scores(),
        "macro": macro(counted),
        "normalized": total.scores("normalized"),
        "overlap": total.scores("overlap"),
        "counts": {
            "nn": total.nn,
            "nv": total.nv,
            "vn": total.vn,
            "vc": total.vc,
            "vw": total.vw,
            "unjudged": counted.unjudged,
            "failed": counted.failed,
        },
        "records": counted.records,
    }


def _percent(share: float) -> float:
    return round(100 * share, 2)
