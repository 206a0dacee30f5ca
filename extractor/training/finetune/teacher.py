"""A run folder -> what a bigger model said in it, as labels for a smaller one.

A value is a label when the teacher was confident enough. An attribute that the teacher was asked for and said nothing
of is absent: to leave things out is half of what there is to learn. Of three kinds of attributes nothing is said,
neither that they are stated nor that they are absent: those with a value of less confidence, those of which a value
was rejected, and, where the teacher did not read the whole text or its answer was of no use, those it said nothing
of. A listing of which nothing came is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from extractor.errors import ConfigError, SchemaError, SinkError
from extractor.evaluation.runs import gold_form, has_failed
from extractor.gold import GoldRecord, Values
from extractor.journal import read_manifest, read_outcomes
from extractor.policy import reduced
from extractor.records import AttributeValue, Outcome
from extractor.schema import CategorySchema, SchemaStore, schema_from_names, schema_of
from extractor.schema_set import SCHEMAS, SchemaSet, read_schemas

# Schema id and hash of an Outcome.
_Key = tuple[str, str]
# The schema to learn with, and the ids of the attributes that the teacher was asked for.
_Asked = tuple[CategorySchema, list[str]]


@dataclass(frozen=True, slots=True)
class TaughtListing:
    """What the teacher said of one listing."""

    gold: GoldRecord
    schema: CategorySchema
    # Names of the category from the top.
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taught:
    """What the teacher said."""

    listings: list[TaughtListing]
    # Values that became labels, and attributes of which nothing is said.
    values: int
    unsure: int
    # Listings of the run.
    outcomes: int


def read_teacher(folder: Path, store: SchemaStore, min_confidence: float) -> Taught:
    """Read a run folder, finished or not.

    Raises:
        ConfigError: it is none, is damaged, or nothing in it is as confident.
    """
    try:
        outcomes = list(read_outcomes(folder))
    except SinkError as error:  # nothing is written here: the folder is the input
        raise ConfigError(str(error)) from None
    schemas = _schemas(outcomes, store, _kept_schemas(folder))
    listings, values, unsure = [], 0, 0
    for outcome in outcomes:
        if has_failed(outcome):
            continue
        schema, asked = schemas[_key(outcome)]
        labels = _labels(outcome, asked, min_confidence)
        values += sum(len(forms) for forms in labels.values() if forms)
        unsure += len(asked) - len(labels)
        if labels:
            gold = GoldRecord(
                outcome.product_id, outcome.category.id, labels, outcome.title, outcome.description
            )
            listings.append(TaughtListing(gold, schema, outcome.category.path))
    if not values:
        raise ConfigError(f"{folder}: {_nothing(outcomes, min_confidence)}")
    return Taught(listings, values, unsure, len(outcomes))


def _nothing(outcomes: Iterable[Outcome], min_confidence: float) -> str:
    surest = max((value.confidence for outcome in outcomes for value in outcome.values), default=None)
    if surest is None:
        return "the run found no value to learn from; give another"
    return (
        f"no value has a confidence of {min_confidence:g}, the surest has {surest:g}; lower --min-confidence"
    )


def _labels(outcome: Outcome, asked: Iterable[str], min_confidence: float) -> dict[str, Values]:
    stated: dict[str, list[AttributeValue]] = defaultdict(list)
    for value in outcome.values:
        stated[value.attribute].append(value)
    rejected = {rejection.attribute for rejection in outcome.rejections}
    labels: dict[str, Values] = {}
    for name in asked:
        if name in rejected or any(value.confidence < min_confidence for value in stated[name]):
            continue
        if stated[name]:
            labels[name] = [gold_form(value) for value in stated[name]]
        elif None not in rejected:
            labels[name] = None
    return labels


def _key(outcome: Outcome) -> _Key:
    return outcome.made_by.schema, outcome.made_by.schema_hash


def _kept_schemas(folder: Path) -> SchemaSet | None:
    """The schemas that the run keeps; None for one that began before runs kept any."""
    manifest = read_manifest(folder)
    return read_schemas(folder, manifest) if (folder / SCHEMAS).exists() else None


def _schemas(
    outcomes: Iterable[Outcome], store: SchemaStore, kept: SchemaSet | None
) -> Mapping[_Key, _Asked]:
    """What the teacher was asked by each schema of the run, best known from the schemas that the run keeps."""
    stated: dict[_Key, set[str]] = defaultdict(set)
    for outcome in outcomes:
        stated[_key(outcome)].update(value.attribute for value in outcome.values)
    return {
        key: (_kept(kept, key[0]) if kept else None) or _of_today(store, key, names)
        for key, names in stated.items()
    }


def _kept(schemas: SchemaSet, schema_id: str) -> _Asked | None:
    attributes = schemas.asked_of_models(schema_id)
    if attributes is None:
        return None
    return schema_of(schema_id, schema_id, attributes), [each.id for each in attributes]


def _of_today(store: SchemaStore, key: _Key, stated: Collection[str]) -> _Asked:
    """Where the schema is not the one of then, or not one of ours, only what the teacher stated counts as asked for."""
    schema_id, schema_hash = key
    schema = _by_id(store, schema_id)
    if not schema or (schema.hash != schema_hash and not _has(schema, stated)):
        return schema_from_names(schema_id, sorted(stated)), sorted(stated)
    asked = askable(schema)
    ids = [each.id for each in asked.attributes if schema.hash == schema_hash or each.id in stated]
    return asked, ids


def askable(schema: CategorySchema) -> CategorySchema:
    """Without what words decide (x-cues): no model is ever asked for it."""
    return reduced(schema, tuple(attribute.id for attribute in schema.attributes if not attribute.cues))


def _has(schema: CategorySchema, names: Iterable[str]) -> bool:
    return set(names) <= {attribute.id for attribute in schema.attributes}


def _by_id(store: SchemaStore, schema_id: str) -> CategorySchema | None:
    try:
        return store.by_id(schema_id)
    except SchemaError:
        return None
