"""Labelled listings in, a router that learned from them out, and what it is worth on those that it did not see.

Settings are chosen on the validation part; then all examples are learned from (learn.py). Knows no files and no engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from extractor.calibrate import Curve
from extractor.records import Product
from extractor.route.decide import Thresholds
from extractor.route.examples import Example
from extractor.route.learn import answer_of, learn
from extractor.route.names import Names
from extractor.route.phrases import Candidate
from extractor.route.router import (
    BACK_OFF,
    FROM_NAMES,
    CategoryRouter,
    Settings,
    Tree,
    combined,
    familiarity,
)
from extractor.route.tree import Layout, Scores
from extractor.route.vectors import WordVectors, shipped_vectors
from extractor.taxonomy import Taxonomy

Columns = NDArray[np.intp]

# Fewer say too little to choose by.
_LEAST_VALIDATION = 100
# What is tried: cost of a wrong example, sharpness of scores, weight of names.
COSTS, SHARPNESS, NAMES = (0.3, 1.0, 3.0), (2.0, 3.0, 4.0, 5.0, 7.0), (0.0, 1.0, 2.0, 4.0)
# Where there is nothing to choose by.
_FEW_COST = 1.0
_THRESHOLDS = Thresholds(BACK_OFF, ask=0.0)
_FEW = replace(FROM_NAMES, sharpness=3.0, names=2.0, familiar=0.0, thresholds=_THRESHOLDS)
# Share of validation listings that may be called unknown though they are not.
_UNFAMILIAR_SHARE = 0.015
# The model that learns from all examples is a little different from the one that is judged.
_SLACK = 0.02


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of a router on listings that it did not see; shares, 0..100."""

    listings: int
    # Of those whose best answer was right, and of those whose top category was.
    leaf: float
    top: float


@dataclass(frozen=True, slots=True)
class Unsure:
    """A validation listing that its router was unsure of."""

    product: Product
    # As labelled.
    category: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted router and how it was found."""

    router: CategoryRouter
    examples: int
    # None without a validation part.
    validation: Accuracy | None
    unsure: tuple[Unsure, ...]


def fit_router(examples: Sequence[Example], taxonomy: Taxonomy, vectors: WordVectors | None = None) -> Fit:
    """Learn from all examples, with the settings that are best where a part of them is left out.

    Args:
        examples: At least one.
        taxonomy: Their tree.
        vectors: Where names and titles meet; None: the shipped ones.
    """
    vectors = vectors or shipped_vectors()
    inner = {example.category for example in examples if taxonomy.children(example.category)}
    layout = Layout(taxonomy, inner)
    validation = [example for example in examples if example.validates]
    if len(validation) < _LEAST_VALIDATION:
        tree = learn(layout, examples, vectors, _FEW_COST)
        return Fit(CategoryRouter(layout, _FEW, tree, vectors), len(examples), None, ())
    products = [example.product for example in validation]
    gold = np.array([answer_of(layout, example) for example in validation])
    trial = _best_trial(layout, [e for e in examples if not e.validates], products, gold, vectors)
    settings, accuracy = _judged(layout, trial, products, gold)
    tree = learn(layout, examples, vectors, trial.tried.cost)
    router = CategoryRouter(layout, settings, tree, vectors)
    seen_less = CategoryRouter(layout, settings, trial.tried.tree, vectors).asking()
    return Fit(router, len(examples), accuracy, tuple(_unsure(seen_less, validation)))


def _unsure(router: CategoryRouter, validation: Sequence[Example]) -> Iterator[Unsure]:
    routings = router.route([example.product for example in validation])
    for example, routing in zip(validation, routings, strict=True):
        if routing.choice is None:
            yield Unsure(example.product, example.category, routing.candidates)


@dataclass(frozen=True, slots=True)
class _Tried:
    """One combination of settings, and the model that was learned with its cost."""

    cost: float
    tree: Tree
    sharpness: float
    names: float


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a combination makes of the validation part."""

    tried: _Tried
    # [validation, columns].
    probabilities: Scores
    # Shares that are right, of answers and of top categories, added up.
    right: float
    # Mean logarithmic loss, lower is better.
    loss: float


def _best_trial(
    layout: Layout,
    train: Sequence[Example],
    products: Sequence[Product],
    gold: Columns,
    vectors: WordVectors,
) -> _Trial:
    """The one that is right most often, among those whose sharpness has the least loss."""
    by_name = Names(layout, vectors).scores(products)
    trials: list[_Trial] = []
    for cost in COSTS:
        tree = learn(layout, train, vectors, cost)
        scores = tree.scores(products)
        for names in NAMES:
            tried = [
                _trial(layout, _Tried(cost, tree, sharpness, names), scores, by_name, gold)
                for sharpness in SHARPNESS
            ]
            trials.append(min(tried, key=lambda trial: trial.loss))
    return max(trials, key=lambda trial: trial.right)


def _trial(layout: Layout, tried: _Tried, scores: Scores, by_name: Scores, gold: Columns) -> _Trial:
    probabilities = combined(layout, scores, by_name, tried.sharpness, tried.names)
    best, tops = _best(layout, probabilities), layout.tops
    right = float((best == gold).mean() + (tops[best] == tops[gold]).mean())
    loss = float(-np.log(np.maximum(probabilities[np.arange(len(gold)), gold], 1e-6)).mean())
    return _Trial(tried, probabilities, right, loss)


def _best(layout: Layout, probabilities: Scores) -> Columns:
    """The column of each listing's best answer."""
    best: Columns = layout.terminals[probabilities[:, layout.terminals].argmax(axis=1)]
    return best


def _judged(
    layout: Layout, trial: _Trial, products: Sequence[Product], gold: Columns
) -> tuple[Settings, Accuracy]:
    """What the validation part says of the best trial."""
    rows = np.arange(len(gold))
    best, tops = _best(layout, trial.probabilities), layout.tops
    right, top_right = best == gold, tops[best] == tops[gold]
    raw = np.concatenate([trial.probabilities[rows, best], trial.probabilities[rows, tops[best]]])
    familiar = familiarity(layout, trial.tried.tree.vocabulary, products, trial.probabilities)
    settings = Settings(
        sharpness=trial.tried.sharpness,
        names=trial.tried.names,
        curve=_curve(raw, np.concatenate([right, top_right])),
        # One whose words are all known is no stranger, however unsure its category.
        familiar=min(1.0, float(np.quantile(familiar, _UNFAMILIAR_SHARE)) - _SLACK),
        thresholds=_THRESHOLDS,
    )
    shares = [round(100 * float(share.mean()), 2) for share in (right, top_right)]
    return settings, Accuracy(len(gold), *shares)


def _curve(raw: Scores, right: NDArray[np.bool_]) -> Curve:
    """Isotonic regression, at most some dozen points."""
    from sklearn.isotonic import IsotonicRegression

    grid = np.unique(np.quantile(raw, np.linspace(0, 1, 21)).round(6)).clip(0, 1)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(raw, right).predict(grid)
    return Curve(tuple(map(float, np.unique(grid))), tuple(map(float, fitted.round(4))))
