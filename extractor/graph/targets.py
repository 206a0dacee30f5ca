"""Where a statement leads: relation type and node of a value, so that feed, text and people meet in one node.

In: the name of an attribute and a value: as a normalizer wrote it, or in the words of a feed or a person. Out: the
targets, none for "N/A". Words become what the normalize stage makes of such words in a text, by the schemas of the run;
prices and metrics what feed_numbers.py makes of them. All else stays as it is written. Knows no Outcome and no store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, Protocol

from extractor.attribute import Attribute
from extractor.graph.brands import HAS_BRAND
from extractor.graph.column_names import meant, names_of
from extractor.graph.feed_numbers import FIGURES, canonical
from extractor.graph.nodes import KINDS, Node, keyed, slug, value_node
from extractor.normalize import Units, fold, load_units, normal
from extractor.normalize.blanks import says_nothing
from extractor.normalize.normal import member
from extractor.schema import default_folder

# Relation types that lead to an entity, with the prefix of its node ids; all others lead to a value.
_ENTITIES = {
    HAS_BRAND: "brand",
    "is_a": "product_type",
    "suits": "audience",
    "used_for": "occasion",
    "sold_by": "merchant",
}
# Relation types of feed facts that are no attribute of a schema.
_FEED_RELATIONS = dict.fromkeys(("merchant", "seller", "shop", "retailer", "sold_by"), "sold_by")
# Between the values of an attribute that takes several: "Men, Women".
_JOINER = re.compile(r"\s*[,;/|]\s*")
# Values that are kept as they were normalized, some 10 MB: those of a feed come again and again.
_KEPT = 32_768


class Schemas(Protocol):
    """What is needed of the schemas of a run (SchemaSet) or of a graph (GraphSchemas)."""

    @property
    def definitions(self) -> Mapping[str, Attribute]: ...

    def for_category(self, category_id: str) -> Sequence[Attribute]: ...


class Target(NamedTuple):
    """What is stated of a product."""

    # Relation type.
    predicate: str
    node: Node


class Targets:
    """Targets by the schemas of a run, or of a graph."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._definitions = schemas.definitions
        self._of_category: dict[str, Mapping[str, Attribute]] = {}
        self._names = names_of(self._definitions.values())
        # Every listing has the same few columns.
        self.attribute_of = lru_cache(maxsize=_KEPT)(self._attribute_of)

    def __contains__(self, attribute: str) -> bool:
        """Whether the schemas have an attribute."""
        return attribute in self._definitions

    def read(self, attribute: str, text: str, category: str = "") -> Target | None:
        """Of a value that is normalized; None where it states nothing.

        Args:
            attribute: Its id.
            text: The canonical value, and its unit.
            category: Id of the category or schema that it was read by.
        """
        if says_nothing(text) and not _is_known(text, self._definition(attribute, category)):
            return None
        return self._target(attribute, canonical(attribute, text), category)

    def written(
        self, attribute: str, words: str, category: str = "", currency: str = ""
    ) -> tuple[Target, ...]:
        """Of a value as a feed or a person writes it; several of "Men, Women", none of "N/A".

        Args:
            attribute: Its id, or how a feed calls it: "Screen Size".
            words: On one line.
            category: As in `read`; where it does not have the attribute, another one's definition counts.
            currency: That the same record states.
        """
        name = self.attribute_of(attribute)
        definition = self._definition(name, category)
        if definition and name not in FIGURES:
            return tuple(self._target(name, text, category) for text in _normalized(definition, words))
        if says_nothing(words):
            return ()
        return (self._target(name, canonical(name, words, currency), category),)

    def by_relation(self, predicate: str, words: str, category: str = "") -> tuple[Target, ...]:
        """The same where the relation is known: of attributes that share it, the one whose vocabulary has the value."""
        sharing = {
            a.id: a
            for a in (*self._schemas.for_category(category), *self._definitions.values())
            if a.relation == predicate
        }
        of_feed = (name for name, relation in _FEED_RELATIONS.items() if relation == predicate)
        plain = next(of_feed, predicate.removeprefix("has_"))
        known = (
            name
            for name, each in sharing.items()
            if all(_is_known(part, each) for part in _parts(each, words))
        )
        name = next(known, plain if plain in sharing else min(sharing, default=plain))
        return self.written(name, words, category)

    def _attribute_of(self, column: str) -> str:
        """Id of the attribute that a column of a feed is of; its own name, as an id, where the schemas have none."""
        name = _name(column)
        if column in self or name in FIGURES or name in _FEED_RELATIONS:
            return column if column in self else name
        return meant(column, self._names) or name

    def _target(self, attribute: str, text: str, category: str) -> Target:
        definition = self._definition(attribute, category)
        name = attribute if definition else _name(attribute)
        predicate = definition.relation if definition else _FEED_RELATIONS.get(name, f"has_{name}")
        if prefix := _ENTITIES.get(predicate):
            return Target(predicate, Node(f"{prefix}:{keyed(slug(text, '-') or text)}", KINDS[prefix], text))
        return Target(predicate, value_node(name, text))

    def _definition(self, name: str, category: str) -> Attribute | None:
        if category not in self._of_category:
            self._of_category[category] = {a.id: a for a in self._schemas.for_category(category)}
        return self._of_category[category].get(name) or self._definitions.get(name)


def stated(canonical: str, unit: str | None) -> str:
    """A value as the graph has it: "65 inch"."""
    return f"{canonical} {unit}" if unit else canonical


def _name(attribute: str) -> str:
    return keyed(slug(attribute, "_")) or "unnamed"


@lru_cache(maxsize=_KEPT)
def _normalized(definition: Attribute, words: str) -> tuple[str, ...]:
    if says_nothing(words) and not _is_known(words, definition):
        return ()
    found = (normal(part, definition, _units()) for part in _parts(definition, words))
    return tuple(dict.fromkeys(stated(each.canonical, each.unit) for each in found))


def _parts(definition: Attribute, words: str) -> Sequence[str]:
    """Several values where the schema takes several and has them all; what else has commas may be one value."""
    parts = _JOINER.split(words) if definition.multi else ()
    return parts if parts and all(_is_known(part, definition) for part in parts) else (words,)


@cache
def _units() -> Units:
    return load_units(default_folder())


def _is_known(words: str, definition: Attribute | None) -> bool:
    """Whether a schema has the value: "none" may be a member, and of what is there or not it says no."""
    if definition is None:
        return False
    folded = fold(words)
    return member(folded, definition) is not None or (definition.normalizer == "yes_no" and folded == "none")
