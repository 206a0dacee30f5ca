"""A collection in, the pairs that are worth comparing out: of each listing the few that are most like it.

Listings that share a GTIN, a rare model key, or rare words are near each other in one sparse space; a brand alone
brings nobody together. Memory is bounded: a block of rows at a time, and tokens that everybody has are looked up only
for listings that have no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

from extractor.match.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

NEIGHBORS = 20
# Tokens by which a listing looks for its neighbors: its rarest ones, and of those that more listings have only so many.
_ASKED, _USUAL, _ASKED_AT_LEAST = 10, 5000, 4
_ROWS = 512
# Listings with one GTIN are compared with so many of their kind each.
_GTIN_GROUP = 50


def candidates(table: Table, neighbors: int = NEIGHBORS) -> tuple[Ints, Ints]:
    """Pairs of row numbers, the smaller first, each pair once, in order.

    Args:
        table: The collection.
        neighbors: Of each listing and for each way of being alike.
    """
    import numpy as np

    size = len(table)
    found = [*_same_gtin(table), *_nearest(_space(table), neighbors)]
    keys = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    return keys // max(size, 1), keys % max(size, 1)


def _space(table: Table) -> Any:
    """Listings by words and model keys, unit length; a model key counts twice, as it is a word as well."""
    import numpy as np
    from scipy.sparse import csr_array, diags_array

    rows = (table.joined.weighted() + table.text_codes.weighted()).tocsr()
    rows.data **= 2
    norm = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_array(diags_array(1 / np.maximum(norm, 1e-9)) @ rows)


def _nearest(space: Any, neighbors: int) -> Iterator[NDArray[np.int64]]:
    """Keys of pairs, a block of rows at a time."""
    import numpy as np

    size = space.shape[0]
    asking, columns = _asking(space), space.T.tocsr()
    for start in range(0, size, _ROWS):
        alike = (asking[start : start + _ROWS] @ columns).tocsr()
        pairs = [
            _keys(start + row, _top(alike, row, start + row, neighbors), size)
            for row in range(alike.shape[0])
        ]
        yield np.concatenate(pairs)


def _asking(space: Any) -> Any:
    """The same rows with their rarest tokens alone."""
    import numpy as np

    frequency = np.bincount(space.indices, minlength=space.shape[1])
    asking = space.copy()
    for start, end in zip(space.indptr[:-1], space.indptr[1:], strict=True):
        rarest = np.argsort(frequency[space.indices[start:end]], kind="stable")
        usual = frequency[space.indices[start:end]][rarest] > _USUAL
        drop = (np.arange(end - start) >= _ASKED) | (usual & (np.arange(end - start) >= _ASKED_AT_LEAST))
        asking.data[start + rarest[drop]] = 0.0
    asking.eliminate_zeros()
    return asking


def _top(alike: Any, row: int, itself: int, neighbors: int) -> NDArray[np.int64]:
    import numpy as np

    start, end = alike.indptr[row], alike.indptr[row + 1]
    others, scores = alike.indices[start:end], alike.data[start:end]
    others, scores = others[others != itself], scores[others != itself]
    if len(others) > neighbors:
        least = np.partition(scores, -neighbors)[-neighbors]
        # Of those that tie for the last place the first ones: whatever order the product left them in.
        ahead, tied = others[scores > least], np.sort(others[scores == least])
        others = np.concatenate([ahead, tied[: neighbors - len(ahead)]])
    return np.asarray(others, dtype=np.int64)


def _keys(row: int, others: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    import numpy as np

    return np.asarray(np.minimum(row, others) * size + np.maximum(row, others))


def _same_gtin(table: Table) -> Iterator[NDArray[np.int64]]:
    import numpy as np

    groups: dict[str, list[int]] = {}
    for row, listing in enumerate(table.listings):
        for gtin in listing.gtins:
            groups.setdefault(gtin, []).append(row)
    size = len(table)
    for rows in groups.values():
        blocks = [rows[start : start + _GTIN_GROUP] for start in range(0, len(rows), _GTIN_GROUP - 1)]
        pairs = [a * size + b for block in blocks for a, b in combinations(sorted(block), 2)]
        yield np.array(pairs, dtype=np.int64)
