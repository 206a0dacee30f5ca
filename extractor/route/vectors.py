"""Words in, vectors out in which what means the same lies near: names of categories and titles meet there.

The table is part of the package: for each word of product titles a vector such that the sum over a title comes near to
what a sentence encoder makes of the whole title (eval/recipes/words.py). A look-up is a thousand times cheaper than the
encoder. Knows no taxonomy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extractor.errors import ConfigError

Vectors = NDArray[np.float32]


class WordVectors:
    """A table of word vectors.

    Args:
        vocabulary: Words as `words` makes them.
        table: [words, dimensions].
    """

    def __init__(self, vocabulary: Sequence[str], table: Vectors) -> None:
        self._rows = {word: row for row, word in enumerate(vocabulary)}
        self._table = np.ascontiguousarray(table, np.float32)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._table.shape[1])

    @cached_property
    def digest(self) -> str:
        """Over the table, as 32 hex digits."""
        return hashlib.blake2b(self._table.tobytes(), digest_size=16).hexdigest()

    def embed(self, texts: Sequence[Sequence[str]]) -> Vectors:
        """[texts, dimensions], of length 1, or 0 where none of the words is known; a text is its words."""
        from scipy.sparse import csr_matrix

        rows = [[row for word in text if (row := self._rows.get(word)) is not None] for text in texts]
        ends = np.cumsum([0, *map(len, rows)])
        ones = np.ones(ends[-1], np.float32)
        shape = (len(rows), len(self._rows))
        return unit(
            csr_matrix((ones, [row for found in rows for row in found], ends), shape=shape) @ self._table
        )

    def save(self, path: Path) -> None:
        """Write the table as 8-bit numbers with a scale for each word."""
        table = self._table
        scales = np.maximum(np.abs(table).max(axis=1), 1e-6) / 127
        text = "\n".join(self._rows).encode()
        np.savez_compressed(
            path,
            words=np.frombuffer(text, np.uint8),
            scales=scales.astype(np.float16),
            table=np.rint(table / scales[:, None]).astype(np.int8),
        )

    @classmethod
    def load(cls, path: Path) -> WordVectors:
        """Inverse of `save`; ConfigError when it is no such file."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                vocabulary = stored["words"].tobytes().decode().split("\n")
                table = stored["table"].astype(np.float32) * stored["scales"].astype(np.float32)[:, None]
        except (OSError, KeyError, ValueError) as error:
            raise ConfigError(
                f"{path}: no table of word vectors ({error}); install the package again"
            ) from None
        return cls(vocabulary, table)


def unit(vectors: Vectors) -> Vectors:
    """Each row at length 1 in steps of 1/2048; rows of zeros stay.

    Products of such rows have no rounding errors, so they are the same in whatever order a BLAS adds: what is found out
    about one product must not depend on which others stand in its batch.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return stepped(scaled, 2048)


def stepped(numbers: Vectors, steps: int) -> Vectors:
    """Rounded to so many steps between two whole numbers, a power of two."""
    rounded: Vectors = np.rint(numbers * np.float32(steps)) / np.float32(steps)
    return rounded


@cache
def shipped_vectors() -> WordVectors:
    """The table that comes with the package."""
    return WordVectors.load(Path(str(files("extractor") / "models" / "words.npz")))
