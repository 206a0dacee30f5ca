"""Recipe -> tokenizer and weights, resumable and deterministic given its seed.

In: a recipe (TOML) and the data folder. Out: a model folder that every engine loads (config.json, tokenizer,
safetensors shards of at most 15 MB, extractor.json) and `loss.jsonl`, the loss curve. A step's batch is a function
of the seed and the step's number alone, so that a resumed run sees what an undisturbed one would have seen.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy, pad
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from extractor.errors import ConfigError
from extractor.prompt import embedded_attributes_prompt, embedded_route_prompt
from extractor.split import held_out
from extractor.training.dataset import Example, Source, draw, load_source, read_lines
from extractor.training.masks import Marks, allowed
from extractor.training.recipe import Strict, read_recipe
from extractor.training.synthesize import Synthesizer

END, PAD = "<|end|>", "<|pad|>"
SPECIAL = (PAD, END, "<|category|>", "<|attrs|>", "<|options|>", "<|text|>", "<|json|>")
# Frequent JSON joints as one token each: every output token costs a decoding step.
JOINTS = ('{"', '":"', '","', '"}', "{}")
SHARD = "15MB"
# Examples drawn per batch, to find some of one length; and the grid of lengths (few shapes keep kernels cached).
POOL, LENGTH_STEP = 64, 16
# The listing's own words are learned from so many positions a batch: each costs a softmax over the vocabulary.
TEXT_POSITIONS = 512
# Answer positions are padded to a multiple, again for few shapes.
ANSWER_STEP = 256


class TokenizerRecipe(Strict):
    """Byte-level BPE; `corpus` names files whose titles (and a part of the descriptions) it is fitted on."""

    vocab_size: int
    corpus: list[str]


class ModelRecipe(Strict):
    """Llama shape; head size is hidden / heads."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    context: int = 4096


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
    model: ModelRecipe
    train: TrainRecipe
    sources: list[SourceRecipe]


def load_recipe(path: Path) -> Recipe:
    """Read a recipe strictly. Raises ConfigError naming the file and the key."""
    return read_recipe(path, Recipe)


# -- tokenizer ---------------------------------------------------------------------------------------------------


