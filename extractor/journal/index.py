"""index.sqlite: "is this id done?", without holding ids in memory.

In: the lines of outcomes.jsonl, and repeats of ids.
Out: what is known of an id, and the duplicates, counted or as Rejections.
A cache: it catches up from the journal on open and is thrown away when it does not fit. Does not know feeds
or runs beyond the run_id that it must bear.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from extractor.errors import SinkError
from extractor.journal.files import (
    BATCH_OUTCOMES,
    INDEX,
    OUTCOMES,
    batched,
    bytes_before,
    sink_errors,
    to_outcome,
)
from extractor.records import Reason, Rejection


class Seen(NamedTuple):
    """What identifies a record beside its id."""

    content_hash: str
    where: str


class Index:
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
        return bool((sound, owner, tail) == ("ok", run_id, bytes_before(file, self.end)))

    def find(self, ids: Sequence[str]) -> dict[str, Seen]:
        marks = ",".join("?" * len(ids))
        query = f"SELECT id, content_hash, place FROM products WHERE id IN ({marks})"
        with sink_errors(self._path):
            return {row[0]: Seen(*row[1:]) for row in self._db.execute(query, ids)}

    def add(self, rows: Sequence[tuple[str, str, str]], end: int, tail: bytes, seconds: float) -> None:
        """Take in the next journal lines, which end at byte `end`: all or nothing."""
        covered = (end, self.lines + len(rows), tail, seconds)
        with sink_errors(self._path):
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO products VALUES (?, ?, ?)", rows)
            self._db.execute("UPDATE covered SET bytes = ?, lines = ?, tail = ?, seconds = ?", covered)
            self._db.execute("COMMIT")
        self.end, self.lines, _, self.seconds = covered

    def add_duplicate(self, product_id: str, seen: Seen, first: Seen) -> None:
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


def open_index(folder: Path, run_id: str) -> Index:
    """The index of this journal, caught up with it; built anew when the one that is there does not fit."""
    path = folder / INDEX
    with (folder / OUTCOMES).open("rb") as file:
        index = Index(path)
        try:
            fits = index.load(run_id, file)
        except SinkError:
            fits = False
        try:
            if not fits:
                index.close()
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(INDEX + suffix).unlink(missing_ok=True)
                index = Index(path)
                index.load(run_id, file)
            _catch_up(index, file, folder)
        except BaseException:
            index.close()
            raise
    return index


def _catch_up(index: Index, file: IO[bytes], folder: Path) -> None:
    file.seek(index.end)
    for batch in batched(file, BATCH_OUTCOMES):
        outcomes = [to_outcome(raw, folder, number)[0] for number, raw in enumerate(batch, index.lines + 1)]
        rows = [(o.product_id, o.content_hash, o.where) for o in outcomes]
        end = index.end + sum(map(len, batch))
        index.add(rows, end, bytes_before(file, end), index.seconds)
