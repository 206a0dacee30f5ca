"""Outcomes appended, resumed, summed up.

In: feed records, of which `Journal.pending` lets through those without an Outcome, and Outcomes.
Out: RUN_DIR/outcomes.jsonl, and what is derived from it at the end: rejections.jsonl, outcomes.parquet,
summary.json. Knows nothing of models, prompts or what a value means.

outcomes.jsonl is the only truth: append-only, one line a product, fsynced per batch, so that whatever kills
the process costs at most the batch in work. One thread; and one process, an flock on outcomes.jsonl sees to
that.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from extractor.journal.files import (
    OUTCOMES,
    REJECTIONS,
    SUMMARY,
    TABLE,
    append_bytes,
    batched,
    bytes_before,
    complete_bytes,
    lock,
    read_lines,
    replacing,
    sink_errors,
    to_line,
    write_json,
)
from extractor.journal.index import Index, Seen, open_index
from extractor.journal.manifest import begin_or_go_on, mark_finished, read_manifest, refuse_foreign
from extractor.journal.table import write_table
from extractor.records import MadeBy, Outcome, Product, Rejection, Unreadable, Usage

# Records per index look-up: under SQLite's oldest limit of 999 variables.
LOOKUP_RECORDS = 500
# What the manifest repeats of the summary.
COUNTS = ("products", "outcomes", "values", "duplicates", "rejections")


@dataclass(frozen=True, slots=True)
class Summary:
    """What `extractor run --json` prints and summary.json holds."""

    # Distinct ids that were read; more than `outcomes` only when some were handed out and never came back.
    products: int
    outcomes: int
    values: int
    # Reason -> count, duplicate ids included.
    rejections: dict[str, int]
    # Records that say again, elsewhere in the feed, exactly what a product said.
    duplicates: int
    # From opening the folder to the last append, summed over all sessions of the run.
    seconds: float
    products_per_s: float
    usage: dict[str, int]
    run_dir: str


class Journal:
    """An open run folder; use as a context manager."""

    def __init__(self, folder: Path, manifest: dict[str, Any], file: IO[bytes], index: Index) -> None:
        self.folder = folder
        self._manifest = manifest
        self._file = file
        self._index = index
        # Handed out by `pending`, not yet appended: as many as the pipeline has in work.
        self._in_work: dict[str, Seen] = {}
        self._opened = time.perf_counter()
        self._seconds_before = index.seconds

    @classmethod
    def open(
        cls,
        folder: str | Path,
        config: Mapping[str, Any],
        *,
        made_by: MadeBy | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Self:
        """Begin a run in `folder`, or go on with the one that is there.

        Args:
            folder: RUN_DIR; made when missing.
            config: Settings that shape outcomes, as JSON can say them; a resumed run must have the same.
            made_by: What is the same for all products; a resumed run must have the same.
            versions: Package -> version, noted when the run begins.

        Raises:
            ConfigError: The folder is something else, or a run with other settings.
            SinkError: Another process writes this run, or its files are damaged or cannot be written.
        """
        folder = Path(folder)
        with sink_errors(folder):
            refuse_foreign(folder)
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / OUTCOMES).open("a+b", buffering=0)
        try:
            with sink_errors(folder):
                lock(file, f"{folder}: another process writes this run; let it end or choose another --out")
                manifest = begin_or_go_on(folder, config, made_by or MadeBy(), versions or {})
                file.truncate(complete_bytes(file))
            index = open_index(folder, manifest["run_id"])
        except BaseException:
            file.close()
            raise
        return cls(folder, manifest, file, index)

    @property
    def run_id(self) -> str:
        return str(self._manifest["run_id"])

    @property
    def outcomes(self) -> int:
        """Products that are done."""
        return self._index.lines

    def pending(self, records: Iterable[Product | Unreadable]) -> Iterator[Product | Unreadable]:
        """The records that have no Outcome yet, in order; repeats of an id are noted and left out.

        A record is finished when id, content and `where` are those of an Outcome. The same id elsewhere is
        a duplicate: with the same content it is only counted, with other content it becomes a DUPLICATE_ID
        rejection.
        """
        for chunk in batched(records, LOOKUP_RECORDS):
            # What is in work now may be appended before the chunk is through: so it goes into `known` too.
            known = self._index.find([record.id for record in chunk])
            known.update((r.id, self._in_work[r.id]) for r in chunk if r.id in self._in_work)
            for record in chunk:
                seen = Seen(record.content_hash, record.where)
                first = known.setdefault(record.id, seen)
                if first is seen:
                    self._in_work[record.id] = seen
                    yield record
                elif first != seen:
                    self._index.add_duplicate(record.id, seen, first)

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Write a batch; it is on the disk when this returns.

        A batch that fails leaves the file as it was, and this journal closed: open it again to go on.

        Raises:
            ValueError: An outcome whose record `pending` did not hand out, or one that was appended before.
            SinkError: Not writable; says what to do.
        """
        batch = list(outcomes)
        rows = [(o.product_id, o.content_hash, o.where) for o in batch]
        for product_id, _, _ in rows:
            if self._in_work.pop(product_id, None) is None:
                raise ValueError(f"{self.folder}: outcome for {product_id!r}, which is not in work")
        seconds = self._seconds_before + time.perf_counter() - self._opened
        try:
            lines = b"".join(to_line(o.to_json()) for o in batch)
            end = append_bytes(self._file, lines, self.folder / OUTCOMES)
            self._index.add(rows, end, bytes_before(self._file, end), seconds)
        except BaseException:
            self.close()
            raise

    def finish(self) -> Summary:
        """Derive the other files from the journal and mark the run finished; twice is as once."""
        with sink_errors(self.folder):
            with replacing(self.folder / REJECTIONS) as rejections, replacing(self.folder / TABLE) as table:
                tally = _Tally(rejections)
                write_table(tally.through(read_lines(self.folder)), table)
                tally.reject(self._index.conflicts())
            summary = self._summary(tally)
            write_json(self.folder / SUMMARY, asdict(summary))
            counts = {name: getattr(summary, name) for name in COUNTS}
            mark_finished(self.folder, self._manifest, counts)
        return summary

    def _summary(self, tally: _Tally) -> Summary:
        seconds = self._index.seconds
        return Summary(
            products=tally.outcomes + len(self._in_work),
            outcomes=tally.outcomes,
            values=tally.values,
            rejections=dict(sorted(tally.rejections.items())),
            duplicates=self._index.repeats(),
            seconds=round(seconds, 3),
            products_per_s=round(tally.outcomes / seconds, 2) if seconds else 0.0,
            usage=tally.usage.counts,
            run_dir=str(self.folder),
        )

    def close(self) -> None:
        """Let go of the files; what was appended stays."""
        self._index.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_outcomes(folder: str | Path) -> Iterator[Outcome]:
    """The outcomes of a run, finished or not, as they were written; a half-written last line is left out.

    Raises:
        ConfigError: `folder` is no run folder.
        SinkError: A line is no Outcome.
    """
    read_manifest(folder)
    return (outcome for outcome, _ in read_lines(Path(folder)))


@dataclass(slots=True)
class _Tally:
    """Counts over the journal; its size does not depend on the feed's."""

    # Gets every rejection as a JSON line.
    sink: IO[bytes]
    outcomes: int = 0
    values: int = 0
    rejections: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)

    def through(self, lines: Iterable[tuple[Outcome, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Count the outcomes and hand their lines on."""
        for outcome, line in lines:
            self.outcomes += 1
            self.values += len(outcome.values)
            self.usage += outcome.usage
            self.reject(outcome.rejections)
            yield line

    def reject(self, rejections: Iterable[Rejection]) -> None:
        for rejection in rejections:
            self.rejections[str(rejection.reason)] += 1
            self.sink.write(to_line(asdict(rejection)))