def fit_tokenizer(recipe: TokenizerRecipe, data: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which spaces, digits and punctuation stand alone.

    So a word has the same tokens at the start of a JSON value as in the middle of the title: copying it needs no
    second spelling to be learned.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d|\s|_|[^\w\s]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size - len(JOINTS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(corpus_lines(recipe.corpus, data), trainer)
    core.add_tokens([AddedToken(joint, normalized=False) for joint in JOINTS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def corpus_lines(files: Sequence[str], data: Path) -> Iterator[str]:
    for name in files:
        for row in read_lines(data / name):
            if held_out(row["id"]):  # some are measured on; which ones is the business of READERS
                continue
            yield f"{row['title']} {(row.get('description') or '')[:200]}"
            yield from (row.get("attributes") or {}).keys()


# -- batches -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One example as token ids."""

    ids: list[int]
    # Where the listing's text and the answer start.
    text_start: int
    answer_start: int
    # For each token of the answer: ids that the grammar would allow; empty: all.
    allowed: list[tuple[int, ...]]


def marks_of(tokenizer: PreTrainedTokenizerFast) -> Marks:
    """Vocabulary and structure under this tokenizer."""
    space, newline = (tokenizer(char, add_special_tokens=False)["input_ids"][0] for char in " \n")
    names, bar, text, brace, quote = tokenizer.convert_tokens_to_ids(["<|attrs|>", "|", "<|text|>", "{", '"'])
    opening, colon, comma, close, empty = tokenizer.convert_tokens_to_ids(list(JOINTS))
    return Marks(
        ids=tokenizer.get_vocab(),
        tokens=tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))),
        names=names,
        bar=bar,
        text=text,
        space=space,
        newline=newline,
        open=opening,
        colon=colon,
        comma=comma,
        close=close,
        empty=empty,
        brace=brace,
        quote=quote,
    )


def encode(example: Example, tokenizer: PreTrainedTokenizerFast, marks: Marks) -> Row:
    """The prompt as the pipeline writes it, and the answer as the grammar spells it."""
    prompt = (
        embedded_route_prompt(example.options, example.text)
        if example.options
        else embedded_attributes_prompt(example.category, example.names, example.text)
    )
    answer = json.dumps(example.answer, ensure_ascii=False, separators=(",", ":")) + END
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return Row(head + tail, head.index(marks.text) + 1, len(head), allowed(head, tail, marks))


class Batches:
    """Step number -> Batch, from the seed alone."""

    def __init__(self, recipe: Recipe, data: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        self.recipe, self.tokenizer, self.marks = recipe, tokenizer, marks_of(tokenizer)
        self.sources: list[Source | Synthesizer] = [
            Synthesizer.shipped()
            if s.kind == "synthetic"
            else load_source(s.kind, data / s.path, max_chars=s.max_chars)
            for s in recipe.sources
        ]

    def weights(self, step: int) -> list[float]:
        done = step / max(1, self.recipe.train.steps)
        return [s.weight + (s.final_weight - s.weight) * done for s in self.recipe.sources]

    def example(self, step: int, rng: random.Random) -> Example:
        k = rng.choices(range(len(self.sources)), self.weights(step))[0]
        source = self.sources[k]
        if isinstance(source, Synthesizer):
            return source.draw(rng)
        return draw(source, rng, swap=self.recipe.sources[k].swap)

    def __call__(self, step: int) -> Batch:
        """Rows of about one length: a pool is drawn and sorted, and a random window of it is the batch."""
        train = self.recipe.train
        rng = random.Random(f"{train.seed}/{step}")
        pool = [encode(self.example(step, rng), self.tokenizer, self.marks) for _ in range(POOL)]
        pool = sorted((row for row in pool if len(row.ids) <= train.max_tokens), key=lambda row: len(row.ids))
        longest = rng.randrange(len(pool))
        length = -(-len(pool[longest].ids) // LENGTH_STEP) * LENGTH_STEP
        rows = pool[max(0, longest + 1 - train.batch_tokens // length) : longest + 1]
        return collate(rows, length, self.tokenizer.pad_token_id, rng)


@dataclass(frozen=True, slots=True)
class Batch:
    """Tokens and where the loss is taken; positions count in the flattened rows, shifted by one: the token that
    stands at a position is predicted from those before it."""

    # [rows, length], right-padded: under a causal mask padding is never seen, so no attention mask is needed.
    tokens: torch.Tensor
    # Flat positions in tokens[:, 1:] of the listing's words, and of the answer's tokens.
    text: torch.Tensor
    answer: torch.Tensor
    # (answer position number, token id) pairs that are allowed; a position without a pair allows all.
    pairs: torch.Tensor

    def to(self, device: str) -> Batch:
        return Batch(*(part.to(device) for part in (self.tokens, self.text, self.answer, self.pairs)))


def collate(rows: Sequence[Row], length: int, pad: int, rng: random.Random) -> Batch:
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    text: list[int] = []
    answer: list[int] = []
    pairs: list[tuple[int, int]] = []
    for k, row in enumerate(rows):
        tokens[k, : len(row.ids)] = torch.tensor(row.ids)
        first = k * (length - 1) - 1
        text += range(first + row.text_start, first + row.answer_start)
        pairs += [(len(answer) + i, token) for i, step in enumerate(row.allowed) for token in step]
        answer += range(first + row.answer_start, first + len(row.ids))
    text = rng.sample(text, min(TEXT_POSITIONS, len(text)))
    positions = (torch.tensor(numbers, dtype=torch.long) for numbers in (text, answer, pairs))
    return Batch(tokens, next(positions), next(positions), next(positions).reshape(-1, 2))


# -- training ----------------------------------------------------------------------------------------------------


def new_model(recipe: ModelRecipe, vocab_size: int, end: int, pad: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return LlamaForCausalLM(config)


def loss_of(model: LlamaForCausalLM, batch: Batch, text_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss to train on, and the part of it that the answers have: mean nats per token among the allowed ones."""
    hidden = model.model(input_ids=batch.tokens[:, :-1], use_cache=False).last_hidden_state.flatten(0, 1)
    target = batch.tokens[:, 1:].flatten()
    padding = -len(batch.answer) % ANSWER_STEP
    logits = model.lm_head(pad(hidden[batch.answer], (0, 0, 0, padding)))[: len(batch.answer)].float()
    allowed = torch.zeros_like(logits, dtype=torch.bool)
    allowed[batch.pairs[:, 0], batch.pairs[:, 1]] = True
    allowed |= ~allowed.any(dim=1, keepdim=True)
    answer = cross_entropy(logits.masked_fill(~allowed, -torch.inf), target[batch.answer])
    if not text_weight:
        return answer, answer
    text = cross_entropy(model.lm_head(hidden[batch.text]).float(), target[batch.text])
    return answer + text_weight * text, answer


def rate(step: int, train: TrainRecipe) -> float:
    """Linear warm-up, then cosine to a twentieth."""
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    done = (step - train.warmup_steps) / max(1, train.steps - train.warmup_steps)
    return train.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def new_optimizer(model: LlamaForCausalLM, train: TrainRecipe) -> torch.optim.AdamW:
    """AdamW; norms are not decayed."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": train.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=train.learning_rate, betas=(0.9, 0.98))


def fit(recipe: Recipe, data: Path, out: Path, *, report: Callable[[dict[str, Any]], None]) -> Path:
    """Train to the last step, from the checkpoint in `out` where there is one; returns the model folder.

    `report` gets {"step", "steps", "loss", "answer_loss", "tokens_per_s"} every `log_every` steps.
    """
    out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.train.seed)
    tokenizer = load_or_fit_tokenizer(recipe, data, out)
    ids = tokenizer.convert_tokens_to_ids
    model = new_model(recipe.model, len(tokenizer), ids(END), ids(PAD)).to(device)
    optimizer = new_optimizer(model, recipe.train)
    start = resume(out / "checkpoint.pt", recipe, model, optimizer, device)
    batches = Batches(recipe, data, tokenizer)
    model.train()
    steps = range(start, recipe.train.steps)
    clock, seen = time.monotonic(), 0
    for step, batch in zip(steps, prepared(batches, steps), strict=True):
        loss, answer_loss = take_step(model, optimizer, batch.to(device), step, recipe.train)
        seen += batch.tokens.numel()
        if (step + 1) % recipe.train.log_every == 0:
            line = {"step": step + 1, "steps": recipe.train.steps, "loss": loss, "answer_loss": answer_loss}
            line["tokens_per_s"] = round(seen / (time.monotonic() - clock))
            with (out / "loss.jsonl").open("a") as curve:
                curve.write(json.dumps(line) + "\n")
            report(line)
            clock, seen = time.monotonic(), 0
        if (step + 1) % recipe.train.checkpoint_every == 0:
            checkpoint(out / "checkpoint.pt", recipe, model, optimizer, step + 1)
    return save(model, tokenizer, out / "model")


def prepared(batches: Callable[[int], Batch], steps: Iterable[int]) -> Iterator[Batch]:
    """The batches of the steps; the next one is made in a thread while this one is learned from."""
    with ThreadPoolExecutor(1) as thread:
        coming: Future[Batch] | None = None
        for step in steps:
            current, coming = coming, thread.submit(batches, step)
            if current:
                yield current.result()
        if coming:
            yield coming.result()


def take_step(
    model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, batch: Batch, step: int, train: TrainRecipe
) -> tuple[float, float]:
    """One optimizer step; returns the loss and the answer's part of it, rounded to 4 places."""
    for group in optimizer.param_groups:
        group["lr"] = rate(step, train)
    with torch.autocast(batch.tokens.device.type, dtype=torch.bfloat16):
        loss, answer_loss = loss_of(model, batch, train.text_loss * (1 - step / train.steps))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return round(loss.item(), 4), round(answer_loss.item(), 4)


def load_or_fit_tokenizer(recipe: Recipe, data: Path, out: Path) -> PreTrainedTokenizerFast:
    folder = out / "tokenizer"
    if not folder.exists():
        fit_tokenizer(recipe.tokenizer, data).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def checkpoint(
    path: Path, recipe: Recipe, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Written beside and moved, so that a kill leaves the old one whole."""
    state = {"recipe": recipe.model_dump_json(), "step": step}
    state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    fresh = path.with_suffix(".tmp")
    torch.save(state, fresh)
    fresh.replace(path)


def resume(
    path: Path, recipe: Recipe, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, device: str
) -> int:
    """Load the checkpoint where there is one; returns the next step. Another recipe's is a ConfigError."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    if state["recipe"] != recipe.model_dump_json():
        raise ConfigError(f"{path}: made with another recipe; choose another --out or remove it")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    """The folder that engines load: bfloat16, small shards, and the prompts that the model was trained on."""
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=SHARD)
    tokenizer.save_pretrained(folder)
    prompts = {task: f"{task}@embedded-v1" for task in ("attributes", "route", "repair")}
    (folder / "extractor.json").write_text(json.dumps({"prompts": prompts}, indent=2) + "\n")
    return folder
