"""A stored baseline and a new eval run in, whether the run is worse out: what stands between a change and its landing.

A baseline (eval/baselines/<suite>.json) holds, for each listing, how many cells were right, wrong and missed, and
what made them; it holds no text of the listings. So the new run is compared with it listing by listing, as in
compare.py, and only a difference that is more than noise closes the gate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import ConfigError
from extractor.evaluation.metrics import PROTOCOLS, Protocol, judged_cells, sums_by_record
from extractor.evaluation.runs import EvalRun
from extractor.evaluation.statistics import Difference, SumsArray, difference
from extractor.evaluation.verdict import verdict
from extractor.journal import replacing, sink_errors

# Each is tested at 2.5 % on the side of "worse": a change that changes nothing is stopped in 5 % of the cases at most.
GATED = PROTOCOLS


class Baseline(BaseModel):
    """A file of eval/baselines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    # Of the gold that it was measured on.
    gold_hash: str
    # Settings of the run: ids and hashes of prompts and model, engine, commit ...
    made_by: Mapping[str, Any]
    # Record id -> values right, values predicted, values stated; values predicted for attributes not listed.
    records: dict[str, tuple[int, int, int, int]] = Field(min_length=1)

    @field_validator("records")
    @classmethod
    def _adds_up(cls, records: dict[str, tuple[int, int, int, int]]) -> dict[str, tuple[int, int, int, int]]:
        for name, (right, predicted, stated, unlisted) in records.items():
            if not 0 <= right <= min(predicted, stated) or unlisted < 0:
                raise ValueError(f"{name} has more values right than predicted or stated; restore the file")
        return records

    def sums(self, protocol: Protocol, ids: Iterable[str]) -> SumsArray:
        """(listing, metrics.Sums), in the order of the ids."""
        right, predicted, stated, unlisted = np.array(
            [self.records[name] for name in ids], dtype=np.float64
        ).T
        spurious = unlisted if protocol == "strict" else 0.0
        return np.stack((right, right, predicted + spurious, stated), axis=1)


@dataclass(frozen=True, slots=True)
class Passage:
    """What the gate says of a run."""

    suite: str
    records: int
    worse: bool
    # Protocol -> new run minus baseline.
    differences: Mapping[str, Difference]
    # One line.
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """What `eval gate --json` prints."""
        return asdict(self)


def make_baseline(run: EvalRun, suite: str) -> Baseline:
    """What a run has to leave behind so that later ones can be compared with it.

    Raises:
        ConfigError: the run is not of this suite.
    """
    if run.suite != suite:
        raise ConfigError(f"{run.folder}: a run of suite {run.suite!r}; give one of {suite!r}")
    ids = [record.id for record in run.gold]
    cells = list(judged_cells(run.gold, run.predictions, run.offered))
    paper, strict = (sums_by_record(cells, ids, protocol=protocol) for protocol in GATED)
    return Baseline(
        suite=run.suite,
        gold_hash=run.gold_hash,
        made_by=_without_texts(run.settings),
        records={
            name: (
                int(listed.predicted_right),
                listed.predicted,
                listed.stated,
                every.predicted - listed.predicted,
            )
            for name, listed, every in zip(ids, paper, strict, strict=True)
        },
    )


def pass_gate(baseline: Baseline, run: EvalRun, *, resamples: int = 10_000, seed: int = 0) -> Passage:
    """Compare a run with the baseline of its suite.

    Raises:
        ConfigError: the baseline is of another suite or of other gold.
    """
    new = make_baseline(run, baseline.suite)
    if run.gold_hash != baseline.gold_hash:
        raise ConfigError(
            f"{run.folder}: its gold or offered attributes are not those of the baseline ({len(new.records)} and "
            f"{len(baseline.records)} records); where they changed on purpose, write a new one with --update"
        )
    if baseline.records.keys() != new.records.keys():
        raise ConfigError(
            f"baseline of {run.suite!r}: not the listings of its gold; restore the file from git"
        )
    differences: dict[str, Difference] = {
        protocol: difference(
            *(each.sums(protocol, new.records) for each in (baseline, new)), resamples=resamples, seed=seed
        )
        for protocol in GATED
    }
    worse = [protocol for protocol in GATED if differences[protocol].is_worse]
    return Passage(
        suite=run.suite,
        records=len(new.records),
        worse=bool(worse),
        differences=differences,
        # What closes the gate is told first.
        verdict=verdict("the baseline", "this run", (worse or GATED)[0], differences),
    )


def read_baseline(folder: Path, suite: str) -> Baseline:
    """The baseline of a suite; ConfigError when it is missing or broken."""
    path = folder / f"{suite}.json"
    if not path.exists():
        raise ConfigError(f"{path}: no such file; write it with `extractor eval gate {suite} --update`")
    try:
        return Baseline.model_validate(parse_json(read_text(path)))
    except DataFileError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None


def write_baseline(folder: Path, baseline: Baseline) -> Path:
    """One line a listing, so that a later change of the file can be read."""
    path = folder / f"{baseline.suite}.json"
    head = json.dumps(baseline.model_dump(exclude={"records"}), ensure_ascii=False, indent=1)
    lines = (f"  {json.dumps(name)}: {list(counts)}" for name, counts in baseline.records.items())
    with sink_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            text = head.removesuffix("\n}") + ',\n "records": {\n' + ",\n".join(lines) + "\n }\n}\n"
            file.write(text.encode())
    return path


def _without_texts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Prompts by id and hash: their texts stand in prompts/."""
    prompts = settings.get("prompts", {})
    known = {
        task: {name: part for name, part in prompt.items() if name != "text"}
        for task, prompt in prompts.items()
    }
    return {**settings, "prompts": known}
