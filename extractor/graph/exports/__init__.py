"""A graph in the formats of other tools: name table and safe replacement.

In: a graph and a path. Out: a file or folder there, whole or not at all. A new format is a module with
`write(graph, out)` and a line in `EXPORTS`.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path

from extractor.errors import ConfigError, SinkError
from extractor.graph.stores.duckdb import DuckDBStore

# Name -> module with `write`; imported when asked for.
EXPORTS = {
    "parquet": "extractor.graph.exports.parquet",
    "jsonld": "extractor.graph.exports.jsonld",
    "brands": "extractor.graph.exports.brands",
}


def export(graph: DuckDBStore, name: str, out: Path, *, force: bool = False) -> None:
    """Write the graph to `out`.

    Args:
        graph: Where from.
        name: One of EXPORTS.
        out: New file or folder, by the format.
        force: Replace what an earlier export left there.

    Raises:
        ConfigError: There is no such format, or `out` is taken.
        SinkError: `out` cannot be written; what was there before still is.
    """
    if name not in EXPORTS:
        raise ConfigError(f"--to {name}: no such format; choose one of {', '.join(EXPORTS)}")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: its folder is not there; make it, or give another --out")
    if not force and (out.is_file() or _names(out)):
        raise ConfigError(f"{out}: is there already; give --force to replace it")
    try:
        # Beside `out`, because a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            new = Path(scratch) / "new"
            import_module(EXPORTS[name]).write(graph, new)
            _replace(new, out, Path(scratch) / "old")
    except OSError as error:
        raise SinkError(f"{out}: {error.strerror or error}; free space or give another --out") from error


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
