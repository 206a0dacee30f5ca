"""What is derived in a DuckDB graph: clusters of listings, and nodes with their labels.

In: a connection within a transaction, after a write. Out: the tables that follow from statements and listings, brought
in line. A function of those tables, so that order and undo leave no trace.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from extractor.graph.identity import DIFFERENT, SAME, Identity, PairClaim, identify
from extractor.graph.stores.tables import KIND_OF_ID, table

# A product is labelled by the title of its last run (by id), a SPU by the title that most of its listings have, the
# shortest of several; everything else by the spelling that most statements use.
_NODES = f"""
WITH spelled AS (
    SELECT object AS id, label, count(*) AS times FROM statements
    WHERE NOT starts_with(object, 'product:') GROUP BY ALL
    UNION ALL -- a category that only its branch still mentions: nothing spells it but its id
    SELECT DISTINCT subject, split_part(subject, '.', -1), 0 FROM statements WHERE product = ''
        AND NOT starts_with(subject, 'product:')
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

# Between two listings of the graph: a listing that is gone is in no cluster.
_PAIRS = f"""
SELECT s.id::VARCHAR, subject, object, predicate = '{SAME}', source = 'person', confidence,
    coalesce(manifest->>'created', ''), run
FROM statements AS s JOIN runs AS r ON r.id = s.run
WHERE predicate IN ('{SAME}', '{DIFFERENT}')
    AND subject IN (SELECT 'product:' || product FROM listings)
    AND object IN (SELECT 'product:' || product FROM listings)
"""


def settle_nodes(connection: duckdb.DuckDBPyConnection) -> None:
    """Make, name and remove nodes as the other tables say."""
    connection.execute(_SETTLE_NODES)


def settle_members(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the clusters those of the statements about pairs of listings, and rank these statements."""
    pairs = connection.execute(_PAIRS).fetchall()
    identity = identify(PairClaim._make((*claim, (created, run))) for *claim, created, run in pairs)
    _write_members(connection, identity)


def _write_members(connection: duckdb.DuckDBPyConnection, identity: Identity) -> None:
    rows = [
        (f"spu:{cluster[0].removeprefix('product:')}", product)
        for cluster in identity.clusters
        for product in cluster
    ]
    connection.register("new_members", table(dict.fromkeys(("spu", "product"), pa.string()), rows))
    connection.execute("DELETE FROM members WHERE (spu, product) NOT IN (FROM new_members)")
    connection.execute("INSERT INTO members FROM new_members WHERE (spu, product) NOT IN (FROM members)")
    connection.unregister("new_members")
    lost = table(dict.fromkeys(("id", "reason"), pa.string()), identity.lost.items())
    connection.register("lost", lost)
    connection.execute(
        "UPDATE statements SET rank = CASE WHEN lost.id IS NULL THEN 'normal' ELSE 'deprecated' END"
        ", reason = coalesce(lost.reason, '')"
        " FROM (SELECT s.id AS pair FROM statements AS s"
        f" WHERE predicate IN ('{SAME}', '{DIFFERENT}')) LEFT JOIN lost ON pair = lost.id::UUID"
        " WHERE statements.id = pair AND statements.reason <> coalesce(lost.reason, '')"
    )
    connection.unregister("lost")
