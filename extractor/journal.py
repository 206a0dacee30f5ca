"""The run folder: Outcomes appended, resumed, summed up.

In: feed records, of which `Journal.pending` lets through those without an Outcome, and Outcomes.
Out: RUN_DIR/outcomes.jsonl, and what is derived from it at the end: rejections.jsonl, outcomes.parquet,
summary.json. Knows nothing of models, prompts or what a value means.

outcomes.jsonl is the only truth: append-only, one line a product, fsynced per batch, so that whatever kills
the process costs at most the batch in work. index.sqlite answers "is this id done?" without holding ids in
memory; it is a cache that catches up from the journal on open and is thrown away when it does not fit.
One thread; and one process, an flock on outcomes.jsonl sees to that.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from extractor.errors import ConfigError, SinkError
from extractor.records import MadeBy, Outcome, Product, Reason, Rejection, Unreadable, Usage

if TYPE_CHECKING:
    import pyarrow

MANIFEST = "run.json"
OUTCOMES = "outcomes.jsonl"
INDEX = "index.sqlite"
REJECTIONS = "rejections.jsonl"
SUMMARY = "summary.json"
TABLE = "outcomes.parquet"

# Records per index look-up: under SQLite's oldest limit of 999 variables.
LOOKUP_RECORDS = 500
# Outcomes per row group of the table, and per transaction when the index catches up.
BATCH_OUTCOMES = 5_000
# Bytes before the covered end that the index keeps, to notice that it belongs to another journal.
TAIL_BYTES = 64
# What the manifest repeats of the summary.
COUNTS = ("products", "outcomes", "values", "duplicates", "rejections")

T = TypeVar("T")


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

    def __init__(self, folder: Path, manifest: dict[str, Any], file: IO[bytes], index: _Index) -> None:
        self.folder = folder
        self._manifest = manifest
        self._file = file
        self._index = index
        # Handed out by `pending`, not yet appended: as many as the pipeline has in work.
        self._in_work: dict[str, _Seen] = {}
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
            _refuse_foreign(folder)
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / OUTCOMES).open("a+b", buffering=0)
        try:
            with sink_errors(folder):
                _lock(file, folder)
                manifest = _begin_or_go_on(folder, config, made_by or MadeBy(), versions or {})
                file.truncate(_complete_bytes(file))
            index = _open_index(folder, manifest["run_id"])
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
        for chunk in _batched(records, LOOKUP_RECORDS):
            # What is in work now may be appended before the chunk is through: so it goes into `known` too.
            known = self._index.find([record.id for record in chunk])
            known.update((r.id, self._in_work[r.id]) for r in chunk if r.id in self._in_work)
            for record in chunk:
                seen = _Seen(record.content_hash, record.where)
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
            end = _write(self._file, b"".join(_to_line(o.to_json()) for o in batch), self.folder / OUTCOMES)
            self._index.add(rows, end, _tail(self._file, end), seconds)
        except BaseException:
            self.close()
            raise

    def finish(self) -> Summary:
        """Derive the other files from the journal and mark the run finished; twice is as once."""
        with sink_errors(self.folder):
            with replacing(self.folder / REJECTIONS) as rejections, replacing(self.folder / TABLE) as table:
                tally = _Tally(rejections)
                _write_table(tally.through(_read_lines(self.folder)), table)
                tally.reject(self._index.conflicts())
            summary = self._summary(tally)
            _write_json(self.folder / SUMMARY, asdict(summary))
            counts = {name: getattr(summary, name) for name in COUNTS}
            _write_json(self.folder / MANIFEST, self._manifest | {"finished": _now(), "counts": counts})
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
            usage={
                "prompt_tokens": tally.usage.prompt_tokens,
                "cached_tokens": tally.usage.cached_tokens,
                "output_tokens": tally.usage.output_tokens,
            },
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
    return (outcome for outcome, _ in _read_lines(Path(folder)))


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """run.json: run_id, config, made_by, versions, created, finished (or None), counts.

    Raises:
        ConfigError: `folder` is no run folder.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{folder}: has no readable {MANIFEST}; give a folder that was --out") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON; restore it or choose another --out") from error
    if not isinstance(manifest, dict) or "run_id" not in manifest:
        raise ConfigError(f"{path}: has no run_id; restore it or choose another --out")
    return manifest


class _Seen(NamedTuple):
    """What identifies a record beside its id."""

    content_hash: str
    where: str


