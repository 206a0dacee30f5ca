"""Which products are one thing, and the category of each: the SQL that every answer starts from."""

from __future__ import annotations

from extractor.errors import ConfigError
from extractor.graph.stores.duckdb import DuckDBStore

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


def check_products(graph: DuckDBStore) -> None:
    """Refuse a graph of which there is nothing to tell.

    Raises:
        ConfigError: It has no products.
    """
    if not any(graph.rows("SELECT 1 FROM nodes WHERE kind = 'Product' LIMIT 1")):
        raise ConfigError("--graph: it has no products; merge a run into it first")
