"""A comparison, or the scores of one eval run, as a page to look at; self-contained, asks the network for nothing.

In: the nouns of compare.py, runs.py and calibration.py. Out: one HTML file each. Here is only what a template
needs beside them: axes, what differs in the settings, the diff of the prompts, and listings to read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from extractor.evaluation.calibration import coverage, judged_values, reliability
from extractor.evaluation.cards import Card, Line, make_card
from extractor.evaluation.charts import Scale, around_zero, scale_over
from extractor.evaluation.compare import Change, Comparison, Side, Slice
from extractor.evaluation.metrics import PROTOCOLS, Cell, judged_cells
from extractor.evaluation.runs import EvalRun
from extractor.evaluation.slice_scores import slice_scores
from extractor.evaluation.statistics import Difference, Interval
from extractor.evaluation.text_diff import Fold, side_by_side
from extractor.page import flat, write_page

# Listings in each list of a comparison, and on the page of one run.
MOST, WORST = 300, 40
KINDS = ("category", "attribute")
# What a cell that is not right is called.
WRONG = {"nv": "spurious", "vn": "missed", "vw": "wrong"}
PERCENT = Scale(0, 100, 25)
STYLES, SCRIPTS = ("page.css", "evaluation.css"), ("page.js", "evaluation.js")


def write_comparison(comparison: Comparison, a: EvalRun, b: EvalRun, path: Path) -> None:
    """Write what `compare` found as one page.

    Args:
        comparison: Of b against a.
        a: For the listings' text, and where values stand in it.
        b: Likewise.
        path: The page.

    Raises:
        SinkError: the page cannot be written.
    """
    write_page(
        path,
        "comparison.html",
        styles=STYLES,
        scripts=SCRIPTS,
        comparison=comparison,
        main=comparison.differences[comparison.protocol],
        tone=_tone,
        score_scale=scale_over(_ends([*_scores(comparison.a), *_scores(comparison.b)]), low=0),
        difference_scale=around_zero(_ends(comparison.differences.values())),
        slices=[_slices(comparison, kind) for kind in KINDS],
        settings=_settings(comparison.a.settings, comparison.b.settings),
        prompts=_prompts(comparison.a.settings, comparison.b.settings),
        counts=Counter(key for change in comparison.changes for key in _counted(change)),
        most=MOST,
        cards={
            direction: _change_cards([c for c in comparison.changes if c.direction == direction], a, b)
            for direction in ("regressed", "fixed")
        },
    )


def write_scores(run: EvalRun, scores: Mapping[str, Any], path: Path) -> None:
    """Write how good one eval run is as one page, the baselines beside it.

    Args:
        run: A finished one.
        scores: What `score_run` made of it.
        path: The page.

    Raises:
        SinkError: the page cannot be written.
    """
    cells = list(judged_cells(run.gold, run.predictions, run.offered))
    others = {
        name: list(judged_cells(run.gold, predicted, run.offered))
        for name, predicted in run.baselines.items()
    }
    # A list: a baseline may have the name of the model.
    named = [(str(run.settings["model"]), scores), *scores["baselines"].items()]
    systems = [(name, found, _intervals(found)) for name, found in named]
    judged = judged_values(run)
    wrong = [cell for cell in cells if cell.listed and not cell.judgment.is_right]
    write_page(
        path,
        "scores.html",
        styles=STYLES,
        scripts=SCRIPTS,
        run=run,
        scores=scores,
        systems=systems,
        scale=scale_over(_ends(part for _, _, parts in systems for part in parts.values()), low=0),
        percent=PERCENT,
        settings=list(_readable(run.settings)),
        slices={kind: slice_scores(cells, others, kind) for kind in KINDS},
        reliability=reliability(judged),
        coverage=coverage(judged),
        wrong=wrong,
        worst=_worst_cards(run, wrong),
    )


def _tone(part: Difference | Slice) -> str:
    """Which way it points, if it is significant."""
    return "better" if part.is_better else "worse" if part.is_worse else "unclear"


def _intervals(scores: Mapping[str, Any]) -> dict[tuple[str, str], Interval]:
    """(protocol, metric) -> score, as scores.json has it."""
    return {
        (protocol, metric): Interval(value, *scores[protocol]["intervals"][metric])
        for protocol in PROTOCOLS
        for metric, value in scores[protocol]["micro"].items()
    }


def _scores(side: Side) -> Iterator[Interval]:
    for metric in (side.precision, side.recall, side.scores):
        yield from metric.values()


def _ends(parts: Iterable[Interval | Difference]) -> list[float]:
    return [end for part in parts for end in (part.low, part.value, part.high)]


def _slices(comparison: Comparison, kind: str) -> tuple[str, list[Slice], Scale]:
    parts = [part for part in comparison.slices if part.kind == kind]
    return kind, parts, around_zero(_ends([part.difference for part in parts]), share=0.9, parts=4)


def _counted(change: Change) -> list[str | tuple[str, str, str]]:
    """What a change counts for: its direction, and that in its category and in its attribute."""
    direction = change.direction
    slices = (direction, "category", change.category), (direction, "attribute", change.attribute)
    return [direction, *slices]


def _settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[bool, list[tuple[str, str, str]]]:
    """Does it differ -> (name, value in a, value in b)."""
    left, right = dict(_readable(a)), dict(_readable(b))
    rows = [(name, left.get(name, "–"), right.get(name, "–")) for name in left | right]
    return {differs: [row for row in rows if (row[1] != row[2]) == differs] for differs in (True, False)}


def _readable(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings as (name, text) pairs; of prompts the id and the beginning of the hash."""
    for task, prompt in settings.get("prompts", {}).items():
        yield f"prompt for {task}", f"{prompt['id']} {prompt['hash'][:8]}"
    yield from flat({name: value for name, value in settings.items() if name != "prompts"})


def _prompts(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str, list[Fold]]]:
    """(task, id in a, id in b, diff) of the prompts that are not the same."""
    left, right = a.get("prompts", {}), b.get("prompts", {})
    return [
        (task, left[task]["id"], right[task]["id"], side_by_side(left[task]["text"], right[task]["text"]))
        for task in left
        if task in right and left[task]["text"] != right[task]["text"]
    ]


def _change_cards(changes: Sequence[Change], a: EvalRun, b: EvalRun) -> list[Card]:
    """One card for each listing, in the order of the suite."""
    lines: dict[str, list[Line]] = {}
    for change in changes:
        said = {"gold": change.gold, "a": change.a, "b": change.b}
        lines.setdefault(change.product_id, []).append(Line(change.attribute, said, change.direction))
    records = [record for record in b.gold if record.id in lines]
    return [
        make_card(record, {"a": a.outcomes.get(record.id), "b": b.outcomes.get(record.id)}, lines[record.id])
        for record in records
    ]


def _worst_cards(run: EvalRun, wrong: Iterable[Cell]) -> list[Card]:
    """The listings with the most wrong cells, of those with equally many the first in the suite."""
    lines: dict[str, list[Line]] = {}
    for cell in wrong:
        record, name = cell.record, cell.attribute
        said = {
            "gold": record.attributes[name],
            "predicted": run.predictions.get(record.id, {}).get(name),
        }
        lines.setdefault(record.id, []).append(Line(name, said, WRONG[cell.judgment.kind]))
    records = [record for record in run.gold if record.id in lines]
    worst = sorted(records, key=lambda record: -len(lines[record.id]))[:WORST]
    return [
        make_card(record, {"predicted": run.outcomes.get(record.id)}, lines[record.id]) for record in worst
    ]
