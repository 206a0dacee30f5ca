"""The seam to DuckDB: what it raises leaves as an ExtractorError of one line that names the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from extractor.errors import ConfigError, ExtractorError, SinkError

# What a full disk, a full quota and a file at its largest allowed size say.
_FULL = ("No space left", "Disk quota exceeded", "File too large")


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Errors of DuckDB and Arrow within leave as ExtractorErrors about `path`."""
    try:
        yield
    except ExtractorError:
        raise
    except (duckdb.Error, pa.ArrowException, UnicodeEncodeError) as error:  # the last: a lone surrogate
        raise _explained(path, str(error)) from error


def first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0]


def _explained(path: Path, message: str) -> ExtractorError:
    if holder := re.search(r"lock is held in (.*?) \(PID (\d+)\)", message):
        return SinkError(
            f"{path}: process {holder[2]} ({Path(holder[1]).name}) is writing to this graph;"
            " wait until it ends and run the same command again"
        )
    if "different configuration" in message:
        return SinkError(f"{path}: this process has the graph open for something else; close that first")
    if "not a valid DuckDB" in message or "Is a directory" in message:
        return ConfigError(f"{path}: no DuckDB file; give another --graph")
    if "No such file or directory" in message:
        return ConfigError(f"{path}: its folder is not there; make it, or give another --graph")
    if "not read enough bytes" in message or "corrupt" in message.lower():
        return SinkError(
            f"{path}: is cut short or damaged; restore a copy, or merge the runs into a new graph"
        )
    if any(told in message for told in _FULL):
        return SinkError(
            f"{path}: no space left on its disk; free some and run the same command again, nothing is lost"
        )
    if "Permission denied" in message or "Read-only file system" in message:
        return SinkError(f"{path}: this user has no permission for it; grant it, or give another --graph")
    return SinkError(f"{path}: {first_line(message)}; mend that, then run the same command again")
