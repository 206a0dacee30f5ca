"""A suite file (eval/suites/*.toml) in, what it is made of out: gold, training gold, attributes, baselines.

Gold is a file, or made from shops' catalogues (brands.py). Knows no engine and no run folder.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import ConfigError
from extractor.evaluation.baselines import Predictions, look_up, stored
from extractor.evaluation.brands import brand_gold
from extractor.evaluation.metrics import offered_by
from extractor.gold import GoldRecord, read_gold
from extractor.schema import (
    CategorySchema,
    SchemaStore,
    default_folder,
    load_taxonomy,
    schema_from_names,
)

# What the printouts and pages call the dictionary.
DICTIONARY = "dictionary"


def _place(path: Any, info: ValidationInfo) -> Any:
    """A path that begins with a dot is relative to the suite's folder; joined to the data folder it stays there."""
    if info.context and isinstance(path, str) and path.startswith("."):
        return (info.context / path).resolve()
    return path


def _several(value: Any) -> Any:
    """One path stands for a list of it."""
    return [value] if isinstance(value, str | Path) else value


_OFFERED = TypeAdapter(dict[str, list[str]])
SuitePath = Annotated[Path, BeforeValidator(_place)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Catalogue(_Strict):
    """A shop's feed that gold is made from."""

    # Of the shop: stands where other suites have a category.
    name: Annotated[str, Field(min_length=1)]
    path: SuitePath


class Suite(_Strict):
    """What a suite file holds; paths are relative to the data folder, or to the file when they begin with a dot."""

    # As the file's stem.
    name: Annotated[str, Field(min_length=1)]
    # One line: what it is, its licence.
    about: str
    # One file or several.
    gold: Annotated[tuple[SuitePath, ...], BeforeValidator(_several)] = ()
    # Name -> attributes that are also scored together; with groups, no other attribute is scored.
    groups: Mapping[str, tuple[str, ...]] = {}
    # In place of `gold`: brands of the held-out tenth; the other records are the training gold.
    catalogues: tuple[Catalogue, ...] = ()
    # "names": attributes are spans called as the gold calls them; "shipped": schemas/ of the gold's categories.
    schemas: Literal["names", "shipped"] = "names"
    # {category: [attribute names]} for schemas "names"; without it: what the gold of the category lists.
    offered: SuitePath | None = None
    # Gold to learn from: dictionary baseline, demonstrations, calibration.
    train: SuitePath | None = None
    # Name -> file of stored predictions, shown beside the model.
    reference: Mapping[str, SuitePath] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.gold) == bool(self.catalogues):
            raise ValueError("needs gold or catalogues; give one of them")
        if self.catalogues and (self.train or self.offered or self.groups or self.schemas != "names"):
            raise ValueError("with catalogues there is no train, offered, groups or schemas; leave them out")
        if self.offered and self.schemas != "names":
            raise ValueError('schemas "shipped" say what is offered; leave offered out')
        if DICTIONARY in self.reference:
            raise ValueError(f"reference {DICTIONARY!r} is the name of a baseline; choose another")
        return self

    @property
    def scored(self) -> frozenset[str] | None:
        """Attributes that are scored; None: all."""
        return frozenset(name for names in self.groups.values() for name in names) or None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that a run reads."""
        named = (*self.gold, self.offered, self.train, *(shop.path for shop in self.catalogues))
        return (*(path for path in named if path), *self.reference.values())


class TaskSuite(_Strict):
    """A suite that measures something else than extraction: tasks.py says what can be measured."""

    name: Annotated[str, Field(min_length=1)]
    about: str
    # What is measured; a file with this key is a TaskSuite.
    task: str
    # What the task reads: name -> file.
    inputs: Mapping[str, SuitePath] = {}
    # What it reads as well where it is there.
    optional: Mapping[str, SuitePath] = {}

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that a run needs."""
        return tuple(self.inputs.values())

    def paths(self, data: Path) -> dict[str, Path]:
        """Input name -> file, of all that are there."""
        there = {name: path for name, path in self.optional.items() if (data / path).is_file()}
        return {name: data / path for name, path in {**self.inputs, **there}.items()}


