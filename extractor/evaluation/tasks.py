"""What a suite can measure beside extraction: a name table of tasks, and running one.

A task is a function that reads the suite's inputs and gives its figures; one more is a module with such a function
and a line in `_TASKS`. Runs no language model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from extractor.errors import ConfigError
from extractor.evaluation.suite_file import TaskSuite, check_files
from extractor.journal import replacing, sink_errors
from extractor.journal.files import to_line, write_json

# Name -> module and function; imported when asked for.
_TASKS = {
    "category": ("extractor.evaluation.categories", "measure"),
    "category-two-levels": ("extractor.evaluation.categories", "measure_two_levels"),
    "brand-links": ("extractor.evaluation.brand_links", "measure"),
    "normalization": ("extractor.evaluation.normalization", "measure"),
    "pairs": ("extractor.evaluation.pairs", "measure"),
    "clusters": ("extractor.evaluation.clusters", "measure"),
}
SCORES, MISTAKES = "scores.json", "mistakes.jsonl"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a task found."""

    # Part -> name -> figure; "records" are those that were judged (a part of a part has none), shares are 0..100.
    parts: Mapping[str, Mapping[str, float]]
    # One line for each thing that went wrong.
    mistakes: list[dict[str, Any]]


# Input name -> file.
_Task = Callable[[Mapping[str, Path]], Measured]


def run_task(suite: TaskSuite, data: Path, out: Path) -> dict[str, Any]:
    """Measure a suite and write its scores.json and mistakes.jsonl to `out`.

    Returns:
        What `eval run --json` prints: suite, task, records, parts, out_dir.

    Raises:
        ConfigError: there is no such task, or an input is missing or broken.
        SinkError: `out` cannot be written.
    """
    if suite.task not in _TASKS:
        raise ConfigError(f"suite {suite.name}: no task {suite.task!r}; there are {', '.join(_TASKS)}")
    check_files(suite, data)
    module, name = _TASKS[suite.task]
    measure = cast(_Task, getattr(import_module(module), name))
    measured = measure(suite.paths(data))
    scores = {
        "suite": suite.name,
        "task": suite.task,
        "records": sum(part.get("records", 0) for part in measured.parts.values()),
        "parts": measured.parts,
        "out_dir": str(out),
    }
    with sink_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / MISTAKES) as file:
            file.writelines(map(to_line, measured.mistakes))
        write_json(out / SCORES, scores)
    return scores
