"""The span proposer over a fine-tuned encoder, in this process.

Listings of about one length go through the network together; a text too long for it goes in windows that
overlap by half, and for each attribute the window that is surest of a value is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from extractor.calibrate import read_calibration
from extractor.datafile import hash_folder
from extractor.errors import ConfigError
from extractor.propose import Ask
from extractor.propose.encode import MAX_NAME_TOKENS, Encoded, Encoder
from extractor.propose.network import MAX_CHUNKS, SpanProposer, collate
from extractor.records import Proposal, ScoredSpan, Span

# Spans kept per attribute.
KEPT = 8
# Tokens of a batch, padding included: more are slower, the activations leave the cache.
BATCH_TOKENS = 4096
_LEAST = 1e-3


class EncoderProposer:
    """A `Proposer`."""

    def __init__(self, folder: Path) -> None:
        try:
            network = SpanProposer.from_folder(folder)
            self._encoder = Encoder(folder / "tokenizer.json")
        except Exception as error:  # whatever safetensors, tokenizers and transformers raise on broken files
            raise ConfigError(f"{folder}: no proposer can be loaded ({error}); fetch it again") from error
        self.id = folder.resolve().name
        self.hash = hash_folder(folder)
        self.source = str(folder)
        self.calibration = read_calibration(folder)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = network.to(self._device, torch.bfloat16).eval()
        self._max_tokens: int = network.encoder.config.max_position_embeddings

    def propose(self, asks: Sequence[Ask]) -> list[dict[str, Proposal]]:
        """See `Proposer`. A listing without attributes has no proposals."""
        windows = [_Window(*made) for number, ask in enumerate(asks) for made in self._windows(number, ask)]
        windows.sort(key=lambda window: len(window.encoded.ids))
        found: list[list[dict[str, Proposal]]] = [[] for _ in asks]
        for batch in _batches(windows):
            scored = self._score([window.encoded for window in batch])
            for window, (absent, columns, chances) in zip(batch, scored, strict=True):
                found[window.listing].append(_proposals(window, absent, columns, chances))
        return [_merge(ask.attributes, parts) for ask, parts in zip(asks, found, strict=True)]

    def _windows(self, number: int, ask: Ask) -> Iterator[tuple[int, list[str], Encoded]]:
        """The names may take half of the room; of a schema with more, some at a time are asked for."""
        for names in self._encoder.groups(ask.attributes, self._max_tokens // 2 - 2 * MAX_NAME_TOKENS):
            for window in self._encoder.windows(names, ask.category, ask.text, max_tokens=self._max_tokens):
                yield number, names, window

    @torch.inference_mode()
    def _score(self, windows: Sequence[Encoded]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Per window: P(absent) [A], and of the best spans the columns and probabilities [A, KEPT]."""
        scores = self._network(collate(windows).to(self._device))
        chances, columns = scores[..., 1:].topk(KEPT, dim=-1)
        return zip(scores[..., 0].exp().cpu(), columns.cpu(), chances.exp().cpu(), strict=True)


class _Window(NamedTuple):
    listing: int
    names: list[str]
    encoded: Encoded


def _batches(windows: Sequence[_Window]) -> Iterator[Sequence[_Window]]:
    """Neighbors in length; at most BATCH_TOKENS with padding, as the sizes are those of the longest."""
    end = len(windows)
    while end:
        start = max(0, end - max(1, BATCH_TOKENS // len(windows[end - 1].encoded.ids)))
        yield windows[start:end]
        end = start


def _proposals(window: _Window, absent: Tensor, columns: Tensor, chances: Tensor) -> dict[str, Proposal]:
    proposals = {}
    for attribute, none, places, shares in zip(
        window.names, absent.tolist(), columns.tolist(), chances.tolist(), strict=False
    ):
        spans = []
        for place, share in zip(places, shares, strict=True):
            first, more = divmod(place, MAX_CHUNKS)
            if share >= _LEAST and first + more < len(window.encoded.chunks):
                spans.append(ScoredSpan(Span(*window.encoded.span_at(first, first + more)), share))
        proposals[attribute] = Proposal(none, tuple(spans))
    return proposals


def _merge(attributes: Sequence[str], parts: Sequence[dict[str, Proposal]]) -> dict[str, Proposal]:
    """One proposal per attribute: the window that is surest of a value is believed."""
    if len(parts) == 1:
        return parts[0]
    return {
        name: min((part[name] for part in parts if name in part), key=lambda proposal: proposal.absent)
        for name in attributes
    }
