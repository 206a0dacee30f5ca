"""Lessons -> a span proposer that knows them: the shipped one, or another, trained further."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from transformers import BertConfig

from extractor.calibrate import MODEL_NOTES
from extractor.engines.model import read_ours
from extractor.journal.files import write_json
from extractor.propose import open_proposer, proposer_folder
from extractor.propose.encode import Encoder
from extractor.training import loop
from extractor.training.finetune.draw import Pointers
from extractor.training.finetune.lessons import Lessons
from extractor.training.finetune.measure import measure_proposer
from extractor.training.finetune.recipe import ProposerTune
from extractor.training.proposer import TrainRecipe, train
from extractor.training.watch import Trained, Watcher


def tune_proposer(
    recipe: ProposerTune, lessons: Lessons, model: str | None, out: Path, watcher: Watcher
) -> Trained:
    """Train; `model` is a proposer's folder, None: the shipped one. Raises ConfigError."""
    start = proposer_folder(Path(model).expanduser() if model else None)
    proposer = open_proposer(start)
    loop.begin(
        out, {"recipe": recipe.model_dump(mode="json"), "labels": lessons.hash, "model": proposer.hash}
    )
    before = measure_proposer(proposer, lessons.held_out)
    del proposer
    recipe = recipe.model_copy(update={"max_tokens": min(recipe.max_tokens, _room(start))})
    encoder = Encoder(start / "tokenizer.json")
    # The names may take half of the room, as in use.
    fitting = partial(_first_group, encoder, recipe.max_tokens // 2)
    draw = Pointers(lessons.train, recipe, fitting).draw
    folder = train(start, draw, _plan(recipe, lessons, encoder), out, watcher.progress)
    # How right it is at which confidence is better known from the one it came from than not at all.
    if notes := read_ours(start):
        write_json(folder / MODEL_NOTES, notes)
    after = measure_proposer(open_proposer(folder), lessons.held_out)
    return Trained(folder, f"--policy propose-only --proposer {folder}", before, after)


def _room(start: Path) -> int:
    """Most tokens that the encoder reads."""
    return int(BertConfig.from_pretrained(start).max_position_embeddings)


def _first_group(encoder: Encoder, most_tokens: int, names: list[str]) -> list[str]:
    return next(encoder.groups(names, most_tokens), [])


def _plan(recipe: ProposerTune, lessons: Lessons, encoder: Encoder) -> TrainRecipe:
    sizes = [
        len(encoder.encode((), lesson.category, lesson.gold.text, max_tokens=recipe.max_tokens).ids)
        + sum(len(name) // 3 + 2 for name in lesson.gold.attributes)
        for lesson in lessons.train
    ]
    steps = recipe.steps(sizes)
    shared = recipe.model_dump(include=TrainRecipe.model_fields.keys() & type(recipe).model_fields.keys())
    return TrainRecipe(**shared, steps=steps, warmup_steps=recipe.warmup_steps(steps))