def load_suite(folder: Path, name: str) -> Suite:
    """Read a suite that measures extraction; ConfigError names those that there are."""
    suite = load_any(folder, name)
    if isinstance(suite, TaskSuite):
        raise ConfigError(
            f"suite {name}: measures {suite.task}, no extraction; only `extractor eval run {name}` has a use for it"
        )
    return suite


def load_any(folder: Path, name: str) -> Suite | TaskSuite:
    """Read any suite; ConfigError names those that there are."""
    path = folder / f"{name}.toml"
    if name not in (known := suite_names(folder)):
        raise ConfigError(f"{folder}: no suite {name!r}; there are {', '.join(known) or 'none'}")
    try:
        content = tomllib.loads(read_text(path))
        kind: type[Suite | TaskSuite] = TaskSuite if "task" in content else Suite
        suite = kind.model_validate(content, context=path.parent)
        if suite.name != name:
            raise DataFileError(f"name is {suite.name!r}, the file's is {name!r}; make them one")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}; correct the TOML") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None
    except DataFileError as error:
        raise ConfigError(f"{path}: {error}") from None
    return suite


def suite_names(folder: Path) -> list[str]:
    """All suites of a folder; ConfigError when there is no such folder."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give the one that holds suite files with --suites")
    return sorted(path.stem for path in folder.glob("*.toml"))


def missing(suite: Suite | TaskSuite, data: Path) -> list[Path]:
    """Files of the suite that are not there."""
    return [data / path for path in suite.files if not (data / path).is_file()]


def check_files(suite: Suite | TaskSuite, data: Path) -> None:
    """ConfigError names a file of the suite that is not there."""
    if absent := missing(suite, data):
        others = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        raise ConfigError(
            f"suite {suite.name}: {absent[0]} is not there{others}; name the data folder with --data or EXTRACTOR_DATA"
        )


def read_suite_gold(suite: Suite, data: Path) -> list[GoldRecord]:
    """All gold of a suite, in its order.

    Raises:
        ConfigError: a file of the suite is missing (any: a run needs them all) or broken, there is no record, or
            one has no title or the id of another.
    """
    check_files(suite, data)
    gold = list(_of_files(suite, data) if suite.gold else _of_catalogues(suite, data, test=True))
    if not gold:
        raise ConfigError(
            f"suite {suite.name}: its catalogues hold no record to measure on; give such as state brands in titles"
        )
    seen: set[str] = set()
    for record in gold:
        if not record.title:
            raise ConfigError(f"suite {suite.name}: {record.id!r} has no title; give it one")
        if record.id in seen:
            raise ConfigError(f"suite {suite.name}: id {record.id!r} stands twice; make ids unique")
        seen.add(record.id)
    return gold


def read_suite_train(suite: Suite, data: Path) -> list[GoldRecord]:
    """What the suite may learn from; empty when it has nothing."""
    if suite.catalogues:
        return list(_of_catalogues(suite, data, test=False))
    return read_gold(data / suite.train) if suite.train else []


def _of_files(suite: Suite, data: Path) -> Iterator[GoldRecord]:
    for path in suite.gold:
        for record in read_gold(data / path):
            listed = record.attributes.items()
            kept = {name: values for name, values in listed if suite.scored is None or name in suite.scored}
            yield replace(record, attributes=kept)


def _of_catalogues(suite: Suite, data: Path, *, test: bool) -> Iterator[GoldRecord]:
    for shop in suite.catalogues:
        yield from brand_gold(data / shop.path, shop.name, test=test)


def suite_schemas(suite: Suite, data: Path, gold: Sequence[GoldRecord]) -> dict[str, CategorySchema]:
    """Category -> what to extract there, for all categories of the gold.

    Raises:
        ConfigError: gold has a category or an attribute that the schemas lack.
    """
    if suite.schemas == "shipped":
        schemas = _shipped_schemas(suite, gold)
    else:
        offered = _read_offered(data / suite.offered) if suite.offered else offered_by(gold)
        # In alphabetical order, as the embedded model learned them.
        schemas = {name: schema_from_names(name, sorted(names)) for name, names in offered.items()}
    attributes = {name: {attribute.id for attribute in schema.attributes} for name, schema in schemas.items()}
    for record in gold:
        if record.category not in schemas:
            raise ConfigError(
                f"suite {suite.name}: {record.id!r}: no category {record.category!r}; correct it"
            )
        for name in record.attributes.keys() - attributes[record.category]:
            raise ConfigError(
                f"suite {suite.name}: {record.id!r}: category {record.category!r} has no attribute {name!r}; correct it"
            )
    return schemas


def _shipped_schemas(suite: Suite, gold: Sequence[GoldRecord]) -> dict[str, CategorySchema]:
    store = SchemaStore(default_folder())
    categories = dict.fromkeys(record.category for record in gold)
    return {name: store.for_category(name) for name in categories if name in store.taxonomy}


def _read_offered(path: Path) -> dict[str, list[str]]:
    try:
        return _OFFERED.validate_python(parse_json(read_text(path)), strict=True)
    except DataFileError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}; write {{category: [attribute names]}}") from None


def sampled(gold: Sequence[GoldRecord], size: int | None, seed: int) -> list[GoldRecord]:
    """So many records drawn at random, in their order; all of them for None or where there are no more."""
    if size is None or size >= len(gold):
        return list(gold)
    if size < 1:
        raise ConfigError(f"--sample {size}: draws nothing; give 1 or more")
    return [gold[k] for k in sorted(random.Random(seed).sample(range(len(gold)), size))]


@dataclass(frozen=True, slots=True)
class Material:
    """What a run of a suite works on."""

    # All of the suite: what nothing may be learned from.
    refused: Sequence[GoldRecord]
    # What is extracted: the same, or a sample of it.
    gold: Sequence[GoldRecord]
    # Category -> what to extract there.
    schemas: Mapping[str, CategorySchema]
    # Category -> names that the model is told; none for a shop, which is no category.
    paths: Mapping[str, tuple[str, ...]]
    # Name -> what other methods predict for `gold`.
    baselines: Mapping[str, Predictions]
    # Attributes that are scored; None: all.
    scored: frozenset[str] | None = None

    @property
    def offered(self) -> dict[str, list[str]]:
        """Category -> ids of the attributes that are scored."""
        return {
            name: [a.id for a in schema.attributes if self.scored is None or a.id in self.scored]
            for name, schema in self.schemas.items()
        }


def load_material(suite: Suite, data: Path, *, sample: int | None = None, seed: int = 0) -> Material:
    """Read all that a suite names; ConfigError when something is missing, broken or does not fit together."""
    everything = read_suite_gold(suite, data)
    gold = sampled(everything, sample, seed)
    schemas = suite_schemas(suite, data, everything)
    bare = Material(everything, gold, schemas, _paths(suite, schemas), {}, suite.scored)
    return replace(bare, baselines=_baselines(suite, data, bare))


def _paths(suite: Suite, schemas: Mapping[str, CategorySchema]) -> dict[str, tuple[str, ...]]:
    if suite.schemas == "shipped":
        taxonomy = load_taxonomy(default_folder() / "taxonomy.jsonl")
        return {name: taxonomy[name].path for name in schemas}
    return {name: () if suite.catalogues else (name,) for name in schemas}


def _baselines(suite: Suite, data: Path, material: Material) -> dict[str, Predictions]:
    train = read_suite_train(suite, data)
    if learned := {record.id for record in train}.intersection(record.id for record in material.refused):
        raise ConfigError(
            f"suite {suite.name}: id {min(learned)!r} is both in train and in gold; leave it out of one"
        )
    found = {DICTIONARY: look_up(train, material.gold, material.offered)} if train else {}
    known = frozenset(record.id for record in material.refused)
    return found | {name: stored(data / path, material.gold, known) for name, path in suite.reference.items()}
