"""Run folders are merged into a store.

In: folders that `extractor run` wrote (run.json, schemas.json, outcomes.jsonl). Out: a store that says what they say,
and knows the schemas they were made with. Knows no particular store. Merging again changes nothing, a run that grew
adds what is new, and the order of runs does not matter.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from extractor.brands.link import Linker
from extractor.errors import SinkError
from extractor.graph.statements import ProductFacts, facts_of
from extractor.graph.stores import Change, Store
from extractor.graph.targets import Targets
from extractor.journal import OUTCOMES, read_manifest, read_outcomes
from extractor.records import Outcome
from extractor.schema_set import SchemaSet, read_schemas


@dataclass(frozen=True, slots=True)
class Merged:
    """What merging one run did."""

    run_id: str
    # Lines of the journal that were read.
    outcomes: int
    # Statements added and removed; both 0 when the graph knew it all.
    change: Change
    # The last line was left out: the run was killed at it, or is still going on.
    half_written: bool


def merge_runs(
    folders: Sequence[Path],
    store: Store,
    *,
    linker: Linker | None = None,
    min_confidence: float = 0.0,
) -> list[Merged]:
    """Merge run folders, one transaction a batch; what is missing from a folder is found before any is read.

    Args:
        folders: Folders of runs; a run may still be going on.
        store: Open for writing.
        linker: Knows which brand a name means; None: a brand is what it is called.
        min_confidence: Values below it are not stated; they stay in the run folder.

    Raises:
        ConfigError: A folder is none of a run, or its schemas are broken.
        SinkError: A line is no Outcome, or the store cannot be written; what was merged before stays.
    """
    manifests = [read_manifest(folder) for folder in folders]
    schemas = [read_schemas(folder, manifest) for folder, manifest in zip(folders, manifests, strict=True)]
    try:
        with _no_collection():
            return [
                _merge(*run, store, linker, min_confidence)
                for run in zip(folders, manifests, schemas, strict=True)
            ]
    finally:  # also for the batches before a broken line
        store.settle()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python looks for no cycles within: facts have none, and looking through a batch takes as long as making it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _merge(
    folder: Path,
    manifest: Mapping[str, Any],
    schemas: SchemaSet,
    store: Store,
    linker: Linker | None,
    min_confidence: float,
) -> Merged:
    run_id = str(manifest["run_id"])
    store.add_run(run_id, manifest, schemas)
    read = partial(facts_of, run_id=run_id, targets=Targets(schemas), linker=linker)
    journal = _Journal(folder, min_confidence, read)
    change = store.merge(run_id, journal)
    return Merged(run_id, journal.outcomes, change, _is_half_written(folder / OUTCOMES))


@dataclass(slots=True)
class _Journal:
    """What the outcomes of a run folder say, one after the other; counts them."""

    folder: Path
    min_confidence: float
    read: Callable[[Outcome], ProductFacts | None]
    outcomes: int = 0

    def __iter__(self) -> Iterator[ProductFacts]:
        for outcome in read_outcomes(self.folder):
            self.outcomes += 1
            sure = tuple(value for value in outcome.values if value.confidence >= self.min_confidence)
            if facts := self._facts(replace(outcome, values=sure)):
                yield facts

    def _facts(self, outcome: Outcome) -> ProductFacts | None:
        try:
            return self.read(outcome)
        except (AttributeError, TypeError, ValueError) as error:  # `from_json` does not look at every type
            where = f"{self.folder / OUTCOMES}: {outcome.product_id}"
            raise SinkError(
                f"{where}: no sound outcome ({error}); delete its line and run it again"
            ) from error


def _is_half_written(file: Path) -> bool:
    with file.open("rb") as handle:
        if not handle.seek(0, os.SEEK_END):
            return False
        handle.seek(-1, os.SEEK_END)
        return handle.read() != b"\n"
