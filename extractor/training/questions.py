"""Labelled listings -> what the span proposer is asked about them in training, drawn anew for every step from a seed.

In: the files that a recipe names. Out: `Question`s. Records that repeat a test title are left out (leaks.py). Knows no
tokens and no network.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractor.training.dataset import (
    Example,
    Record,
    Source,
    load_source,
    read_lines,
    swap_values,
    values_of,
)
from extractor.training.leaks import TestTitles
from extractor.training.lexicon import Lexicon
from extractor.training.recipe import Strict
from extractor.training.synthesize import Synthesizer


class SourceRecipe(Strict):
    """One file and how often it is drawn."""

    kind: str
    path: str = ""
    weight: float
    # Longest text in characters.
    max_chars: int = 400
    # Share of the values that are replaced by others of the same attribute.
    swap: float = 0.0
    # Share of the attributes that nobody judged on a listing and that count as absent.
    unjudged: float = 0.15


@dataclass(frozen=True, slots=True)
class Question:
    """A listing and its answers: attribute -> accepted forms, None where it has no value."""

    category: str
    text: str
    answers: Mapping[str, tuple[str, ...] | None]


class Questions:
    """Draws questions from the sources of a recipe.

    Args:
        sources: Files and how often each is drawn.
        data: Data folder.
        leave_out: Categories and attributes that are never shown.
        everything: Also the held-out tenth of every source.
    """

    def __init__(
        self, sources: Sequence[SourceRecipe], data: Path, *, leave_out: Sequence[str], everything: bool
    ) -> None:
        titles = TestTitles.load(data / "eval" / "attributes")
        self._without = {plain_name(name) for name in leave_out}
        self._recipes = sources
        # Records left out because a test title is like theirs, by source.
        self.left_out: dict[str, int] = {}
        self._sources: list[Source | Synthesizer | Lexicon] = []
        for spec in sources:
            if spec.kind == "synthetic":
                self._sources.append(Synthesizer.shipped())
                continue
            if spec.kind == "made-up":
                self._sources.append(Lexicon.load(data / spec.path))
                continue
            rows = read_lines(data / spec.path)
            clean = titles.keep_out(rows)
            self.left_out[spec.path] = len(rows) - len(clean)
            kept = clean if everything else titles.trainable(clean)
            source = load_source(spec.kind, kept, max_chars=spec.max_chars)
            records = list(map(self._shown, source.records))
            self._sources.append(Source(spec.kind, records, values_of(records)))

    def draw(self, rng: random.Random) -> Question:
        k = rng.choices(range(len(self._sources)), [spec.weight for spec in self._recipes])[0]
        source, spec = self._sources[k], self._recipes[k]
        if isinstance(source, Synthesizer):
            question = synthetic(source.draw(rng))
            shown = self._shown(Record(question.text, question.category, question.answers))
            return Question(question.category, question.text, shown.labels)
        if isinstance(source, Lexicon):
            return ask(self._shown(source.made_up(rng)), rng, unjudged=spec.unjudged)
        record = rng.choice(source.records)
        if spec.swap and rng.random() < 0.7:
            record = swap_values(record, source.values, rng, spec.swap)
        return ask(record, rng, unjudged=spec.unjudged)

    def _shown(self, record: Record) -> Record:
        """Without what the recipe leaves out."""
        if plain_name(record.category) in self._without:
            return Record(record.text, record.category, {})
        labels = {name: forms for name, forms in record.labels.items() if self._shows(name)}
        return Record(record.text, record.category, labels, tuple(filter(self._shows, record.unjudged)))

    def _shows(self, name: str) -> bool:
        return plain_name(name) not in self._without


def synthetic(example: Example) -> Question:
    """A generated listing as a question; a choice of category asks nothing."""
    return Question(example.category, example.text, _answers(example.names, example.answer))


def plain_name(name: str) -> str:
    """Without case and underscores: "item_form" is "Item form"."""
    return name.replace("_", " ").casefold()


def _answers(names: Sequence[str], answer: Any) -> dict[str, tuple[str, ...] | None]:
    stated = answer if isinstance(answer, dict) else {}
    return {
        name: tuple(value) if isinstance(value, list) else (value,) if value else None
        for name in names
        for value in [stated.get(name)]
    }


def ask(record: Record, rng: random.Random, *, unjudged: float) -> Question:
    """Most of the judged attributes in any order, some of the unjudged as absent, mostly with the category."""
    names = [name for name in record.labels if rng.random() < 0.95] or list(record.labels)
    names += [name for name in record.unjudged if rng.random() < unjudged]
    rng.shuffle(names)
    category = record.category if rng.random() < 0.85 else ""
    return Question(category, record.text, {name: record.labels.get(name) for name in names})
