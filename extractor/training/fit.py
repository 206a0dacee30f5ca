"""Recipe -> our own language model: tokenizer and weights, resumable and deterministic given its seed.

In: a recipe (TOML) and the data folder; or, for fine-tuning, a model and what draws examples. Out: a model folder
that every engine loads (config.json, tokenizer, safetensors shards of at most 15 MB, extractor.json). The loop, its
checkpoints and its loss curve are loop.py's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy, pad
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from extractor.calibrate import MODEL_NOTES
from extractor.journal.files import write_json
from extractor.training import loop
from extractor.training.dataset import Example, Source, draw, draw_attributes, load_source, read_lines
from extractor.training.leaks import TestTitles
from extractor.training.lexicon import Lexicon
from extractor.training.loop import Learned
from extractor.training.prune import pretrained
from extractor.training.recipe import Strict, read_recipe
from extractor.training.rows import Batch, Batches, Row, collate, encode
from extractor.training.synthesize import Synthesizer
from extractor.training.tokenizer import TokenizerRecipe, fit_tokenizer, marks_of
from extractor.training.transplant import transplant

__all__ = [
    "Batch",
    "Batches",
    "Recipe",
    "Row",
    "collate",
    "encode",
    "fit",
    "load_recipe",
    "marks_of",
    "train",
]

SHARD = "15MB"
# Answer positions are padded to a multiple: few shapes keep kernels cached.
ANSWER_STEP = 256
# What it answers, task by task.
PROMPTS = {task: f"{task}@embedded-v1" for task in ("attributes", "route", "repair")}


class ModelRecipe(Strict):
    """Llama shape; head size is hidden / heads."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    context: int = 4096


class TransplantRecipe(Strict):
    """A pretrained encoder to begin with (transplant.py)."""

    # Installed package with the model in its folder `model`, or a folder with config.json; BERT style.
    encoder: str
    context: int = 2048


class SourceRecipe(Strict):
    """One file and how often it is drawn: `weight` at the first step, moving linearly to `final_weight`."""

    kind: str
    path: str = ""
    weight: float
    final_weight: float
    # Longest text in characters.
    max_chars: int = 400
    # Share of the values that are replaced by others of the same attribute.
    swap: float = 0.0


class TrainRecipe(Strict):
    """Steps, sizes and rates."""

    seed: int
    steps: int
    # Tokens of a batch, padding included.
    batch_tokens: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float = 0.05
    # Weight of the loss on the listing's own words beside the answer's: at the first step, falling to 0 at the last.
    text_loss: float = 0.2
    max_tokens: int = 512
    checkpoint_every: int = 100
    log_every: int = 10


class Recipe(Strict):
    """A whole training run."""

    name: str
    tokenizer: TokenizerRecipe
    model: ModelRecipe | TransplantRecipe
    train: TrainRecipe
    sources: list[SourceRecipe]


def load_recipe(path: Path) -> Recipe:
    """Read a recipe strictly. Raises ConfigError naming the file and the key."""
    return read_recipe(path, Recipe)


def fit(recipe: Recipe, data: Path, out: Path, *, report: Callable[[Mapping[str, Any]], None]) -> Path:
    """Train from scratch, or go on in `out`; returns the model folder.

    Args:
        recipe: What to train.
        data: Data folder.
        out: Folder for checkpoint, loss curve and model.
        report: Gets `{"step", "steps", "loss", "answer_loss", "tokens_per_s"}` now and then.

    Raises:
        ConfigError: data is missing or broken, or `out` holds something else.
    """
    loop.begin(out, {"recipe": recipe.model_dump(mode="json")})
    torch.manual_seed(recipe.train.seed)
    tokenizer = _load_or_fit_tokenizer(recipe, data, out)
    model = new_model(recipe, tokenizer)
    train(model, tokenizer, Sources(recipe, data), recipe.train, out, report)
    return save(model, tokenizer, out / "model")


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    draw: Callable[[int, random.Random], Example],
    recipe: TrainRecipe,
    out: Path,
    report: Callable[[Mapping[str, Any]], None],
) -> None:
    """Change the model's weights, on the GPU where there is one."""
    sizes = {"batch_tokens": recipe.batch_tokens, "max_tokens": recipe.max_tokens}
    batches = Batches(draw, tokenizer, seed=recipe.seed, **sizes)
    pace = loop.Pace(recipe.steps, recipe.checkpoint_every, recipe.log_every)
    loop.train(_Learner(model.to(loop.device()), batches, recipe), out, pace, report)


