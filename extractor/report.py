"""A run folder as one page to look at: RUN_DIR/report.html.

In: a run folder, finished or not. Out: one self-contained file that asks the network for nothing. Knows the
journal's records; knows no schema, so all it says about attributes comes from the outcomes themselves.

One pass over the journal: counts of everything, and a sample of listings to read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extractor.journal import REJECTIONS, SUMMARY, read_manifest, read_outcomes
from extractor.page import color_rules, flat, write_page
from extractor.records import AttributeValue, MadeBy, Outcome, Reason, Rejection

REPORT = "report.html"

MEANING = {
    Reason.UNREADABLE: "the feed record is no product",
    Reason.DUPLICATE_ID: "the id was seen before, with other content",
    Reason.TOO_LONG: "the title alone does not fit the model",
    Reason.TEXT_CUT: "the end of the description was not read",
    Reason.TRUNCATED: "the completion ended before the object closed",
    Reason.INVALID_JSON: "the completion is not JSON",
    Reason.SCHEMA: "the object breaks the category's schema",
    Reason.UNGROUNDED: "the value does not stand in the product text",
    Reason.UNKNOWN_UNIT: "a quantity with a unit we do not know",
    Reason.CHECK_DIGIT: "a barcode number whose check digit is wrong",
    Reason.ENGINE: "the engine gave no completion",
    Reason.OUTVOTED: "too few of several answers have the value",
}
EXAMPLES_PER_REASON = 3
# Confidences are journaled with four places, so counting them gives the exact median in bounded memory.
CONFIDENCE_STEPS = 10_000


@dataclass(slots=True)
class AttributeCount:
    """What the run found of one attribute."""

    listings: int = 0
    values: int = 0
    confidence_sum: float = 0.0
    how: Counter[str] = field(default_factory=Counter)
    # Schema -> listings in which it was found.
    schemas: Counter[str] = field(default_factory=Counter)

    @property
    def mean_confidence(self) -> float:
        return self.confidence_sum / self.values


@dataclass(slots=True)
class Counts:
    """All that the page says about the whole run; its size does not depend on the feed's."""

    listings: int = 0
    values: int = 0
    rejections: int = 0
    rejected_listings: int = 0
    confidences: Counter[int] = field(default_factory=Counter)
    attributes: dict[str, AttributeCount] = field(default_factory=dict)
    categories: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    examples: dict[Reason, list[Rejection]] = field(default_factory=dict)
    made_by: Counter[MadeBy] = field(default_factory=Counter)
    schemas: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        self.listings += 1
        self.values += len(outcome.values)
        self.rejected_listings += bool(outcome.rejections)
        self.categories[outcome.category.path or (outcome.category.id,)] += 1
        self.made_by[outcome.made_by] += 1
        self.schemas[outcome.made_by.schema] += 1
        for value in outcome.values:
            self._add_value(value)
        for attribute in {value.attribute for value in outcome.values}:
            self.attributes[attribute].listings += 1
            self.attributes[attribute].schemas[outcome.made_by.schema] += 1
        for rejection in outcome.rejections:
            self.reject(rejection)

    def _add_value(self, value: AttributeValue) -> None:
        self.confidences[round(value.confidence * CONFIDENCE_STEPS)] += 1
        count = self.attributes.setdefault(value.attribute, AttributeCount())
        count.values += 1
        count.confidence_sum += value.confidence
        count.how[value.how] += 1

    def reject(self, rejection: Rejection) -> None:
        self.rejections += 1
        self.reasons[rejection.reason] += 1
        examples = self.examples.setdefault(rejection.reason, [])
        if len(examples) < EXAMPLES_PER_REASON:
            examples.append(rejection)

    @property
    def median_confidence(self) -> float | None:
        """Exact; the lower one of the two middle values when their number is even."""
        before = 0
        for step, count in sorted(self.confidences.items()):
            before += count
            if 2 * before >= self.values:
                return step / CONFIDENCE_STEPS
        return None

    def histogram(self, bins: int = 20) -> list[int]:
        """Values per equal step of confidence, from 0 to 1."""
        heights = [0] * bins
        for step, count in self.confidences.items():
            heights[min(bins - 1, step * bins // CONFIDENCE_STEPS)] += count
        return heights

    def reach(self, attribute: AttributeCount) -> int:
        """Listings of the schemas in which the attribute was found at least once."""
        return sum(self.schemas[schema] for schema in attribute.schemas)


@dataclass(slots=True)
class Sample:
    """The listings to read: the first ones, and up to a third with rejections from anywhere."""

    limit: int
    first: dict[int, Outcome] = field(default_factory=dict)
    rejected: dict[int, Outcome] = field(default_factory=dict)

    def add(self, number: int, outcome: Outcome) -> None:
        if len(self.first) < self.limit:
            self.first[number] = outcome
        elif outcome.rejections and len(self.rejected) < self.limit // 3:
            self.rejected[number] = outcome

    def listings(self) -> list[Outcome]:
        first = list(self.first.values())
        return first[: self.limit - len(self.rejected)] + list(self.rejected.values())


def write_report(run_dir: Path, *, max_listings: int = 300) -> Path:
    """Write RUN_DIR/report.html.

    Args:
        run_dir: A run folder; an unfinished run gives a report of what is there.
        max_listings: How many listings the page shows in full; its counts are always over all.

    Raises:
        ConfigError: `run_dir` is no run folder.
        SinkError: The journal is damaged, or the page cannot be written.
    """
    manifest = read_manifest(run_dir)
    counts, sample = Counts(), Sample(max_listings)
    for number, outcome in enumerate(read_outcomes(run_dir)):
        counts.add(outcome)
        sample.add(number, outcome)
    for rejection in _repeated_ids(run_dir):
        counts.reject(rejection)
    return _write(run_dir / REPORT, manifest, _read_summary(run_dir), counts, sample)


def _repeated_ids(run_dir: Path) -> Iterator[Rejection]:
    """Rejections that belong to no outcome: the record was left out, its id was taken."""
    path = run_dir / REJECTIONS
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["reason"] == Reason.DUPLICATE_ID:
                yield Rejection(**{**row, "reason": Reason.DUPLICATE_ID})


def _read_summary(run_dir: Path) -> dict[str, Any]:
    path = run_dir / SUMMARY
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


def _write(
    path: Path, manifest: dict[str, Any], summary: dict[str, Any], counts: Counts, sample: Sample
) -> Path:
    attributes = sorted(counts.attributes.items(), key=lambda item: (-item[1].listings, item[0]))
    colors = {name: f"a{number}" for number, (name, _) in enumerate(attributes)}
    listings = sample.listings()
    return write_page(
        path,
        "report.html",
        styles=["page.css", "report.css"],
        scripts=["page.js", "report.js"],
        rules=color_rules(len(colors)),
        manifest=manifest,
        summary=summary,
        counts=counts,
        attributes=attributes,
        categories=counts.categories.most_common(),
        reasons=counts.reasons.most_common(),
        meaning=MEANING,
        made_by=_distinct(counts.made_by),
        settings=list(flat(manifest.get("config", {}))),
        colors=colors,
        sample=sample,
        listings=listings,
        shown=_shown(listings),
    )


def _shown(listings: Iterable[Outcome]) -> dict[str, Counter[Any]]:
    """What the sample can be filtered by."""
    shown: dict[str, Counter[Any]] = {"attributes": Counter(), "categories": Counter(), "reasons": Counter()}
    for outcome in listings:
        shown["attributes"].update({value.attribute for value in outcome.values})
        shown["categories"][outcome.category.path or (outcome.category.id,)] += 1
        shown["reasons"].update({rejection.reason for rejection in outcome.rejections})
    return shown


def _distinct(made_by: Counter[MadeBy]) -> dict[str, list[tuple[str, str, int]]]:
    """Per kind of maker the distinct (id, hash) with their listings, most used first."""
    kinds = {"model": "model_hash", "prompt": "prompt_hash", "schema": "schema_hash"}
    found: dict[str, Counter[tuple[str, str]]] = {kind: Counter() for kind in (*kinds, "engine", "version")}
    for made, listings in made_by.items():
        for kind, counter in found.items():
            name, digest = getattr(made, kind), getattr(made, kinds.get(kind, ""), "")
            if name:
                counter[name, digest] += listings
    return {kind: [(*key, n) for key, n in counter.most_common()] for kind, counter in found.items()}
