"""EvalRuns for tests, without a folder and without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from extractor.evaluation.metrics import offered_by
from extractor.evaluation.runs import EvalRun, hash_gold
from extractor.gold import GoldRecord, Values
from extractor.records import AttributeValue, CategoryChoice, Outcome, Usage


def eval_run(
    gold: Sequence[GoldRecord],
    predictions: Mapping[str, Mapping[str, Values]],
    *,
    name: str = "run",
    suite: str = "tiny",
    offered: Mapping[str, Sequence[str]] | None = None,
    prompt: str = "attributes@v1",
    settings: Mapping[str, Any] | None = None,
) -> EvalRun:
    """A finished run that predicted this; products without predictions have no outcome."""
    offered = offered_by(gold) if offered is None else offered
    return EvalRun(
        folder=Path(name),
        suite=suite,
        gold=gold,
        offered=offered,
        gold_hash=hash_gold(gold, offered),
        outcomes={
            record.id: _outcome(record, predictions[record.id]) for record in gold if record.id in predictions
        },
        settings={
            "prompts": {"attributes": {"id": prompt, "hash": "", "text": ""}},
            "model": "tiny",
            "model_hash": "0",
            **(settings or {}),
        },
        baselines={},
    )


def _outcome(record: GoldRecord, predicted: Mapping[str, Values]) -> Outcome:
    return Outcome(
        product_id=record.id,
        content_hash="",
        where="",
        title=record.title,
        description=record.description,
        category=CategoryChoice(record.category, (record.category,), 1.0),
        values=tuple(
            AttributeValue(name, value, value, None, None, "title", "span", 1.0)
            for name, values in predicted.items()
            for value in values or ()
        ),
        usage=Usage(prompt_tokens=90, output_tokens=10, latency_s=0.5),
    )
