"""What people ask about: an SPU or product, a category; and what they may have meant.

In: a graph and a name. Out: the node, or a ConfigError of one line that names near ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from extractor.errors import ConfigError
from extractor.graph.stores.duckdb import DuckDBStore

# Names that are offered instead of one that is not there.
_NEAR = 3

# Category of every product, the surest one: runs may differ.
CATEGORY_OF = (
    "SELECT subject AS product, first(object ORDER BY confidence DESC, object) AS category,"
    " max(confidence) AS confidence FROM edges WHERE predicate = 'in_category' GROUP BY subject"
)
# SPU of every product; one in no cluster stands for itself.
THING_OF = (
    "SELECT n.id AS product, coalesce(m.spu, n.id) AS thing"
    " FROM nodes AS n LEFT JOIN members AS m ON m.product = n.id WHERE n.kind = 'Product'"
)
# Category of every SPU, or of a product in none.
CATEGORY_OF_THING = (
    "SELECT thing, first(category ORDER BY confidence DESC, category) AS category"
    f" FROM ({THING_OF}) JOIN ({CATEGORY_OF}) USING (product) GROUP BY thing"
)


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


def find_thing(graph: DuckDBStore, name: str) -> Thing:
    """An SPU or product by its node id, or by that without its prefix; a product comes before an SPU.

    Raises:
        ConfigError: There is none of this name.
    """
    for node_id in (name, f"product:{name}", f"spu:{name}"):
        for node in graph.rows("SELECT id, kind, label FROM nodes WHERE id = ?", [node_id]):
            if node["kind"] not in ("SPU", "Product"):
                raise ConfigError(f"{name}: is a {node['kind']}; give the id of an SPU or product")
            members = graph.rows("SELECT spu, product FROM members WHERE $1 IN (spu, product)", [node["id"]])
            return _thing(node, list(members))
    raise ConfigError(_unknown(graph, name, "SPU or product", ("SPU", "Product")))


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
        raise ConfigError(_unknown(graph, name, "category", ("Category",)))
    return Category(found[0]["id"], found[0]["label"], _subtree(graph, found[0]["id"]))


def check_products(graph: DuckDBStore) -> None:
    """Refuse a graph of which there is nothing to tell.

    Raises:
        ConfigError: It has no products.
    """
    if not any(graph.rows("SELECT 1 FROM nodes WHERE kind = 'Product' LIMIT 1")):
        raise ConfigError("--graph: it has no products; merge a run into it first")


def near(name: str, names: Sequence[str]) -> str:
    """The likeliest of some names, for a message: "sales, rating"."""
    from difflib import get_close_matches

    return ", ".join(get_close_matches(name, names, _NEAR, 0.5) or sorted(names)[:_NEAR])


def _thing(node: dict[str, Any], members: Sequence[dict[str, Any]]) -> Thing:
    if node["kind"] == "SPU":
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
    likely = graph.rows(
        "SELECT id FROM nodes WHERE list_contains($1, kind) ORDER BY greatest("
        "jaro_winkler_similarity(lower(id), lower($2)),"
        " jaro_winkler_similarity(lower(substring(id, 1 + instr(id, ':'))), lower($2)),"
        " jaro_winkler_similarity(lower(label), lower($2))) DESC, id LIMIT $3",
        [list(kinds), name, _NEAR],
    )
    ids = ", ".join(row["id"] for row in likely)
    return f"{name or repr(name)}: no such {what}; " + (
        f"near ones are {ids}" if ids else "the graph has none, merge a run"
    )
