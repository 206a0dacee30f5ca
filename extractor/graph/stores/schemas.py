"""The schemas in a DuckDB graph: told by runs, kept once however many runs have the same, gone with the last of these.

In: a connection in a transaction. Out: the tables schemas, run_schemas and functional. Which of several count is
decided in graph/schemas.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache

import duckdb

from extractor.graph.schemas import GraphSchemas
from extractor.schema_set import SchemaSet, shipped_schemas

# A run of listings that told none was merged before graphs were told schemas: it has the package's.
_LATEST_FIRST = """
WITH speaking AS (SELECT DISTINCT run FROM listings UNION SELECT run FROM run_schemas), told AS (
    SELECT hash, max((coalesce(manifest->>'created', ''), run)) AS last
    FROM speaking JOIN runs ON id = run LEFT JOIN run_schemas USING (run) GROUP BY hash
)
SELECT content FROM told LEFT JOIN schemas USING (hash) ORDER BY last DESC
"""


def schemas_of(connection: duckdb.DuckDBPyConnection) -> GraphSchemas:
    """The schemas of all runs."""
    contents = [row[0] for row in connection.execute(_LATEST_FIRST).fetchall()]
    return GraphSchemas([_parsed(content) if content else shipped_schemas() for content in contents])


# A graph has few, and asks for them with every run.
@lru_cache(maxsize=8)
def _parsed(content: str) -> SchemaSet:
    return SchemaSet(json.loads(content))


def wrong_schemas(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Hashes of schemas that a run has and the graph has not, or the other way round; wrong functional relations."""
    told, kept, functional = (
        {row[0] for row in connection.execute(f"SELECT {column} FROM {name}").fetchall()}
        for name, column in (("run_schemas", "hash"), ("schemas", "hash"), ("functional", "predicate"))
    )
    yield from told ^ kept
    yield from functional ^ schemas_of(connection).functional


def tell_schemas(connection: duckdb.DuckDBPyConnection, run_id: str, schemas: SchemaSet) -> None:
    """Make these the schemas of a run."""
    forget_schemas(connection, run_id)
    connection.execute("INSERT INTO run_schemas VALUES (?, ?)", [run_id, schemas.hash])
    connection.execute(
        "INSERT INTO schemas SELECT $hash, $content WHERE $hash NOT IN (SELECT hash FROM schemas)",
        {"hash": schemas.hash, "content": json.dumps(schemas.document, ensure_ascii=False)},
    )


def forget_schemas(connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """Remove what only this run has told."""
    connection.execute("DELETE FROM run_schemas WHERE run = ?", [run_id])
    connection.execute("DELETE FROM schemas WHERE hash NOT IN (SELECT hash FROM run_schemas)")


def settle_functional(connection: duckdb.DuckDBPyConnection) -> bool:
    """Bring the table functional in line with the schemas; whether that changed it."""
    functional = schemas_of(connection).functional
    if {row[0] for row in connection.execute("FROM functional").fetchall()} == functional:
        return False
    connection.execute("DELETE FROM functional")
    connection.execute("INSERT INTO functional SELECT unnest(?::VARCHAR[])", [sorted(functional)])
    return True
