"""Two prompts over one suite: both eval runs, and what changed from one to the other, listing by listing.

In: prompt ids, a suite, an engine. Out: the runs, and a Trial of them. Says what changed and whether the gold likes
it; whether that is more than chance says compare.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from extractor.datafile import content_hash
from extractor.engines import Engine
from extractor.engines.lazy import LentEngine
from extractor.evaluation.checkout import commit
from extractor.evaluation.metrics import judge, summarize, tally
from extractor.evaluation.runs import EvalRun, gold_form, open_eval_run, predicted_by
from extractor.evaluation.suite import run_suite
from extractor.evaluation.suite_file import Suite
from extractor.gold import GoldRecord, Values
from extractor.pipeline import prompt_ids
from extractor.records import AttributeValue, Outcome
from extractor.run import Progress, load_prompts

# "unjudged": the gold says nothing of the attribute.
Effect = Literal["fixed", "regressed", "still_right", "still_wrong", "unjudged"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)


@dataclass(frozen=True, slots=True)
class Pairing:
    """What two prompts are run on."""

    suite: Suite
    data: Path
    # Holds a run folder for each prompt that is tried on it.
    out: Path
    # So many listings, drawn with `seed`; None: all.
    sample: int | None = None
    seed: int = 0
    # Prompts beside the shipped ones.
    prompts: Path | None = None

    def run(
        self,
        a: str,
        b: str,
        open_engine: Callable[[], Engine],
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> tuple[EvalRun, EvalRun]:
        """Run both prompts with one engine, or read what an earlier call left of it."""
        with closing(open_engine()) as engine:
            # Both before the first is run: a slip in the second name is told before the model works for minutes.
            folder_a, folder_b = self._folder(a, engine), self._folder(b, engine)
            return self._run(a, folder_a, engine, progress), self._run(b, folder_b, engine, progress)

    def _run(
        self, prompt: str, folder: Path, engine: Engine, progress: Callable[[Progress], None]
    ) -> EvalRun:
        run_suite(
            self.suite,
            self.data,
            folder,
            lambda: LentEngine(engine),
            prompt=prompt,
            # A prompt shows in what the model alone makes of it.
            policy="decode-all",
            sample=self.sample,
            seed=self.seed,
            own_prompts=self.prompts,
            progress=progress,
        )
        return open_eval_run(folder)

    def _folder(self, prompt: str, engine: Engine) -> Path:
        """A prompt that was edited, another model or another commit of this package gets a folder of its own."""
        prompts = load_prompts(prompt_ids(engine, prompt), engine.model, self.prompts)
        hashes = {task: template.hash for task, template in prompts.items()}
        key = content_hash([hashes, engine.name, engine.model.hash, commit(), self.sample, self.seed])[:8]
        return self.out / f"{prompt}-{key}"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """What two prompts found differently."""

    attribute: str
    a: Values
    b: Values
    # Accepted forms; None: none, or not listed.
    gold: Values
    # None where the gold does not list the attribute.
    a_right: bool | None
    b_right: bool | None

    @property
    def effect(self) -> Effect:
        if self.a_right is None:
            return "unjudged"
        if self.a_right:
            return "still_right" if self.b_right else "regressed"
        return "fixed" if self.b_right else "still_wrong"


@dataclass(frozen=True, slots=True)
class ListingChange:
    """A listing that two prompts read differently."""

    record: GoldRecord
    a: Outcome
    b: Outcome
    # In the order of the gold, then of the prediction.
    attributes: tuple[AttributeChange, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What changed from run a to run b."""

    a: EvalRun
    b: EvalRun
    # In the order of the suite.
    changed: tuple[ListingChange, ...]

    @property
    def counts(self) -> dict[Effect, int]:
        """Attribute changes by effect."""
        found = Counter(change.effect for listing in self.changed for change in listing.attributes)
        return {effect: found[effect] for effect in EFFECTS}

    def to_json(self) -> dict[str, Any]:
        """What `prompts try --json` prints."""
        return {
            "suite": self.a.suite,
            "records": len(self.a.gold),
            "a": _side(self.a),
            "b": _side(self.b),
            "unchanged": len(self.a.gold) - len(self.changed),
            "counts": self.counts,
            "changed": [_listing(listing) for listing in self.changed],
        }


def compare_listings(a: EvalRun, b: EvalRun) -> Trial:
    """What run b, of the same gold, found differently than run a."""
    pairs = ((record, a.outcomes[record.id], b.outcomes[record.id]) for record in a.gold)
    listings = (ListingChange(*pair, tuple(_changes(*pair))) for pair in pairs)
    return Trial(a, b, tuple(listing for listing in listings if listing.attributes))


def paper_f1(run: EvalRun) -> float:
    """Micro F1 under the paper's protocol, 0..100."""
    micro: Any = summarize(tally(run.gold, run.predictions), "paper")["micro"]
    return float(micro["f1"])


def _changes(record: GoldRecord, a: Outcome, b: Outcome) -> Iterator[AttributeChange]:
    said_a, said_b = predicted_by(a), predicted_by(b)
    for name in dict.fromkeys([*record.attributes, *said_a, *said_b]):
        before, after = said_a.get(name), said_b.get(name)
        if before != after:
            gold, listed = record.attributes.get(name), name in record.attributes
            right = [judge(gold, found).is_right if listed else None for found in (before, after)]
            yield AttributeChange(name, before, after, gold, *right)


def _side(run: EvalRun) -> dict[str, Any]:
    prompt = run.settings["prompts"]["attributes"]
    tokens = round(run.tokens_per_listing or 0.0, 1)
    return {"prompt": prompt["id"], "hash": prompt["hash"], "f1": paper_f1(run), "tokens_per_listing": tokens}


def _listing(listing: ListingChange) -> dict[str, Any]:
    changes = {change.attribute: change for change in listing.attributes}
    return {
        "product_id": listing.record.id,
        "category": listing.record.category,
        "text": listing.a.text,
        "attributes": {
            name: {
                "a": _values(listing.a, name),
                "b": _values(listing.b, name),
                "gold": change.gold,
                "effect": change.effect,
            }
            for name, change in changes.items()
        },
    }


def _values(outcome: Outcome, name: str) -> list[dict[str, Any]]:
    return [_value(value) for value in outcome.values if value.attribute == name]


def _value(value: AttributeValue) -> dict[str, Any]:
    span = [value.span.start, value.span.end] if value.span else None
    return {"value": gold_form(value), "span": span, "confidence": round(value.confidence, 4)}
