"""Lessons -> any causal language model that knows them, by LoRA (peft): adapters on all linear layers, then merged.

It learns the very prompts that the pipeline sends, chat or text as the model reads them, and the answer as the grammar
spells it; the loss is taken on the answer alone. The saved folder holds plain weights: vLLM and transformers serve it
as they served the model that it came from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from extractor.calibrate import MODEL_NOTES
from extractor.engines.model import ModelInfo, load_model_info
from extractor.engines.tokens import encode_prompt, one_line
from extractor.errors import ConfigError
from extractor.journal.files import write_json
from extractor.pipeline import attributes_prompt
from extractor.prompt import PromptTemplate, render
from extractor.prompt_variables import attributes_request_variables
from extractor.run import load_prompts
from extractor.training import loop
from extractor.training.finetune.draw import Turn, Turns, tell_long, whole_turn
from extractor.training.finetune.lessons import Lessons
from extractor.training.finetune.measure import Judged, measure_answers, members_of
from extractor.training.finetune.recipe import LoraTune
from extractor.training.loop import Learned
from extractor.training.rows import spelled
from extractor.training.watch import Trained, Watcher

# Listings drawn per batch, to find some of one length.
POOL = 32
# No target: what cross_entropy leaves out.
_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt with its answer as token ids."""

    ids: list[int]
    answer_start: int
    # See measure.Judged: of the answer's tokens.
    members: list[int]


def tune_lora(recipe: LoraTune, lessons: Lessons, model: str | None, out: Path, watcher: Watcher) -> Trained:
    """Train; `model` is a folder or a Hugging Face id. Raises ConfigError."""
    if model is None:
        raise ConfigError("lora: no model to fine-tune; give --model, a folder or a Hugging Face id")
    info = load_model_info(model)
    _refuse_others(info)
    prompts = _prompts(info, recipe.prompt)
    loop.begin(out, {"recipe": recipe.model_dump(mode="json"), "labels": lessons.hash, "model": info.hash})
    tokenizer, network = _load(info)
    encoder = _Encoder(tokenizer, prompts["attributes"], info, recipe.max_tokens)
    rows, held_out = (encoder.whole(some) for some in (lessons.train, lessons.held_out))
    tell_long(len(lessons.train) - len(rows), lessons, encoder.max_tokens, watcher)
    steps = recipe.steps(len(row.ids) for row in rows)
    adapted = _adapted(network, recipe)
    learner = _Learner(adapted, Turns(lessons.train, recipe), encoder, recipe, steps)
    before = measure_answers(_judged(adapted, held_out))
    loop.train(learner, out, loop.Pace(steps, recipe.checkpoint_every, recipe.log_every), watcher.progress)
    after = measure_answers(_judged(adapted, held_out))
    folder = out / "model"
    adapted.merge_and_unload().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / MODEL_NOTES, {"prompts": {task: prompt.id for task, prompt in prompts.items()}})
    return Trained(folder, f"--model {folder}", before, after)


# -- the model


def _refuse_others(info: ModelInfo) -> None:
    """ConfigError for what is no causal language model, before its weights are loaded."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    try:
        config = AutoConfig.from_pretrained(info.source)
    except Exception as error:
        raise ConfigError(
            f"{info.source}: transformers cannot read its config.json ({one_line(error)})"
        ) from error
    architectures = config.architectures or []
    if not set(architectures) & set(CAUSAL.values()):
        name = ", ".join(architectures) or config.model_type
        raise ConfigError(f"{info.source}: {name} is no causal language model; give --model one that is")


def _prompts(info: ModelInfo, wanted: str) -> dict[str, PromptTemplate]:
    """Task -> what the pipeline would send to this model; a model without a chat template gets texts."""
    version = "v1" if info.chat else "embedded-v1"
    ids = {task: info.prompts.get(task, f"{task}@{version}") for task in ("attributes", "route", "repair")}
    return load_prompts(ids | {"attributes": attributes_prompt(wanted)} if wanted else ids, info)


def _load(info: ModelInfo) -> tuple[Any, Any]:
    """Tokenizer and model, in the numbers that it comes in."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(info.source)
        model = AutoModelForCausalLM.from_pretrained(info.source, dtype="auto")
    except Exception as error:  # whatever transformers, safetensors and the hub raise
        raise ConfigError(f"{info.source}: cannot be loaded ({one_line(error)})") from error
    return tokenizer, model.to(loop.device())


