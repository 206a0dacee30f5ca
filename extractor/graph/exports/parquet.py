"""A folder of Parquet files: nodes, statements, edges (what statements agree on) and members (listings of an SPU).

In: a graph. Out: a file of each, in the order of their ids.
"""

from __future__ import annotations

from pathlib import Path

from extractor.graph.stores.duckdb import DuckDBStore

_FILES = {
    "nodes": "SELECT * FROM nodes ORDER BY id",
    "edges": "SELECT * FROM edges ORDER BY subject, predicate, object",
    "members": "SELECT * FROM members ORDER BY spu, product",
    "statements": (
        "SELECT replace(id::VARCHAR, '-', '') AS id, * EXCLUDE (id) FROM statements"
        " ORDER BY subject, predicate, object, statements.id"
    ),
}


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the files into a new folder."""
    out.mkdir()
    for name, sql in _FILES.items():
        graph.copy_to_parquet(sql, out / f"{name}.parquet")