class _Index:
    """SQLite look-up of the journal's first `end` bytes; a cache, so nothing here waits for the disk."""

    # How far into the journal it knows, and the run's seconds up to there.
    end = 0
    lines = 0
    seconds = 0.0

    def __init__(self, path: Path) -> None:
        self._path = path
        with sink_errors(path):
            self._db = sqlite3.connect(path, isolation_level=None)

    def load(self, run_id: str, file: IO[bytes]) -> bool:
        """Whether what is on the disk is sound and was built from the beginning of this very journal."""
        with sink_errors(self._path):
            self._db.executescript(_INDEX_SQL)
            # One row, for ever that of the run which made it.
            self._db.execute("INSERT OR IGNORE INTO covered VALUES (1, ?, 0, 0, x'', 0)", (run_id,))
            row = self._db.execute("SELECT run_id, tail, bytes, lines, seconds FROM covered").fetchone()
            (sound,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        owner, tail, self.end, self.lines, self.seconds = row
        return bool((sound, owner, tail) == ("ok", run_id, _tail(file, self.end)))

    def find(self, ids: Sequence[str]) -> dict[str, _Seen]:
        marks = ",".join("?" * len(ids))
        query = f"SELECT id, content_hash, place FROM products WHERE id IN ({marks})"
        with sink_errors(self._path):
            return {row[0]: _Seen(*row[1:]) for row in self._db.execute(query, ids)}

    def add(self, rows: Sequence[tuple[str, str, str]], end: int, tail: bytes, seconds: float) -> None:
        """Take in the next journal lines, which end at byte `end`: all or nothing."""
        covered = (end, self.lines + len(rows), tail, seconds)
        with sink_errors(self._path):
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO products VALUES (?, ?, ?)", rows)
            self._db.execute("UPDATE covered SET bytes = ?, lines = ?, tail = ?, seconds = ?", covered)
            self._db.execute("COMMIT")
        self.end, self.lines, _, self.seconds = covered

    def add_duplicate(self, product_id: str, seen: _Seen, first: _Seen) -> None:
        """Note a repeat; a resumed run meets it again, hence once per place."""
        row = (seen.where, product_id, first.where, seen.content_hash == first.content_hash)
        with sink_errors(self._path):
            self._db.execute("INSERT OR IGNORE INTO duplicates VALUES (NULL, ?, ?, ?, ?)", row)

    def repeats(self) -> int:
        with sink_errors(self._path):
            return int(self._db.execute("SELECT count(*) FROM duplicates WHERE same_content").fetchone()[0])

    def conflicts(self) -> Iterator[Rejection]:
        """Ids that were seen again with other content, in feed order."""
        query = "SELECT id, place, first_place FROM duplicates WHERE NOT same_content ORDER BY number"
        for product_id, place, first in self._db.execute(query):
            told = f"has the id of {first} and other content"
            if place == first:
                told = "has changed since it was extracted; to extract it again choose another --out"
            yield Rejection(product_id, None, Reason.DUPLICATE_ID, f"{place}: {told}")

    def close(self) -> None:
        self._db.close()


# The folder is locked, so the cache can be too: WAL then needs no shared memory and works on any file system.
_INDEX_SQL = """
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -65536;
    CREATE TABLE IF NOT EXISTS products
        (id TEXT PRIMARY KEY, content_hash TEXT NOT NULL, place TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS duplicates
        (number INTEGER PRIMARY KEY, place TEXT NOT NULL UNIQUE, id TEXT NOT NULL,
         first_place TEXT NOT NULL, same_content INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS covered
        (row INTEGER PRIMARY KEY, run_id TEXT NOT NULL, bytes INTEGER NOT NULL, lines INTEGER NOT NULL,
         tail BLOB NOT NULL, seconds REAL NOT NULL);
"""


def _open_index(folder: Path, run_id: str) -> _Index:
    """The index of this journal, caught up with it; built anew when the one that is there does not fit."""
    path = folder / INDEX
    with (folder / OUTCOMES).open("rb") as file:
        index = _Index(path)
        try:
            fits = index.load(run_id, file)
        except SinkError:
            fits = False
        try:
            if not fits:
                index.close()
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(INDEX + suffix).unlink(missing_ok=True)
                index = _Index(path)
                index.load(run_id, file)
            _catch_up(index, file, folder)
        except BaseException:
            index.close()
            raise
    return index


def _catch_up(index: _Index, file: IO[bytes], folder: Path) -> None:
    file.seek(index.end)
    for batch in _batched(file, BATCH_OUTCOMES):
        outcomes = [_to_outcome(raw, folder, number)[0] for number, raw in enumerate(batch, index.lines + 1)]
        rows = [(o.product_id, o.content_hash, o.where) for o in outcomes]
        end = index.end + sum(map(len, batch))
        index.add(rows, end, _tail(file, end), index.seconds)


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
            self.sink.write(_to_line(asdict(rejection)))


def _write_table(lines: Iterable[dict[str, Any]], file: IO[bytes]) -> None:
    """The journal as Parquet: same names and nesting; `feed` as JSON text, its keys are the feed's own."""
    import pyarrow as pa  # here, because only the end of a run needs it
    from pyarrow.parquet import ParquetWriter

    schema = _table_schema()
    with ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _batched(lines, BATCH_OUTCOMES):
            rows = [line | {"feed": json.dumps(line["feed"], ensure_ascii=False)} for line in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _table_schema() -> pyarrow.Schema:
    import pyarrow as pa

    def struct(**columns: pa.DataType) -> pa.DataType:
        return pa.struct(list(columns.items()))

    text, number, real = pa.string(), pa.int64(), pa.float64()
    value = dict.fromkeys(("attribute", "surface", "canonical", "unit"), text)
    value |= {"span": pa.list_(number), "source": text, "how": text, "confidence": real}
    usage = dict.fromkeys(("prompt_tokens", "cached_tokens", "output_tokens"), number) | {"latency_s": real}
    columns = {
        **dict.fromkeys(("product_id", "content_hash", "where", "title", "description"), text),
        "category": struct(id=text, path=pa.list_(text), confidence=real),
        "values": pa.list_(struct(**value)),
        "rejections": pa.list_(struct(product_id=text, attribute=text, reason=text, detail=text)),
        "feed": text,
        "usage": struct(**usage),
        "made_by": struct(**dict.fromkeys((made.name for made in fields(MadeBy)), text)),
    }
    return pa.schema(list(columns.items()))


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; choose another --out")
    if not folder.exists() or (folder / MANIFEST).exists():
        return
    for entry in folder.iterdir():
        # A process killed while it began a run leaves at most an empty journal and half a manifest.
        empty_journal = entry.name == OUTCOMES and not entry.stat().st_size
        if not empty_journal and entry != _part(folder / MANIFEST):
            raise ConfigError(
                f"{folder}: is no run, it has {entry.name} and no {MANIFEST}; choose another --out"
            )


def _lock(file: IO[bytes], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SinkError(
            f"{folder}: another process writes this run; let it end or choose another --out"
        ) from error


def _begin_or_go_on(
    folder: Path, config: Mapping[str, Any], made_by: MadeBy, versions: Mapping[str, str]
) -> dict[str, Any]:
    # Through JSON, so that tuples and paths compare equal to what the file gives back.
    settings = json.loads(json.dumps({"config": config, "made_by": asdict(made_by)}, default=str))
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        _refuse_other_settings(folder, manifest, settings)
        return manifest
    now = _now()
    manifest = {
        # Sorts by time; the random part keeps runs begun in the same second apart.
        "run_id": f"{re.sub('[-:]', '', now)}-{secrets.token_hex(4)}",
        "created": now,
        "finished": None,
        **settings,
        "versions": dict(versions),
        "counts": None,
    }
    _write_json(folder / MANIFEST, manifest)
    return manifest


def _refuse_other_settings(folder: Path, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    then = _flat({part: manifest.get(part) for part in settings})
    now = _flat(settings)
    differing = [name for name in then | now if then.get(name) != now.get(name)]
    if differing:
        changes = (
            f"{name.partition('.')[2]} was {then.get(name)!r}, is {now.get(name)!r}" for name in differing
        )
        raise ConfigError(f"{folder}: begun with other settings: {', '.join(changes)}; choose another --out")


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, "a.b" for the names."""
    if not isinstance(settings, Mapping):
        return {prefix: settings}
    parts = [_flat(inner, f"{prefix}.{name}" if prefix else name) for name, inner in settings.items()]
    return {name: value for part in parts for name, value in part.items()}


def _read_lines(folder: Path) -> Iterator[tuple[Outcome, dict[str, Any]]]:
    with sink_errors(folder / OUTCOMES), (folder / OUTCOMES).open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.endswith(b"\n"):
                yield _to_outcome(raw, folder, number)


def _to_outcome(raw: bytes, folder: Path, number: int) -> tuple[Outcome, dict[str, Any]]:
    """A journal line as the record and as the dict it was."""
    try:
        line = json.loads(raw)
        return Outcome.from_json(line), line
    except (ValueError, KeyError, TypeError) as error:
        where = f"{folder / OUTCOMES}:{number}"
        raise SinkError(f"{where}: is no outcome; delete the line and run the same command again") from error


def _to_line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write(file: IO[bytes], data: bytes, path: Path) -> int:
    """Append all of `data` or nothing, and wait for the disk; where the file ends then."""
    with sink_errors(path):
        start = os.fstat(file.fileno()).st_size
        left = memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except BaseException:
            # Should this fail too, the next open drops the half line.
            with suppress(OSError):
                file.truncate(start)
            raise
    return start + len(data)


def _complete_bytes(file: IO[bytes], block_bytes: int = 1 << 16) -> int:
    """Bytes up to the last newline."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - block_bytes)
        newline = os.pread(file.fileno(), end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _tail(file: IO[bytes], end: int) -> bytes:
    start = max(0, end - TAIL_BYTES)
    return os.pread(file.fileno(), end - start, start)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when it is complete, for good even if the power fails."""
    part = _part(path)
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n")


@contextmanager
def sink_errors(path: Path) -> Iterator[None]:
    """What the file system and SQLite say, as one line with what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise _sink_error(path, full, error.strerror or str(error)) from error
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        raise _sink_error(path, full, str(error)) from error


def _sink_error(path: Path, full: bool, told: str) -> SinkError:
    told, advice = ("no space left", "free some") if full else (told, "put that right")
    return SinkError(f"{path}: {told}; {advice} and run the same command again")


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
