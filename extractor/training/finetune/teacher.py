"""A run folder -> what a bigger model said in it, as labels for a smaller one.

A value is a label when the teacher was confident enough. An attribute that the teacher was asked for and said nothing
of is absent: to leave things out is half of what there is to learn. Of three kinds of attributes nothing is said,
neither that they are stated nor that they are absent: those with a value of less confidence, those of which a value
was rejected, and, where the teacher did not read the whole text or its answer was of no use, those it said nothing
of. A listing of which nothing came is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from extractor.errors import ConfigError, SchemaError, SinkError
from extractor.evaluation.runs import gold_form, has_failed
from extractor.gold import GoldRecord, Values
from extractor.journal import read_outcomes
from extractor.policy import reduced
from extractor.records import AttributeValue, Outcome
from extractor.schema import CategorySchema, SchemaStore, schema_from_names

# Schema id and hash of an Outcome.
_Key = tuple[str, str]


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
    schemas = _schemas(outcomes, store)
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


def _schemas(
    outcomes: Iterable[Outcome], store: SchemaStore
) -> Mapping[_Key, tuple[CategorySchema, list[str]]]:
    """For each schema of the run the one to learn with, and the attributes that the teacher was asked for.

    Where the schema is not the one of then any more, or not one of ours, only those count as asked for that the teacher
    stated anywhere.
    """
    stated: dict[_Key, dict[str, None]] = defaultdict(dict)
    for outcome in outcomes:
        stated[_key(outcome)].update((value.attribute, None) for value in outcome.values)
    found = {}
    for (schema_id, schema_hash), names in stated.items():
        schema = _by_id(store, schema_id)
        if schema and (schema.hash == schema_hash or _has(schema, names)):
            asked = askable(schema)
            same = schema.hash == schema_hash
            ids = [attribute.id for attribute in asked.attributes if same or attribute.id in names]
            found[schema_id, schema_hash] = (asked, ids)
        else:
            found[schema_id, schema_hash] = (schema_from_names(schema_id, sorted(names)), sorted(names))
    return found


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
