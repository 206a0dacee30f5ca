"""What is said of some listings together: every value with its evidence, the losers too.

In: a graph and node ids of listings. Out: relation -> values, what most listings say first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from extractor.graph.stores.duckdb import DuckDBStore
from extractor.records import Span


@dataclass(frozen=True, slots=True)
class Evidence:
    """One statement that says a value."""

    # "preferred", "normal" or "deprecated", and of the last why; else empty.
    rank: str
    reason: str
    # 0..1.
    confidence: float
    # "title", "description", "feed", "taxonomy", "person" or "match".
    source: str
    # In title, newline, description of the listing; None where no text says so.
    span: Span | None
    quote: str
    # Product id and run id.
    product: str
    run: str
    model: str

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return fields | {"span": [self.span.start, self.span.end] if self.span else None}


@dataclass(frozen=True, slots=True)
class SaidValue:
    """One value and all that says so."""

    # Node id.
    id: str
    label: str
    # Never empty; what stands before what is deprecated, then the surest first.
    evidence: tuple[Evidence, ...]

    @property
    def stands(self) -> bool:
        """Whether any statement of it is not deprecated."""
        return self.evidence[0].rank != "deprecated"

    @property
    def confidence(self) -> float:
        return self.evidence[0].confidence

    def to_json(self) -> dict[str, Any]:
        said = [each.to_json() for each in self.evidence]
        return {"id": self.id, "label": self.label, "confidence": self.confidence, "evidence": said}


def said_of(
    graph: DuckDBStore, listings: Sequence[str], *, without: Collection[str] = ()
) -> dict[str, list[SaidValue]]:
    """Relation -> values, in the order of relations; `without` some relations."""
    rows = graph.rows(
        "SELECT predicate, object, n.label AS label, rank, reason, confidence, source, span_start, span_end,"
        " quote, product, run, model FROM statements AS s JOIN nodes AS n ON n.id = s.object"
        " WHERE list_contains($1, subject) AND NOT list_contains($2, predicate)"
        " ORDER BY predicate, object, rank = 'deprecated', rank <> 'preferred', confidence DESC, product, run, s.id",
        [list(listings), sorted(without)],
    )
    return {
        relation: sorted(_values(group), key=_place)
        for relation, group in groupby(rows, key=itemgetter("predicate"))
    }


def _values(rows: Iterator[dict[str, Any]]) -> Iterator[SaidValue]:
    for (node_id, label), group in groupby(rows, key=itemgetter("object", "label")):
        yield SaidValue(node_id, label, tuple(map(_evidence, group)))


def _place(value: SaidValue) -> tuple[bool, int, float, str]:
    """What stands comes first, then what most listings say, then the surest."""
    standing = {each.product for each in value.evidence if each.rank != "deprecated"}
    return not value.stands, -len(standing), -value.confidence, value.id


def _evidence(row: dict[str, Any]) -> Evidence:
    span = None if row["span_start"] is None else Span(row["span_start"], row["span_end"])
    return Evidence(span=span, **{name: row[name] for name in Evidence.__slots__ if name != "span"})
