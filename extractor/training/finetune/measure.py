"""A model and held-out lessons in, how good it is at them out: told before and after training.

A span proposer is scored as the pipeline would take its values (F1, paper protocol). Of a language model the answers
are not decoded, which would take hours with a large one: at each step of the labelled answer it is looked up whether
the label's token is the likeliest, and an attribute counts as right when all its tokens are.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from extractor.evaluation.metrics import tally
from extractor.gold import GoldRecord
from extractor.policy import settle
from extractor.propose import Ask, Proposer
from extractor.records import Proposal
from extractor.training.finetune.lessons import Lesson
from extractor.training.rows import spelled

# A probability below counts as this one.
_LEAST = 1e-3

# Name -> number; "loss" in nats, percentages for the others. Empty where there is nothing to measure on.
Scores = dict[str, float]


def measure_proposer(proposer: Proposer, lessons: Sequence[Lesson]) -> Scores:
    """Loss of a judged cell; precision, recall and F1 of the values that `propose-only` takes."""
    if not lessons:
        return {}
    gold = [_pointed_at(lesson) for lesson in lessons]
    asks = [Ask(_asked(lesson), lesson.category, lesson.gold.text) for lesson in lessons]
    pairs = list(zip(lessons, proposer.propose(asks), strict=True))
    losses = [loss for lesson, found in pairs for loss in _losses(lesson, found)]
    counts = tally(gold, {lesson.gold.id: _taken(lesson, found) for lesson, found in pairs}).total
    return {"loss": round(sum(losses) / max(1, len(losses)), 4), **counts.scores()}


def _asked(lesson: Lesson) -> tuple[str, ...]:
    return tuple(attribute.id for attribute in lesson.schema.attributes if attribute.how != "derived")


def _pointed_at(lesson: Lesson) -> GoldRecord:
    """The gold without what is no proposer's business."""
    asked = _asked(lesson)
    labels = {name: forms for name, forms in lesson.gold.attributes.items() if name in asked}
    return replace(lesson.gold, attributes=labels)


def _taken(lesson: Lesson, proposals: Mapping[str, Proposal]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for value in settle(lesson.schema, lesson.gold.text, proposals, "propose-only").settled:
        values.setdefault(value.attribute, []).append(value.surface)
    return values


def _losses(lesson: Lesson, proposals: Mapping[str, Proposal]) -> Iterator[float]:
    for name, forms in lesson.evidence().items():
        proposal = proposals[name]
        right = (s.probability for s in proposal.spans if s.span.slice(lesson.gold.text) in (forms or ()))
        chance = sum(right) if forms else proposal.absent
        yield -math.log(max(_LEAST, min(1.0, chance)))


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer, token by token; each token as if those before it had been decoded as labelled."""

    # Nats of all tokens together.
    loss: float
    # Whether the label's token is the likeliest.
    right: Sequence[bool]
    # Which member of the object a token belongs to, counted from 0; what ends the object is a member of its own.
    members: Sequence[int]

    def decisions(self) -> list[bool]:
        """For each member whether all of it is right."""
        kept: dict[int, bool] = {}
        for member, right in zip(self.members, self.right, strict=True):
            kept[member] = kept.get(member, True) and right
        return list(kept.values())


def measure_answers(answers: Iterable[Judged]) -> Scores:
    """Loss of a token, and the share of members that greedy decoding would get right."""
    found = list(answers)
    if not found:
        return {}
    tokens = sum(len(answer.right) for answer in found)
    decisions = [right for answer in found for right in answer.decisions()]
    return {
        "loss": round(sum(answer.loss for answer in found) / tokens, 4),
        "right": round(100 * sum(decisions) / len(decisions), 2),
    }


def members_of(answer: Mapping[str, Any], starts: Iterable[int]) -> list[int]:
    """For tokens that start at these characters of `spelled(answer)` the member each belongs to (see `Judged`)."""
    ends = list(accumulate(len(spelled({name: value})) - 1 for name, value in answer.items()))
    # Of "{" and "}" that each member had on its own, the first stands and the others are commas.
    return [bisect_right(ends, start) for start in starts]
