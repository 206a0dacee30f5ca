"""How bytes get into a run folder and out of it again, whatever ends the process in between.

In: rows and bytes to write; a journal file to read.
Out: whole lines or none, whole files or the old ones, Outcomes; failures as SinkErrors of one line.
Does not know which lines are due, nor what the files mean to each other.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

from extractor.errors import SinkError
from extractor.records import Outcome

MANIFEST = "run.json"
OUTCOMES = "outcomes.jsonl"
INDEX = "index.sqlite"
REJECTIONS = "rejections.jsonl"
SUMMARY = "summary.json"
TABLE = "outcomes.parquet"

# Outcomes held at once: per row group of the table, and per transaction when the index catches up.
BATCH_OUTCOMES = 5_000
# Bytes before the covered end that the index keeps, to notice that it belongs to another journal.
TAIL_BYTES = 64

T = TypeVar("T")


def lock(file: IO[bytes] | int, busy: str) -> None:
    """Hold an open file or folder against other processes until it is closed.

    Args:
        file: It, or its descriptor.
        busy: What to say when another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SinkError(busy) from error


def read_lines(folder: Path) -> Iterator[tuple[Outcome, dict[str, Any]]]:
    """The journal's lines, as `to_outcome` gives them; a half-written last one is left out."""
    with sink_errors(folder / OUTCOMES), (folder / OUTCOMES).open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.endswith(b"\n"):
                yield to_outcome(raw, folder, number)


def to_outcome(raw: bytes, folder: Path, number: int) -> tuple[Outcome, dict[str, Any]]:
    """A journal line as the record and as the dict it was."""
    try:
        line = json.loads(raw)
        return Outcome.from_json(line), line
    except (ValueError, KeyError, TypeError) as error:
        where = f"{folder / OUTCOMES}:{number}"
        raise SinkError(f"{where}: is no outcome; delete the line and run the same command again") from error


def to_line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def append_bytes(file: IO[bytes], data: bytes, path: Path) -> int:
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


def complete_bytes(file: IO[bytes], block_bytes: int = 1 << 16) -> int:
    """Bytes up to the last newline."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - block_bytes)
        newline = os.pread(file.fileno(), end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def bytes_before(file: IO[bytes], end: int) -> bytes:
    """The TAIL_BYTES before `end`, fewer near the beginning."""
    start = max(0, end - TAIL_BYTES)
    return os.pread(file.fileno(), end - start, start)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when it is complete, for good even if the power fails."""
    part = part_of(path)
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


def part_of(path: Path) -> Path:
    """Where `replacing` writes until the file is complete."""
    return path.with_name(f".{path.name}.part")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
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


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
