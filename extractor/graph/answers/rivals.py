"""What competes with an SPU or product: another brand, the same category, many of the same values.

In: a graph and the thing. Out: the most alike, with what they share and what differs. Alike are those that share many
of all values that the two state together (Jaccard), brand and price aside; where little is stated, little is known, so
that 5 of 6 comes before 1 of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from extractor.graph.answers.attributes import attribute_relations
from extractor.graph.answers.prices import offers, typical
from extractor.graph.answers.things import CATEGORY_OF_THING, THING_OF
from extractor.graph.brands import HAS_BRAND
from extractor.graph.feed_numbers import Money
from extractor.graph.find import Thing
from extractor.graph.stores.duckdb import DuckDBStore


@dataclass(frozen=True, slots=True)
class Rival:
    """One competitor."""

    # Node id.
    id: str
    label: str
    brands: tuple[str, ...]
    # None where none is stated.
    price: Money | None
    # Values that either states; how many of them both do is how alike they are.
    stated: int
    # Labels of the values that both state, that only the rival states, and that it does not; one that both state of
    # different attributes counts as neither of these.
    shared: tuple[str, ...]
    other: tuple[str, ...]
    missing: tuple[str, ...]


# Values that two may yet differ in, of which nothing is stated.
_DOUBT = 2
# Values of everything in the thing's category, brands apart.
_RIVALS = f"""
WITH of AS (FROM ({THING_OF})), near AS (
    SELECT thing FROM ({CATEGORY_OF_THING})
    WHERE category = (SELECT category FROM ({CATEGORY_OF_THING}) WHERE thing = $1)
), facts AS (
    SELECT DISTINCT thing, predicate, object, n.label AS label
    FROM edges JOIN of ON product = subject JOIN near USING (thing) JOIN nodes AS n ON n.id = object
    WHERE predicate = '{HAS_BRAND}' OR list_contains($2, predicate)
), brands AS (
    SELECT thing, list(DISTINCT object) AS ids, list(DISTINCT label ORDER BY label) AS labels
    FROM facts WHERE predicate = '{HAS_BRAND}' GROUP BY thing
), traits AS (FROM facts WHERE predicate <> '{HAS_BRAND}'),
own AS (SELECT object, predicate, label FROM traits WHERE thing = $1),
alike AS (
    SELECT thing, count(own.object) AS shared,
        count(*) + (SELECT count(*) FROM own) - count(own.object) AS stated,
        list(object ORDER BY object) FILTER (own.object IS NOT NULL) AS same,
        list(traits.label ORDER BY predicate, traits.label) FILTER (own.object IS NULL) AS other
    FROM traits LEFT JOIN own USING (object, predicate) GROUP BY thing HAVING count(own.object) > 0
)
SELECT thing AS id, n.label AS label, labels AS brands, coalesce(other, []) AS other,
    (SELECT list(label ORDER BY predicate, label) FROM own WHERE list_contains(same, object)) AS shared_labels,
    (SELECT list(label ORDER BY predicate, label) FROM own WHERE NOT list_contains(same, object)) AS missing,
    stated
FROM alike JOIN brands USING (thing) JOIN nodes AS n ON n.id = thing
WHERE thing <> $1
    AND NOT list_has_any(ids, coalesce((SELECT ids FROM brands WHERE thing = $1), []))
ORDER BY shared / (stated + {_DOUBT}) DESC, id LIMIT $3
"""


def rivals(graph: DuckDBStore, thing: Thing, *, most: int = 8) -> list[Rival]:
    """The most alike, at most so many; empty where the category is unknown or nobody states the same."""
    rows = list(graph.rows(_RIVALS, [thing.spu, attribute_relations(graph), most]))
    costs = offers(graph, [row["id"] for row in rows])
    return [
        Rival(
            id=row["id"],
            label=row["label"],
            brands=tuple(row["brands"]),
            price=typical(costs.get(row["id"], ())),
            stated=row["stated"],
            shared=tuple(row["shared_labels"]),
            other=_without(row["shared_labels"], row["other"]),
            missing=_without(row["shared_labels"], row["missing"] or ()),
        )
        for row in rows
    ]


def _without(shared: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label not in shared)
