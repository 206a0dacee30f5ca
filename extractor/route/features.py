"""Listings in, sparse weighted features out: words, neighbors and pieces of the title, the brand, the description.

Features are known by the hash of their spelling, so that a vocabulary is two arrays of numbers. Knows no categories.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extractor.records import Product
from extractor.route.vectors import Vectors, WordVectors
from extractor.route.words import words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Of a description, so many words are read.
DESCRIPTION_WORDS = 60
# Longer titles are cut: nothing that says what a product is stands behind so many characters.
TITLE_CHARACTERS = 400
_PIECE_CHARACTERS = 4
# A brand counts as if it stood so often.
_BRAND_WEIGHT = 3
# Between the parts of a title: commas, dashes, brackets.
SEGMENT = re.compile(r"[^\w\s.'’&]+")

Hashes = NDArray[np.uint32]


def features(product: Product) -> Hashes:
    """Hashes of all features of a listing, repeated as they stand."""
    title = product.title[:TITLE_CHARACTERS]
    return np.concatenate([name_features(title), _hashed(_beside_title(product, title))])


# A title is asked about several times, with those of one batch.
@lru_cache(maxsize=2048)
def name_features(name: str) -> Hashes:
    """Of a category's name: what a title that consists of it would have."""
    return _hashed(_of_title(name))


def _hashed(spelled: Iterator[str]) -> Hashes:
    return np.fromiter((zlib.crc32(feature.encode()) for feature in spelled), np.uint32)


def _beside_title(product: Product, title: str) -> Iterator[str]:
    if product.brand:
        yield from _of_brand(product.brand.casefold(), title)
    described = words(product.description[: 10 * DESCRIPTION_WORDS])[:DESCRIPTION_WORDS]
    yield from (f"d{word}" for word in described)


def _of_brand(brand: str, title: str) -> Iterator[str]:
    """The brand, its words, and the brand with each word of the title: one maker's "cream" is another's dessert."""
    for _ in range(_BRAND_WEIGHT):
        yield f"b{brand}"
        yield from (f"b{word}" for word in words(brand))
    yield from (f"x{brand} {word}" for word in words(title))


def _of_title(title: str) -> Iterator[str]:
    """Each word, its pieces of four characters, and pairs of neighbors.

    Commas, dashes, brackets and the two ends count as neighbors as well: in a title the noun often stands before one.
    """
    for segment in SEGMENT.split(title):
        found = words(segment)
        for word in found:
            yield f"w{word}"
            edged = f"<{word}>"
            for start in range(len(edged) - _PIECE_CHARACTERS + 1):
                yield f"c{edged[start : start + _PIECE_CHARACTERS]}"
        if found:
            for left, right in zip(("", *found), (*found, ""), strict=True):
                yield f"n{left} {right}"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The features that are known, and what each is worth."""

    # Ascending.
    hashes: Hashes
    # Inverse document frequency: rare features are worth more.
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, documents: Sequence[Hashes], *, min_documents: int = 1) -> Vocabulary:
        """Features that so many of the documents have at least."""
        counts: Counter[int] = Counter()
        for document in documents:
            counts.update(np.unique(document).tolist())
        kept = sorted(feature for feature, count in counts.items() if count >= min_documents)
        frequency = np.array([counts[feature] for feature in kept], np.float32)
        weights = 1 + np.log((1 + len(documents)) / (1 + frequency))
        return cls(np.array(kept, np.uint32), weights.astype(np.float32))

    def matrix(self, documents: Sequence[Hashes]) -> csr_matrix:
        """[documents, features], each row of length 1, or 0 where nothing is known: TF-IDF with damped counts."""
        from scipy.sparse import csr_matrix

        lengths = [len(document) for document in documents]
        rows = np.repeat(np.arange(len(documents)), lengths)
        columns, known = self._find(np.concatenate([np.zeros(0, np.uint32), *documents]))
        ones = np.ones(int(known.sum()), np.float32)
        shape = (len(documents), len(self.hashes))
        counted = csr_matrix((ones, (rows[known], columns[known])), shape=shape)
        counted.data = (1 + np.log(counted.data)) * self.weights[counted.indices]
        return unit_rows(counted)

    def known_words(self, products: Sequence[Product]) -> NDArray[np.float32]:
        """Share of the words of each title that are known, 0..1."""
        spelled = [[f"w{word}" for word in words(product.title[:TITLE_CHARACTERS])] for product in products]
        found = [self._find(_hashed(iter(title)))[1] for title in spelled]
        return np.array([known.mean() if len(known) else 0.0 for known in found], np.float32)

    def _find(self, hashes: Hashes) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Columns, and which of them are the hash's own: others are not known."""
        columns = np.searchsorted(self.hashes, hashes)
        known = columns < len(self.hashes)
        known[known] = self.hashes[columns[known]] == hashes[known]
        return columns, known


def title_vectors(products: Sequence[Product], vectors: WordVectors) -> Vectors:
    """[products, dimensions]: the word vector of each title."""
    return vectors.embed([words(product.title[:TITLE_CHARACTERS]) for product in products])


def unit_rows(matrix: csr_matrix) -> csr_matrix:
    """Each row scaled to length 1; rows of zeros stay."""
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    norms[norms == 0] = 1
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr)).astype(np.float32)
    return matrix
