"""A trained model and one's own labels in, a model that knows them better out.

`lessons` reads, checks and splits labels, `teacher` takes them from the run of a bigger model, `draw` says what a model
is shown of them, `measure` how good it is at the held-out tenth; `proposer`, `decoder` and `lora` train.
"""

from __future__ import annotations

from pathlib import Path

from extractor.training.finetune.lessons import Labels, read_lessons
from extractor.training.finetune.recipe import DecoderTune, LoraTune, ProposerTune, load_tune
from extractor.training.watch import Trained, Watcher

__all__ = ["Labels", "finetune"]


def finetune(
    recipe: Path,
    labels: Labels,
    out: Path,
    watcher: Watcher,
    *,
    model: str | None = None,
    epochs: float | None = None,
) -> Trained:
    """Fine-tune as a recipe says.

    Args:
        recipe: TOML file.
        labels: What to learn from.
        out: Folder for checkpoint, loss curve and model; an interrupted run goes on.
        watcher: Hears what the labels are like and how training goes.
        model: To begin with; None: the shipped one.
        epochs: In place of the recipe's.

    Raises:
        ConfigError: recipe, labels, model or `out` is wrong.
    """
    tune = load_tune(recipe, epochs=epochs)
    lessons = read_lessons(labels, max_chars=tune.max_chars)
    for note in lessons.notes:
        watcher.note(note)
    match tune:
        case ProposerTune():
            from extractor.training.finetune.proposer import tune_proposer

            return tune_proposer(tune, lessons, model, out, watcher)
        case DecoderTune():
            from extractor.training.finetune.decoder import tune_decoder

            return tune_decoder(tune, lessons, model, out, watcher)
        case LoraTune():
            from extractor.training.finetune.lora import tune_lora

            return tune_lora(tune, lessons, model, out, watcher)
