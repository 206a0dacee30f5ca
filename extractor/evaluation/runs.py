"""A finished eval run and the folder it lives in: all that scoring and comparing need, without the model.

In: what `suite.py` knows of a run when it begins, later the folder. Out: an EvalRun. The folder is a run folder
(journal/) with three files more, written before the first listing is extracted:

    gold.jsonl        the gold records that were used, in the form that read_gold reads
    baselines.jsonl   `{"baseline", "id", "predicted"}` lines: what other methods predict for the same records
    suite.json        suite, gold_hash, offered, names of the baselines, settings, groups

Does not know how gold was made, nor how predictions are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from extractor.datafile import DataFileError, content_hash, parse_json, read_text
from extractor.errors import ConfigError, SinkError
from extractor.evaluation.files import predicted_values
from extractor.gold import GoldRecord, Values, read_gold, read_rows
from extractor.journal import read_manifest, read_outcomes, replacing, sink_errors
from extractor.journal.files import to_line, write_json
from extractor.records import AttributeValue, Outcome, Reason, Usage

GOLD = "gold.jsonl"
BASELINES = "baselines.jsonl"
SUITE = "suite.json"
# Of suite.json.
KEYS = {"suite", "gold_hash", "offered", "baselines", "settings"}

# Baseline name -> product id -> attribute -> predicted values.
Baselines = Mapping[str, Mapping[str, Mapping[str, Values]]]


@dataclass(frozen=True)
class EvalRun:
    """One suite, extracted by one model with one set of settings."""

    folder: Path
    suite: str
    # In the order of the suite.
    gold: Sequence[GoldRecord]
    # Category -> attributes that were asked for.
    offered: Mapping[str, Sequence[str]]
    # Of `gold` and `offered`: runs with the same hash can be compared.
    gold_hash: str
    # Product id -> Outcome.
    outcomes: Mapping[str, Outcome]
    # "prompts": {task: {"id", "hash", "text"}}, "model", "model_hash", "engine", "votes", "demonstrations",
    # "calibrated", "sample", "seed", "commit", "version".
    settings: Mapping[str, Any]
    baselines: Baselines
    # Name -> attributes that are also scored together.
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def predictions(self) -> Mapping[str, Mapping[str, Values]]:
        """Product id -> attribute -> values in their gold form; products whose extraction failed are not in it."""
        return {
            product_id: predicted_by(outcome)
            for product_id, outcome in self.outcomes.items()
            if not has_failed(outcome)
        }

    @cached_property
    def usage(self) -> Usage:
        """Of all products together."""
        return sum((outcome.usage for outcome in self.outcomes.values()), Usage())

    @property
    def tokens_per_listing(self) -> float | None:
        """Prompt and output tokens together; None where nothing was counted."""
        tokens = self.usage.prompt_tokens + self.usage.output_tokens
        return tokens / len(self.outcomes) if tokens else None

    @property
    def listings_per_s(self) -> float | None:
        """Listings per second of engine time: neither loading the model nor a completion cache counts."""
        seconds = self.usage.latency_s
        return round(len(self.outcomes) / seconds, 2) if seconds else None


def predicted_by(outcome: Outcome) -> dict[str, list[str]]:
    """Attribute -> values in their gold form."""
    values: dict[str, list[str]] = {}
    for value in outcome.values:
        values.setdefault(value.attribute, []).append(gold_form(value))
    return values


def gold_form(value: AttributeValue) -> str:
    """As gold writes it: the enum member for a choice, whose surface is the evidence; else the words of the text."""
    return value.canonical if value.how == "choice" else value.surface


def has_failed(outcome: Outcome) -> bool:
    """True when nothing came of the product as a whole; that its text was cut is no failure."""
    return not outcome.values and any(
        rejection.attribute is None and rejection.reason is not Reason.TEXT_CUT
        for rejection in outcome.rejections
    )


def hash_gold(gold: Iterable[GoldRecord], offered: Mapping[str, Sequence[str]]) -> str:
    """What makes two runs comparable, as 32 hex digits."""
    return content_hash([[_gold_line(record) for record in gold], offered])


def begin_eval_run(
    folder: Path,
    *,
    suite: str,
    gold: Sequence[GoldRecord],
    offered: Mapping[str, Sequence[str]],
    settings: Mapping[str, Any],
    baselines: Baselines,
    groups: Mapping[str, Sequence[str]],
) -> None:
    """Write what the run folder needs beside its journal; nothing when that was done before."""
    if (folder / SUITE).exists():
        return
    with sink_errors(folder):
        write_gold(folder / GOLD, gold)
        _write_lines(
            folder / BASELINES,
            (
                {"baseline": name, "id": product_id, "predicted": predicted}
                for name, predictions in baselines.items()
                for product_id, predicted in predictions.items()
            ),
        )
        # Last: a folder that has it has the others.
        write_json(
            folder / SUITE,
            {
                "suite": suite,
                "gold_hash": hash_gold(gold, offered),
                "offered": offered,
                "baselines": list(baselines),
                "settings": settings,
                "groups": groups,
            },
        )


def write_gold(path: Path, gold: Iterable[GoldRecord]) -> None:
    """A file that `read_gold` reads."""
    _write_lines(path, map(_gold_line, gold))


def open_eval_run(folder: Path) -> EvalRun:
    """Read a finished eval run.

    Raises:
        ConfigError: `folder` is no eval run, is not finished, or one of its files is broken or was changed.
    """
    manifest = read_manifest(folder)
    if not (folder / SUITE).is_file():
        raise ConfigError(
            f"{folder}: a run, but not of a suite; give a folder that `extractor eval run` wrote"
        )
    if not manifest.get("finished"):
        raise ConfigError(f"{folder}: not finished; run the same `extractor eval run` again")
    stored = _read_suite(folder / SUITE)
    gold = read_gold(folder / GOLD)
    run = EvalRun(
        folder=folder,
        suite=stored["suite"],
        gold=gold,
        offered=stored["offered"],
        gold_hash=stored["gold_hash"],
        outcomes=_outcomes(folder),
        settings=stored["settings"],
        baselines=_read_baselines(folder / BASELINES, stored["baselines"]),
        groups=stored.get("groups", {}),
    )
    if hash_gold(gold, run.offered) != run.gold_hash:
        raise ConfigError(f"{folder / GOLD}: changed since the run; restore it or run the suite again")
    _check_ids(run)
    return run


def _check_ids(run: EvalRun) -> None:
    """A finished run has exactly one outcome for every listing, also for those whose extraction failed."""
    ids = {record.id for record in run.gold}
    if strangers := run.outcomes.keys() - ids:
        raise ConfigError(
            f"{run.folder}: outcome for {min(strangers)!r}, which {GOLD} lacks; restore the folder"
        )
    if lost := ids - run.outcomes.keys():
        raise ConfigError(
            f"{run.folder}: no outcome for {min(lost)!r}, which {GOLD} has; restore it or run the suite again"
        )


def _read_suite(path: Path) -> dict[str, Any]:
    try:
        stored = parse_json(read_text(path))
    except DataFileError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(stored, dict) or not stored.keys() >= KEYS:
        raise ConfigError(
            f"{path}: is not what `extractor eval run` wrote; restore it or run the suite again"
        )
    return stored


def _outcomes(folder: Path) -> dict[str, Outcome]:
    try:
        return {outcome.product_id: outcome for outcome in read_outcomes(folder)}
    except SinkError as error:  # nothing is to be written here: the folder is the input
        raise ConfigError(str(error)) from None


def _read_baselines(path: Path, names: Iterable[str]) -> Baselines:
    # Also those that have nothing to say of these records.
    baselines: dict[str, dict[str, dict[str, Values]]] = {name: {} for name in names}
    for where, row in read_rows(path, ("baseline", "predicted")):
        if row["baseline"] not in baselines:
            raise ConfigError(f"{where}: {SUITE} names no baseline {row['baseline']!r}; restore the folder")
        baselines[row["baseline"]][row["id"]] = predicted_values(row, where)
    return baselines


def _gold_line(record: GoldRecord) -> dict[str, Any]:
    """The line that read_gold reads."""
    return {
        "id": record.id,
        "title": record.title,
        "description": record.description,
        "category": record.category,
        "attributes": {
            name: None if values is None else list(values) for name, values in record.attributes.items()
        },
    }


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as file:
        file.writelines(map(to_line, lines))