def _adapted(model: Any, recipe: LoraTune) -> Any:
    """With adapters, which begin as none."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return get_peft_model(model, config)


# -- what it learns from


class _Encoder:
    """Turns to token ids, as the engines make them."""

    def __init__(self, tokenizer: Any, template: PromptTemplate, info: ModelInfo, max_tokens: int) -> None:
        self._tokenizer, self._template, self._id = tokenizer, template, info.id
        self.max_tokens = min(max_tokens, info.context_tokens)
        end = tokenizer.eos_token_id
        self._end = [] if end is None else [end]

    def row(self, turn: Turn) -> Row:
        template = self._template
        variables = attributes_request_variables(turn.schema, turn.path, turn.text, template.form)
        prompt = encode_prompt(self._tokenizer, render(template, variables), self._id)
        answer = self._tokenizer(spelled(turn.answer), add_special_tokens=False, return_offsets_mapping=True)
        members = members_of(turn.answer, [start for start, _ in answer["offset_mapping"]])
        end = [len(turn.answer)] * len(self._end)
        return Row([*prompt, *answer["input_ids"], *self._end], len(prompt), [*members, *end])

    def whole(self, lessons: Sequence[Any]) -> list[Row]:
        """Everything that is judged; without what is too long."""
        rows = (self.row(whole_turn(lesson)) for lesson in lessons)
        return [row for row in rows if len(row.ids) <= self.max_tokens]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows as tensors, right-padded."""

    ids: torch.Tensor  # [rows, length]
    mask: torch.Tensor  # [rows, length] 1 where a token is
    kept: torch.Tensor  # [places] before which an answer's token stands in one of the rows
    targets: torch.Tensor  # [rows, places] that token, or _IGNORED

    def to(self, device: str) -> _Batch:
        return _Batch(*(part.to(device) for part in (self.ids, self.mask, self.kept, self.targets)))


def _collate(rows: Sequence[Row]) -> _Batch:
    length = max(len(row.ids) for row in rows)
    ids, mask = (torch.zeros((len(rows), length), dtype=torch.long) for _ in range(2))
    targets = torch.full_like(ids, _IGNORED)
    for k, row in enumerate(rows):
        ids[k, : len(row.ids)] = torch.tensor(row.ids)
        mask[k, : len(row.ids)] = 1
        targets[k, row.answer_start - 1 : len(row.ids) - 1] = ids[k, row.answer_start : len(row.ids)]
    kept = (targets != _IGNORED).any(dim=0).nonzero().flatten()
    return _Batch(ids, mask, kept, targets[:, kept])


def _scores(model: Any, batch: _Batch) -> torch.Tensor:
    """[rows, places, vocabulary]; of the other places none are made, which a large vocabulary would not forgive."""
    with torch.autocast(loop.device(), torch.bfloat16):
        scores: torch.Tensor = model(
            input_ids=batch.ids, attention_mask=batch.mask, logits_to_keep=batch.kept, use_cache=False
        ).logits
    return scores.float()


@torch.no_grad()
def _judged(model: Any, rows: Sequence[Row]) -> Iterator[Judged]:
    model.eval()
    for row in rows:
        batch = _collate([row]).to(loop.device())
        scores, target = _scores(model, batch)[0], batch.targets[0]
        nats = float(cross_entropy(scores, target, reduction="sum"))
        yield Judged(nats, (scores.argmax(-1) == target).tolist(), row.members)


# -- training


class _Learner:
    """What loop.py drives; only the adapters change and are kept in checkpoints."""

    def __init__(self, model: Any, turns: Turns, encoder: _Encoder, recipe: LoraTune, steps: int) -> None:
        self._model, self._turns, self._encoder, self._recipe = model, turns, encoder, recipe
        self._steps, self._warmup = steps, recipe.warmup_steps(steps)
        trained = [p for p in model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=0.0)

    def batch(self, step: int) -> _Batch:
        rng = random.Random(f"{self._recipe.seed}/{step}")
        drawn = [self._encoder.row(self._turns.draw(rng)) for _ in range(POOL)]
        pool = loop.fitting(drawn, lambda row: len(row.ids), self._encoder.max_tokens)
        return _collate(loop.alike(pool, lambda row: len(row.ids), self._recipe.batch_tokens, rng))

    def learn(self, batch: _Batch, step: int) -> Learned:
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * loop.linear(step, self._steps, self._warmup)
        batch = batch.to(loop.device())
        scores = _scores(self._model, batch)
        loss = cross_entropy(scores.flatten(0, 1), batch.targets.flatten(), ignore_index=_IGNORED)
        loop.descend(self._optimizer, loss)
        return Learned({"loss": float(loss.detach())}, batch.ids.numel())

    def state(self) -> dict[str, Any]:
        from peft import get_peft_model_state_dict

        return {"adapter": get_peft_model_state_dict(self._model), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self._model, state["adapter"])
        self._optimizer.load_state_dict(state["optimizer"])
