"""A graph in the formats of other tools: name table and safe replacement.

In: a graph and a path. Out: a file or folder there, whole or not at all. A new format is a module with
`write(graph, out)` and a line in `EXPORTS`; one of a neighborhood has `write(graph, out, around)` and stands in
`NEIGHBORHOODS`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from extractor.errors import ConfigError, SinkError
from extractor.graph.stores.duckdb import DuckDBStore

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
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: its folder is not there; make it, or give another --out")
    if not force and (out.is_file() or _names(out)):
        raise ConfigError(f"{out}: is there already; give --force to replace it")
    try:
        # Beside `out`, because a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            new = Path(scratch) / "new"
            _write(graph, name, new, around)
            _replace(new, out, Path(scratch) / "old")
    except OSError as error:
        raise SinkError(f"{out}: {error.strerror or error}; free space or give another --out") from error


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


def _write(graph: DuckDBStore, name: str, out: Path, around: Neighborhood | None) -> None:
    if around is None:
        import_module(EXPORTS[name]).write(graph, out)
    else:
        import_module(NEIGHBORHOODS[name]).write(graph, out, around)


def _replace(new: Path, out: Path, old: Path) -> None:
    # An export has our names only: nobody's home folder goes away by a slip in --out.
    if out.exists() and (out.is_dir() != new.is_dir() or not _names(out) <= _names(new)):
        raise ConfigError(f"{out}: holds something else than such an export; give another --out")
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
