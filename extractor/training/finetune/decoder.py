"""Lessons -> our own language model that knows them: the shipped one, or another of its kind, trained further."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from extractor.engines.model import ModelInfo, load_model_info
from extractor.errors import ConfigError
from extractor.training import fit, loop
from extractor.training.dataset import Example
from extractor.training.finetune.draw import Turn, Turns, tell_long, whole_turn
from extractor.training.finetune.lessons import Lesson, Lessons
from extractor.training.finetune.measure import Judged, measure_answers, members_of
from extractor.training.finetune.recipe import DecoderTune
from extractor.training.rows import Row, collate, encode, spelled
from extractor.training.synthesize import Synthesizer
from extractor.training.tokenizer import END, marks_of
from extractor.training.watch import Trained, Watcher


def tune_decoder(
    recipe: DecoderTune, lessons: Lessons, model: str | None, out: Path, watcher: Watcher
) -> Trained:
    """Train; `model` is the folder of a language model of ours, None: the shipped one. Raises ConfigError."""
    info = _ours(model)
    loop.begin(out, {"recipe": recipe.model_dump(mode="json"), "labels": lessons.hash, "model": info.hash})
    tokenizer = PreTrainedTokenizerFast.from_pretrained(info.source)
    network = AutoModelForCausalLM.from_pretrained(
        info.source, dtype=torch.float32, attn_implementation=loop.attention()
    ).to(loop.device())
    rows, held_out = (_rows(some, tokenizer, recipe) for some in (lessons.train, lessons.held_out))
    before = measure_answers(_judged(network, tokenizer, held_out))
    tell_long(len(lessons.train) - len(rows), lessons, recipe.max_tokens, watcher)
    plan = _plan(recipe, [len(row.ids) for _, row in rows])
    fit.train(
        network, tokenizer, _Draw(Turns(lessons.train, recipe), recipe.rehearsal), plan, out, watcher.progress
    )
    after = measure_answers(_judged(network, tokenizer, held_out))
    folder = fit.save(network, tokenizer, out / "model")
    return Trained(folder, f"--model {folder}", before, after)


def _ours(model: str | None) -> ModelInfo:
    info = load_model_info(model)
    if dict(info.prompts) != fit.PROMPTS:
        raise ConfigError(
            f"{model}: no language model that this package trained; take `extractor train lora --model {model}`"
        )
    return info


class _Draw:
    """Turns as examples, and generated listings among them."""

    def __init__(self, turns: Turns, rehearsal: float) -> None:
        self._turns, self._rehearsal = turns, rehearsal
        self._synthesizer = Synthesizer.shipped()

    def __call__(self, step: int, rng: random.Random) -> Example:
        if rng.random() < self._rehearsal:
            return self._synthesizer.draw(rng)
        return to_example(self._turns.draw(rng))


def to_example(turn: Turn) -> Example:
    """As our own language model reads it."""
    names = tuple(attribute.id for attribute in turn.schema.attributes)
    return Example(turn.path[-1] if turn.path else "", names, turn.text, turn.answer)


def _rows(
    lessons: Sequence[Lesson], tokenizer: PreTrainedTokenizerFast, recipe: DecoderTune
) -> list[tuple[Turn, Row]]:
    """Everything that is judged, also as token ids; without what is too long."""
    marks = marks_of(tokenizer)
    rows = ((turn, encode(to_example(turn), tokenizer, marks)) for turn in map(whole_turn, lessons))
    return [(turn, row) for turn, row in rows if len(row.ids) <= recipe.max_tokens]


def _plan(recipe: DecoderTune, sizes: Sequence[int]) -> fit.TrainRecipe:
    steps = recipe.steps(sizes)
    shared = recipe.model_dump(include=fit.TrainRecipe.model_fields.keys() & type(recipe).model_fields.keys())
    return fit.TrainRecipe(**shared, steps=steps, warmup_steps=recipe.warmup_steps(steps))


@torch.no_grad()
def _judged(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, turns: Iterable[tuple[Turn, Row]]
) -> Iterator[Judged]:
    """Answers under the grammar."""
    model.eval()
    for turn, row in turns:
        batch = collate([row], len(row.ids), 0, random.Random(0)).to(loop.device())
        hidden = model.base_model(input_ids=batch.tokens[:, :-1], use_cache=False).last_hidden_state
        scores = fit.answer_scores(model, hidden.flatten(0, 1), batch)
        target = batch.tokens[:, 1:].flatten()[batch.answer]
        nats = float(cross_entropy(scores, target, reduction="sum"))
        answer = tokenizer(spelled(turn.answer) + END, add_special_tokens=False, return_offsets_mapping=True)
        members = members_of(turn.answer, [start for start, _ in answer["offset_mapping"]])
        yield Judged(nats, (scores.argmax(-1) == target).tolist(), members)
