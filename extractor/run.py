"""A RunConfig in, a finished run folder out: opens what the pipeline needs and stands between feed and journal.

Everything that can be wrong in the settings is found before the model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from extractor.config import ExtractorConfig, RunConfig
from extractor.engines import Engine, ModelInfo, describe_engine, open_engine
from extractor.engines.lazy import open_lazily
from extractor.errors import ConfigError, FeedError
from extractor.journal import Journal, Summary
from extractor.journal.manifest import refuse_foreign
from extractor.normalize import Units, load_units
from extractor.pipeline import Extractor, attributes_prompt, prompt_ids
from extractor.prompt import PromptTemplate, folder_of, load_prompt, shots
from extractor.prompt import default_folder as prompts_folder
from extractor.propose import Proposer, open_proposer, proposer_folder
from extractor.read import check_feeds, read_feeds
from extractor.records import Outcome, Policy, Product, Unreadable
from extractor.route import CategoryRouter, find_router
from extractor.schema import SchemaStore
from extractor.schema import default_folder as schemas_folder
from extractor.schema_set import all_schemas, write_schemas
from extractor.versions import versions

if TYPE_CHECKING:  # bm25s, which only those need who show demonstrations
    from extractor.demonstrations import Demonstrations

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a progress bar wants to know."""

    # Products with an Outcome, those of earlier sessions included.
    done: int
    # Outcomes of this session whose whole product was rejected.
    rejected: int


