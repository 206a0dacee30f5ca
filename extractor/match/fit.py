"""Labelled pairs in, a scorer out: boosted trees on the features, and bands tuned on other pairs.

Needs scikit-learn; on one core a minute for a hundred thousand pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from extractor.errors import ConfigError
from extractor.match.features import feature_names, features
from extractor.match.pairs import Pairs
from extractor.match.score import Bands, Scorer
from extractor.match.table import build_table
from extractor.match.trees import fit_trees
from extractor.match.words import fit_words, word_rows
from extractor.split import held_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TREES, LEAVES, SEED = 200, 15, 1
# Of the pairs that are the same the bands "ask" and "same" together hold so many.
_ASK_RECALL = 0.95


class Examples(NamedTuple):
    """Labelled pairs as a scorer sees them; one row a pair."""

    features: NDArray[np.float64]
    # Sparse, see words.py.
    words: Any
    # 1: the same product.
    labels: NDArray[np.int64]
    # Product of the left side.
    groups: NDArray[np.int64]
    weights: NDArray[np.float64]


def examples_of(pairs: Pairs, weight: float = 1.0) -> Examples:
    """Labelled pairs; what tokens are worth is counted on the pairs' own listings."""
    import numpy as np

    table, (left, right) = build_table(pairs.listings), (pairs.left, pairs.right)
    rows, words = features(table, left, right), word_rows(table, left, right)
    return Examples(rows, words, pairs.labels, _products(pairs)[left], np.full(len(left), weight))


def fit_scorer(
    train: Sequence[Examples],
    valid: Examples,
    fitted_on: Sequence[str] = (),
    *,
    trees: int = TREES,
    leaves: int = LEAVES,
) -> Scorer:
    """Fit on `train`, tune the bands on `valid`; the same pairs give the same scorer.

    Raises:
        ConfigError: the pairs of either are all the same, or all different, products.
    """
    import numpy as np
    from scipy.sparse import vstack

    rows, labels, weights = (
        np.concatenate([getattr(part, name) for part in train]) for name in ("features", "labels", "weights")
    )
    for what, given in (("train", labels), ("valid", valid.labels)):
        if len(set(given.tolist())) < 2:
            raise ConfigError(
                f"{what} pairs: all have one label; give some that are the same product and some that are not"
            )
    # Products of two sets are different ones.
    offsets = np.cumsum([0, *(int(part.groups.max()) + 1 for part in train)])
    groups = np.concatenate([part.groups + offset for part, offset in zip(train, offsets, strict=False)])
    word_weights, unseen = fit_words(vstack([part.words for part in train]).tocsr(), labels, groups)
    fitted = fit_trees(
        np.column_stack([rows, unseen]), labels, weights, trees=trees, leaves=leaves, seed=SEED
    )
    scorer = Scorer(fitted, word_weights, feature_names(), Bands(0.5, 0.5), tuple(fitted_on))
    return scorer.with_bands(tune_bands(scorer.of_examples(valid.features, valid.words), valid.labels))


class Fitted(NamedTuple):
    """A scorer, and how good it is on the pairs that tuned it: a little worse on others."""

    scorer: Scorer
    # Pairs.
    train: int
    valid: int
    # Precision, recall and F1, 0..100, and the threshold that they are at.
    figures: dict[str, float]


def fit_on_pairs(train: Pairs, valid: Pairs | None, name: str) -> Fitted:
    """Fit on somebody's pairs; without `valid` a tenth of them, by their ids, tunes the bands."""
    if valid is None:
        train, valid = train.chosen(lambda pair: not held_out(pair)), train.chosen(held_out)
    tuning = examples_of(valid)
    scorer = fit_scorer([examples_of(train)], tuning, [name])
    said = scorer.of_examples(tuning.features, tuning.words) >= scorer.bands.same
    right, found, same = int(valid.labels[said].sum()), int(said.sum()), int(valid.labels.sum())
    shares = {"precision": right / max(found, 1), "recall": right / same, "f1": 2 * right / (found + same)}
    figures = {name: round(100 * share, 2) for name, share in shares.items()}
    figures["threshold"] = round(scorer.bands.same, 4)
    return Fitted(scorer, len(train.ids), len(valid.ids), figures)


def tune_bands(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Bands:
    """`same`: where F1 is best; `ask`: where 95 % of the same products are found, and never above `same`.

    A threshold lies in the middle between two neighboring probabilities.
    """
    import numpy as np

    order = np.argsort(-probabilities, kind="stable")
    ranked, right = probabilities[order], np.cumsum(labels[order])
    ends = np.append(ranked[1:] < ranked[:-1], True)
    f1 = np.where(ends, 2 * right / (np.arange(1, len(ranked) + 1) + right[-1]), -1.0)
    enough = int(np.argmax(right >= _ASK_RECALL * right[-1]))
    same, ask = (_below(ranked, at) for at in (int(f1.argmax()), enough))
    return Bands(same, min(ask, same))


def _below(ranked: NDArray[np.float64], at: int) -> float:
    """A threshold that lets in all down to this one."""
    following = ranked[ranked < ranked[at]]
    lower = float(following[0]) if len(following) else 0.0
    return (float(ranked[at]) + lower) / 2


def _products(pairs: Pairs) -> NDArray[np.int64]:
    """Of each listing the number of its product: listings that a pair says are the same have one number."""
    import numpy as np
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    same, size = pairs.labels == 1, len(pairs.listings)
    links = csr_array((np.ones(int(same.sum())), (pairs.left[same], pairs.right[same])), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)
