"""Small schema folders for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extractor.schema import SchemaStore

NODES: list[dict[str, Any]] = [
    {"id": "clothing", "path": ["Clothing"], "parent": None},
    {"id": "clothing.tops", "path": ["Clothing", "Tops"], "parent": "clothing"},
    {
        "id": "clothing.tops.t_shirts",
        "path": ["Clothing", "Tops", "T-shirts"],
        "parent": "clothing.tops",
        "synonyms": ["tee"],
    },
    {"id": "clothing.hats", "path": ["Clothing", "Hats"], "parent": "clothing"},
]
COLOR = {"type": "string", "title": "Color", "description": "Main color.", "x-normalizer": "color"}
BRAND = {"type": "string", "title": "Brand", "description": "Maker.", "x-relation": "has_brand"}
SLEEVE = {
    "type": "string",
    "title": "Sleeve length",
    "description": "How long the sleeves are.",
    "x-how": "choice",
    "enum": ["short", "long"],
    "x-synonyms": {"short": ["half sleeve"]},
}
FEATURES = {
    "type": "array",
    "items": {"type": "string", "maxLength": 40},
    "maxItems": 3,
    "title": "Features",
    "description": "What it can do.",
}


def schema_file(**properties: Any) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A title",
        "description": "A description.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def write_folder(
    folder: Path, contents: Mapping[str, Any], nodes: list[dict[str, Any]] = NODES
) -> SchemaStore:
    """A schema folder of `contents` (path -> JSON, or text as it is) with base.json and a taxonomy."""
    files = {"base.json": schema_file(brand=BRAND), **contents}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    (folder / "taxonomy.jsonl").write_text(
        "".join(json.dumps(node) + "\n" for node in nodes), encoding="utf-8"
    )
    return SchemaStore(folder)


def only(**keywords: Any) -> dict[str, Any]:
    """A definition of one span attribute with these keywords added or replaced; None removes one."""
    return {name: value for name, value in (COLOR | keywords).items() if value is not None}
