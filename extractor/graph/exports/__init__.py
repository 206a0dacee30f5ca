"""A graph in the formats of other tools: name table and safe replacement.

In: a graph and a path. Out: a file or folder there, whole or not at all. A new format is a module with
`write(graph, out)` and a line in `EXPORTS`; one of a neighborhood has `write(graph, out, around)` and stands in
`NEIGHBORHOODS`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from extractor.errors import ConfigError, SinkError
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.journal.files import lock, sink_errors
from extractor.outputs import check_output

# Name -> module with `write`; imported when asked for.
EXPORTS = {
    "parquet": "extractor.graph.exports.parquet",
    "neo4j-csv": "extractor.graph.exports.neo4j_csv",
    "jsonld": "extractor.graph.exports.jsonld",
    "nquads": "extractor.graph.exports.nquads",
    "brands": "extractor.graph.exports.brands",
}
# Formats for what a person looks at, which is never a whole graph.
NEIGHBORHOODS = {"graphml": "extractor.graph.exports.graphml"}
# In the scratch folder: what is being written, and what it will replace.
_NEW, _OLD = "new", "old"


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """A part of a graph: a node and what is near it."""

    # Node id, or a bare product id.
    node: str
    # Steps away from it, in either direction; 0 or more.
    depth: int = 1


def export(
    graph: DuckDBStore, name: str, out: Path, *, force: bool = False, around: Neighborhood | None = None
) -> None:
    """Write the graph to `out`.

    Args:
        graph: Where from.
        name: One of EXPORTS or NEIGHBORHOODS.
        out: New file or folder, by the format.
        force: Replace what an earlier export left there.
        around: For a format of NEIGHBORHOODS, and for no other.

    Raises:
        ConfigError: There is no such format or node, or `out` is taken.
        SinkError: `out` cannot be written; what was there before still is.
    """
    _check(name, around)
    with sink_errors(out):
        place = Path(os.path.realpath(out))  # a link stays a link
        check_output(out)
        with _scratch(place) as scratch:
            _check_place(out, place, force=force)
            new = scratch / _NEW
            _write(graph, name, new, out, around)
            if place.exists() and (place.is_dir() != new.is_dir() or not _names(place) <= _names(new)):
                raise ConfigError(f"{out}: holds something else than such an export; give another --out")
            _replace(new, place, scratch / _OLD)


def _check(name: str, around: Neighborhood | None) -> None:
    if name not in EXPORTS and name not in NEIGHBORHOODS:
        formats = ", ".join([*EXPORTS, *NEIGHBORHOODS])
        raise ConfigError(f"--to {name}: no such format; choose one of {formats}")
    if name in NEIGHBORHOODS and around is None:
        raise ConfigError(
            f"--to {name}: it is of a neighborhood; give --around ID, and --depth where 1 is too little"
        )
    if name in EXPORTS and around is not None:
        formats = ", ".join(NEIGHBORHOODS)
        raise ConfigError(f"--to {name}: it is of the whole graph; leave out --around, or choose {formats}")


def _write(graph: DuckDBStore, name: str, new: Path, out: Path, around: Neighborhood | None) -> None:
    """Write to `new`; messages are about `out`."""
    try:
        if around is None:
            import_module(EXPORTS[name]).write(graph, new)
        else:
            import_module(NEIGHBORHOODS[name]).write(graph, new, around)
    except SinkError as error:
        raise SinkError(str(error).replace(str(new), str(out))) from error


def _check_place(out: Path, place: Path, *, force: bool) -> None:
    """What is there goes away by force only."""
    if not force and (place.is_file() or _names(place)):
        raise ConfigError(f"{out}: is there already; give --force to replace it")


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """A folder for one export to this place, beside it because a rename is atomic only within one file system.

    What a killed export left there goes; what it had put aside to replace it comes back.
    """
    folder = place.with_name(f".export-{place.name}")
    folder.mkdir(exist_ok=True)
    with _opened(folder) as handle:
        lock(handle, f"{place}: another process exports to it; let it end first")
        if not _names(folder) <= {_NEW, _OLD}:
            raise ConfigError(
                f"{folder}: is in the way and none of an export; move it, or give another --out"
            )
        if (folder / _OLD).exists() and not place.exists():
            (folder / _OLD).rename(place)
        _remove(folder / _NEW)
        _remove(folder / _OLD)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replace(new: Path, out: Path, old: Path) -> None:
    if out.is_dir():
        out.rename(old)
    try:
        new.replace(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
