"""Two SPUs or products side by side.

In: a graph and two names. Out: attribute by attribute what is the same, what differs and what only one states, with
the evidence. What a policy or a person decided against does not count, and links are no property of a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from extractor.graph.answers.attributes import IN_CATEGORY, REMARKS, attribute_name, attribute_relations
from extractor.graph.answers.said import SaidValue, said_of
from extractor.graph.find import Thing, find_thing
from extractor.graph.stores.duckdb import DuckDBStore

# In the order in which people are shown them.
STATUSES = ("different", "only a", "only b", "same")
Status = Literal["different", "only a", "only b", "same"]
_LINK = ("http://", "https://", "//")


@dataclass(frozen=True, slots=True)
class Compared:
    """One attribute on both sides."""

    # Relation without "has_".
    attribute: str
    # "same": the same set of values; "different": another set, though they may share some.
    status: Status
    a: tuple[SaidValue, ...]
    b: tuple[SaidValue, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two things side by side."""

    a: Thing
    b: Thing
    # What differs first, and of that the attributes before what only a feed says.
    attributes: tuple[Compared, ...]

    def count(self, status: str) -> int:
        return sum(each.status == status for each in self.attributes)

    def to_json(self) -> dict[str, Any]:
        sides = {
            name: {"id": thing.id, "kind": thing.kind, "label": thing.label, "listings": list(thing.listings)}
            for name, thing in (("a", self.a), ("b", self.b))
        }
        rows = [
            {
                "attribute": each.attribute,
                "status": each.status,
                "a": [value.to_json() for value in each.a],
                "b": [value.to_json() for value in each.b],
            }
            for each in self.attributes
        ]
        return {**sides, "counts": {name: self.count(name) for name in STATUSES}, "attributes": rows}


def compare(graph: DuckDBStore, a: str, b: str) -> Comparison:
    """Compare two SPUs or products.

    Raises:
        ConfigError: One of them is not there.
    """
    things = [find_thing(graph, name) for name in (a, b)]
    left, right = (_standing(graph, thing) for thing in things)
    known = {IN_CATEGORY, *attribute_relations(graph)}
    compared = [
        _compared(name, left.get(name, ()), right.get(name, ()))
        for name in sorted({*left, *right}, key=lambda name: (name not in known, attribute_name(name)))
    ]
    compared.sort(key=lambda each: STATUSES.index(each.status))
    return Comparison(things[0], things[1], tuple(compared))


def _standing(graph: DuckDBStore, thing: Thing) -> dict[str, tuple[SaidValue, ...]]:
    said = said_of(graph, thing.listings, without=REMARKS - {IN_CATEGORY})
    standing = {name: tuple(value for value in values if value.stands) for name, values in said.items()}
    return {
        name: values
        for name, values in standing.items()
        if not all(value.label.startswith(_LINK) for value in values)
    }


def _compared(relation: str, a: tuple[SaidValue, ...], b: tuple[SaidValue, ...]) -> Compared:
    sets = [{value.id for value in side} for side in (a, b)]
    status: Status = "same" if sets[0] == sets[1] else "different"
    if not (a and b):
        status = "only a" if a else "only b"
    return Compared(attribute_name(relation), status, a, b)
