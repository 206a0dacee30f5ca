"""Nodes of a DuckDB graph and their labels, which follow from its other tables.

In: a connection within a transaction, after a write. Out: the nodes that statements, listings and members call for.
A function of these tables, so that order and undo leave no trace.
"""

from __future__ import annotations

import duckdb

from extractor.graph.stores.tables import KIND_OF_ID

# A product is labelled by the title of its last run (by id), a SPU by the title that most of its listings have, the
# shortest of several; everything else by the spelling that most statements use.
_NODES = f"""
WITH spelled AS (
    SELECT object AS id, label, count(*) AS times FROM statements
    WHERE NOT starts_with(object, 'product:') GROUP BY ALL
    UNION ALL -- what nothing spells but its id, such as a category that only its branch still mentions
    SELECT DISTINCT subject, split_part(regexp_replace(subject, '^[^:]*:', ''), '.', -1), 0 FROM statements
    WHERE product = '' AND NOT starts_with(subject, 'product:')
), titled AS (
    SELECT 'product:' || product AS id, arg_max(title, run) AS label FROM listings GROUP BY product
), unlisted AS ( -- a match or a person still speaks of them
    SELECT DISTINCT unnest([subject, object]) AS id FROM statements WHERE source IN ('match', 'person')
), labelled AS (
    SELECT id, first(label ORDER BY times DESC, label) AS label FROM spelled GROUP BY id
    UNION ALL
    FROM titled
    UNION ALL
    SELECT id, substring(id, 9) FROM unlisted AS u
    WHERE starts_with(id, 'product:') AND NOT EXISTS (FROM titled AS t WHERE t.id = u.id)
    UNION ALL
    SELECT spu, first(label ORDER BY times DESC, length(label), label) FROM (
        SELECT spu, label, count(*) AS times FROM members JOIN titled ON id = product GROUP BY ALL
    ) GROUP BY spu
)
SELECT id, {KIND_OF_ID} AS kind, label FROM labelled
"""

_SETTLE_NODES = f"""
MERGE INTO nodes USING ({_NODES}) AS wanted ON nodes.id = wanted.id
WHEN MATCHED AND nodes.label <> wanted.label THEN UPDATE SET label = wanted.label
WHEN NOT MATCHED THEN INSERT VALUES (wanted.id, wanted.kind, wanted.label)
WHEN NOT MATCHED BY SOURCE THEN DELETE
"""


def settle_nodes(connection: duckdb.DuckDBPyConnection) -> None:
    """Make, name and remove nodes as the other tables say."""
    connection.execute(_SETTLE_NODES)
