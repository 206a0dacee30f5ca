"""Products in, a score for every category that is an answer out, from names, paths and synonyms alone.

Some views are added up: phrases that stand in the title as they are; words of the title and of a name that mean the
same (word vectors), for the part of the title that says what the product is, for what stands before its first comma or
dash, and for all of it; the same for whole paths, and for the category that the feed states; and pieces of words, for
what no table of words knows. Knows no examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from extractor.records import Product
from extractor.route.features import SEGMENT, TITLE_CHARACTERS, Vocabulary, name_features
from extractor.route.phrases import PhraseIndex, names_of
from extractor.route.tree import Layout, Scores
from extractor.route.vectors import Vectors, WordVectors, unit
from extractor.route.words import tail_start, words

# Weights of the views, tuned on training listings of four shops and on our own sample.
PHRASES, HEAD, FIRST, TITLE, PATH, PIECES, FEED = 0.025, 0.4, 0.4, 0.25, 0.65, 0.4, 0.7
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
        self._phrases = PhraseIndex(layout.taxonomy)
        names = [names_of(node) for node in nodes]
        flat = [name for group in names for name in group]
        # First name of each category, and for those with more names which are second, third ...
        self._first = np.cumsum([0, *(len(group) for group in names[:-1])])
        counts = np.array([len(group) for group in names])
        self._more = [np.flatnonzero(counts > rank) for rank in range(1, counts.max())]
        self._center = vectors.embed([words(node.path[-1]) for node in nodes]).mean(axis=0)
        self._names = self._embed([words(name) for name in flat])
        self._paths = self._embed([words(" ".join(node.path)) for node in nodes])
        pieces = [name_features(name) for name in flat]
        self._vocabulary = Vocabulary.of(pieces)
        self._pieces = self._vocabulary.matrix(pieces)

    def scores(self, products: Sequence[Product]) -> Scores:
        """[products, terminals of the layout]; compare within a product."""
        texts = [product.title[:TITLE_CHARACTERS] for product in products]
        read = [words(text) for text in texts]
        firsts = self._embed([_first_part(text) for text in texts])
        heads = self._embed([title[: tail_start(title)] for title in read])
        titles = self._embed(read)
        scores: Scores = PATH * (self._paths @ titles.T)
        for weight, vectors in ((HEAD, heads), (FIRST, firsts), (TITLE, titles)):
            scores += weight * self._best(self._names @ vectors.T)
        if any(product.category_path for product in products):
            feeds = self._embed([words(" ".join(product.category_path)) for product in products])
            scores += FEED * (self._paths @ feeds.T + self._best(self._names @ feeds.T))
        scores += PIECES * self._by_pieces(products)
        self._add_phrases(scores, products)
        return scores.T

    def _embed(self, texts: Sequence[Sequence[str]]) -> Vectors:
        """Without what all names of this taxonomy have in common, or some names would be near to everything."""
        embedded = self._vectors.embed(texts)
        known = embedded.any(axis=1, keepdims=True)
        return unit((embedded - self._center) * known)

    def _best(self, scores: Scores) -> Scores:
        """[names, n] -> [terminals, n]: of a category's names the best one counts."""
        found: Scores = scores[self._first]
        for rank, places in enumerate(self._more, 1):
            found[places] = np.maximum(found[places], scores[self._first[places] + rank])
        return found

    def _by_pieces(self, products: Sequence[Product]) -> Scores:
        titles = [name_features(product.title[:TITLE_CHARACTERS]) for product in products]
        return self._best((self._pieces @ self._vocabulary.matrix(titles).T).toarray())

    def _add_phrases(self, scores: Scores, products: Sequence[Product]) -> None:
        for number, product in enumerate(products):
            for candidate in self._phrases.candidates(product, most=_FOUND):
                scores[self._place[candidate.category.id], number] += PHRASES * candidate.score


def _first_part(title: str) -> tuple[str, ...]:
    """Words before the first comma, dash or bracket; not a single one, which is a brand: "Sony - Bravia television"."""
    parts = map(words, SEGMENT.split(title))
    return next((part for part in parts if len(part) > 1), words(title))
