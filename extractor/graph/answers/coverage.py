"""What is still to be done about the attributes of each category: for the people who keep tags and schemas.

In: a graph with the schemas of its runs, and one category or all. Out: for every attribute of every category how many
products state it, disagree about it, or state it without being sure, and which values its schema does not have; and
relations that no schema has at all. Products are SPUs where listings were matched.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from extractor.attribute import Attribute
from extractor.graph.answers.attributes import OF_OFFER, REMARKS, attribute_name
from extractor.graph.answers.things import CATEGORY_OF_THING, THING_OF, check_products
from extractor.graph.find import find_category
from extractor.graph.rank import COUNTS
from extractor.graph.schemas import GraphSchemas
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.page import LIKELY

# Normalizers whose attributes have a vocabulary in x-synonyms and x-examples; brands have a registry for that, and
# quantities, sizes and models are open.
_WORDED = frozenset({None, "text", "color", "material"})
# Between the members of a value: "gray/blue" as the normalizers write it, "Men, Women" as feeds do.
_JOINER = re.compile("[/,]")
# Values that are named of a relation that no schema has.
_SHOWN_VALUES = 5
# Products that share one value on average, from which on a fact is taken for an attribute.
_SHARED = 2


@dataclass(slots=True)
class AttributeCoverage:
    """One attribute of one category."""

    # Node id and label of the category; both empty for products without one.
    category: str
    category_label: str
    # Id in the schema.
    attribute: str
    # In the category.
    products: int
    # That state it.
    filled: int = 0
    # That have several values of it although one at most can be true, losers counted.
    conflicting: int = 0
    # Whose surest value has a confidence below 0.6.
    unsure: int = 0
    # Values that the schema does not have -> products; empty too where the attribute has no vocabulary.
    new_values: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        return self.filled / self.products

    @property
    def open(self) -> float:
        """Products to look at; one may count twice.

        What is missing counts by the share that states it: of products that hardly ever state a season, few have one.
        """
        missing = self.share * (self.products - self.filled)
        return missing + self.conflicting + self.unsure + self.new_values.total()

    def to_json(self) -> dict[str, Any]:
        names = ("category", "category_label", "attribute", "products", "filled", "conflicting", "unsure")
        counted = {name: getattr(self, name) for name in names}
        return counted | {"share": round(self.share, 4), "new_values": dict(self.new_values.most_common())}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A relation that no schema of a product's category has, though products share its values.

    What is a number, or another for nearly every product, such as a url, is a fact and no attribute.
    """

    relation: str
    products: int
    # Different values.
    distinct: int
    # The most frequent of them -> products.
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The to-do list, the most to do first; what no product of its category states comes last."""

    attributes: tuple[AttributeCoverage, ...]
    unknown: tuple[Unknown, ...]

    def to_json(self) -> dict[str, Any]:
        unknown = [
            {
                **{"relation": each.relation, "products": each.products},
                **{"distinct": each.distinct, "values": dict(each.values)},
            }
            for each in self.unknown
        ]
        return {"attributes": [each.to_json() for each in self.attributes], "unknown": unknown}


# Statements of products by category; a value whose statements are all deprecated has no confidence. Of these only what
# lost against another value is there: who was superseded or taken back is in nobody's way.
_STATED = f"""
SELECT coalesce(c.category, '') AS category, thing, predicate, object, n.label AS label,
    max(confidence) FILTER (rank <> 'deprecated') AS confidence
