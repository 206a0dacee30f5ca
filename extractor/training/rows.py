"""Examples -> batches of token ids for our own language model, with where the loss is taken.

In: what draws an example, and a tokenizer. Out: for each step a batch of rows of about one length. Knows no network.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from extractor.prompt import embedded_attributes_prompt, embedded_route_prompt
from extractor.training.dataset import Example
from extractor.training.loop import alike, fitting
from extractor.training.masks import Marks, allowed
from extractor.training.tokenizer import END, marks_of

# Examples drawn per batch, to find some of one length; and the grid of lengths.
POOL, LENGTH_STEP = 64, 16
# The listing's own words are learned from so many positions a batch: each costs a softmax over the vocabulary.
TEXT_POSITIONS = 512

# A step's number and its random numbers -> an example.
Draw = Callable[[int, random.Random], Example]


@dataclass(frozen=True, slots=True)
class Row:
    """One example as token ids."""

    ids: list[int]
    # Where the listing's text and the answer start.
    text_start: int
    answer_start: int
    # For each token of the answer: ids that the grammar would allow; empty: all.
    allowed: list[tuple[int, ...]]


def encode(example: Example, tokenizer: PreTrainedTokenizerFast, marks: Marks) -> Row:
    """The prompt as the pipeline writes it, and the answer as the grammar spells it."""
    prompt = (
        embedded_route_prompt(example.options, example.text)
        if example.options
        else embedded_attributes_prompt(example.category, example.names, example.text)
    )
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(spelled(example.answer) + END, add_special_tokens=False)["input_ids"]
    return Row(head + tail, head.index(marks.text) + 1, len(head), allowed(head, tail, marks))


def spelled(answer: Any) -> str:
    """An object or an option as the grammar spells it."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


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


class Batches:
    """Step number -> Batch, from the seed alone."""

    def __init__(
        self, draw: Draw, tokenizer: PreTrainedTokenizerFast, *, seed: int, batch_tokens: int, max_tokens: int
    ) -> None:
        self._draw, self._tokenizer, self._marks = draw, tokenizer, marks_of(tokenizer)
        self._seed, self._batch_tokens, self._max_tokens = seed, batch_tokens, max_tokens

    def __call__(self, step: int) -> Batch:
        rng = random.Random(f"{self._seed}/{step}")
        drawn = [encode(self._draw(step, rng), self._tokenizer, self._marks) for _ in range(POOL)]
        pool = fitting(drawn, lambda row: len(row.ids), self._max_tokens)
        rows = alike(pool, lambda row: on_grid(len(row.ids)), self._batch_tokens, rng)
        return collate(rows, on_grid(len(rows[-1].ids)), self._tokenizer.pad_token_id, rng)


def on_grid(tokens: int) -> int:
    """Rounded up: few shapes keep kernels cached."""
    return -(-tokens // LENGTH_STEP) * LENGTH_STEP
