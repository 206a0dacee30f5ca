"""taxonomy.jsonl in, a tree of categories out; knows neither attributes nor products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from extractor.datafile import DataFileError, content_hash, explain, parse_json, read_text
from extractor.errors import SchemaError

# Ids that mean something else wherever a category id may stand.
RESERVED_IDS = ("unknown", "base")


@dataclass(frozen=True, slots=True)
class CategoryNode:
    """One category."""

    # Stable; also the name of its attribute file: "clothing.tops.t_shirts".
    id: str
    # Names from the top: ("Clothing", "Tops", "T-shirts").
    path: tuple[str, ...]
    # Id of the category above; None at the top.
    parent: str | None
    # Lower-case words that titles of such products hold.
    synonyms: tuple[str, ...]


class Taxonomy:
    """All categories, in the order of the file (parents before children)."""

    def __init__(self, nodes: Mapping[str, CategoryNode]) -> None:
        self.nodes = nodes
        self._children: dict[str | None, list[str]] = {}
        for node in nodes.values():
            self._children.setdefault(node.parent, []).append(node.id)
        self.leaves = tuple(node for node in nodes.values() if node.id not in self._children)
        self.hash = content_hash([[n.id, n.path, n.parent, n.synonyms] for n in nodes.values()])

    def __getitem__(self, category_id: str) -> CategoryNode:
        return self.nodes[category_id]

    def __contains__(self, category_id: object) -> bool:
        return category_id in self.nodes

    def __iter__(self) -> Iterator[CategoryNode]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def children(self, category_id: str | None) -> tuple[str, ...]:
        """Ids right below a category; of the top categories for None."""
        return tuple(self._children.get(category_id, ()))

    def lineage(self, category_id: str) -> tuple[str, ...]:
        """Ids from the top down to the category itself; empty for one that is not there."""
        ids: list[str] = []
        node = self.nodes.get(category_id)
        while node:
            ids.append(node.id)
            node = self.nodes[node.parent] if node.parent else None
        return tuple(reversed(ids))


def load_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy, one JSON object a line.

    Raises:
        SchemaError: naming file and line.
    """
    nodes: dict[str, CategoryNode] = {}
    where = f"{path}"
    try:
        for number, line in enumerate(read_text(path).split("\n"), 1):
            where = f"{path}:{number}"
            if line.strip():
                node = _parse_node(line)
                _check_place(node, nodes)
                nodes[node.id] = node
        if not nodes:
            raise DataFileError("holds no category; add one JSON object a line")
    except DataFileError as error:
        raise SchemaError(f"{where}: {error}") from None
    return Taxonomy(nodes)


_Name = Annotated[str, StringConstraints(pattern=r"^\S([^\n]*\S)?$")]


class _Line(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # It becomes a file name: no slash can get in.
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    path: Annotated[tuple[_Name, ...], Field(min_length=1)]
    parent: str | None
    synonyms: tuple[_Name, ...] = ()


def _parse_node(line: str) -> CategoryNode:
    try:
        parsed = _Line.model_validate(parse_json(line))
    except ValidationError as error:
        raise DataFileError(explain(error)) from None
    return CategoryNode(parsed.id, parsed.path, parsed.parent, parsed.synonyms)


def _check_place(node: CategoryNode, above: Mapping[str, CategoryNode]) -> None:
    """Refuse a node that does not fit the tree read so far."""
    if node.id in RESERVED_IDS:
        raise DataFileError(f"{node.id}: this id has another meaning; choose another")
    if node.id in above:
        raise DataFileError(f"{node.id}: this id is already taken; choose another or remove the line")
    if node.parent is not None and node.parent not in above:
        raise DataFileError(f"{node.id}: no category {node.parent!r} stands above it; put the parent first")
    parent_path = above[node.parent].path if node.parent is not None else ()
    if node.path[:-1] != parent_path:
        raise DataFileError(f"{node.id}: its path is not the parent's path and one name; correct the path")
    if any(synonym != synonym.lower() for synonym in node.synonyms):
        raise DataFileError(f"{node.id}: synonyms are lower-case; write them so")
