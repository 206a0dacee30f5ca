"""Labelled feeds and a taxonomy in, a folder out that routes as they do: `extractor run --taxonomy FOLDER` opens it.

Knows feeds, router and engine, which do not know each other; the learning itself is route/fit.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extractor.categorize import categorize
from extractor.engines import Engine
from extractor.errors import ConfigError
from extractor.journal import replacing, sink_errors
from extractor.journal.files import to_line, write_json
from extractor.pipeline import prompt_ids
from extractor.read import check_feeds, read_feeds
from extractor.route.examples import read_examples
from extractor.route.fit import Accuracy, Unsure, fit_router
from extractor.route.folder import NOTES, NUMBERS, notes_of, write_numbers
from extractor.route.router import CategoryRouter
from extractor.run import load_prompts
from extractor.taxonomy import TAXONOMY, load_taxonomy, taxonomy_lines

# A language model is compared with the router on so many listings at most.
_COMPARED = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """Who finds the category where the router is unsure; shares, 0..100."""

    listings: int
    router: float
    model: float

    @property
    def model_is_better(self) -> bool:
        return self.model > self.router


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of the examples; `extractor route fit --json` prints it."""

    examples: int
    categories: int
    # On the validation part, by a router that did not see it; None where there are too few examples for one.
    validation: Accuracy | None
    # None where no engine was given, or the router was sure of everything.
    compared: Comparison | None
    out_dir: str

    def to_json(self) -> dict[str, Any]:
        """With `decided_by`: who decides where the router is unsure."""
        by_model = self.compared is not None and self.compared.model_is_better
        return {**asdict(self), "decided_by": "model" if by_model else "router"}


def fit_folder(
    examples: Sequence[str],
    taxonomy: Path,
    out: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    engine: Engine | None = None,
) -> Fitted:
    """Learn from labelled feeds and write the router.

    Args:
        examples: Feeds whose records state their category: `category_path`, or an id as `category`.
        taxonomy: File, or a folder that holds one.
        out: Folder; may be the taxonomy's own. An earlier router in it is replaced.
        mapping: Our field -> the feed's column.
        engine: Compared with the router where that is unsure; who is better decides there from then on.

    Raises:
        SchemaError: the taxonomy is wrong.
        ConfigError: an example is, or its label is not in the taxonomy; `out` holds another taxonomy.
        FeedError: a feed cannot be read.
        EngineError: the engine failed.
        SinkError: `out` cannot be written.
    """
    tree = load_taxonomy(taxonomy)
    check_feeds(examples, mapping or {})
    if (out / TAXONOMY).is_file() and load_taxonomy(out).hash != tree.hash:
        raise ConfigError(f"{out}: holds another taxonomy; choose another --out")
    fit = fit_router(read_examples(read_feeds(examples, mapping or {}), tree), tree)
    compared = _compare(fit.unsure[:_COMPARED], engine) if engine and fit.unsure else None
    router = fit.router.asking() if compared and compared.model_is_better else fit.router
    fitted = Fitted(fit.examples, len(tree), fit.validation, compared, str(out))
    _write(router, fitted, out)
    return fitted


def _compare(unsure: Sequence[Unsure], engine: Engine) -> Comparison:
    """Ask a language model about validation listings that the router was unsure of."""
    template = load_prompts(prompt_ids(engine, None), engine.model)["route"]
    answers = categorize([(item.product, item.candidates) for item in unsure], engine, template)
    by_model = sum(answer.choice.id == item.category for answer, item in zip(answers, unsure, strict=True))
    by_router = sum(item.candidates[0].category.id == item.category for item in unsure)
    return Comparison(
        len(unsure), round(100 * by_router / len(unsure), 2), round(100 * by_model / len(unsure), 2)
    )


def _write(router: CategoryRouter, fitted: Fitted, out: Path) -> None:
    with sink_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        # A folder with notes is a fitted router: they go first and come last.
        (out / NOTES).unlink(missing_ok=True)
        with replacing(out / TAXONOMY) as file:
            file.writelines(map(to_line, taxonomy_lines(router.layout.taxonomy)))
        with replacing(out / NUMBERS) as file:
            write_numbers(router, file)
        write_json(out / NOTES, notes_of(router, fitted.to_json()))