def run(
    config: RunConfig,
    *,
    engine: Engine | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Extract all feeds into the run folder, or go on where an earlier session stopped.

    Args:
        config: What to do.
        engine: Used in place of the one that `config` names; stays open.
        progress: Called after every batch.

    Raises:
        ExtractorError: see errors.py; what is done so far stays in the folder.
    """
    files = check(config)
    schemas = all_schemas(files.store)
    with closing(open_named_engine(config)) if engine is None else nullcontext(engine) as opened:
        extractor = assemble(config, files, opened)
        hashes = {task: template.hash for task, template in extractor.prompts.items()}
        pool = files.demonstrations
        identity = {
            **config.identity(),
            "router": files.router.hash,
            "schemas": schemas.hash,
            "prompts": hashes,
            "demonstrations": pool.identity(extractor.shots) if pool else None,
            "policy": extractor.policy,
            "proposer": extractor.proposer.hash if extractor.proposer else None,
        }
        with Journal.open(config.out, identity, made_by=extractor.made_by(), versions=versions()) as journal:
            write_schemas(config.out, schemas)
            rejected = 0
            feed = _Feed(islice(read_feeds(config.feeds, config.mapping, format=config.format), config.limit))
            for batch in batched(journal.pending(feed), config.batch_size):
                outcomes = extractor.extract(batch)
                journal.append(outcomes)
                rejected += sum(map(is_rejected, outcomes))
                progress(Progress(journal.outcomes, rejected))
            if feed.error:
                raise feed.error
            return journal.finish()


class _Feed:
    """Records up to where a feed breaks: those before it are to be extracted before the error is told."""

    def __init__(self, records: Iterable[Product | Unreadable]) -> None:
        self._records = records
        self.error: FeedError | None = None

    def __iter__(self) -> Iterator[Product | Unreadable]:
        try:
            yield from self._records
        except FeedError as error:
            self.error = error


@dataclass(frozen=True, slots=True)
class Files:
    """What an extractor reads from schemas/, or from the files that the settings name."""

    store: SchemaStore
    router: CategoryRouter
    units: Units
    demonstrations: Demonstrations | None = None


def check(config: RunConfig) -> Files:
    """Find what is wrong with the settings without loading a model; returns what was loaded on the way."""
    check_feeds(config.feeds, config.mapping, format=config.format)
    files = load_files(config)
    refuse_foreign(config.out)
    return files


def load_files(config: ExtractorConfig) -> Files:
    """Read what the settings name; ExtractorError says what of it is wrong, or not there."""
    store = SchemaStore(_schemas_of(config.taxonomy))
    router = find_router(config.taxonomy) if config.taxonomy else CategoryRouter.of_names(store.taxonomy)
    if config.schema_id != "auto":
        store.by_id(config.schema_id)
    if config.prompt:
        template = load_prompt(config.prompt, prompts_folder())
        attributes_prompt(template.id)
        _shots(config, template)
    return Files(store, router, load_units(schemas_folder()), _demonstrations(config))


def _schemas_of(taxonomy: Path | None) -> Path:
    """The folder with the schemas of a taxonomy: its own, where `extractor schemas derive` made it."""
    return taxonomy if taxonomy and (taxonomy / "base.json").is_file() else schemas_folder()


def _demonstrations(config: ExtractorConfig) -> Demonstrations | None:
    if config.demonstrations is None:
        return None
    from extractor.demonstrations import Demonstrations

    return Demonstrations.load(config.demonstrations)


def _shots(config: ExtractorConfig, template: PromptTemplate) -> int:
    if config.demonstrations:
        return shots(template)
    if template.demonstrations:
        raise ConfigError(
            f"{template.id}: shows {template.demonstrations} demonstrations; give --demonstrations FILE"
        )
    return 0


def open_named_engine(config: ExtractorConfig) -> Engine:
    """The engine that the settings name."""
    _, model = describe_engine(config.engine, model=config.model, base_url=config.base_url)
    if config.demonstrations and not config.prompt and "attributes" in model.prompts:
        # Known before the model is loaded: a model's own prompt is a text, which shows no demonstrations.
        _shots(config, load_prompt(model.prompts["attributes"], prompts_folder()))
    policy = _policy_of(config, model)
    _find_proposer(policy, config.proposer)
    # A proposer that decides alone leaves categories at most to the model, and often not even these.
    opener = open_lazily if policy == "propose-only" else open_engine
    return opener(config.engine, model=config.model, base_url=config.base_url)


def _policy_of(config: ExtractorConfig, model: ModelInfo) -> Policy:
    prompted = bool(config.prompt or config.demonstrations or config.votes > 1)
    return choose_policy(config.policy, model, prompted=prompted)


def choose_policy(stated: Policy | None, model: ModelInfo, *, prompted: bool) -> Policy:
    """The policy that is stated, else the model's own; what only a language model heeds is meant for one.

    Args:
        stated: None: not at all.
        model: Which has a policy of its own.
        prompted: A prompt, demonstrations or votes are asked for.
    """
    return stated or ("decode-all" if prompted else model.policy)


def proposer_for(policy: Policy, folder: Path | None) -> Proposer | None:
    """The proposer that a policy needs, from a folder or the shipped one; None when it needs none."""
    found = _find_proposer(policy, folder)
    return open_proposer(found) if found else None


def _find_proposer(policy: Policy, folder: Path | None) -> Path | None:
    if policy != "decode-all":
        return proposer_folder(folder)
    if folder:
        raise ConfigError(
            f"{folder}: policy decode-all asks no proposer; take --policy propose-only or cascade"
        )
    return None


def assemble(config: ExtractorConfig, files: Files, engine: Engine) -> Extractor:
    """What extracts as the settings say."""
    prompts = load_prompts(prompt_ids(engine, config.prompt), engine.model)
    policy = _policy_of(config, engine.model)
    return Extractor(
        engine=engine,
        store=files.store,
        router=files.router,
        units=files.units,
        prompts=prompts,
        schema_id=None if config.schema_id == "auto" else config.schema_id,
        max_output_tokens=config.max_output_tokens,
        demonstrations=files.demonstrations,
        shots=_shots(config, prompts["attributes"]),
        votes=config.votes,
        proposer=proposer_for(policy, config.proposer),
        policy=policy,
    )


def load_prompts(
    ids: Mapping[str, str], model: ModelInfo, own: Path | None = None
) -> dict[str, PromptTemplate]:
    """Task -> template.

    Args:
        ids: Task -> prompt id.
        model: What is to read them.
        own: Folder of prompts that go before the shipped ones.

    Raises:
        ConfigError: a chat prompt for a model that cannot chat: found here before the model is loaded.
        PromptError: there is no such prompt, or its file is wrong.
    """
    prompts = {task: load_prompt(prompt_id, folder_of(prompt_id, own)) for task, prompt_id in ids.items()}
    for template in prompts.values():
        if template.form == "chat" and not model.chat:
            raise ConfigError(
                f"{template.id}: a chat prompt, and model {model.id} has no chat template; "
                "choose another model with --model, or a text prompt such as attributes@embedded-v1"
            )
    return prompts


def is_rejected(outcome: Outcome) -> bool:
    """True when nothing came of the product as a whole."""
    return not outcome.values and any(rejection.attribute is None for rejection in outcome.rejections)


def batched(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
