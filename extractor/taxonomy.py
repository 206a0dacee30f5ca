"""A taxonomy file in, a tree of categories out; knows neither attributes nor products.

One JSON object a line: `id` (or `node`), `path` (names from the top), and where they are known `parent` and
`synonyms`; other keys are of no concern. Lines stand in any order. A category without a parent stands where its path
says, and what a path names but no line has is added: shops leave such categories out of their exports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from extractor.datafile import DataFileError, content_hash, explain, parse_json, read_text
from extractor.errors import SchemaError

# The tree's own file in a folder of schemas or of a fitted router.
TAXONOMY = "taxonomy.jsonl"
# Ids that mean something else wherever a category id may stand.
RESERVED_IDS = ("unknown", "base")
PATH_SEPARATOR = " > "


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
    """All categories, parents before children, else in the order of the file."""

    def __init__(self, nodes: Mapping[str, CategoryNode]) -> None:
        self.nodes = nodes
        self._children: dict[str | None, list[str]] = {}
        for node in nodes.values():
            self._children.setdefault(node.parent, []).append(node.id)
        self.leaves = tuple(node for node in nodes.values() if node.id not in self._children)
        self.hash = content_hash([[n.id, n.path, n.parent, n.synonyms] for n in nodes.values()])

    @classmethod
    def of_paths(cls, paths: Iterable[Sequence[str]]) -> Taxonomy:
        """The tree of some paths, each with all that is above it; ids are made of the names."""
        tree = _Tree()
        for path in paths:
            tree.at(tuple(path))
        return cls(tree.nodes)

    def __getitem__(self, category_id: str) -> CategoryNode:
        return self.nodes[category_id]

    def __contains__(self, category_id: object) -> bool:
        return category_id in self.nodes

    def __iter__(self) -> Iterator[CategoryNode]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Taxonomy) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

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

    def find(self, path: Sequence[str]) -> str | None:
        """Id of the category with this path, the first one where shops have two; None where there is none."""
        return self._by_path.get(tuple(path))

    @cached_property
    def _by_path(self) -> dict[tuple[str, ...], str]:
        return {node.path: node.id for node in reversed([*self.nodes.values()])}


def load_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy, gzip'ed or not, or the one that a folder has.

    Raises:
        SchemaError: naming file and line.
    """
    path = path / TAXONOMY if path.is_dir() else path
    lines: dict[str, _Line] = {}
    numbers: dict[str, int] = {}
    where = f"{path}"
    try:
        for number, text in enumerate(read_text(path).split("\n"), 1):
            where = f"{path}:{number}"
            if text.strip():
                line = _parse(text, lines)
                lines[line.id], numbers[line.id] = line, number
        if not lines:
            raise DataFileError("holds no category; add one JSON object a line")
        tree = _Tree(lines.values())
        for line in lines.values():
            where = f"{path}:{numbers[line.id]}"
            tree.place(line)
    except DataFileError as error:
        raise SchemaError(f"{where}: {error}") from None
    return Taxonomy(tree.nodes)


def taxonomy_lines(taxonomy: Taxonomy) -> Iterator[dict[str, Any]]:
    """The lines that `load_taxonomy` reads."""
    for node in taxonomy:
        yield {"id": node.id, "path": node.path, "parent": node.parent, "synonyms": node.synonyms}


_Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\n]+$")]
# Some taxonomies count their categories.
_Id = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    StringConstraints(pattern=r"^[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?$", max_length=200),
]


class _Line(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[_Id, Field(validation_alias=AliasChoices("id", "node"))]
    path: Annotated[tuple[_Name, ...], Field(min_length=1)]
    parent: _Id | None = None
    synonyms: tuple[_Name, ...] = ()


def _parse(text: str, above: Mapping[str, _Line]) -> _Line:
    try:
        line = _Line.model_validate(_named(parse_json(text)))
    except ValidationError as error:
        raise DataFileError(explain(error)) from None
    if line.id in RESERVED_IDS:
        raise DataFileError(f"{line.id}: this id has another meaning; choose another")
    if line.id in above:
        raise DataFileError(f"{line.id}: this id is already taken; choose another or remove the line")
    if any(synonym != synonym.lower() for synonym in line.synonyms):
        raise DataFileError(f"{line.id}: synonyms are lower-case; write them so")
    return line


def _named(content: Any) -> Any:
    """A category whose own name is null is called by its id."""
    match content:
        case {"id": str(own), "path": [*above, None]}:
            return {**content, "path": [*above, own]}
    return content


class _Tree:
    """Nodes as they find their place."""

    def __init__(self, lines: Iterable[_Line] = ()) -> None:
        self._lines = {line.id: line for line in lines}
        self._by_path = {line.path: line.id for line in reversed(self._lines.values())}
        self.nodes: dict[str, CategoryNode] = {}

    def place(self, line: _Line) -> None:
        """Add a line's node, and before it those above; DataFileError when it has no place."""
        missing = [line]
        while (parent := self._parent(missing[-1])) is not None and parent not in self.nodes:
            if any(parent == below.id for below in missing):
                circle = PATH_SEPARATOR.join([parent, *(below.id for below in reversed(missing))])
                raise DataFileError(f"{line.id}: its parents lead back to it ({circle}); break the circle")
            missing.append(self._lines[parent])
        for found in reversed(missing):
            if found.id not in self.nodes:
                self._add(found)

    def at(self, path: tuple[str, ...]) -> str:
        """Id of the category with this path, added with all above it where no line has it."""
        found = self._by_path.get(path)
        if found is None:
            found = self._free_id(path)
            self._new(found, path)
        elif found not in self.nodes:
            self.place(self._lines[found])
        return found

    def _parent(self, line: _Line) -> str | None:
        """Id of the parent, which has a line or a node by then."""
        above = line.path[:-1]
        if line.parent is None:
            return self.at(above) if above else None
        if line.parent not in self._lines and line.parent not in self.nodes:
            # Its id is all that the file does not say of it, if the branch is there.
            if len(above) < 2 or above[:1] not in self._by_path:
                raise DataFileError(
                    f"{line.id}: no category {line.parent!r} stands above it; add its line or correct parent"
                )
            self._new(line.parent, above)
        return line.parent

    def _add(self, line: _Line) -> None:
        parent = self._parent(line)
        above = self.nodes[parent].path if parent is not None else ()
        if line.path[:-1] != above:
            raise DataFileError(
                f"{line.id}: its path is not the parent's path and one name; correct the path"
            )
        self.nodes[line.id] = CategoryNode(line.id, line.path, parent, line.synonyms)

    def _new(self, category_id: str, path: tuple[str, ...]) -> None:
        """A node that no line has."""
        parent = self.at(path[:-1]) if len(path) > 1 else None
        self.nodes[category_id] = CategoryNode(category_id, path, parent, ())
        self._by_path.setdefault(path, category_id)

    def _free_id(self, path: Sequence[str]) -> str:
        """Of the names: "home_garden.kitchen"; with a number where that is taken."""
        name = ".".join(re.sub(r"\W+", "_", part.casefold()).strip("_") or "_" for part in path)
        taken = {*self._lines, *self.nodes, *RESERVED_IDS}
        free = (f"{name}.{number}" if number else name for number in range(len(taken) + 1))
        return next(candidate for candidate in free if candidate not in taken)
