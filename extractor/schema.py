"""schemas/ in, one CategorySchema per category out: what to extract and what an extracted object may hold.

An effective schema is base.json and the attribute files along the category's path in the taxonomy, top first;
a later definition replaces an earlier one of the same id in its place, and `"id": false` takes it back, from there on
down: nothing is valid under a schema that is false. It knows no product and no prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from extractor.attribute import Attribute, check_attribute_id, value_schema
from extractor.datafile import DataFileError, content_hash
from extractor.errors import SchemaError
from extractor.schema_files import SchemaFiles
from extractor.taxonomy import CategoryNode, Taxonomy, load_taxonomy

__all__ = [
    "BASE",
    "Attribute",
    "CategoryNode",
    "CategorySchema",
    "SchemaStore",
    "Taxonomy",
    "default_folder",
    "load_taxonomy",
    "schema_from_names",
    "schema_of",
]

# Schema of what every category has, and of what has none.
BASE = "base"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
# Files right under schemas/ that define no object.
_NOT_SCHEMAS = ("audience", "defs", "router", "units", "values")


@dataclass(frozen=True, slots=True)
class CategorySchema:
    """What can be extracted from the products of one category."""

    # Category id, "base" or a file's stem.
    id: str
    title: str
    # In decode order: base first, then vertical, group, leaf.
    attributes: tuple[Attribute, ...]
    # JSON Schema 2020-12 of the decoded object: flat, closed, nothing required.
    json_schema: Mapping[str, Any]
    # Over the effective schema, however its files are laid out.
    hash: str

    def attribute(self, attribute_id: str) -> Attribute:
        """The attribute of this id; KeyError when the schema has none."""
        for attribute in self.attributes:
            if attribute.id == attribute_id:
                return attribute
        raise KeyError(attribute_id)


def default_folder() -> Path:
    """The schemas that come with the package."""
    return Path(str(files("extractor") / "schemas"))


def schema_from_names(schema_id: str, names: Sequence[str]) -> CategorySchema:
    """A schema whose attributes are spans called `names`, for data sets that come without definitions.

    Raises:
        SchemaError: a name is empty, holds "|" or a line break, or stands twice.
    """
    for name in names:
        try:
            check_attribute_id(name)
        except DataFileError as error:
            raise SchemaError(f"{schema_id}: {error}") from None
        if list(names).count(name) > 1:
            raise SchemaError(f"{schema_id}: {name!r} stands twice; give each name once")
    attributes = tuple(Attribute(name, title=name, description="", relation=f"has_{name}") for name in names)
    return schema_of(schema_id, schema_id, attributes)


class SchemaStore:
    """A folder of schemas; a file is read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise SchemaError(f"{folder}: no such folder; give the folder that holds base.json")
        # Id -> file. Names come from this listing only, so that an id never becomes a path.
        self._paths = {path.stem: path for path in sorted((folder / "attributes").glob("*.json"))}
        self._paths |= {
            path.stem: path for path in sorted(folder.glob("*.json")) if path.stem not in _NOT_SCHEMAS
        }
        self._files = SchemaFiles(folder)
        self._attributes: dict[str, dict[str, Attribute | None]] = {}
        self._schemas: dict[str, CategorySchema] = {}

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The tree in taxonomy.jsonl."""
        return load_taxonomy(self.folder / "taxonomy.jsonl")

    def ids(self) -> tuple[str, ...]:
        """Ids with a file of their own; `by_id` takes every category of the taxonomy as well."""
        return tuple(sorted(self._paths))

    def for_category(self, category_id: str) -> CategorySchema:
        """The effective schema of a category; "base" for one that the taxonomy does not have."""
        return self.by_id(category_id if category_id in self.taxonomy else BASE)

    def by_id(self, schema_id: str) -> CategorySchema:
        """The schema of a category or of a file's stem.

        Raises:
            SchemaError: there is none of this id, or one of its files is wrong.
        """
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._build(schema_id)
        return self._schemas[schema_id]

    def attributes_of(self, schema_id: str) -> tuple[Attribute, ...]:
        """The attributes of `by_id`, for who wants those of all categories: the rest of a schema takes longer."""
        return tuple(self._merged(self._lineage(schema_id)).values())

    def _merged(self, lineage: Sequence[str]) -> dict[str, Attribute]:
        merged: dict[str, Attribute | None] = {}
        for ancestor in lineage:
            # Replacing keeps the place, so that a leaf's version of an attribute does not move it.
            merged |= self._own_attributes(ancestor)
        return {name: attribute for name, attribute in merged.items() if attribute}

    def check(self) -> list[str]:
        """Every problem of every file, one line each; empty when all is well."""
        # Once each: one file's problem shows again where another one takes back what it has.
        found = dict.fromkeys(problem for schema_id in self.ids() for problem in self._check_file(schema_id))
        problems = [*found]
        try:
            known = self.taxonomy
        except SchemaError as error:
            return [*problems, str(error)]
        problems += [
            f"{path}: taxonomy.jsonl has no category {stem!r}; rename the file or add the category"
            for stem, path in self._paths.items()
            if path.parent != self.folder and stem not in known
        ]
        return problems

    def _check_file(self, schema_id: str) -> list[str]:
        path = self._paths[schema_id]
        try:
            properties = self._files.file(path).properties
        except SchemaError as error:
            return [str(error)]
        problems = []
        for name, node in properties.items():
            try:
                if node is not False:
                    self._files.attribute(path, name)
                elif name not in self._merged(self._lineage(schema_id)[:-1]):
                    problems.append(f"{path}: {name}: false takes back what no file above has; remove it")
            except SchemaError as error:
                problems.append(str(error))
        return problems

    def _build(self, schema_id: str) -> CategorySchema:
        if schema_id not in self._paths and schema_id not in self.taxonomy:
            raise SchemaError(
                f"{self.folder}: no schema {schema_id!r}; there are {', '.join(self.ids())}"
                " and the categories of taxonomy.jsonl"
            )
        return schema_of(schema_id, self._title(schema_id), self.attributes_of(schema_id))

    def _lineage(self, schema_id: str) -> tuple[str, ...]:
        """Ids whose files make up a schema; a file beside base.json (another kind of entity) stands alone."""
        if schema_id in self._paths and self._paths[schema_id].parent == self.folder:
            return (schema_id,)
        return (BASE, *(self.taxonomy.lineage(schema_id) or (schema_id,)))

    def _own_attributes(self, schema_id: str) -> dict[str, Attribute | None]:
        """What the file of this id itself defines, None for what it takes back; nothing when there is no file."""
        if schema_id in self._paths and schema_id not in self._attributes:
            path = self._paths[schema_id]
            properties = self._files.file(path).properties
            self._attributes[schema_id] = {
                name: None if node is False else self._files.attribute(path, name)
                for name, node in properties.items()
            }
        return self._attributes.get(schema_id, {})

    def _title(self, schema_id: str) -> str:
        if schema_id in self._paths:
            return self._files.file(self._paths[schema_id]).title
        return self.taxonomy[schema_id].path[-1]


def schema_of(schema_id: str, title: str, attributes: tuple[Attribute, ...]) -> CategorySchema:
    """The schema of these attributes, in this order."""
    json_schema = {
        "$schema": DRAFT,
        "type": "object",
        "properties": {attribute.id: value_schema(attribute) for attribute in attributes},
        "additionalProperties": False,
    }
    # Not asdict: its deep copies would take most of the time of loading all categories.
    plain = [{f.name: getattr(attribute, f.name) for f in fields(attribute)} for attribute in attributes]
    cues = [attribute.cues.hash for attribute in attributes if attribute.cues]
    identity = [schema_id, title, [{**each, "cues": None} for each in plain], cues]
    return CategorySchema(schema_id, title, attributes, json_schema, content_hash(identity))
