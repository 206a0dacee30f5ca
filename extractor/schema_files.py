"""schemas/ in, its files out as they stand: properties with their references resolved, and each parsed by itself.

A reference is a path within the folder and a JSON pointer. It knows no category and does not know which files a
category's schema is made of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from extractor.attribute import Attribute, check_attribute_id, parse_attribute
from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import SchemaError


class SchemaFiles:
    """A folder's JSON files; each is read once, and every error names file and attribute."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve()
        self._json: dict[Path, Any] = {}
        self._schemas: dict[Path, SchemaFile] = {}
        # Folder of a file, its reference, id of the attribute: thousands of categories share their definitions.
        self._referred: dict[tuple[Path, str, str], Attribute] = {}

    def file(self, path: Path) -> SchemaFile:
        """A schema file, strictly read."""
        if path not in self._schemas:
            try:
                schema = SchemaFile.model_validate(self._read(path))
                for name in schema.properties:
                    check_attribute_id(name)
            except ValidationError as error:
                raise SchemaError(f"{path}: {explain(error)}") from None
            except DataFileError as error:
                raise SchemaError(f"{path}: {error}") from None
            self._schemas[path] = schema
        return self._schemas[path]

    def attribute(self, path: Path, name: str) -> Attribute:
        """One of the file's properties, references resolved."""
        node = self.file(path).properties[name]
        try:
            match node:
                case {"$ref": str(ref), **beside} if not beside and not ref.startswith("#"):
                    key = (path.parent, ref, name)
                    if key not in self._referred:
                        self._referred[key] = parse_attribute(name, self._resolve(node, path, ()))
                    return self._referred[key]
            return parse_attribute(name, self._resolve(node, path, ()))
        except DataFileError as error:
            raise SchemaError(f"{path}: {name}: {error}") from None

    def _resolve(self, node: Any, path: Path, seen: tuple[tuple[Path, str], ...]) -> dict[str, Any]:
        """`node` with its $ref replaced by what it points to; keywords beside a $ref win over that."""
        if not isinstance(node, dict):
            raise DataFileError(
                "is no object; write {...} with type, title and description, or false to take it back"
            )
        if "$ref" not in node:
            return node
        target, pointer = self._target(node["$ref"], path)
        if (target, pointer) in seen:
            raise DataFileError(f"$ref {node['$ref']!r} leads back to itself; break the circle")
        try:
            found = _at_pointer(self._read(target), pointer)
        except DataFileError as error:
            raise DataFileError(f"$ref {node['$ref']!r}: {error}") from None
        beside = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        return {**self._resolve(found, target, (*seen, (target, pointer))), **beside}

    def _target(self, ref: Any, path: Path) -> tuple[Path, str]:
        """File and JSON pointer of a reference that stands in `path`."""
        if not isinstance(ref, str):
            raise DataFileError("$ref is no text; write 'FILE#/$defs/NAME'")
        parts = urlsplit(ref)
        if parts.scheme or parts.netloc:
            raise DataFileError(f"$ref {ref!r} is remote; copy the definition into the schema folder")
        if not parts.fragment.startswith("/"):
            raise DataFileError(f"$ref {ref!r} has no JSON pointer; write 'FILE#/$defs/NAME'")
        target = (path.resolve().parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
        if not target.is_relative_to(self._root):
            raise DataFileError(f"$ref {ref!r} leaves the schema folder; copy the definition into it")
        return target, unquote(parts.fragment)

    def _read(self, path: Path) -> Any:
        key = path.resolve()
        if key not in self._json:
            self._json[key] = parse_json(read_text(path))
        return self._json[key]


class SchemaFile(BaseModel):
    """A schema file; its properties are parsed one by one, so that each can be named."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dialect: Annotated[Literal["https://json-schema.org/draft/2020-12/schema"], Field(alias="$schema")]
    title: Annotated[str, Field(min_length=1)]
    description: Annotated[str, Field(min_length=1)]
    type: Literal["object"]
    properties: dict[str, Any]
    closed: Annotated[Literal[False], Field(alias="additionalProperties")]
    defs: Annotated[dict[str, Any], Field(alias="$defs")] = {}


def _at_pointer(document: Any, pointer: str) -> Any:
    """RFC 6901, objects only: no definition stands in an array."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(document, dict) or key not in document:
            raise DataFileError("points to nothing; correct it or add the definition")
        document = document[key]
    return document
