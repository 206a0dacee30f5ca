"""Which relations are attributes of products, and which are remarks, or facts that only a shop's feed has.

An attribute is what a schema of the graph's runs defines, or what was read from a text. What only the feed says
and no schema knows, such as price, url or sales, is a fact but no attribute; `coverage` lists these.
"""

from __future__ import annotations

from extractor.graph.feed_numbers import FIGURES
from extractor.graph.stores.duckdb import DuckDBStore

IN_CATEGORY = "in_category"
# What an offer asks, the first that is stated; and who sells it.
PRICES = ("has_sale_price", "has_price")
SELLER = "sold_by"
# Relations that say something of an offer, or of how it sells, whatever the product is like.
OF_OFFER = frozenset({SELLER, *(f"has_{name}" for name in FIGURES)})
# Relations that say how the graph came about or hangs together, nothing of what a product is like.
REMARKS = frozenset(
    {
        *("brand_link", "brand_check", "sub_brand_of"),
        *("same_as", "different_from", "subcategory_of", IN_CATEGORY, "also_in_category", "has_attribute"),
    }
)


def attribute_relations(graph: DuckDBStore) -> list[str]:
    """Relation types of this graph that are attributes."""
    rows = graph.rows(
        "SELECT DISTINCT predicate FROM statements WHERE rank <> 'deprecated' AND NOT list_contains($1, predicate)"
        " AND (source IN ('title', 'description') OR list_contains($2, predicate)) ORDER BY predicate",
        [sorted(REMARKS), sorted(graph.schemas().relations)],
    )
    return [row["predicate"] for row in rows]


def attribute_name(relation: str) -> str:
    """As people read it: "screen_size" for has_screen_size."""
    return relation.removeprefix("has_")