FROM statements AS s JOIN ({THING_OF}) AS t ON t.product = s.subject JOIN nodes AS n ON n.id = s.object
LEFT JOIN ({CATEGORY_OF_THING}) AS c USING (thing)
WHERE NOT list_contains($1, predicate) AND (rank <> 'deprecated' OR contains(reason, '{COUNTS}'))
GROUP BY ALL ORDER BY category, predicate, thing, object
"""
_PRODUCTS = f"""
SELECT coalesce(category, '') AS category, coalesce(label, '') AS label, count(*) AS products
FROM (SELECT DISTINCT thing FROM ({THING_OF})) LEFT JOIN ({CATEGORY_OF_THING}) USING (thing)
LEFT JOIN nodes ON id = category GROUP BY ALL ORDER BY category
"""


def coverage(graph: DuckDBStore, category_name: str | None = None) -> Coverage:
    """The to-do list of a category and what is below it, or of all.

    Raises:
        ConfigError: There is no such category, or nothing in the graph.
    """
    check_products(graph)
    wanted = find_category(graph, category_name).subtree if category_name else None
    schemas = graph.schemas()
    categories = {
        row["category"]: _Category.of(row, schemas)
        for row in graph.rows(_PRODUCTS)
        if wanted is None or row["category"] in wanted
    }
    unknown: dict[str, _Tally] = defaultdict(_Tally)
    rows = graph.rows(_STATED, [sorted(REMARKS | OF_OFFER)])
    for (category, relation, _), group in groupby(rows, key=itemgetter("category", "predicate", "thing")):
        if category in categories:
            categories[category].add(relation, list(group), unknown)
    attributes = [row for category in categories.values() for row in category.rows.values()]
    # What nobody states may not be said of such products at all: less to be done there than at what some lack.
    attributes.sort(key=lambda row: (not row.filled, -row.open, row.category, row.attribute))
    return Coverage(tuple(attributes), tuple(_listed(unknown)))


class _Tally:
    """Of a relation that no schema has."""

    def __init__(self) -> None:
        self.products = 0
        self.values: Counter[str] = Counter()


class _Category:
    """A category that is being counted."""

    def __init__(self, rows: Mapping[str, AttributeCoverage], attributes: Iterable[Attribute]) -> None:
        self.rows = rows
        self._by_relation: dict[str, list[Attribute]] = defaultdict(list)
        for attribute in attributes:
            self._by_relation[attribute.relation].append(attribute)

    @classmethod
    def of(cls, row: Mapping[str, Any], schemas: GraphSchemas) -> _Category:
        attributes = schemas.for_category(row["category"].removeprefix("category:"))
        names = (row["category"], row["label"])
        counts = {each.id: AttributeCoverage(*names, each.id, row["products"]) for each in attributes}
        return cls(counts, attributes)

    def add(self, relation: str, said: list[dict[str, Any]], unknown: Mapping[str, _Tally]) -> None:
        """What one product states with one relation."""
        if relation not in self._by_relation:
            if any(row["confidence"] is not None for row in said):
                unknown[relation].products += 1
                unknown[relation].values.update({row["label"] for row in said})
            return
        by_attribute: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in said:
            by_attribute[self._attribute(relation, row["label"]).id].append(row)
        for attribute in self._by_relation[relation]:
            if attribute.id in by_attribute:
                self._count(attribute, by_attribute[attribute.id])

    def _attribute(self, relation: str, label: str) -> Attribute:
        """Gender, age group and the like share a relation: the one whose enum has the value, else an open one."""
        sharing = self._by_relation[relation]
        return next(
            (a for a in sharing if label in a.enum), next((a for a in sharing if not a.enum), sharing[0])
        )

    def _count(self, attribute: Attribute, said: list[dict[str, Any]]) -> None:
        row = self.rows[attribute.id]
        standing = {each["label"]: each for each in said if each["confidence"] is not None}
        row.filled += bool(standing)
        row.unsure += bool(standing) and max(each["confidence"] for each in standing.values()) < LIKELY
        row.conflicting += attribute.functional and len(said) > 1
        if known := _vocabulary(attribute):
            row.new_values.update(label for label in standing if not _says_known(label, known))


def _vocabulary(attribute: Attribute) -> frozenset[str]:
    """What its values may be, in lower case; empty where they are open."""
    names = attribute.enum
    if not names and attribute.synonyms and attribute.normalizer in _WORDED:
        names = (*attribute.synonyms, *attribute.examples)
    return frozenset(word.casefold() for word in names)


def _says_known(text: str, known: frozenset[str]) -> bool:
    return text.casefold() in known or {part.strip().casefold() for part in _JOINER.split(text)} <= known


def _listed(unknown: Mapping[str, _Tally]) -> Iterator[Unknown]:
    for relation, tally in sorted(unknown.items(), key=lambda item: (-item[1].products, item[0])):
        if tally.products >= _SHARED * len(tally.values) and not all(map(_is_number, tally.values)):
            values = dict(tally.values.most_common(_SHOWN_VALUES))
            yield Unknown(attribute_name(relation), tally.products, len(tally.values), values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
