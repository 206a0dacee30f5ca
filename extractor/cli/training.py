"""`extractor train`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extractor.cli.output import SECONDS_BETWEEN_LINES, console, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from extractor.training import Trained, Watcher


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="proposer, decoder or lora: fine-tune it on --gold or --teacher; or a recipe file."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for checkpoint, loss curve and model; an earlier run goes on.")
    ],
    gold: Annotated[
        list[Path] | None, typer.Option(help="Your labels, gold lines as JSONL or .jsonl.gz; repeatable.")
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Run folder of a bigger model, whose values are labels; repeatable."),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(help="Of a teacher, values of less confidence are no labels.")
    ] = 0.8,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder to begin with, for lora also a Hugging Face id; default: the shipped model."
        ),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Times that each listing is seen; default: the recipe's.")
    ] = None,
    data: Annotated[
        Path, typer.Option(envvar="EXTRACTOR_DATA", help="Data folder of a recipe that trains from scratch.")
    ] = Path("../shared/data"),
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")
    ] = False,
) -> None:
    """Fine-tune a model on your own labels, or train one from scratch; on the GPU where there is one."""
    from extractor.errors import ConfigError

    labelled = bool(gold or teacher)
    started = time.perf_counter()
    try:
        from extractor.training import train_from_scratch
        from extractor.training.finetune import Labels, finetune
        from extractor.training.finetune.recipe import is_tune, recipe_path

        _quiet()
        path = recipe_path(recipe)
        with _watching() as watcher:
            if is_tune(path):
                labels = Labels(tuple(gold or ()), tuple(teacher or ()), min_confidence)
                trained = finetune(path, labels, out, watcher, model=model, epochs=epochs)
            elif labelled or model or epochs:
                raise ConfigError(
                    f"{path}: trains from scratch on the data that it names, and takes no --gold, --teacher, --model"
                    " or --epochs; to fine-tune take proposer, decoder or lora"
                )
            else:
                trained = train_from_scratch(path, data, out, watcher)
    except ImportError as error:
        raise ConfigError(
            f"train: {error}; install it with: pip install 'product-graph-extractor[train]'"
        ) from error
    _tell(trained)
    if json:
        print_json(_result(trained, time.perf_counter() - started))


def _quiet() -> None:
    """There is one bar, ours."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()


def _tell(trained: Trained) -> None:
    stderr = console()
    for name, after in trained.after.items():
        stderr.print(f"held-out {name}: {trained.before[name]:g} -> {after:g}")
    stderr.print(f"{trained.folder}: try it with {trained.option}", markup=False, soft_wrap=True)


def _result(trained: Trained, seconds: float) -> dict[str, Any]:
    scores = {"before": trained.before, "after": trained.after}
    return {"model": str(trained.folder), "option": trained.option, **scores, "seconds": round(seconds, 1)}


@contextmanager
def _watching() -> Iterator[Watcher]:
    """A bar with ETA and losses; a line now and then where stderr is no terminal."""
    stderr = console()
    if not stderr.is_terminal:
        yield _Lines(stderr)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=stderr) as bar:
        yield _Bar(bar)


class _Lines:
    """A `Watcher` that prints."""

    def __init__(self, stderr: Console) -> None:
        self._stderr, self._told = stderr, time.monotonic()

    def note(self, line: str) -> None:
        self._stderr.print(line, markup=False, soft_wrap=True)

    def progress(self, row: Mapping[str, Any]) -> None:
        last = row["step"] == row["steps"]
        if last or time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self.note(f"step {row['step']:,} of {row['steps']:,}: {_losses(row)}")


class _Bar:
    """A `Watcher` that moves a bar."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._task = bar, bar.add_task("reading data", total=None)

    def note(self, line: str) -> None:
        self._bar.console.print(line, markup=False, soft_wrap=True)

    def progress(self, row: Mapping[str, Any]) -> None:
        self._bar.update(self._task, total=row["steps"], completed=row["step"], description=_losses(row))


def _losses(row: Mapping[str, Any]) -> str:
    losses = "  ".join(f"{name.replace('_', ' ')} {row[name]:.3f}" for name in row if "loss" in name)
    return f"{losses}  {row['tokens_per_s']:,} tokens/s"
