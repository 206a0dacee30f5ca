"""Boosted trees as plain arrays: features in, log-odds out. Needs numpy alone, and no code in the file.

Fitted by scikit-learn (`fit_trees`), which prediction does without.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes of all trees in a row; a leaf's branches lead to itself."""

    # Where each tree begins.
    roots: NDArray[np.int32]
    # Of each node: the feature that it asks, and where its rows go: at most the threshold to the left.
    feature: NDArray[np.int16]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    # Of each leaf.
    value: NDArray[np.float64]
    # Log-odds before any tree.
    baseline: NDArray[np.float64]
    # Most questions from a root to a leaf.
    depth: NDArray[np.int32]

    def log_odds(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each row; what adding up the trees says."""
        import numpy as np

        parts = [self._chunk(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _chunk(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        flat, width = np.ascontiguousarray(rows).ravel(), rows.shape[1]
        starts = np.arange(len(rows)) * width
        total = np.full(len(rows), float(self.baseline[0]))
        for root in self.roots:
            at = np.full(len(rows), root)
            for _ in range(int(self.depth[0])):
                goes_left = flat[starts + self.feature[at]] <= self.threshold[at]
                at = np.where(goes_left, self.left[at], self.right[at])
            total += self.value[at]
        return total

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For `numpy.savez`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Any) -> Self:
        """Inverse of `arrays`; KeyError or ValueError when they are no trees."""
        trees = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        nodes = len(trees.value)
        inside = all(
            len(branch) == nodes and branch.min() >= 0 and branch.max() < nodes
            for branch in (trees.left, trees.right)
        )
        if (
            not inside
            or len(trees.feature) != nodes
            or len(trees.threshold) != nodes
            or trees.roots.max() >= nodes
        ):
            raise ValueError("nodes are missing")
        return trees


def fit_trees(
    rows: NDArray[np.float64],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    trees: int,
    leaves: int,
    seed: int,
) -> Trees:
    """Fit scikit-learn's HistGradientBoostingClassifier; the same data give the same trees."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=0.08,
        max_leaf_nodes=leaves,
        max_depth=8,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    ).fit(rows, labels, sample_weight=weights)
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    starts = np.cumsum([0, *map(len, nodes)])[:-1]
    joined = np.concatenate(nodes)
    offset = np.repeat(starts, [len(tree) for tree in nodes])
    itself, leaf = np.arange(len(joined)), joined["is_leaf"].astype(bool)
    return Trees(
        roots=starts.astype(np.int32),
        feature=np.where(leaf, 0, joined["feature_idx"]).astype(np.int16),
        threshold=np.where(leaf, 0.0, joined["num_threshold"]),
        left=np.where(leaf, itself, joined["left"] + offset).astype(np.int32),
        right=np.where(leaf, itself, joined["right"] + offset).astype(np.int32),
        value=np.where(leaf, joined["value"], 0.0),
        baseline=np.asarray(model._baseline_prediction, dtype=np.float64).ravel(),
        depth=np.array([int(joined["depth"].max())], dtype=np.int32),
    )
