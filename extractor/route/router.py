"""Products in, their categories out: the scorers of one taxonomy, added up, calibrated and decided upon.

From names alone, or with a model that was fitted on labelled listings (fit.py). Build or open it once, use it for every
product. Knows no engine and no prompt: where a language model should choose, it says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from extractor.calibrate import Curve
from extractor.datafile import content_hash
from extractor.records import UNKNOWN_CATEGORY, CategoryChoice, Product
from extractor.route.bundle import parts_of
from extractor.route.decide import Routing, Thresholds, routing
from extractor.route.features import Vocabulary, features, title_vectors
from extractor.route.names import Names
from extractor.route.tree import Layout, Scores, TreeModel
from extractor.route.vectors import WordVectors, shipped_vectors
from extractor.taxonomy import Taxonomy

# Less sure than this, a category gives way to its parent, and an answer to a language model's where one is asked.
BACK_OFF, ASK = 0.15, 0.5
# Products scored at a time: with 10,000 categories 20 MB for each of a few tables.
_BATCH = 512
# Batches are filled up to a multiple of it: a product's numbers are then the same to the last bit in whatever company
# it comes. A run that is resumed must say what one without a break says.
_FULL = 16
_FILLER = Product("", "")


@dataclass(frozen=True, slots=True)
class Settings:
    """How scores become decisions; a fit chooses them on its validation part."""

    # Scores of the tree are multiplied by it before they become probabilities.
    sharpness: float
    # The same for scores of names; 0: names are left out.
    names: float
    # Probability -> confidence.
    curve: Curve
    # Products below it are of nothing in the taxonomy: of their `familiarity`, or from names of their best score.
    familiar: float
    thresholds: Thresholds


# For names alone: chosen on training listings of four shops and on our own sample.
FROM_NAMES = Settings(
    sharpness=5.0,
    names=7.0,
    curve=Curve((0.0, 0.1, 0.4, 0.8, 1.0), (0.0, 0.12, 0.47, 0.77, 0.95)),
    familiar=0.3,
    thresholds=Thresholds(BACK_OFF, ASK),
)


@dataclass(frozen=True, slots=True)
class Tree:
    """A fitted model and what it reads of a listing."""

    vocabulary: Vocabulary
    vectors: WordVectors
    model: TreeModel

    def scores(self, products: Sequence[Product]) -> Scores:
        """[products, columns]; compare among siblings."""
        known = self.vocabulary.matrix([features(product) for product in products])
        return self.model.scores(known, title_vectors(products, self.vectors))

    @property
    def digest(self) -> str:
        """Over the weights, as 32 hex digits."""
        return hashlib.blake2b(self.model.weights.data.tobytes(), digest_size=16).hexdigest()


class CategoryRouter:
    """Where products go in one taxonomy.

    Args:
        layout: The taxonomy's categories and answers.
        settings: How scores become decisions.
        tree: Fitted on examples; None: from names alone.
        vectors: Where names and titles meet.
    """

    def __init__(
        self, layout: Layout, settings: Settings, tree: Tree | None, vectors: WordVectors | None = None
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.tree = tree
        self._vectors = vectors or shipped_vectors()
        # Over all that shapes decisions: runs with the same one can be compared.
        self.hash = content_hash([layout.taxonomy.hash, repr(settings), tree.digest if tree else None])
        self._names = Names(layout, self._vectors) if settings.names else None

    @classmethod
    @lru_cache(maxsize=1)  # who extracts in many small calls needs the same one for each
    def of_names(cls, taxonomy: Taxonomy) -> CategoryRouter:
        """A router that has seen no example; its index takes a fraction of a second to build."""
        return cls(Layout(taxonomy), FROM_NAMES, None)

    def asking(self) -> CategoryRouter:
        """The same, but where it is unsure it lets a language model choose."""
        thresholds = replace(self.settings.thresholds, ask=ASK)
        settings = replace(self.settings, thresholds=thresholds)
        return CategoryRouter(self.layout, settings, self.tree, self._vectors)

    def route(self, products: Sequence[Product]) -> list[Routing]:
        """One Routing for each product, in order."""
        routings = self._route(products)
        split = [(place, parts) for place, product in enumerate(products) if (parts := parts_of(product))]
        of_parts = iter(self._route([part for _, parts in split for part in parts]))
        for place, parts in split:
            found = [next(of_parts) for _ in parts]
            routings[place] = _bundled(routings[place], [part.choice for part in found])
        return routings

    def probabilities(self, products: Sequence[Product]) -> Scores:
        """[products, columns of the layout], before calibration."""
        return self._scored(products)[0]

    def _route(self, products: Sequence[Product]) -> list[Routing]:
        found: list[Routing] = []
        for start in range(0, len(products), _BATCH):
            batch = products[start : start + _BATCH]
            fillers = [_FILLER] * (-len(batch) % _FULL)
            probabilities, familiar = self._scored([*batch, *fillers])
            found += [
                routing(self.layout, row, self.settings.curve, self.settings.thresholds)
                if known
                else Routing((), UNKNOWN_CATEGORY)
                for row, known in zip(probabilities[: len(batch)], familiar, strict=False)
            ]
        return found

    def _scored(self, products: Sequence[Product]) -> tuple[Scores, list[bool]]:
        """Probabilities, and which products are of anything in the taxonomy."""
        if self.tree is not None:  # its examples had no category of the feed: that was their label
            products = [replace(product, category_path=()) for product in products]
        by_name = self._names.scores(products) if self._names else None
        if self.tree is None:
            assert by_name is not None
            return self._combined(None, by_name), list(by_name.max(axis=1) >= self.settings.familiar)
        probabilities = self._combined(self.tree.scores(products), by_name)
        familiar = familiarity(self.layout, self.tree.vocabulary, products, probabilities)
        return probabilities, list(familiar >= self.settings.familiar)

    def _combined(self, scores: Scores | None, by_name: Scores | None) -> Scores:
        """[n, columns] probabilities from either or both."""
        return combined(self.layout, scores, by_name, self.settings.sharpness, self.settings.names)


def combined(
    layout: Layout, scores: Scores | None, by_name: Scores | None, sharpness: float, names: float
) -> Scores:
    """[n, columns] probabilities.

    Args:
        layout: The columns.
        scores: Of the tree, [n, columns], or None.
        by_name: [n, terminals], or None.
        sharpness: See Settings.
        names: See Settings.
    """
    answers = np.zeros((len(layout.terminals), 1), np.float32)
    if scores is not None:
        answers = answers + layout.down(np.ascontiguousarray(scores.T) * np.float32(sharpness))
    if by_name is not None:
        answers = answers + by_name.T * np.float32(names)
    shifted = np.exp(answers - answers.max(axis=0))
    return np.ascontiguousarray(layout.up(shifted / shifted.sum(axis=0)).T)


def familiarity(
    layout: Layout, vocabulary: Vocabulary, products: Sequence[Product], probabilities: Scores
) -> Scores:
    """How much each product is of the kind that a model was fitted on, 0..2.

    Share of its words that are known, and probability of the best answer. On products of other shops each of the two
    alone found fewer strangers (eval/LOG.md).
    """
    best: Scores = probabilities[:, layout.terminals].max(axis=1)
    return vocabulary.known_words(products) + best


def _bundled(whole: Routing, parts: Sequence[CategoryChoice | None]) -> Routing:
    """The categories of a bundle's parts, where each part is sure of one and they differ."""
    sure = [part for part in parts if part and part.path]
    if len(sure) < len(parts) or len({part.id for part in sure}) < 2:
        return whole
    first, *others = sorted(
        dict.fromkeys(sure), key=lambda part: not whole.choice or part.id != whole.choice.id
    )
    return Routing(whole.candidates, first, tuple(others))
