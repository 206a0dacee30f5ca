"""Products in, a score for every category that is an answer out, from names, paths and synonyms alone.

Some views are added up: phrases that stand in the title as they are; words of the title and of a name that mean the
same (word vectors), for the part of the title that says what the product is and for all of it; the same for whole
paths, and for the category that the feed states; and pieces of words, for what no table of words knows. Knows no
examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from extractor.records import Product
from extractor.route.features import TITLE_CHARACTERS, Vocabulary, name_features
from extractor.route.phrases import Router, names_of
from extractor.route.tree import Layout, Scores
from extractor.route.vectors import Vectors, WordVectors, unit
from extractor.route.words import tail_start, words

# Weights of the views, tuned on training listings of four shops and on our own sample.
PHRASES, HEAD, TITLE, PATH, PIECES, FEED = 0.03, 0.5, 0.5, 0.8, 0.3, 0.7
# So many categories can be found by their phrases.
_FOUND = 50


class Names:
    """An index over the names of one taxonomy.

    Args:
        layout: Whose answers are scored.
        vectors: Where names and titles meet.
    """

    def __init__(self, layout: Layout, vectors: WordVectors) -> None:
        self._layout = layout
        self._vectors = vectors
        nodes = [layout.taxonomy[layout.ids[column]] for column in layout.terminals]
        self._place = {node.id: place for place, node in enumerate(nodes)}
        self._router = Router(layout.taxonomy)
        names = [names_of(node) for node in nodes]
        flat = [name for group in names for name in group]
        # First name of each category.
        self._starts = np.cumsum([0, *(len(group) for group in names[:-1])])
        self._center = vectors.embed([words(node.path[-1]) for node in nodes]).mean(axis=0)
        self._names = self._embed([words(name) for name in flat])
        self._paths = self._embed([words(" ".join(node.path)) for node in nodes])
        pieces = [name_features(name) for name in flat]
        self._vocabulary = Vocabulary.of(pieces)
        self._pieces = self._vocabulary.matrix(pieces).T.tocsr()

    def scores(self, products: Sequence[Product]) -> Scores:
        """[products, terminals of the layout]; compare within a product."""
        read = [words(product.title[:TITLE_CHARACTERS]) for product in products]
        heads = self._embed([title[: tail_start(title)] for title in read])
        titles = self._embed(read)
        feeds = self._embed([words(" ".join(product.category_path)) for product in products])
        scores: Scores = (PATH * titles + FEED * feeds) @ self._paths.T
        for weight, texts in ((HEAD, heads), (TITLE, titles), (FEED, feeds)):
            scores += weight * self._best(texts @ self._names.T)
        return scores + PIECES * self._by_pieces(products) + self._by_phrases(products)

    def _embed(self, texts: Sequence[Sequence[str]]) -> Vectors:
        """Without what all names of this taxonomy have in common, or some names would be near to everything."""
        embedded = self._vectors.embed(texts)
        known = embedded.any(axis=1, keepdims=True)
        return unit((embedded - self._center) * known)

    def _best(self, scores: Scores) -> Scores:
        """[n, names] -> [n, terminals]: of a category's names the best one counts."""
        found: Scores = np.maximum.reduceat(scores, self._starts, axis=1)
        return found

    def _by_pieces(self, products: Sequence[Product]) -> Scores:
        matrix = self._vocabulary.matrix(
            [name_features(product.title[:TITLE_CHARACTERS]) for product in products]
        )
        return self._best((matrix @ self._pieces).toarray())

    def _by_phrases(self, products: Sequence[Product]) -> Scores:
        found = np.zeros((len(products), len(self._place)), np.float32)
        for row, product in enumerate(products):
            for candidate in self._router.candidates(product, most=_FOUND):
                found[row, self._place[candidate.category.id]] = PHRASES * candidate.score
        return found
