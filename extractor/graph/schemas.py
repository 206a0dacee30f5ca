"""What the attributes of a graph are: the schemas of its runs, as one.

Every run brings the schemas that it was made with into the graph, so that all that is asked of it later needs no schema
folder. Where the schemas of two runs say different things the later run's count, by its own date (as in rank.py):

- what a relation is, functional or not, and which relation an attribute has: the latest schemas that know it;
- which attributes a category has, with their keys and vocabularies: the latest schemas that have the category; what has
  no category, or one of no schemas, has the base attributes of the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from extractor.attribute import Attribute
from extractor.schema import BASE
from extractor.schema_set import SchemaSet


class GraphSchemas:
    """The schemas of a graph's runs.

    Args:
        sets: Each once, that of the latest run first.
    """

    def __init__(self, sets: Sequence[SchemaSet]) -> None:
        self._sets = sets
        self._attributes: dict[str, tuple[Attribute, ...]] = {}

    @cached_property
    def definitions(self) -> dict[str, Attribute]:
        """Attribute id -> definition."""
        found: dict[str, Attribute] = {}
        for schemas in reversed(self._sets):
            found |= schemas.definitions
        return found

    @property
    def relations(self) -> set[str]:
        """Relation types."""
        return {relation for schemas in self._sets for relation in schemas.relations}

    @cached_property
    def functional(self) -> set[str]:
        """Relation types with one true object at most."""
        found: dict[str, bool] = {}
        for schemas in reversed(self._sets):
            single = schemas.functional
            found |= {relation: relation in single for relation in schemas.relations}
        return {relation for relation, is_single in found.items() if is_single}

    def for_category(self, category_id: str) -> tuple[Attribute, ...]:
        """The attributes of a category, in the order of its schema."""
        if category_id not in self._attributes:
            found = self._find(category_id)
            self._attributes[category_id] = (self._find(BASE) or ()) if found is None else found
        return self._attributes[category_id]

    def _find(self, schema_id: str) -> tuple[Attribute, ...] | None:
        found = (schemas.by_id(schema_id) for schemas in self._sets)
        return next((attributes for attributes in found if attributes is not None), None)
