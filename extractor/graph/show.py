"""What the graph says about one node.

In: a graph and a node id or a bare product id. Out: a plain dict, for people's view and `--json`.
"""

from __future__ import annotations

from typing import Any

from extractor.graph.find import find_node
from extractor.graph.stores.duckdb import DuckDBStore

# Statements about a node that are listed; a brand may have millions.
_MENTIONS = 20

_COLUMNS = (
    "replace(s.id::VARCHAR, '-', '') AS id, predicate, object, o.label AS label, rank, reason, confidence,"
    " run, product, source, span_start, span_end, quote, prompt, schema, model"
)


_SPU = "SELECT spu FROM members WHERE product = ?"
_LISTINGS = "SELECT n.id, n.label FROM members JOIN nodes AS n ON n.id = product WHERE spu = ? ORDER BY n.id"


def describe(graph: DuckDBStore, name: str) -> dict[str, Any]:
    """A node, its category from the top, its statements with their origin, and who mentions it.

    A product has the id of its SPU (None when it is the only listing), a SPU its listings.

    Raises:
        ConfigError: There is no such node.
    """
    node = find_node(graph, name)
    statements = graph.rows(
        f"SELECT {_COLUMNS} FROM statements AS s JOIN nodes AS o ON o.id = s.object"
        " WHERE subject = ? ORDER BY predicate, object, run, span_start, s.id",
        [node["id"]],
    )
    mentions = graph.rows(
        "SELECT subject AS id, predicate, n.label AS label FROM edges JOIN nodes AS n ON n.id = subject"
        f" WHERE object = ? ORDER BY predicate, id LIMIT {_MENTIONS}",
        [node["id"]],
    )
    count = graph.rows("SELECT count(*) AS n FROM edges WHERE object = ?", [node["id"]])
    return {
        **node,
        "category": _category(graph, node),
        "spu": next((row["spu"] for row in graph.rows(_SPU, [node["id"]])), None),
        "listings": list(graph.rows(_LISTINGS, [node["id"]])),
        "statements": [_with_span(row) for row in statements],
        "mentioned_by": next(count)["n"],
        "mentions": list(mentions),
    }


def _category(graph: DuckDBStore, node: dict[str, Any]) -> list[str]:
    """Labels from the top of the taxonomy to the product's category, or down to what is above a category.

    Where runs differ, the surest counts.
    """
    labels: list[str] = []
    node_id = node["id"]
    predicate = "subcategory_of" if node["kind"] == "Category" else "in_category"
    # Two taxonomies together can go in a circle.
    seen = {node_id}
    while True:
        parents = list(
            graph.rows(
                "SELECT object, n.label AS label FROM edges JOIN nodes AS n ON n.id = object"
                " WHERE subject = ? AND predicate = ? ORDER BY confidence DESC, object LIMIT 1",
                [node_id, predicate],
            )
        )
        if not parents or parents[0]["object"] in seen:
            return labels
        node_id, predicate = parents[0]["object"], "subcategory_of"
        seen.add(node_id)
        labels.insert(0, parents[0]["label"])


def _with_span(row: dict[str, Any]) -> dict[str, Any]:
    """Span as in an Outcome's JSON."""
    start, end = row.pop("span_start"), row.pop("span_end")
    return {**row, "span": None if start is None else [start, end]}
