"""What single words say about a pair: those that both titles have, and those that one has alone.

A color that only one title names tells less than a model's suffix, and a shop's name tells nothing: that is learned, a
weight for each hashed word. In: pairs of a table. Out: one number a pair, a feature of the trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extractor.match.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

# Hashed words; each has a weight for "one title alone" and one for "both".
BUCKETS = 1 << 15
_FOLDS, _STRENGTH = 5, 0.3


def word_rows(table: Table, left: Ints, right: Ints) -> Any:
    """Sparse, pairs x 2 BUCKETS: words that one title has alone, then words that both have."""
    from scipy.sparse import hstack

    a, b = table.words.rows[left], table.words.rows[right]
    found_a = a.multiply(table.joined.rows[right]).tocsr()
    found_b = b.multiply(table.joined.rows[left]).tocsr()
    alone = ((a - found_a) + (b - found_b)).tocsr()
    alone.eliminate_zeros()
    return hstack([_hashed(alone), _hashed(a.multiply(b).tocsr())]).tocsr()


def fit_words(
    rows: Any, labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Learn the weights.

    Args:
        rows: Of `word_rows`.
        labels: 1: the same product.
        groups: Product of each pair's left side, so that no product is in two folds: what the trees see of a pair
            is what words say of products that they were not learned from.

    Returns:
        Weights with the intercept last, and the feature of each pair of `rows`.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    def fit(chosen: Any) -> NDArray[np.float32]:
        model = LogisticRegression(C=_STRENGTH, solver="liblinear", max_iter=300, random_state=0)
        model.fit(rows[chosen], labels[chosen])
        return np.append(model.coef_[0], model.intercept_[0]).astype(np.float32)

    rows.indices, rows.indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    unseen = np.zeros(len(labels))
    for seen, rest in GroupKFold(_FOLDS).split(labels, groups=groups):
        unseen[rest] = score_words(rows[rest], fit(seen))
    return fit(np.arange(len(labels))), unseen


def score_words(rows: Any, weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-odds of each row of `word_rows`."""
    import numpy as np

    return np.asarray(rows @ weights[:-1].astype(np.float64) + float(weights[-1]))


def _hashed(rows: Any) -> Any:
    import numpy as np
    from scipy.sparse import csr_array

    ones = np.ones(len(rows.indices), dtype=np.float32)
    hashed = csr_array((ones, rows.indices & (BUCKETS - 1), rows.indptr), shape=(rows.shape[0], BUCKETS))
    hashed.sum_duplicates()
    return hashed
