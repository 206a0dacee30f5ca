"""A graph as Parquet files for readers, while the graph itself is being written: always whole, replaced at once.

In: a graph and a folder. Out: `FOLDER/current`, a link to the folder of the last snapshot, with one file for each table
and one for the edges. A link is replaced in one step, so whoever follows it sees all files of one snapshot; a snapshot
stays for as long as it is the last or the last but one. Read with `--graph FOLDER`, or with any Parquet reader that
resolves `current` once.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from extractor.errors import ConfigError
from extractor.journal.files import lock, sink_errors
from extractor.outputs import check_output

if TYPE_CHECKING:
    from extractor.graph.stores.duckdb import DuckDBStore

_CURRENT = "current"
_LOCK = ".lock"
_VERSION = "v-"
# Table -> what its file holds, and how a reader gets the table from that.
_TABLES = {
    **dict.fromkeys(("graph_format", "listings", "nodes", "members", "functional", "edges"), ("*", "*")),
    "runs": ("*", "* REPLACE (manifest::JSON AS manifest)"),
    # Ids as they are written everywhere outside.
    "statements": (
        "replace(id::VARCHAR, '-', '') AS id, * EXCLUDE (id)",
        "* REPLACE (id::UUID AS id)",
    ),
}
# The same; a snapshot that an older package wrote does not have them.
_SINCE_3 = {"run_schemas": ("*", "*"), "schemas": ("*", "* REPLACE (content::JSON AS content)")}


def is_snapshot(path: Path) -> bool:
    return (path / _CURRENT).is_symlink()


def write_snapshot(graph: DuckDBStore, folder: Path) -> None:
    """Make or replace the snapshot in a folder of its own.

    Raises:
        ConfigError: The folder holds something else.
        SinkError: It cannot be written; the snapshot that was there still is.
    """
    check_output(folder, "FOLDER")
    if folder.exists() and not is_snapshot(folder) and not _is_free(folder):
        raise ConfigError(f"{folder}: holds something else than a snapshot; give another folder")
    with sink_errors(folder):
        folder.mkdir(exist_ok=True)
        with _locked(folder):
            new = folder / f"{_VERSION}{secrets.token_hex(6)}"
            new.mkdir()
            try:
                for name, (stored, _) in (_TABLES | _SINCE_3).items():
                    graph.copy_to_parquet(f"SELECT {stored} FROM {name}", new / f"{name}.parquet")
                before = os.readlink(folder / _CURRENT) if is_snapshot(folder) else None
                _publish(new)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            _tidy(folder, {new.name, before})


def attach_snapshot(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Give an empty connection the tables of the last snapshot, and access to nothing else."""
    files = (folder / _CURRENT).resolve()
    text = str(files).replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{text}']")
    later = {name: sql for name, sql in _SINCE_3.items() if (files / f"{name}.parquet").exists()}
    for name, (_, read) in (_TABLES | later).items():
        connection.execute(f"CREATE VIEW {name} AS SELECT {read} FROM read_parquet('{text}/{name}.parquet')")


def _publish(new: Path) -> None:
    """Point the link to a folder whose files are on the disk."""
    for path in (*new.iterdir(), new):
        _flush(path)
    link = new.with_name(f".{new.name}")
    link.symlink_to(new.name)
    link.replace(new.with_name(_CURRENT))
    _flush(new.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tidy(folder: Path, kept: set[str | None]) -> None:
    """Remove older snapshots, and what a killed process left."""
    for path in folder.iterdir():
        if path.is_symlink() and path.name != _CURRENT:
            path.unlink()
        elif path.name.startswith(_VERSION) and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _is_free(folder: Path) -> bool:
    """Empty, but for what a process left that was killed at its first snapshot."""
    return folder.is_dir() and all(
        path.name == _LOCK or path.name.lstrip(".").startswith(_VERSION) for path in folder.iterdir()
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("wb") as file:
        lock(file, f"{folder}: another process writes this snapshot; let it end first")
        yield
