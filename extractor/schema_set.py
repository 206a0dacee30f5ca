"""All schemas of a folder as one document: what a run keeps of them, so that a graph can be told on another machine.

In: a SchemaStore, or the document that it became, in a run folder or a graph. Out: which attributes each category has
and what they mean. The document holds every definition once, however many categories have it; of the words for the
members of an enum (x-cues) it holds a hash only. Knows no run but for its folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from extractor.attribute import Attribute
from extractor.datafile import DataFileError, content_hash, parse_json, read_text
from extractor.errors import ConfigError
from extractor.journal.files import replacing, sink_errors, to_line
from extractor.schema import BASE, SchemaStore, default_folder

# In a run folder.
SCHEMAS = "schemas.json"
# Raised when the document changes in a way that an older package cannot read.
_FORMAT = 1
_ADVICE = "the `extractor run` that made it writes it again"
_BLANK = Attribute("", "", "")
_PLAIN = tuple(field.name for field in fields(Attribute) if field.name != "cues")


@dataclass(frozen=True)
class SchemaSet:
    """The effective schemas of a folder, of all its categories."""

    # {"format": 1, "attributes": [definitions], "schemas": {schema id: [places in attributes, in decode order]}}
    document: Mapping[str, Any]

    @classmethod
    def of(cls, schemas: Mapping[str, Sequence[Attribute]]) -> SchemaSet:
        """From schema ids, `BASE` among them, and their attributes in decode order."""
        # By identity first: categories share the attributes that they inherit.
        distinct = {id(attribute): attribute for of_one in schemas.values() for attribute in of_one}
        texts = {each: _text(attribute) for each, attribute in distinct.items()}
        places = {text: place for place, text in enumerate(sorted({*texts.values()}))}
        stated = {name: [places[texts[id(each)]] for each in of_one] for name, of_one in schemas.items()}
        return cls({"format": _FORMAT, "attributes": [*map(json.loads, places)], "schemas": stated})

    @cached_property
    def hash(self) -> str:
        """Over all that it says: the layout of the folder's files does not count."""
        return content_hash(self.document)

    @cached_property
    def attributes(self) -> Sequence[Attribute]:
        """Each definition once; two may have the same id, for different categories."""
        return [*map(_attribute, self.document["attributes"])]

    @cached_property
    def definitions(self) -> Mapping[str, Attribute]:
        """Attribute id -> definition; of an id with two, in different categories, the last in the document."""
        return {attribute.id: attribute for attribute in self.attributes}

    @property
    def relations(self) -> set[str]:
        """Relation types; an attribute id may have two, in different categories."""
        return {attribute.relation for attribute in self.attributes}

    @property
    def functional(self) -> set[str]:
        """Relation types of which all attributes that have them are x-functional."""
        open_ended = {attribute.relation for attribute in self.attributes if not attribute.functional}
        return self.relations - open_ended

    def for_category(self, category_id: str) -> tuple[Attribute, ...]:
        """The attributes of a category; those of `BASE` for one that the folder does not have."""
        found = self.by_id(category_id)
        return (self.by_id(BASE) or ()) if found is None else found

    def by_id(self, schema_id: str) -> tuple[Attribute, ...] | None:
        """The attributes of a category or of `BASE`; None for one that the folder does not have."""
        places = self.document["schemas"].get(schema_id)
        return None if places is None else tuple(self.attributes[place] for place in places)

    def asked_of_models(self, schema_id: str) -> tuple[Attribute, ...] | None:
        """The same without those that words decide (x-cues)."""
        places = self.document["schemas"].get(schema_id)
        if places is None:
            return None
        return tuple(self.attributes[n] for n in places if "cues" not in self.document["attributes"][n])


def all_schemas(store: SchemaStore) -> SchemaSet:
    """What a whole folder says, the package's own read once; SchemaError where one of its files is wrong."""
    return shipped_schemas() if store.folder == default_folder() else _all(store)


@cache
def shipped_schemas() -> SchemaSet:
    """The schemas that come with the package."""
    return _all(SchemaStore(default_folder()))


def _all(store: SchemaStore) -> SchemaSet:
    ids = {BASE, *store.ids(), *(node.id for node in store.taxonomy)}
    return SchemaSet.of({schema_id: store.attributes_of(schema_id) for schema_id in sorted(ids)})


def write_schemas(folder: Path, schemas: SchemaSet) -> None:
    """Keep the schemas of a run in its folder; SinkError where that cannot be written."""
    path = folder / SCHEMAS
    with sink_errors(path), replacing(path) as file:
        file.write(to_line(schemas.document))


def read_schemas(folder: Path, manifest: Mapping[str, Any]) -> SchemaSet:
    """The schemas of a run: those that its folder keeps, or the package's, where the run began before runs kept any.

    Raises:
        ConfigError: The file is not there, broken, or not the one that the run began with.
    """
    expected = (manifest.get("config") or {}).get("schemas")
    if expected is None:
        return shipped_schemas()
    path = folder / SCHEMAS
    try:
        document = parse_json(read_text(path))
    except DataFileError as error:
        what = str(error).partition(";")[0]
        raise ConfigError(f"{path}: {what}; {_ADVICE}") from None
    if isinstance(document, dict) and document.get("format", _FORMAT) != _FORMAT:
        raise ConfigError(f"{path}: made by a newer version of this package; upgrade to read it")
    if content_hash(document) != expected:
        raise ConfigError(f"{path}: not what the run began with; {_ADVICE}")
    return SchemaSet(document)


def _text(attribute: Attribute) -> str:
    """A definition as canonical JSON, without what it does not say."""
    stated = {name: value for name in _PLAIN if (value := getattr(attribute, name)) != getattr(_BLANK, name)}
    cues = {"cues": attribute.cues.hash} if attribute.cues else {}
    return json.dumps({**stated, **cues}, ensure_ascii=False, sort_keys=True)


def _attribute(definition: Mapping[str, Any]) -> Attribute:
    stated: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in definition.items() if name in _PLAIN
    }
    if "synonyms" in stated:
        stated["synonyms"] = {value: tuple(forms) for value, forms in stated["synonyms"].items()}
    return replace(_BLANK, **stated)
