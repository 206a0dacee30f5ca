"""Recipe -> the span proposer's weights: a pretrained encoder fine-tuned to point at values.

In: a recipe (TOML), the data folder, a BERT-style encoder; or, for fine-tuning, a proposer and what draws questions.
Out: a folder that propose loads (config.json, tokenizer.json, safetensors). The loop, its checkpoints and its loss
curve are loop.py's; the loss is pointing.py's.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from extractor.propose.encode import Encoder
from extractor.propose.network import Batch, SpanProposer
from extractor.schema import default_folder as schemas_folder
from extractor.training import loop
from extractor.training.dataset import read_lines
from extractor.training.loop import Learned
from extractor.training.pointing import Batches, Target, loss_of
from extractor.training.prune import pretrained, prune
from extractor.training.questions import Question, Questions, SourceRecipe
from extractor.training.recipe import Strict, read_recipe


class TrainRecipe(Strict):
    """Steps, sizes and rates."""

    seed: int
    steps: int
    # Tokens of a batch, padding included.
    batch_tokens: int
    encoder_rate: float = 1.5e-4
    head_rate: float = 5e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    # Decay of the running mean of the weights that is kept in the end.
    average: float = 0.998
    max_tokens: int = 384
    checkpoint_every: int = 200
    log_every: int = 20
    # Categories and attributes that are never shown, to measure what becomes of new ones.
    leave_out: tuple[str, ...] = ()
    # Also the held-out tenth of every gold source is trained on: for the last run, when nothing is chosen any more.
    everything: bool = False


class EncoderRecipe(Strict):
    """The pretrained encoder, or the proposer, to begin with, and how much of its vocabulary is kept."""

    # Installed package with the model in its folder `model`, or a folder with config.json; BERT style.
    source: str
    # Word pieces to keep; 0: all, and the heads of a proposer too.
    vocabulary: int = 0
    # Files whose words the vocabulary has to spell.
    corpus: tuple[str, ...] = ()


class Recipe(Strict):
    """A whole training run."""

    name: str
    encoder: EncoderRecipe
    train: TrainRecipe
    sources: list[SourceRecipe]


def load_recipe(path: Path) -> Recipe:
    """Read a recipe strictly. Raises ConfigError naming the file and the key."""
    return read_recipe(path, Recipe)


def fit(recipe: Recipe, data: Path, out: Path, *, report: Callable[[Mapping[str, Any]], None]) -> Path:
    """Train from a pretrained encoder, or go on in `out`; returns the proposer's folder.

    Args:
        recipe: What to train.
        data: Data folder.
        out: Folder for encoder, checkpoint, loss curve and model.
        report: Gets `{"step", "steps", "loss", "tokens_per_s"}` now and then.

    Raises:
        ConfigError: no encoder, no data, or the folder holds something else.
    """
    loop.begin(out, {"recipe": recipe.model_dump(mode="json")})
    start = pruned_encoder(recipe.encoder, data, out)
    train_recipe = recipe.train
    questions = Questions(
        recipe.sources, data, leave_out=train_recipe.leave_out, everything=train_recipe.everything
    )
    return train(start, questions.draw, train_recipe, out, report)


def train(
    start: Path,
    draw: Callable[[random.Random], Question],
    recipe: TrainRecipe,
    out: Path,
    report: Callable[[Mapping[str, Any]], None],
) -> Path:
    """Train the proposer or encoder in `start`, on the GPU where there is one; returns the new one's folder.

    It holds the running mean of the weights.
    """
    torch.manual_seed(recipe.seed)
    sizes = {"batch_tokens": recipe.batch_tokens, "max_tokens": recipe.max_tokens}
    batches = Batches(draw, Encoder(start / "tokenizer.json"), seed=recipe.seed, **sizes)
    model = SpanProposer.from_folder(start).to(loop.device())
    learner = _Learner(model, batches, recipe)
    loop.train(learner, out, loop.Pace(recipe.steps, recipe.checkpoint_every, recipe.log_every), report)
    folder = out / "model"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(start / "tokenizer.json", folder / "tokenizer.json")
    model.save_folder(folder, learner.average)
    return folder


def pruned_encoder(recipe: EncoderRecipe, data: Path, out: Path) -> Path:
    """Folder of what training begins with: `out`/encoder, made when it is not there, where the vocabulary is cut."""
    if not recipe.vocabulary:
        return pretrained(recipe.source)
    folder = out / "encoder"
    if not (folder / "config.json").is_file():
        prune(pretrained(recipe.source), folder, corpus_lines(recipe.corpus, data), recipe.vocabulary)
    return folder


def corpus_lines(names: Sequence[str], data: Path) -> Iterator[str]:
    """Titles, the beginnings of descriptions, and attribute names; then our own schemas."""
    for name in names:
        for row in read_lines(data / name):
            yield f"{row['title']}\n{(row.get('description') or '')[:300]}"
            yield " ".join(row.get("attributes") or {}).replace("_", " ")
    for path in sorted(schemas_folder().rglob("*.json*")):
        yield path.read_text("utf-8")


class _Learner:
    """What loop.py drives."""

    def __init__(
        self, model: SpanProposer, batches: Callable[[int], tuple[Batch, Target]], recipe: TrainRecipe
    ) -> None:
        self.batch = batches
        self._model, self._recipe = model.train(), recipe
        heads = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
        groups = [
            {"params": list(model.encoder.parameters()), "lr": recipe.encoder_rate},
            {"params": heads, "lr": recipe.head_rate},
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)
        # The running mean of the weights.
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def learn(self, batch: tuple[Batch, Target], step: int) -> Learned:
        rates = (self._recipe.encoder_rate, self._recipe.head_rate)
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * loop.linear(step, self._recipe.steps, self._recipe.warmup_steps)
        listings, target = batch
        loss = self._take_step(listings.to(loop.device()), target.to(loop.device()))
        self._mix_in(step)
        return Learned({"loss": loss}, listings.ids.numel())

    def _take_step(self, batch: Batch, target: Target) -> float:
        with torch.autocast(loop.device(), torch.bfloat16):
            scores = self._model(batch)
        loss = loss_of(scores, target)
        loop.descend(self._optimizer, loss)
        return float(loss.detach())

    @torch.no_grad()
    def _mix_in(self, step: int) -> None:
        # A short mean at the start, where the weights still move far.
        keep = min(self._recipe.average, (step + 1) / (step + 11))
        for name, value in self._model.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)

    def state(self) -> dict[str, Any]:
        return {
            "model": self._model.state_dict(),
            "average": self.average,
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self.average = dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
