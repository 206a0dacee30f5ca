"""Suites in, a Calibration of a model out: their training listings through the very pipeline, confidences as they are.

Never touches a suite's test gold. A model that was trained on these listings knows some by heart, so they are renewed
first (renew.py); for one that was trained without the held-out tenth (split.py), that tenth is fitted on as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extractor.calibrate import MODEL_NOTES, Calibration
from extractor.engines import Engine
from extractor.engines.lazy import LentEngine
from extractor.engines.model import read_ours
from extractor.errors import ConfigError
from extractor.evaluation.calibration import (
    Judged,
    by_kind,
    coverage,
    cross_calibrated,
    fit,
    judged,
    pairs,
    reliability,
)
from extractor.evaluation.renew import renewed
from extractor.evaluation.runs import open_eval_run, write_gold
from extractor.evaluation.suite import run_suite
from extractor.evaluation.suite_file import Suite
from extractor.gold import GoldRecord, read_gold
from extractor.journal import sink_errors
from extractor.journal.files import write_json
from extractor.records import Policy
from extractor.run import Progress
from extractor.split import held_out


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, and what it is worth."""

    calibration: Calibration
    # Suite -> its judged values with raw confidences, and with those of curves that were fitted on other listings.
    raw: Mapping[str, Sequence[Judged]]
    cross_calibrated: Mapping[str, Sequence[Judged]]

    def to_json(self) -> dict[str, Any]:
        """ECE before and after on every suite and on all together; coverage of all together, after."""
        after = [value for values in self.cross_calibrated.values() for value in values]
        before = [value for values in self.raw.values() for value in values]
        return {
            **_errors(before, after),
            "suites": {name: _errors(self.raw[name], self.cross_calibrated[name]) for name in self.raw},
            "kinds": {kind: len(found) for kind, found in by_kind(before).items()},
            "coverage": [asdict(row) for row in coverage(pairs(after))],
        }


def fit_calibration(
    suites: Sequence[Suite],
    data: Path,
    out: Path,
    engine: Engine,
    *,
    policy: Policy = "decode-all",
    proposer: Path | None = None,
    held_out_only: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Fitted:
    """Extract the training listings of suites into folders of `out` (resumed when they are there), and fit.

    Args:
        suites: Each with a training file.
        data: Data folder.
        out: Gets the listings and an eval run folder for every suite.
        engine: Runs the model to calibrate; stays open.
        policy: Who decides values: it is their confidence that is calibrated.
        proposer: Folder of the one to calibrate, unless the policy is "decode-all"; None: the shipped one.
        held_out_only: The model was not trained on the held-out tenth: fit on nothing else.
        progress: Called after every engine call.

    Raises:
        ConfigError: a suite has no training gold, its data is missing, or nothing of what was predicted is judged.
    """
    raw: dict[str, list[Judged]] = {}
    for name, gold in {suite.name: _training_gold(suite, data) for suite in suites}.items():
        listings = [record for record in gold if held_out(record.id)] if held_out_only else renewed(gold)
        folder = out / f"{name}-train"
        suite = _suite_of(listings, out.resolve() / f"{folder.name}.jsonl")
        run_suite(
            suite,
            data,
            folder,
            lambda: LentEngine(engine),
            calibrated=False,
            policy=policy,
            proposer=proposer,
            progress=progress,
        )
        raw[name] = judged(open_eval_run(folder))
    values = [value for found in raw.values() for value in found]
    calibration = fit(by_kind(values), tuple(raw))
    if not calibration.curves:
        raise ConfigError(f"{out}: {len(values)} judged values are too few to fit on; add suites")
    return Fitted(calibration, raw, _by_suite(cross_calibrated(values), raw))


def notes_file(folder: Path) -> Path:
    """Where a model's calibration is kept; ConfigError when it has no folder that can be written to."""
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder}: no model folder to keep a calibration in; give one with --model")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written to; copy the model and name the copy")
    return folder / MODEL_NOTES


def keep(calibration: Calibration, folder: Path) -> Path:
    """Write a calibration down with its model, in place of the one it has; returns the file."""
    path = notes_file(folder)
    content = read_ours(path.parent)
    with sink_errors(path):
        write_json(path, {**content, "calibration": calibration.to_json()})
    return path


def _training_gold(suite: Suite, data: Path) -> list[GoldRecord]:
    if suite.train is None:
        raise ConfigError(
            f"suite {suite.name}: has no train file to fit on; calibrate on suites that have one"
        )
    return read_gold(data / suite.train)


def _suite_of(listings: Sequence[GoldRecord], path: Path) -> Suite:
    """A suite of these listings alone, kept at `path`; asked for is what they list."""
    with sink_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_gold(path, listings)
    return Suite(name=path.stem, about="To fit a calibration on.", gold=path)


def _by_suite(values: Sequence[Judged], like: Mapping[str, Sequence[Judged]]) -> dict[str, list[Judged]]:
    """Values one suite after the other, cut into suites again."""
    left = iter(values)
    return {name: [next(left) for _ in found] for name, found in like.items()}


def _errors(before: Sequence[Judged], after: Sequence[Judged]) -> dict[str, Any]:
    return {
        "values": len(before),
        "ece_before": round(reliability(pairs(before)).ece, 4),
        "ece_after": round(reliability(pairs(after)).ece, 4),
    }
