"""A suite in, a scored run folder out: gold listings through the very pipeline.

The category is given, by most suites the names of the attributes as well: what is measured is extraction. The model
is asked for nothing but what the folder lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from extractor import __version__
from extractor.config import ExtractorConfig
from extractor.datafile import content_hash
from extractor.engines import Engine
from extractor.errors import ConfigError
from extractor.evaluation.checkout import commit
from extractor.evaluation.runs import GOLD, begin_eval_run, has_failed, hash_gold
from extractor.evaluation.scoring import score_folder
from extractor.evaluation.suite_file import Material, Suite, load_material
from extractor.gold import GoldRecord
from extractor.journal import Journal
from extractor.normalize import load_units
from extractor.pipeline import Extractor, prompt_ids
from extractor.prompt import PromptTemplate, folder_of, shots
from extractor.records import CategoryChoice, Policy, Product
from extractor.route import Routing
from extractor.run import Progress, batched, choose_policy, load_prompts, proposer_for
from extractor.schema import CategorySchema, default_folder
from extractor.versions import versions

if TYPE_CHECKING:  # numpy and bm25s, which only those need who show demonstrations
    from extractor.demonstrations import Demonstrations

# Listings per engine call: what a killed run loses at most.
BATCH_LISTINGS = 512
# As for `extractor run`.
VOTES = get_args(ExtractorConfig.model_fields["votes"].annotation)


@dataclass(frozen=True, slots=True)
class Given:
    """Stands in for router and schemas: the gold says the category, the suite its attributes."""

    material: Material

    def route(self, products: Sequence[Product]) -> list[Routing]:
        given = (product.category_path[0] for product in products)
        return [Routing((), CategoryChoice(name, self.material.paths[name], 1.0)) for name in given]

    def for_category(self, category_id: str) -> CategorySchema:
        return self.material.schemas[category_id]

    def by_id(self, schema_id: str) -> CategorySchema:
        return self.material.schemas[schema_id]


def run_suite(
    suite: Suite,
    data: Path,
    out: Path,
    open_engine: Callable[[], Engine],
    *,
    prompt: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    demonstrations: int | None = None,
    votes: int = 1,
    calibrated: bool = True,
    policy: Policy | None = None,
    proposer: Path | None = None,
    own_prompts: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Extract the suite's listings into `out` (resumed when it is there) and score them.

    Args:
        suite: What to extract.
        data: Data folder.
        out: Run folder.
        open_engine: Called once everything else is in order. An engine that loads its model at the first request,
            such as CachedEngine, makes a finished folder cost nothing.
        prompt: Id such as attributes@v1; None: the one that the model was trained with.
        sample: Draw so many records; None: all.
        seed: Of the draw, and of the order among equally similar demonstrations.
        demonstrations: Show so many of the suite's training listings before each question; None: as many as the
            prompt says, where the suite has any.
        votes: Ask so often about each listing: 1, 3, 5, 7 or 9.
        calibrated: False: confidence as the model has it.
        policy: Who decides values; None: as the model says, see `run.choose_policy`.
        proposer: Folder of the span proposer; None: the shipped one.
        own_prompts: Folder of prompts that go before the shipped ones.
        progress: Called after every engine call.

    Returns:
        What `eval run --json` prints; also written to `out`/scores.json.

    Raises:
        ConfigError: the suite's data is missing or broken, or `out` is another run's.
    """
    if votes not in VOTES:
        raise ConfigError(f"--votes {votes}: take {', '.join(map(str, VOTES))}")
    material = load_material(suite, data, sample=sample, seed=seed)
    with closing(open_engine()) as engine:
        prompts = load_prompts(prompt_ids(engine, prompt), engine.model, own_prompts)
        pool, number = _demonstrations(suite, data, material, prompts["attributes"], demonstrations, seed)
        prompted = bool(prompt or number or votes > 1)
        chosen_policy = choose_policy(policy, engine.model, prompted=prompted)
        given = Given(material)
        extractor = Extractor(
            engine=engine,
            store=given,
            router=given,
            units=load_units(default_folder()),
            prompts=prompts,
            demonstrations=pool,
            shots=number,
            votes=votes,
            calibrated=calibrated,
            proposer=proposer_for(chosen_policy, proposer),
            policy=chosen_policy,
        )
        chosen = {
            "sample": sample,
            "seed": seed,
            "demonstrations": pool.identity(number) if pool else None,
            "votes": votes,
            "calibrated": calibrated,
            "policy": chosen_policy,
        }
        settings = {**_settings(extractor, own_prompts), **chosen}
        _extract(suite, material, out, extractor, chosen, settings, progress)
    return score_folder(out)


def _extract(
    suite: Suite,
    material: Material,
    out: Path,
    extractor: Extractor,
    chosen: dict[str, Any],
    settings: dict[str, Any],
    progress: Callable[[Progress], None],
) -> None:
    """Give every listing an Outcome."""
    identity = {
        "suite": suite.name,
        "gold_hash": hash_gold(material.gold, material.offered),
        "schema_hash": content_hash({name: schema.hash for name, schema in material.schemas.items()}),
        "prompts": {task: template.hash for task, template in extractor.prompts.items()},
        **chosen,
    }
    with Journal.open(out, identity, made_by=extractor.made_by(), versions=versions()) as journal:
        begin_eval_run(
            out,
            suite=suite.name,
            gold=material.gold,
            offered=material.offered,
            settings=settings,
            baselines=material.baselines,
            groups=suite.groups,
        )
        failed = 0
        for batch in batched(journal.pending(_products(material.gold)), BATCH_LISTINGS):
            outcomes = extractor.extract(batch)
            journal.append(outcomes)
            failed += sum(map(has_failed, outcomes))
            progress(Progress(journal.outcomes, failed))
        journal.finish()


def _demonstrations(
    suite: Suite, data: Path, material: Material, template: PromptTemplate, wanted: int | None, seed: int
) -> tuple[Demonstrations | None, int]:
    """The pool and how many of it to show; nothing of what is measured on is ever in it."""
    number = template.demonstrations if wanted is None else shots(template, wanted)
    if wanted and not suite.train:
        raise ConfigError(
            f"suite {suite.name}: has no training listings; leave --demonstrations out, or give it a train file"
        )
    if not number or not suite.train:
        return None, 0
    from extractor.demonstrations import Demonstrations

    return Demonstrations.load(data / suite.train, refuse=material.refused, seed=seed), number


def _products(gold: Sequence[GoldRecord]) -> Iterator[Product]:
    """The gold as a feed; where a record stands is said of the copy in the folder."""
    for number, record in enumerate(gold, 1):
        yield Product(
            id=record.id,
            title=record.title,
            description=record.description,
            category_path=(record.category,),
            where=f"{GOLD}:{number}",
        )


def _settings(extractor: Extractor, own_prompts: Path | None) -> dict[str, Any]:
    """What else it takes to do the run again."""
    made_by = extractor.made_by()
    return {
        "prompts": {task: _prompt(template, own_prompts) for task, template in extractor.prompts.items()},
        "engine": made_by.engine,
        "model": made_by.model,
        "model_hash": made_by.model_hash,
        "version": __version__,
        "commit": commit(),
    }


def _prompt(template: PromptTemplate, own_prompts: Path | None) -> dict[str, str]:
    path = folder_of(template.id, own_prompts) / template.task / f"{template.version}.toml"
    return {"id": template.id, "hash": template.hash, "text": path.read_text("utf-8")}
