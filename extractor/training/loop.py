"""The loop that trains all models: batches made ahead, a loss curve, checkpoints, and going on where it stopped.

In: a `Learner` and a folder. Out, in the folder: `recipe.json`, what is trained, so that anything else leaves the
folder alone; `loss.jsonl`, the loss curve; `checkpoint.pt`. A batch is a function of the seed and the step's number
alone, so that a resumed run sees what an undisturbed one would have seen. Knows no model and no data.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from extractor.errors import ConfigError
from extractor.journal import replacing
from extractor.journal.files import write_json

RECIPE, CURVE, CHECKPOINT = "recipe.json", "loss.jsonl", "checkpoint.pt"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Learned:
    """What one step came to."""

    # Name -> mean nats; "loss" is the one that was minimized.
    losses: Mapping[str, float]
    # Of the batch, padding included.
    tokens: int


class Learner(Protocol[T]):
    """A model and what it learns from."""

    def batch(self, step: int) -> T:
        """The batch of a step, counted from 0; called in another thread than `learn`."""

    def learn(self, batch: T, step: int) -> Learned:
        """One step of the optimizer."""

    def state(self) -> dict[str, Any]:
        """All that going on needs and neither recipe nor data say; tensors and plain values."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long, and how often something is written down, in steps."""

    steps: int
    checkpoint_every: int
    log_every: int


def device() -> str:
    """Where models are trained."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def attention() -> str:
    """Implementation of attention to train with: sdpa costs a fifth more on a CPU (0.473 against 0.398 s a step)."""
    return "sdpa" if torch.cuda.is_available() else "eager"


def begin(out: Path, identity: Mapping[str, Any]) -> None:
    """Take a folder for a training run; one that this very run has taken before is left as it is.

    Args:
        out: Made when missing.
        identity: All that shapes the result, as JSON can say it.

    Raises:
        ConfigError: the folder holds another run or something else, or cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / RECIPE).is_file():
            _compare(json.loads((out / RECIPE).read_text("utf-8")), json.loads(json.dumps(identity)), out)
        elif any(out.iterdir()):
            raise ConfigError(f"{out}: holds something that is no training run; choose another --out")
        else:
            write_json(out / RECIPE, identity)
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror or error}; choose another --out") from None
    except ValueError:
        raise ConfigError(f"{out / RECIPE}: is damaged; choose another --out or remove the folder") from None


def _compare(found: Any, identity: Mapping[str, Any], out: Path) -> None:
    if found != identity:
        differs = [
            name for name in identity if not isinstance(found, dict) or found.get(name) != identity[name]
        ]
        raise ConfigError(
            f"{out}: holds a training run with a different {', '.join(differs) or 'recipe'};"
            " choose another --out or remove the folder"
        )


def train(learner: Learner[T], out: Path, pace: Pace, report: Callable[[Mapping[str, Any]], None]) -> None:
    """Take the steps that are left, from the checkpoint in `out` where there is one.

    Args:
        learner: Stands as it does before the first step.
        out: A folder that `begin` took.
        pace: Of the run.
        report: Gets `{"step", "steps", losses, "tokens_per_s"}` every `log_every` steps and at the end.
    """
    steps = range(_resume(out, learner), pace.steps)
    meter = _Meter()
    for step, batch in zip(steps, prepared(learner.batch, steps), strict=True):
        meter.add(learner.learn(batch, step))
        done = step + 1
        if done % pace.log_every == 0 or done == pace.steps:
            row = {"step": done, "steps": pace.steps, **meter.read()}
            with (out / CURVE).open("a", encoding="utf-8") as curve:
                curve.write(json.dumps(row) + "\n")
            report(row)
        if done % pace.checkpoint_every == 0 or done == pace.steps:
            _save(out, learner, done)


def prepared(batches: Callable[[int], T], steps: Iterable[int]) -> Iterator[T]:
    """The batches of the steps; the next one is made in a thread while this one is learned from."""
    with ThreadPoolExecutor(1) as thread:
        coming: Future[T] | None = None
        for step in steps:
            current, coming = coming, thread.submit(batches, step)
            if current:
                yield current.result()
        if coming:
            yield coming.result()


def fitting(rows: Sequence[T], length: Callable[[T], int], max_tokens: int) -> list[T]:
    """Those that are not too long; the shortest when all are."""
    return [row for row in rows if length(row) <= max_tokens] or [min(rows, key=length)]


def alike(pool: Sequence[T], length: Callable[[T], int], batch_tokens: int, rng: random.Random) -> list[T]:
    """Rows of about one length, which waste little on padding: a random window of the sorted pool.

    Args:
        pool: One row at least.
        length: Of a row, in tokens.
        batch_tokens: Of all rows together when they are padded to the longest; one row may have more.
        rng: Chooses the window.
    """
    by_length = sorted(pool, key=length)
    longest = rng.randrange(len(by_length))
    size = max(1, batch_tokens // length(by_length[longest]))
    return by_length[max(0, longest + 1 - size) : longest + 1]


def linear(step: int, steps: int, warmup_steps: int) -> float:
    """Share of the full rate: linear warm-up, then linear decay to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return max(0.0, (steps - step) / max(1, steps - warmup_steps))


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step of the optimizer; gradients are cut to a norm of 1."""
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()


class _Meter:
    """Means since the last reading."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._losses: dict[str, list[float]] = defaultdict(list)
        self._tokens, self._started = 0, time.perf_counter()

    def add(self, learned: Learned) -> None:
        for name, loss in learned.losses.items():
            self._losses[name].append(loss)
        self._tokens += learned.tokens

    def read(self) -> dict[str, float]:
        means: dict[str, float] = {
            name: round(sum(losses) / len(losses), 4) for name, losses in self._losses.items()
        }
        speed = round(self._tokens / (time.perf_counter() - self._started))
        self._clear()
        return {**means, "tokens_per_s": speed}


def _save(out: Path, learner: Learner[Any], step: int) -> None:
    """In place of the last checkpoint when it is complete, so that a kill leaves that one whole."""
    with replacing(out / CHECKPOINT) as file:
        torch.save({"step": step, "random": torch.get_rng_state(), "learner": learner.state()}, file)


def _resume(out: Path, learner: Learner[Any]) -> int:
    """The step to go on with; what the curve says of later ones, which a kill undid, is dropped."""
    path = out / CHECKPOINT
    state = torch.load(path, map_location=device(), weights_only=True) if path.is_file() else None
    step = int(state["step"]) if state else 0
    if state:
        learner.load_state(state["learner"])
        torch.set_rng_state(state["random"].cpu())
    if (curve := out / CURVE).is_file():
        rows = curve.read_text("utf-8").splitlines(keepends=True)
        with replacing(curve) as file:
            file.writelines(
                row.encode() for row in rows if row.endswith("\n") and json.loads(row)["step"] <= step
            )
    return step
