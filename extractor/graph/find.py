"""What a person names in a graph: a node, an SPU or product, a category, a statement; and what they may have meant.

In: a graph and text from a command line. Out: what is of this name, or a ConfigError of one line that names near ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from extractor.errors import ConfigError
from extractor.graph.nodes import KINDS
from extractor.graph.stores.duckdb import DuckDBStore

# Names that are offered instead of one that is not there.
_NEAR = 3
# Characters of a wrong name that a message repeats, and of which near ones are looked for.
_SHOWN = 80
_THINGS = (KINDS["spu"], KINDS["product"])


@dataclass(frozen=True, slots=True)
class Thing:
    """An SPU or a product."""

    # Node id.
    id: str
    # "SPU" or "Product".
    kind: str
    label: str
    # Node ids of its listings; of a product, its own.
    listings: tuple[str, ...]
    # Node id of the SPU that it is or belongs to; its own where it is in none.
    spu: str


@dataclass(frozen=True, slots=True)
class Category:
    """A category with all that is below it."""

    # Node id.
    id: str
    label: str
    # Node ids, its own among them.
    subtree: tuple[str, ...]


def find_node(graph: DuckDBStore, name: str) -> dict[str, Any]:
    """Id, kind and label of a node, by its id; of a product or SPU also by that without its prefix.

    Raises:
        ConfigError: There is no such node.
    """
    node = _node(graph, name)
    if node is None:
        value = KINDS["value"]
        kinds = [kind for prefix, kind in KINDS.items() if kind != value or name.startswith(f"{prefix}:")]
        raise ConfigError(_unknown(graph, name, "node", kinds))
    return node


def find_thing(graph: DuckDBStore, name: str) -> Thing:
    """An SPU or product, named as in `find_node`.

    Raises:
        ConfigError: There is none of this name.
    """
    node = _node(graph, name)
    if node is None:
        raise ConfigError(_unknown(graph, name, "SPU or product", _THINGS))
    if node["kind"] not in _THINGS:
        raise ConfigError(f"{name}: is a {node['kind']}; give the id of an SPU or product")
    members = graph.rows("SELECT spu, product FROM members WHERE $1 IN (spu, product)", [node["id"]])
    return _thing(node, list(members))


def find_category(graph: DuckDBStore, name: str) -> Category:
    """A category by its node id, that without its prefix, or its label where no other is called so.

    Raises:
        ConfigError: There is none of this name.
    """
    found = list(
        graph.rows(
            "SELECT id, label FROM nodes WHERE kind = 'Category' AND (id IN ($1, 'category:' || $1)"
            " OR lower(label) = lower($1)) ORDER BY id NOT IN ($1, 'category:' || $1), id",
            [name],
        )
    )
    if len(found) > 1 and found[0]["id"] not in (name, f"category:{name}"):
        ids = ", ".join(row["id"] for row in found[:_NEAR])
        raise ConfigError(f"{name}: so are called several categories; give an id, such as {ids}")
    if not found:
        raise ConfigError(_unknown(graph, name, "category", (KINDS["category"],)))
    return Category(found[0]["id"], found[0]["label"], _subtree(graph, found[0]["id"]))


def find_statement(graph: DuckDBStore, name: str) -> dict[str, Any] | None:
    """Subject, predicate and object of a statement by its id; None when there is none.

    An id is 32 hex digits, with hyphens where SQL or `graph check` showed it.
    """
    digits = name.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        return None
    found = graph.rows("SELECT subject, predicate, object FROM statements WHERE id = ?::UUID", [digits])
    return next(found, None)


def near(name: str, names: Sequence[str]) -> str:
    """The likeliest of some names, or else the first ones, for a message: "sales, rating"."""
    from difflib import get_close_matches

    return ", ".join(get_close_matches(name, names, _NEAR, 0.5) or names[:_NEAR])


def _node(graph: DuckDBStore, name: str) -> dict[str, Any] | None:
    # An exact id comes before a product of that name, and that before an SPU.
    for node_id in (name, f"product:{name}", f"spu:{name}"):
        for node in graph.rows("SELECT id, kind, label FROM nodes WHERE id = ?", [node_id]):
            return node
    return None


def _thing(node: dict[str, Any], members: Sequence[dict[str, Any]]) -> Thing:
    if node["kind"] == KINDS["spu"]:
        return Thing(**node, listings=tuple(sorted(row["product"] for row in members)), spu=node["id"])
    return Thing(**node, listings=(node["id"],), spu=members[0]["spu"] if members else node["id"])


def _subtree(graph: DuckDBStore, category: str) -> tuple[str, ...]:
    rows = graph.rows(
        "WITH RECURSIVE below(id) AS (SELECT ? UNION"
        " SELECT e.subject FROM edges AS e JOIN below ON e.object = below.id"
        " WHERE e.predicate = 'subcategory_of') SELECT id FROM below ORDER BY id",
        [category],
    )
    return tuple(row["id"] for row in rows)


def _unknown(graph: DuckDBStore, name: str, what: str, kinds: Sequence[str]) -> str:
    shown = " ".join(name.split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    likely = graph.rows(
        "SELECT id FROM nodes WHERE list_contains($1, kind) ORDER BY greatest("
        "jaro_winkler_similarity(lower(id), lower($2)),"
        " jaro_winkler_similarity(lower(substring(id, 1 + instr(id, ':'))), lower($2)),"
        " jaro_winkler_similarity(lower(label), lower($2))) DESC, id LIMIT $3",
        [list(kinds), shown, _NEAR],
    )
    ids = ", ".join(row["id"] for row in likely)
    return f"{shown or repr(shown)}: no such {what}; " + (
        f"near ones are {ids}" if ids else "the graph has none, merge a run"
    )
