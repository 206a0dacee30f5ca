"""Probabilities of categories in, the decision out: a leaf, its parent where the leaf is unsure, or unknown.

Knows neither texts nor how the probabilities came about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extractor.calibrate import Curve
from extractor.records import UNKNOWN_CATEGORY, CategoryChoice
from extractor.route.phrases import Candidate
from extractor.route.tree import Layout, Scores

# Candidates that a language model chooses from.
OFFERED = 8


@dataclass(frozen=True, slots=True)
class Routing:
    """What became of one product on its way to a category."""

    # Answers, best first; empty where nothing of the product is known.
    candidates: tuple[Candidate, ...]
    # None: a language model is to choose among the candidates.
    choice: CategoryChoice | None
    # Categories of the other parts of a bundle.
    also: tuple[CategoryChoice, ...] = ()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Calibrated confidences, 0..1."""

    # A category that is less sure gives way to its parent; at the top, to unknown.
    back_off: float
    # Where the best answer is less sure, a language model is asked; 0: never.
    ask: float


def routing(layout: Layout, probabilities: Scores, curve: Curve, thresholds: Thresholds) -> Routing:
    """The decision for one product.

    Args:
        layout: Says what the columns are.
        probabilities: [columns]; a parent's is the sum of its children's.
        curve: Turns a probability into a confidence.
        thresholds: When to go up, when to ask.
    """
    ranked = layout.terminals[_best(probabilities[layout.terminals])]
    candidates = tuple(
        Candidate(layout.taxonomy[layout.ids[column]], float(probabilities[column])) for column in ranked
    )
    best = int(ranked[0])
    for column in layout.lineage(best):
        confidence = curve(min(1.0, float(probabilities[column])))
        if confidence >= thresholds.back_off:
            break
    else:  # not even a top category
        return Routing(candidates, UNKNOWN_CATEGORY)
    if curve(float(probabilities[best])) < thresholds.ask:
        return Routing(candidates, None)
    node = layout.taxonomy[layout.ids[column]]
    return Routing(candidates, CategoryChoice(node.id, node.path, confidence))


def _best(answers: Scores) -> NDArray[np.intp]:
    """Places of the best few, best first; of equal ones the first. Not a sort of all: there are thousands."""
    most = min(OFFERED, len(answers))
    best = np.sort(np.argpartition(-answers, most - 1)[:most])
    return best[np.argsort(-answers[best], kind="stable")]


def options(candidates: Sequence[Candidate]) -> list[str]:
    """What to offer a language model, one text per candidate: its name, with its parent's where names repeat."""
    names = Counter(candidate.category.path[-1] for candidate in candidates)
    return [
        c.category.path[-1] if names[c.category.path[-1]] == 1 else " > ".join(c.category.path[-2:])
        for c in candidates
    ]


def chosen(candidates: Sequence[Candidate], option: str, confidence: float) -> CategoryChoice:
    """The choice that a model's answer names; unknown when it names none of `options`."""
    for candidate, name in zip(candidates, options(candidates), strict=True):
        if name == option:
            return CategoryChoice(candidate.category.id, candidate.category.path, confidence)
    return CategoryChoice(UNKNOWN_CATEGORY.id, UNKNOWN_CATEGORY.path, confidence)
