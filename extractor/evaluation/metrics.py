"""Gold and predictions in, counts and scores out; pure functions, no files, no models.

Both protocols follow ExtractGPT (arXiv 2310.12537, `pieutils/evaluation.py`): exact, case-sensitive match with any
accepted form; five counts over the cells of (record, listed attribute). *strict* adds a cell for every value that
was predicted for an attribute which the category offers and the record does not list: spurious (NV).
Where we differ: a record without a prediction is counted in `failed`, its cells as predicted none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["paper", "strict"]
Values = Sequence[str] | None


@dataclass(frozen=True, slots=True)
class GoldRecord:
    """A labelled listing."""

    id: str
    category: str
    # Accepted forms; None: judged to have no value. What is not listed was not judged.
    attributes: Mapping[str, Values]


@dataclass(slots=True)
class Counts:
    """Cells by what gold and prediction hold: n(one) or v(alue), then c(orrect) or w(rong)."""

    nn: int = 0
    nv: int = 0
    vn: int = 0
    vc: int = 0
    vw: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        self.nn += other.nn
        self.nv += other.nv
        self.vn += other.vn
        self.vc += other.vc
        self.vw += other.vw
        return self

    def scores(self) -> dict[str, float]:
        """Precision, recall and F1, 0..100, rounded to 2 places."""
        predicted, stated = self.nv + self.vc + self.vw, self.vn + self.vc + self.vw
        precision = self.vc / predicted if predicted else 0.0
        recall = self.vc / stated if stated else 0.0
        f1 = 2 * precision * recall / (precision + recall) if self.vc else 0.0
        return {"precision": _percent(precision), "recall": _percent(recall), "f1": _percent(f1)}


@dataclass(slots=True)
class Tally:
    """All cells of a scoring, by (category, attribute)."""

    cells: dict[tuple[str, str], Counts] = field(default_factory=lambda: defaultdict(Counts))
    # Values predicted for attributes that were not judged.
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
    schemas = offered or offered_by(records)
    counted = Tally(records=len(records))
    for record in records:
        predicted = predictions.get(record.id)
        counted.failed += predicted is None
        for name, values in record.attributes.items():
            counted.cells[record.category, name] += judge(values, (predicted or {}).get(name))
        for name, values in (predicted or {}).items():
            if values and name not in record.attributes:
                counted.unjudged += 1
                if protocol == "strict" and name in schemas.get(record.category, ()):
                    counted.cells[record.category, name] += Counts(nv=1)
    return counted


def judge(gold: Values, predicted: Values) -> Counts:
    """One cell. Of several predicted values all have to be accepted forms."""
    if not gold:
        return Counts(nv=1) if predicted else Counts(nn=1)
    if not predicted:
        return Counts(vn=1)
    return Counts(vc=1) if all(value in gold for value in predicted) else Counts(vw=1)


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
