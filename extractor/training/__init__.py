"""Data to weights: our own models from scratch, and any of them, or any causal language model, on one's own labels.

From scratch: `dataset` turns labelled records into examples, `synthesize` makes more from the taxonomy, `leaks` keeps
test titles out, `prune` makes the encoder small; `fit` trains the language model (`tokenizer`, `rows`, `masks`),
`proposer` the span proposer (`questions`, `pointing`). `finetune` goes on from a trained model. `recipe` reads recipes
and `loop` is the training loop of all. Imported by the command line alone.
"""

from __future__ import annotations

from pathlib import Path

from extractor.errors import ConfigError
from extractor.training.watch import Trained, Watcher

__all__ = ["Trained", "Watcher", "train_from_scratch"]


def train_from_scratch(recipe: Path, data: Path, out: Path, watcher: Watcher) -> Trained:
    """Train what a recipe with sources says.

    Raises:
        ConfigError: the recipe, the data or `out` is wrong.
    """
    from extractor.training import fit, proposer
    from extractor.training.recipe import read_table

    if not data.is_dir():
        raise ConfigError(f"{data}: no such folder; name the data folder with --data")
    # A proposer begins with a pretrained encoder, a language model with nothing.
    if "encoder" in read_table(recipe):
        folder = proposer.fit(proposer.load_recipe(recipe), data, out, report=watcher.progress)
        return Trained(folder, f"--policy propose-only --proposer {folder}")
    folder = fit.fit(fit.load_recipe(recipe), data, out, report=watcher.progress)
    return Trained(folder, f"--model {folder}")
