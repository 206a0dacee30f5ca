"""An eval run in, its scores out, the baselines' beside the model's: scores.json and scores.html of the folder.

Needs no model: what a run predicted stands in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from extractor.evaluation.calibration import judged_values, reliability
from extractor.evaluation.metrics import PROTOCOLS, Counts, count, judged_cells, summarize, tally
from extractor.evaluation.pages import write_scores
from extractor.evaluation.runs import EvalRun, open_eval_run
from extractor.evaluation.statistics import Scores
from extractor.evaluation.views import scores_with_intervals
from extractor.gold import Values
from extractor.journal import sink_errors
from extractor.journal.files import write_json

SCORES = "scores.json"
PAGE = "scores.html"


def score_run(run: EvalRun) -> dict[str, Any]:
    """What `eval run --json` prints."""
    usage = asdict(run.usage)
    del usage["latency_s"]
    return {
        "suite": run.suite,
        "model": run.settings["model"],
        "records": len(run.gold),
        **_scores(run, run.predictions),
        "categories": _by_category(run),
        "groups": {name: _of_group(run, attributes) for name, attributes in run.groups.items()},
        "baselines": {name: _scores(run, predicted) for name, predicted in run.baselines.items()},
        "ece": round(reliability(judged_values(run)).ece, 4),
        "listings_per_s": run.listings_per_s,
        "usage": usage,
        "out_dir": str(run.folder),
    }


def score_folder(folder: Path) -> dict[str, Any]:
    """Score the finished eval run in `folder` and write both files; ConfigError when it is none."""
    run = open_eval_run(folder)
    scores = score_run(run)
    with sink_errors(folder):
        write_json(folder / SCORES, scores)
    write_scores(run, scores, folder / PAGE)
    return scores


def _by_category(run: EvalRun) -> dict[str, dict[str, float]]:
    """Category -> paper scores: a small shop does not vanish behind a large one."""
    cells = judged_cells(run.gold, run.predictions, run.offered)
    counted = count((cell for cell in cells if cell.listed), lambda cell: cell.record.category)
    return {category: counts.scores() for category, counts in counted.items()}


def _of_group(run: EvalRun, attributes: Sequence[str]) -> dict[str, float]:
    """Strict scores of these attributes together, and how many of their cells hold a wrong value."""
    counts = Counts()
    for cell in judged_cells(run.gold, run.predictions, run.offered):
        if cell.attribute in attributes and cell.counts_under("strict"):
            counts.add(cell.judgment)
    return {**counts.scores(), "false": counts.nv + counts.vw}


def _scores(run: EvalRun, predictions: Mapping[str, Mapping[str, Values]]) -> dict[str, Any]:
    """Protocol -> scores with the 95 % intervals of the micro ones."""
    intervals = scores_with_intervals(run.gold, predictions, run.offered)
    return {
        protocol: {
            **summarize(tally(run.gold, predictions, protocol=protocol, offered=run.offered), protocol),
            "intervals": _ends(intervals[protocol]),
        }
        for protocol in PROTOCOLS
    }


def _ends(scores: Scores) -> dict[str, list[float]]:
    """Metric -> [low, high]."""
    return {name: [round(part["low"], 2), round(part["high"], 2)] for name, part in asdict(scores).items()}
