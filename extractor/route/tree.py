"""Features of listings in, a probability for every category out: a linear model at each fork of the taxonomy.

At each inner category its children compete; what they get is multiplied down the tree. So a model of 10,000 leaves is
as large as its examples, not as examples times leaves, and a parent's probability is that of all below it. Knows no
files and no texts.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extractor.route.vectors import stepped
from extractor.taxonomy import Taxonomy

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Scores = NDArray[np.float32]
# Weights smaller than this are dropped: most are, and what they add up to changes no decision.
_NEGLIGIBLE = 0.01
# Length of a listing's word vector when a model is learned, where that of all its other features is 1.
VECTOR_WEIGHT = 0.7
# Whatever is further from 0 is certain; its exponential is still a number.
_MOST_SCORE = np.float32(60)


class Layout:
    """The columns of all scores: one for each category, siblings side by side, parents before children.

    Args:
        taxonomy: The tree.
        stops: Inner categories that are an answer themselves. Each has one more column among its children's.
    """

    def __init__(self, taxonomy: Taxonomy, stops: Collection[str] = ()) -> None:
        self.taxonomy = taxonomy
        # Category of each column.
        self.ids: list[str] = []
        # Category -> its column, and for a stop the one of itself as an answer.
        self.column: dict[str, int] = {}
        self.stops: dict[str, int] = {}
        parents: list[int] = []
        # First column of each group of siblings.
        starts: list[int] = []
        forks: list[str | None] = [None]
        for fork in forks:  # grows on the way
            starts.append(len(self.ids))
            for member in taxonomy.children(fork):
                self.column[member] = len(self.ids)
                self.ids.append(member)
                forks += [member] if taxonomy.children(member) else []
            if fork is not None and fork in stops:
                self.stops[fork] = len(self.ids)
                self.ids.append(fork)
            parents += [-1 if fork is None else self.column[fork]] * (len(self.ids) - starts[-1])
        self.parents = np.array(parents)
        self.starts = np.array(starts)
        # Columns that are an answer: leaves and stops.
        answers = {self.answer(member) for member in taxonomy.nodes} - {None}
        self.terminals = np.array(sorted(column for column in answers if column is not None))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def tops(self) -> NDArray[np.intp]:
        """[columns]: the top category's column of each."""
        return np.array([self.lineage(column)[-1] for column in range(len(self))])

    def lineage(self, column: int) -> list[int]:
        """Columns from a column up to the top."""
        found = []
        while column >= 0:
            found.append(column)
            column = int(self.parents[column])
        return found

    def answer(self, category: str) -> int | None:
        """The column of a category as an answer; None for an inner one that is no stop."""
        if self.taxonomy.children(category):
            return self.stops.get(category)
        return self.column[category]

    @cached_property
    def _lineages(self) -> csr_matrix:
        """[terminals, columns], ones where a column is an answer or above it."""
        from scipy.sparse import csr_matrix

        lineages = [self.lineage(int(column)) for column in self.terminals]
        ends = np.cumsum([0, *map(len, lineages)])
        ones = np.ones(ends[-1], np.float32)
        return csr_matrix((ones, np.concatenate(lineages), ends), shape=(len(lineages), len(self)))

    @cached_property
    def _siblings(self) -> csr_matrix:
        """[groups, columns], ones where a column is of a group."""
        from scipy.sparse import csr_matrix

        ones, ends = np.ones(len(self), np.float32), [*self.starts, len(self)]
        return csr_matrix((ones, np.arange(len(self)), ends), shape=(len(self.starts), len(self)))

    def down(self, scores: Scores) -> Scores:
        """[columns, n] scores that compete among siblings -> [terminals, n] logarithms of probabilities."""
        local = np.clip(scores, -_MOST_SCORE, _MOST_SCORE)
        widths = np.diff([*self.starts, len(self)])
        local -= np.repeat(np.log(self._siblings @ np.exp(local)), widths, axis=0)
        found: Scores = self._lineages @ local
        return found

    def up(self, answers: Scores) -> Scores:
        """[terminals, n] probabilities of the answers -> [columns, n] of all categories."""
        found: Scores = self._lineages.T @ answers
        return found


class TreeModel:
    """Weights for all columns of a layout.

    Args:
        weights: [features, columns], sparse.
        bias: [columns].
        dense: So many of the features, the last ones, are the numbers of a word vector times VECTOR_WEIGHT.
    """

    def __init__(self, weights: csr_matrix, bias: Scores, dense: int) -> None:
        self.weights = weights
        self.bias = bias
        known = weights.shape[0] - dense
        # A sparse product would spend most of its time on the dense features. In steps, as the vectors are: see `unit`.
        self._of_known = weights[:known]
        self._of_dense = stepped(weights[known:].toarray() * np.float32(VECTOR_WEIGHT), 256)

    def scores(self, known: csr_matrix, dense: Scores) -> Scores:
        """[n, columns] of n listings' known features and word vectors; compare among siblings."""
        found: Scores = (known @ self._of_known).toarray()
        found += dense @ self._of_dense
        found += self.bias
        return found


def fit_tree(
    layout: Layout, matrix: csr_matrix, answers: Sequence[int], *, dense: int, cost: float, weights: Scores
) -> TreeModel:
    """A linear support vector machine for each column against its siblings.

    Args:
        layout: The columns.
        matrix: [examples, features].
        answers: Column of each example's answer.
        dense: See TreeModel.
        cost: Of an example on the wrong side; smaller trusts labels less.
        weights: Of each example.
    """
    from scipy.sparse import coo_matrix

    parts: list[tuple[Any, Any, Any]] = []
    bias = np.zeros(len(layout), np.float32)
    for columns, rows, labels in _forks(layout, answers):
        below = matrix[rows]
        used = np.unique(below.indices)
        found, offsets = _fit_fork(below[:, used], labels, cost, weights[rows])
        bias[columns] = offsets
        features, which = np.nonzero(np.abs(found) > _NEGLIGIBLE)
        parts.append((found[features, which], used[features], np.asarray(columns)[which]))
    values, rows_, columns_ = (np.concatenate(part) for part in zip(*parts, strict=True))
    shape = (matrix.shape[1], len(layout))
    return TreeModel(coo_matrix((values, (rows_, columns_)), shape=shape).tocsr(), bias, dense)


def _forks(layout: Layout, answers: Sequence[int]) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """For each group of siblings with a choice: their columns, the examples below, and whose each is."""
    members: dict[int, dict[int, list[int]]] = {}
    for row, answer in enumerate(answers):
        for column in layout.lineage(answer):
            members.setdefault(int(layout.parents[column]), {}).setdefault(column, []).append(row)
    for siblings in members.values():
        columns = sorted(siblings)
        if len(columns) > 1:
            rows = [row for column in columns for row in siblings[column]]
            labels = [k for k, column in enumerate(columns) for _ in siblings[column]]
            yield columns, rows, labels


def _fit_fork(matrix: csr_matrix, labels: list[int], cost: float, weights: Scores) -> tuple[Any, Any]:
    """[features, classes] weights and [classes] offsets."""
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=cost, random_state=0)
    with warnings.catch_warnings():
        # Many categories with an example or two are not what it takes them for: a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        machine.fit(matrix, labels, sample_weight=weights)
    found, offsets = machine.coef_.astype(np.float32), machine.intercept_
    if len(offsets) == 1:  # of two classes it has the second one's only
        found, offsets = np.vstack([-found, found]), np.concatenate([-offsets, offsets])
    return found.T, offsets
