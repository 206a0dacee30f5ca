"""What runs say in a DuckDB graph: written, replaced and removed.

In: a connection within a transaction, Arrow tables. Out: the tables runs, listings and statements, and nodes for what
is new. Ranks, clusters and the nodes that go are settled by who calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from extractor.graph.stores import Change
from extractor.graph.stores.arrow import Batch
from extractor.graph.stores.schemas import forget_schemas
from extractor.graph.stores.tables import KIND_OF_ID

_ADD_RUN = """
INSERT INTO runs VALUES ($run, $manifest, now() AT TIME ZONE 'UTC')
ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, merged_at = excluded.merged_at
WHERE manifest <> excluded.manifest
"""
# What a run said before and does not say now; ranks and reasons are derived and make no difference. `scope` of what
# follows is SQL: the statements of the run that may be among the new ones.
_FORGET = """
DELETE FROM statements AS old WHERE run = $run AND NOT EXISTS
    (FROM new_statements AS new WHERE new.id::UUID = old.id
     AND new.label = old.label AND new.confidence = old.confidence) AND {scope}
"""
_SAY = """
INSERT INTO statements BY NAME
SELECT * REPLACE (id::UUID AS id), 'normal' AS rank FROM new_statements AS new
    ANTI JOIN (SELECT id FROM statements WHERE run = $run AND {scope}) AS old ON old.id = new.id::UUID
"""
_ALL = "true"
_OF_LISTINGS = "product IN (SELECT product FROM new_listings)"
_OF_NO_LISTING = "product = ''"
# What listings state something of is a listing, or stated of one.
_NAME = f"""
INSERT INTO nodes SELECT id, {KIND_OF_ID}, label FROM (
    SELECT object AS id, min(label) AS label FROM new_statements GROUP BY object
    UNION ALL SELECT 'product:' || product, title FROM new_listings
) AS new ANTI JOIN nodes AS old USING (id)
"""
# A run that speaks of these listings for the first time has nothing to forget, and looking for it takes long.
_ARE_LISTED = f"SELECT count(*) FROM listings WHERE run = $run AND {_OF_LISTINGS}"
_FORGET_LISTINGS = """
DELETE FROM listings AS old WHERE run = $run AND EXISTS
    (FROM new_listings AS new WHERE new.product = old.product
     AND (new.title <> old.title OR new.content_hash <> old.content_hash))
"""
_LIST = """
INSERT INTO listings FROM new_listings AS new
    WHERE NOT EXISTS (FROM listings AS old WHERE old.run = $run AND old.product = new.product)
"""
_HAS_RUN = "SELECT count(*) FROM runs WHERE id = $run"
# Whose words are the later ones goes by this date.
_HAS_ANOTHER_DATE = f"{_HAS_RUN} AND coalesce(manifest->>'created', '') <> $created"


def has_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> bool:
    return _count(connection, _HAS_RUN, run=run_id) > 0


def add_run(connection: duckdb.DuckDBPyConnection, run_id: str, manifest: Mapping[str, Any]) -> bool:
    """Record a run, or its changed manifest; whether it was there with another date."""
    created = str(manifest.get("created", ""))
    is_moved = _count(connection, _HAS_ANOTHER_DATE, run=run_id, created=created) > 0
    connection.execute(_ADD_RUN, {"run": run_id, "manifest": json.dumps(manifest, sort_keys=True)})
    return is_moved


def say_of_listings(connection: duckdb.DuckDBPyConnection, run_id: str, batch: Batch) -> Change:
    """Make this all that the run says of these listings."""
    with _registered(connection, new_listings=batch.listings, new_statements=batch.statements):
        removed, scope = 0, _OF_NO_LISTING
        if _count(connection, _ARE_LISTED, run=run_id):
            removed = _count(connection, _FORGET.format(scope=_OF_LISTINGS), run=run_id)
            connection.execute(_FORGET_LISTINGS, {"run": run_id})
            scope = f"({_OF_LISTINGS} OR {_OF_NO_LISTING})"
        added = _count(connection, _SAY.format(scope=scope), run=run_id)
        connection.execute(_LIST, {"run": run_id})
        connection.execute(_NAME)
    return Change(added, removed)


def say_all(connection: duckdb.DuckDBPyConnection, run_id: str, statements: pa.Table) -> Change:
    """Make this all that the run says."""
    with _registered(connection, new_statements=statements):
        removed = _count(connection, _FORGET.format(scope=_ALL), run=run_id)
        return Change(_count(connection, _SAY.format(scope=_ALL), run=run_id), removed)


def drop_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> int:
    """Remove a run and its statements; how many these were."""
    removed = _count(connection, "DELETE FROM statements WHERE run = $run", run=run_id)
    connection.execute("DELETE FROM listings WHERE run = ?", [run_id])
    connection.execute("DELETE FROM runs WHERE id = ?", [run_id])
    forget_schemas(connection, run_id)
    return removed


def _count(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: str) -> int:
    """What it counts, or how many rows it writes."""
    row = connection.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """SQL can name them."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)
