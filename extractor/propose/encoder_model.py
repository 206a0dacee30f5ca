"""The span proposer over a fine-tuned encoder, in this process.

Listings of about one length go through the network together; a text too long for it goes in windows that
overlap by half, and for each attribute the window that is surest of a value is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from extractor.calibrate import read_calibration
from extractor.datafile import hash_folder
from extractor.errors import ConfigError
from extractor.propose import Ask
from extractor.propose.encode import Encoded, Encoder
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
        windows = [
            (number, window)
            for number, ask in enumerate(asks)
            if ask.attributes
            for window in self._encoder.windows(
                ask.attributes, ask.category, ask.text, max_tokens=self._max_tokens
            )
        ]
        windows.sort(key=lambda numbered: len(numbered[1].ids))
        found: list[list[dict[str, Proposal]]] = [[] for _ in asks]
        for batch in _batches(windows):
            scored = self._score([window for _, window in batch])
            for (number, window), (absent, columns, chances) in zip(batch, scored, strict=True):
                found[number].append(_proposals(asks[number].attributes, window, absent, columns, chances))
        return [_merge(parts) for parts in found]

    @torch.inference_mode()
    def _score(self, windows: Sequence[Encoded]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Per window: P(absent) [A], and of the best spans the columns and probabilities [A, KEPT]."""
        scores = self._network(collate(windows).to(self._device))
        chances, columns = scores[..., 1:].topk(KEPT, dim=-1)
        return zip(scores[..., 0].exp().cpu(), columns.cpu(), chances.exp().cpu(), strict=True)


def _batches(windows: Sequence[tuple[int, Encoded]]) -> Iterator[Sequence[tuple[int, Encoded]]]:
    """Neighbors in length; at most BATCH_TOKENS with padding, as the sizes are those of the longest."""
    end = len(windows)
    while end:
        start = max(0, end - max(1, BATCH_TOKENS // len(windows[end - 1][1].ids)))
        yield windows[start:end]
        end = start


def _proposals(
    attributes: Sequence[str], window: Encoded, absent: Tensor, columns: Tensor, chances: Tensor
) -> dict[str, Proposal]:
    proposals = {}
    for attribute, none, places, shares in zip(
        attributes, absent.tolist(), columns.tolist(), chances.tolist(), strict=False
    ):
        spans = []
        for place, share in zip(places, shares, strict=True):
            first, more = divmod(place, MAX_CHUNKS)
            if share >= _LEAST and first + more < len(window.chunks):
                spans.append(ScoredSpan(Span(*window.span_at(first, first + more)), share))
        proposals[attribute] = Proposal(none, tuple(spans))
    return proposals


def _merge(windows: Sequence[dict[str, Proposal]]) -> dict[str, Proposal]:
    """One proposal per attribute: the window that is surest of a value is believed."""
    if len(windows) < 2:
        return windows[0] if windows else {}
    return {
        attribute: min((window[attribute] for window in windows), key=lambda proposal: proposal.absent)
        for attribute in windows[0]
    }
