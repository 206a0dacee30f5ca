"""What a person names in a graph: a node, a statement.

In: a graph and text from a command line. Out: rows of the graph, or a ConfigError of one line.
"""

from __future__ import annotations

import re
from typing import Any

from extractor.errors import ConfigError
from extractor.graph.stores.duckdb import DuckDBStore

_LOOK_UP = "`extractor graph query \"SELECT id FROM nodes WHERE label ILIKE '%WORD%'\"` finds ids"


def find_node(graph: DuckDBStore, name: str) -> dict[str, Any]:
    """Id, kind and label of a node, by its id or as a bare product id.

    Raises:
        ConfigError: There is no such node.
    """
    # An exact id comes before a product of that name.
    for node_id in (name, f"product:{name}"):
        for node in graph.rows("SELECT id, kind, label FROM nodes WHERE id = ?", [node_id]):
            return node
    raise ConfigError(f"{name}: no such node; {_LOOK_UP}")


def find_statement(graph: DuckDBStore, name: str) -> dict[str, Any] | None:
    """Subject, predicate and object of a statement by its id, 32 hex digits; None when there is none."""
    if not re.fullmatch(r"[0-9a-f]{32}", name):
        return None
    found = graph.rows("SELECT subject, predicate, object FROM statements WHERE id = ?::UUID", [name])
    return next(found, None)
