"""Recipes of fine-tuning, read strictly; those that come with the package are called by name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from extractor.errors import ConfigError
from extractor.training.recipe import Strict, read_recipe, read_table

_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]


class Tune(Strict):
    """What all fine-tuning has."""

    seed: int
    # Times that each listing is seen, on average.
    epochs: _Positive
    # Tokens of a step, padding included.
    batch_tokens: _Count
    # Longest listing with what is asked of it, in tokens; and its text, in characters.
    max_tokens: _Count
    max_chars: _Count
    # Share of the steps over which the rates rise to their full size.
    warmup: _Share
    # Share of the attributes that nobody judged on a listing and that count as absent when it is drawn.
    unjudged: _Share
    # Share of the values that are replaced by others of the same attribute, in 7 of 10 drawn listings.
    swap: _Share
    # Share of generated listings among those that are drawn: they keep the model from forgetting other attributes.
    rehearsal: Annotated[float, Field(ge=0, lt=1)] = 0.0
    checkpoint_every: _Count = 100
    log_every: _Count = 10

    def steps(self, sizes: Iterable[int]) -> int:
        """How many, for listings of so many tokens each."""
        seen = self.epochs * sum(min(size, self.max_tokens) for size in sizes)
        return max(1, math.ceil(seen / (1 - self.rehearsal) / self.batch_tokens))

    def warmup_steps(self, steps: int) -> int:
        return round(self.warmup * steps)


class ProposerTune(Tune):
    """Of a span proposer."""

    tune: Literal["proposer"]
    encoder_rate: _Positive
    head_rate: _Positive
    weight_decay: float
    # Decay of the running mean of the weights that is kept in the end.
    average: _Share


class DecoderTune(Tune):
    """Of our own language model."""

    tune: Literal["decoder"]
    learning_rate: _Positive
    weight_decay: float
    # See fit.TrainRecipe.
    text_loss: Annotated[float, Field(ge=0)]


class LoraTune(Tune):
    """Of any causal language model, by low-rank adapters on all linear layers (LoRA, arXiv 2106.09685)."""

    tune: Literal["lora"]
    learning_rate: _Positive
    rank: _Count
    # Adapters are scaled by alpha / rank.
    alpha: _Positive
    # Prompt to train with, such as attributes@v2; empty: the one that the pipeline takes for the model.
    prompt: str = ""
    # Saves memory, costs a third more time.
    gradient_checkpointing: bool


_KINDS: dict[str, type[ProposerTune] | type[DecoderTune] | type[LoraTune]] = {
    "proposer": ProposerTune,
    "decoder": DecoderTune,
    "lora": LoraTune,
}


def recipe_path(recipe: str) -> Path:
    """File of a recipe that is called by name, or the path that it is."""
    if recipe in _KINDS:
        return Path(str(files("extractor.training.finetune") / "recipes" / f"{recipe}.toml"))
    return Path(recipe)


def is_tune(path: Path) -> bool:
    """Whether the recipe in a file fine-tunes; otherwise it trains from scratch. ConfigError where none can be read."""
    return "tune" in read_table(path)


def load_tune(path: Path, *, epochs: float | None = None) -> ProposerTune | DecoderTune | LoraTune:
    """Read a recipe of fine-tuning.

    Args:
        path: TOML file.
        epochs: In place of the recipe's own.

    Raises:
        ConfigError: naming file and key.
    """
    kind = read_table(path)["tune"]
    if kind not in _KINDS:
        raise ConfigError(f"{path}: tune is {kind!r}; write one of {', '.join(_KINDS)}")
    recipe = read_recipe(path, _KINDS[kind])
    if epochs is not None and not epochs > 0:
        raise ConfigError(f"--epochs {epochs:g}: give a number above 0")
    return recipe.model_copy(update={"epochs": epochs}) if epochs else recipe
