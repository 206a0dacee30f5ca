"""A registry of brands learned from the graph: what its products are said to be of, in all spellings that were seen.

In: a graph. Out: a file that `load_registry` reads, brands of most listings first. Nodes that are spellings of one
brand become one line. Where brands share a name, the verticals of their listings tell them apart; where these do not,
the name stays with the brand of more listings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from extractor.brands.names import is_no_brand, keys
from extractor.graph.nodes import MEANING, slug
from extractor.graph.stores.duckdb import DuckDBStore

_SPELLINGS = """
WITH spelled AS (
    SELECT object, if(quote = '', label, quote) AS spelling, count(DISTINCT product) AS listings
    FROM statements WHERE predicate = 'has_brand' AND rank <> 'deprecated' GROUP BY ALL
)
SELECT object, n.label AS name, spelling, sum(listings) OVER (PARTITION BY object) AS total
FROM spelled JOIN nodes AS n ON n.id = object ORDER BY total DESC, object, listings DESC, spelling
"""
_VERTICALS = """
SELECT DISTINCT brand.object, split_part(split_part(category.object, ':', 2), '.', 1) AS vertical
FROM edges AS brand JOIN edges AS category USING (subject)
WHERE brand.predicate = 'has_brand' AND category.predicate = 'in_category' ORDER BY ALL
"""
_PARENTS = """
SELECT subject, object, n.label AS name FROM edges JOIN nodes AS n ON n.id = object
WHERE predicate = 'sub_brand_of' ORDER BY ALL
"""


@dataclass(slots=True)
class _Brand:
    """A line of the registry while it is learned."""

    id: str
    name: str
    # Exact key -> the spelling that most listings have.
    spellings: dict[str, str] = field(default_factory=dict)
    # Where its listings are.
    verticals: set[str] = field(default_factory=set)
    parent: str | None = None
    # One of its names means something else elsewhere.
    is_ambiguous: bool = False

    def line(self) -> dict[str, Any]:
        own = keys(self.name).exact
        aliases = [spelling for key, spelling in self.spellings.items() if key != own]
        row: dict[str, Any] = {"id": self.id, "name": self.name, "aliases": aliases}
        if self.parent:
            row["parent"] = self.parent
        if self.is_ambiguous:
            row["categories"] = sorted(self.verticals)
        return row


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the registry to a new file."""
    with out.open("w", encoding="utf-8") as file:
        for brand in _learned(graph):
            file.write(json.dumps(brand.line(), ensure_ascii=False) + "\n")


def _learned(graph: DuckDBStore) -> list[_Brand]:
    by_node = _brands_of_nodes(graph)
    lineage = [(row["subject"], row["object"], row["name"]) for row in graph.rows(_PARENTS)]
    for _, node_id, name in lineage:  # no listing need be of the parent itself
        by_node.setdefault(node_id, _Brand(_own_id(node_id), name, {keys(name).exact: name}))
    distinct = {brand.id: brand for brand in by_node.values()}
    kept = {brand.id: brand for brand in _told_apart(distinct.values())}
    for child, parent, _ in lineage:
        if child in by_node:
            _set_parent(by_node[child].id, by_node[parent].id, kept)
    return list(kept.values())


def _brands_of_nodes(graph: DuckDBStore) -> dict[str, _Brand]:
    """Node id -> its brand; several nodes may have one."""
    verticals: dict[str, set[str]] = {}
    for row in graph.rows(_VERTICALS):
        verticals.setdefault(row["object"], set()).add(row["vertical"])
    brands: dict[str, _Brand] = {}
    by_node: dict[str, _Brand] = {}
    for (node_id, label), rows in groupby(graph.rows(_SPELLINGS), key=itemgetter("object", "name")):
        name = _one_line(label)
        if is_no_brand(name) or (MEANING in node_id and node_id not in verticals):
            continue
        # What is called after its name is one brand in all spellings; another id was chosen to tell brands apart.
        identity = keys(name).company if _own_id(node_id) == slug(name, "-") else node_id
        brand = by_node[node_id] = brands.setdefault(identity, _Brand(_own_id(node_id), name))
        brand.verticals |= verticals.get(node_id, set())
        brand.is_ambiguous |= MEANING in node_id
        for spelling in (name, *(_one_line(row["spelling"]) for row in rows)):
            brand.spellings.setdefault(keys(spelling).exact, spelling)
    return by_node


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _own_id(node_id: str) -> str:
    return node_id.removeprefix("brand:")


def _told_apart(brands: Iterable[_Brand]) -> Iterator[_Brand]:
    """Each name is of one brand, or of several that have no vertical in common; who loses its name is no brand."""
    owners: dict[str, list[_Brand]] = {}
    for brand in brands:
        own = keys(brand.name).exact
        if not all(_is_apart(brand, other) for other in owners.get(own, ())):
            continue
        yield brand
        for key in [*brand.spellings]:
            others = owners.setdefault(key, [])
            if not all(_is_apart(brand, other) for other in others):
                del brand.spellings[key]
                continue
            for each in (brand, *others) if others else ():
                each.is_ambiguous = True
            others.append(brand)


def _is_apart(one: _Brand, other: _Brand) -> bool:
    return bool(one.verticals and other.verticals) and one.verticals.isdisjoint(other.verticals)


def _set_parent(child: str, parent: str, kept: Mapping[str, _Brand]) -> None:
    """Unless one of them is no brand any more, or the child would get below itself."""
    above = parent
    while above in kept and above != child:
        above = kept[above].parent or ""
    if child in kept and parent in kept and above != child:
        kept[child].parent = parent
