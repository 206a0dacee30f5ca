"""Lessons -> what a model is shown of them, drawn anew for every step from a seed.

Of a listing some attributes are asked, in an order that the pipeline may ask them in too; values are swapped for others
now and then, in the text and in the labels. Knows no tokens and no model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from extractor.errors import ConfigError
from extractor.policy import reduced
from extractor.schema import CategorySchema
from extractor.training.dataset import MAX_ABSENT, Record, swap_values, values_of
from extractor.training.finetune.lessons import Lesson, Lessons
from extractor.training.finetune.recipe import Tune
from extractor.training.questions import Question, ask, synthetic
from extractor.training.synthesize import Synthesizer
from extractor.training.watch import Watcher

# Share of the drawn listings whose values may be swapped, and of those that come with their category.
_AUGMENTED, _WITH_CATEGORY = 0.7, 0.85


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of the pipeline, and the object that it should get."""

    # Names of the category from the top; empty: not told.
    path: tuple[str, ...]
    # Of what is asked.
    schema: CategorySchema
    text: str
    answer: Mapping[str, Any]


def whole_turn(lesson: Lesson) -> Turn:
    """Everything that is judged on a listing."""
    schema = reduced(lesson.schema, tuple(lesson.gold.attributes))
    answers = lesson.answers()
    stated = {a.id: answers[a.id] for a in schema.attributes if answers[a.id] is not None}
    return Turn(lesson.path, schema, lesson.gold.text, stated)


def tell_long(left_out: int, lessons: Lessons, max_tokens: int, watcher: Watcher) -> None:
    """Say how many listings are too long to learn from. ConfigError when all are."""
    if left_out == len(lessons.train):
        raise ConfigError(
            f"every listing has more than {max_tokens:,} tokens with its prompt; raise max_tokens in the recipe"
        )
    if left_out:
        watcher.note(f"{left_out:,} listing(s) left out: more than {max_tokens:,} tokens with the prompt")


class Turns:
    """Draws turns for language models."""

    def __init__(self, lessons: Sequence[Lesson], recipe: Tune) -> None:
        self._lessons, self._recipe = lessons, recipe
        self._records = [Record(lesson.gold.text, lesson.category, _spans(lesson)) for lesson in lessons]
        self._values = values_of(self._records)

    def draw(self, rng: random.Random) -> Turn:
        k = rng.randrange(len(self._lessons))
        lesson = self._lessons[k]
        record = _swapped(self._records[k], self._values, rng, self._recipe.swap)
        labels = {**lesson.gold.attributes, **record.labels}
        asked = _names(labels, lesson.unjudged, rng, self._recipe.unjudged)
        # Only the text counts, not what of it is the title.
        drawn = replace(
            lesson.gold,
            title=record.text,
            description="",
            attributes={name: labels.get(name) for name in asked},
        )
        path = lesson.path if rng.random() < _WITH_CATEGORY else ()
        return whole_turn(replace(lesson, gold=drawn, path=path))


class Pointers:
    """Draws questions for the span proposer.

    Args:
        lessons: What to draw from.
        recipe: Says how.
        fitting: Takes names, gives the first of them that fit into one question.
    """

    def __init__(
        self, lessons: Sequence[Lesson], recipe: Tune, fitting: Callable[[Sequence[str]], Sequence[str]]
    ) -> None:
        self._recipe, self._fitting = recipe, fitting
        self._records = [
            Record(lesson.gold.text, lesson.category, lesson.evidence(), _pointed(lesson))
            for lesson in lessons
        ]
        self._values = values_of(self._records)
        self._synthesizer = Synthesizer.shipped()

    def draw(self, rng: random.Random) -> Question:
        question = self._rehearsed(rng) if rng.random() < self._recipe.rehearsal else self._own(rng)
        names = self._fitting(list(question.answers))
        return replace(question, answers={name: question.answers[name] for name in names})

    def _own(self, rng: random.Random) -> Question:
        record = _swapped(rng.choice(self._records), self._values, rng, self._recipe.swap)
        return ask(record, rng, unjudged=self._recipe.unjudged)

    def _rehearsed(self, rng: random.Random) -> Question:
        return synthetic(self._synthesizer.draw(rng))


def _pointed(lesson: Lesson) -> tuple[str, ...]:
    """The unjudged attributes that the proposer is ever asked for."""
    return tuple(name for name in lesson.unjudged if lesson.schema.attribute(name).how != "derived")


def _swapped(
    record: Record, values: Mapping[tuple[str, str], Sequence[str]], rng: random.Random, share: float
) -> Record:
    return swap_values(record, values, rng, share) if share and rng.random() < _AUGMENTED else record


def _names(
    labels: Mapping[str, Sequence[str] | None], open_: Sequence[str], rng: random.Random, unjudged: float
) -> list[str]:
    """Most of the stated attributes, all or some of the absent ones, a few unjudged ones."""
    stated = [name for name, forms in labels.items() if forms and rng.random() < 0.92]
    absent = [name for name, forms in labels.items() if not forms]
    rng.shuffle(absent)
    absent = absent[: rng.randint(0, MAX_ABSENT)] if rng.random() < 0.5 else absent
    names = [*stated, *absent, *(name for name in open_ if rng.random() < unjudged)]
    return names or list(labels)


def _spans(lesson: Lesson) -> dict[str, tuple[str, ...] | None]:
    """The labels that are words of the text, and so can be swapped in both."""
    labels = ((lesson.schema.attribute(name), forms) for name, forms in lesson.gold.attributes.items())
    return {
        a.id: tuple(forms) if forms else None for a, forms in labels if a.how == "span" and a.type == "string"
    }
