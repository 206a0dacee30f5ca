"""Data to weights: a decoder-only model of our own from scratch, and a span proposer from a pretrained encoder.

`dataset` turns labelled records into examples, `synthesize` makes more from the taxonomy, `leaks` keeps test titles
out, `prune` makes the encoder small; `recipe` reads recipes, `fit` trains the decoder, `proposer` the proposer.
Imported by the command line alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a recipe."""

    folder: Path
    # How to use it: "--model DIR".
    option: str


def open_recipe(path: Path) -> tuple[int, Callable[[Path, Path, Report], Trained]]:
    """Steps of a recipe, and what runs it: data folder, out folder, progress -> Trained.

    Raises:
        ConfigError: naming the file and what is wrong.
    """
    from extractor.training import fit, proposer
    from extractor.training.recipe import read_table

    # A proposer begins with a pretrained encoder, a language model with nothing.
    if "encoder" in read_table(path):
        recipe = proposer.load_recipe(path)

        def run_proposer(data: Path, out: Path, report: Report) -> Trained:
            folder = proposer.Trainer(recipe, data, out).run(report)
            return Trained(folder, f"--policy propose-only --proposer {folder}")

        return recipe.train.steps, run_proposer
    decoder = fit.load_recipe(path)

    def run_decoder(data: Path, out: Path, report: Report) -> Trained:
        folder = fit.fit(decoder, data, out, report=report)
        return Trained(folder, f"--model {folder}")

    return decoder.train.steps, run_decoder
