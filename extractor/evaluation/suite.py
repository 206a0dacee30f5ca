"""A suite (eval/suites/*.toml) in, a scored run folder out: gold listings through the very pipeline.

The category and the attribute names are given, as in the published runs: what is measured is extraction.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.engines import Engine
from extractor.errors import ConfigError
from extractor.evaluation.files import read_gold, read_rows
from extractor.evaluation.metrics import offered_by, summarize, tally
from extractor.journal import Journal, read_outcomes
from extractor.normalize import load_units
from extractor.pipeline import Extractor, prompt_ids
from extractor.records import Outcome, Product, clean_text
from extractor.route import Candidate
from extractor.run import batched, load_prompts, versions
from extractor.schema import CategorySchema, default_folder, schema_from_names
from extractor.taxonomy import CategoryNode


class Suite(BaseModel):
    """Where a suite's gold is and how its listings are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    # One line: what it is, its licence.
    about: str
    # Relative to the data folder.
    gold: str
    # {category: [attribute names]}, relative to the data folder; empty: what the gold of the category lists.
    offered: str = ""


@dataclass(frozen=True, slots=True)
class GivenCategories:
    """Stands in for router and schemas: the gold says the category, the suite its attributes."""

    schemas: Mapping[str, CategorySchema]

    def candidates(self, product: Product) -> list[Candidate]:
        name = product.category_path[-1]
        return [Candidate(CategoryNode(name, (name,), None, ()), 100.0)]

    def for_category(self, category_id: str) -> CategorySchema:
        return self.schemas[category_id]

    def by_id(self, schema_id: str) -> CategorySchema:
        return self.schemas[schema_id]


def load_suite(folder: Path, name: str) -> Suite:
    """Read one suite; ConfigError names those that there are."""
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.toml"))) or "none"
        raise ConfigError(f"{folder}: no suite {name!r}; there are {known}")
    try:
        return Suite.model_validate(tomllib.loads(path.read_text("utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}; correct the TOML") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None


def run_suite(
    suite: Suite, data: Path, out: Path, engine: Engine, *, prompt: str | None = None
) -> dict[str, Any]:
    """Extract the suite's listings into `out` (resumed when it is there) and score them.

    Returns:
        What `eval run --json` prints; also written to `out`/scores.json.
    """
    gold = read_gold(data / suite.gold)
    offered = _offered(data / suite.offered) if suite.offered else offered_by(gold)
    # In alphabetical order, as the embedded model learned them.
    given = GivenCategories({name: schema_from_names(name, sorted(names)) for name, names in offered.items()})
    ids = prompt_ids(engine, prompt)
    units = load_units(default_folder())
    extractor = Extractor(engine=engine, store=given, router=given, units=units, prompts=load_prompts(ids))
    started = time.perf_counter()
    with Journal.open(
        out, {"suite": suite.name, "prompts": ids}, made_by=extractor.made_by(), versions=versions()
    ) as journal:
        before = journal.outcomes
        for batch in batched(journal.pending(listings(data / suite.gold)), 512):
            journal.append(extractor.extract(batch))
        done = journal.outcomes - before
        seconds = time.perf_counter() - started
        summary = journal.finish()
    predictions = {outcome.product_id: predicted(outcome) for outcome in read_outcomes(out)}
    scores = {
        "suite": suite.name,
        "records": len(gold),
        "paper": summarize(tally(gold, predictions, protocol="paper"), "paper"),
        "strict": summarize(tally(gold, predictions, protocol="strict", offered=offered), "strict"),
        "listings_per_s": round(done / seconds, 2),
        "usage": asdict(summary)["usage"],
        "out_dir": str(out),
    }
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", "utf-8")
    return scores


def _offered(path: Path) -> dict[str, list[str]]:
    try:
        return {category: list(names) for category, names in parse_json(read_text(path)).items()}
    except (DataFileError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path}: {error}; expected {{category: [attribute names]}}") from None


def listings(path: Path) -> Iterator[Product]:
    """The gold file as a feed; titles keep their edges' text but not their edge spaces."""
    for where, row in read_rows(path, ("title", "category", "attributes")):
        yield Product(
            id=row["id"],
            title=clean_text(row["title"]).strip(),
            description=clean_text(row.get("description") or "").strip(),
            category_path=(row["category"],),
            where=where.rsplit("/", 1)[-1],
        )


def predicted(outcome: Outcome) -> Mapping[str, Sequence[str]]:
    """Surface values by attribute: gold forms are verbatim."""
    values: dict[str, list[str]] = {}
    for value in outcome.values:
        values.setdefault(value.attribute, []).append(value.surface)
    return values
