"""Questions -> batches for the span proposer's network, with where the accepted answers are, and the loss.

In: what draws a question, and the encoder. Out: for each step a batch of listings of about one length. The
loss of a cell is minus the log of the probability of all its accepted spans, or of "absent".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from extractor.propose.encode import Encoded, Encoder
from extractor.propose.network import MAX_CHUNKS, Batch, collate
from extractor.training.loop import alike
from extractor.training.questions import Question

# Listings drawn per batch, to find some of one length.
POOL = 96


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

    def to(self, device: str) -> Target:
        return Target(self.answers.to(device), self.judged.to(device))


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

    def __init__(
        self,
        draw: Callable[[random.Random], Question],
        encoder: Encoder,
        *,
        seed: int,
        batch_tokens: int,
        max_tokens: int,
    ) -> None:
        self._draw, self._encoder = draw, encoder
        self._seed, self._batch_tokens, self._max_tokens = seed, batch_tokens, max_tokens

    def __call__(self, step: int) -> tuple[Batch, Target]:
        rng = random.Random(f"{self._seed}/{step}")
        drawn = (self._draw(rng) for _ in range(POOL))
        pool = [encode_question(q, self._encoder, self._max_tokens) for q in drawn if q.answers]
        return join(alike(pool, lambda row: len(row[0].ids), self._batch_tokens, rng))


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
