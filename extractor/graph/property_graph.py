"""The graph as graph databases have it: nodes of a kind, and a relation of a type for each statement.

In: nothing. Out: SELECTs, for a server, a CSV import and a local projection, so that the same Cypher holds for all.
What is deprecated is left out, because whoever matches a pattern would take it for true. An SPU's listings lead to it
by `member_of`.
"""

from __future__ import annotations

from extractor.graph.push import Table

NODES = Table("nodes", {name: name for name in ("id", "kind", "label")}, "nodes", "id")

# Column of a relation's own -> its type in DuckDB.
PROPERTIES = {
    **dict.fromkeys(("id", "label", "rank"), "VARCHAR"),
    "confidence": "DOUBLE",
    **dict.fromkeys(("run", "product", "source"), "VARCHAR"),
    **dict.fromkeys(("span_start", "span_end"), "INTEGER"),
    **dict.fromkeys(("quote", "prompt", "schema", "model"), "VARCHAR"),
}
# Both ends around the type, then the properties.
RELATIONS = Table(
    "relations",
    {name: name for name in ("subject", "predicate", "object", *PROPERTIES)},
    "(SELECT * REPLACE (replace(id::VARCHAR, '-', '') AS id) FROM statements WHERE rank <> 'deprecated'"
    " UNION ALL BY NAME SELECT product AS subject, 'member_of' AS predicate, spu AS object,"
    " 'member_of ' || product AS id FROM members)",
    "subject",
)
