"""Examples in, the weights of a tree model out; names of categories are examples as well, so that each has some.

Knows no settings but the cost of a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from extractor.records import Product
from extractor.route.examples import Example
from extractor.route.features import Vocabulary, features, title_vectors
from extractor.route.phrases import names_of
from extractor.route.router import Tree
from extractor.route.tree import VECTOR_WEIGHT, Layout, fit_tree
from extractor.route.vectors import WordVectors

# An example counts as much as so many names.
_NAME_WEIGHT = 0.3
# Features of fewer listings are spelling mistakes and model numbers.
_LEAST_DOCUMENTS = 2


def answer_of(layout: Layout, example: Example) -> int:
    """The column of an example's category as an answer."""
    column = layout.answer(example.category)
    assert column is not None  # inner categories with examples are stops of the layout
    return column


def learn(layout: Layout, examples: Sequence[Example], vectors: WordVectors, cost: float) -> Tree:
    """A tree model of examples and names."""
    from scipy.sparse import csr_matrix, hstack

    names, owners = _names(layout)
    products = [*(example.product for example in examples), *(Product(name, name) for name in names)]
    documents = list(map(features, products))
    vocabulary = Vocabulary.of(documents, min_documents=_LEAST_DOCUMENTS)
    dense = title_vectors(products, vectors)
    parts = [vocabulary.matrix(documents), csr_matrix(dense * np.float32(VECTOR_WEIGHT))]
    matrix = hstack(parts, format="csr", dtype=np.float32)
    answers = [*(answer_of(layout, example) for example in examples), *owners]
    weights = np.array([1.0] * len(examples) + [_NAME_WEIGHT] * len(names), np.float32)
    model = fit_tree(layout, matrix, answers, dense=dense.shape[1], cost=cost, weights=weights)
    return Tree(vocabulary, vectors, model)


def _names(layout: Layout) -> tuple[list[str], list[int]]:
    """Names of all answers, and the columns that they name."""
    named = [
        (name, int(column))
        for column in layout.terminals
        for name in names_of(layout.taxonomy[layout.ids[column]])
    ]
    return [name for name, _ in named], [column for _, column in named]
