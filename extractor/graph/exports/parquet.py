"""A folder of Parquet files: nodes, statements, and edges (what statements agree on).

In: a graph. Out: nodes.parquet, statements.parquet, edges.parquet, in the order of their ids.
"""

from __future__ import annotations

from pathlib import Path

from extractor.graph.stores.duckdb import DuckDBStore

_FILES = {
    "nodes": "SELECT * FROM nodes ORDER BY id",
    "edges": "SELECT * FROM edges ORDER BY subject, predicate, object",
    "statements": (
        "SELECT replace(id::VARCHAR, '-', '') AS id, * EXCLUDE (id) FROM statements"
        " ORDER BY subject, predicate, object, statements.id"
    ),
}


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the three files into a new folder."""
    out.mkdir()
    for name, sql in _FILES.items():
        graph.copy_to_parquet(sql, out / f"{name}.parquet")