class Sources:
    """Draws examples from the files of a recipe."""

    def __init__(self, recipe: Recipe, data: Path) -> None:
        titles = TestTitles.load(data / "eval" / "attributes")
        self._recipe = recipe
        self._sources = [self._load(source, data, titles) for source in recipe.sources]

    @staticmethod
    def _load(spec: SourceRecipe, data: Path, titles: TestTitles) -> Source | Synthesizer | Lexicon:
        if spec.kind == "synthetic":
            return Synthesizer.shipped()
        if spec.kind == "made-up":
            return Lexicon.load(data / spec.path)
        rows = titles.trainable(read_lines(data / spec.path))
        return load_source(spec.kind, rows, max_chars=spec.max_chars)

    def __call__(self, step: int, rng: random.Random) -> Example:
        k = rng.choices(range(len(self._sources)), self._weights(step))[0]
        source = self._sources[k]
        if isinstance(source, Synthesizer):
            return source.draw(rng)
        if isinstance(source, Lexicon):
            return draw_attributes(source.made_up(rng), rng)
        return draw(source, rng, swap=self._recipe.sources[k].swap)

    def _weights(self, step: int) -> list[float]:
        done = step / max(1, self._recipe.train.steps)
        return [s.weight + (s.final_weight - s.weight) * done for s in self._recipe.sources]


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The model that training begins with. Raises ConfigError where the encoder is missing."""
    shape = recipe.model
    if isinstance(shape, TransplantRecipe):
        generator = torch.Generator().manual_seed(recipe.train.seed)
        encoder = pretrained(shape.encoder)
        return transplant(encoder, tokenizer, context=shape.context, generator=generator)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation=loop.attention(),
    )
    return LlamaForCausalLM(config)


def loss_of(model: PreTrainedModel, batch: Batch, text_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss to train on, and the part of it that the answers have: mean nats per token among the allowed ones."""
    hidden = model.base_model(input_ids=batch.tokens[:, :-1], use_cache=False).last_hidden_state.flatten(0, 1)
    target = batch.tokens[:, 1:].flatten()
    answer = cross_entropy(answer_scores(model, hidden, batch), target[batch.answer])
    if not text_weight:
        return answer, answer
    words = model.get_output_embeddings()(hidden[batch.text]).float()
    return answer + text_weight * cross_entropy(words, target[batch.text]), answer


def answer_scores(model: PreTrainedModel, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Of each answer position (rows) each token (columns); minus infinity where the grammar forbids it."""
    padding = -len(batch.answer) % ANSWER_STEP
    padded = pad(hidden[batch.answer], (0, 0, 0, padding))
    scores: torch.Tensor = model.get_output_embeddings()(padded)[: len(batch.answer)].float()
    allowed = torch.zeros_like(scores, dtype=torch.bool)
    allowed[batch.pairs[:, 0], batch.pairs[:, 1]] = True
    allowed |= ~allowed.any(dim=1, keepdim=True)
    return scores.masked_fill(~allowed, -torch.inf)


def rate(step: int, train: TrainRecipe) -> float:
    """Linear warm-up, then cosine to a twentieth."""
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    done = (step - train.warmup_steps) / max(1, train.steps - train.warmup_steps)
    return train.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def new_optimizer(model: PreTrainedModel, train: TrainRecipe) -> torch.optim.AdamW:
    """AdamW; norms are not decayed."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": train.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=train.learning_rate, betas=(0.9, 0.98))


class _Learner:
    """What loop.py drives."""

    def __init__(self, model: PreTrainedModel, batches: Callable[[int], Batch], recipe: TrainRecipe) -> None:
        self.batch = batches
        self._model, self._recipe = model.train(), recipe
        self._optimizer = new_optimizer(model, recipe)

    def learn(self, batch: Batch, step: int) -> Learned:
        loss, answer_loss = take_step(
            self._model, self._optimizer, batch.to(loop.device()), step, self._recipe
        )
        return Learned({"loss": loss, "answer_loss": answer_loss}, batch.tokens.numel())

    def state(self) -> dict[str, Any]:
        return {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])


def take_step(
    model: PreTrainedModel, optimizer: torch.optim.Optimizer, batch: Batch, step: int, train: TrainRecipe
) -> tuple[float, float]:
    """One optimizer step; returns the loss and the answer's part of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate(step, train)
    with torch.autocast(batch.tokens.device.type, dtype=torch.bfloat16):
        loss, answer_loss = loss_of(model, batch, train.text_loss * (1 - step / train.steps))
    loop.descend(optimizer, loss)
    return float(loss.detach()), float(answer_loss.detach())


def _load_or_fit_tokenizer(recipe: Recipe, data: Path, out: Path) -> PreTrainedTokenizerFast:
    folder = out / "tokenizer"
    if not folder.exists():
        fit_tokenizer(recipe.tokenizer, data).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    """The folder that engines load: bfloat16, small shards, and the prompts that the model was trained on."""
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=SHARD)
    tokenizer.save_pretrained(folder)
    write_json(folder / MODEL_NOTES, {"prompts": PROMPTS})
    return folder
