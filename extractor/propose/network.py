"""The span proposer's network: a BERT-style encoder and, per attribute, a score for every span and for "absent".

A span's score under an attribute adds three dot products with the attribute's vector: of its first chunk, of its
last chunk, and of the chunks in it (a running sum, so that all spans cost no more than all chunks); one softmax
runs over "absent" and all spans. Attribute vectors are the mean over the name's tokens, after attention to the
listing. In: Batch. Out: log-probabilities. Loading and serving is propose/__init__.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from extractor.propose.encode import Encoded

# Longest span in chunks: 99.8 % of the values that people labelled are as short.
MAX_CHUNKS = 16
_FORBIDDEN = -1e4
# Endings of what a matrix is packed into.
_BYTES, _SCALE = ".int8", ".scale"
# Largest file of saved weights.
SHARD = "15MB"


@dataclass(frozen=True, slots=True)
class Batch:
    """Listings as tensors; L listings, T tokens, A attributes, C chunks, padded to the longest."""

    ids: Tensor  # [L, T] token ids
    types: Tensor  # [L, T] token types
    mask: Tensor  # [L, T] 1 where a token is
    names: Tensor  # [L, A, T] weights that average a name's tokens
    asked: Tensor  # [L, A] true where an attribute is
    firsts: Tensor  # [L, C] first token of each chunk
    lasts: Tensor  # [L, C] last token
    lines: Tensor  # [L, C + MAX_CHUNKS - 1] line of each chunk; -1 - n where there is none

    def to(self, device: str) -> Batch:
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


def collate(listings: Sequence[Encoded], *, pad: int = 0, grid: int = 16) -> Batch:
    """Pad to multiples of `grid` tokens and chunks: few shapes keep kernels cached."""
    size = len(listings)
    tokens = _up(max(len(e.ids) for e in listings), grid)
    chunks = _up(max(1, *(len(e.chunks) for e in listings)), grid)
    attributes = max(len(e.names) for e in listings)
    ids = torch.full((size, tokens), pad)
    types, mask = torch.zeros((size, tokens), dtype=torch.long), torch.zeros((size, tokens), dtype=torch.long)
    names, asked = torch.zeros((size, attributes, tokens)), torch.zeros((size, attributes), dtype=torch.bool)
    firsts, lasts = (
        torch.zeros((size, chunks), dtype=torch.long),
        torch.zeros((size, chunks), dtype=torch.long),
    )
    # Every padding chunk is a line of its own, so that no span holds one and another.
    lines = (-1 - torch.arange(chunks + MAX_CHUNKS - 1)).repeat(size, 1)
    for k, e in enumerate(listings):
        ids[k, : len(e.ids)] = torch.tensor(e.ids)
        types[k, : len(e.ids)] = torch.tensor(e.types)
        mask[k, : len(e.ids)] = 1
        asked[k, : len(e.names)] = True
        for a, (start, end) in enumerate(e.names):
            names[k, a, start:end] = 1 / (end - start)
        if e.chunks:
            firsts[k, : len(e.chunks)] = torch.tensor(e.firsts)
            lasts[k, : len(e.chunks)] = torch.tensor(e.lasts)
            lines[k, : len(e.chunks)] = torch.tensor(e.lines)
    return Batch(ids, types, mask, names, asked, firsts, lasts, lines)


def _up(number: int, grid: int) -> int:
    return -(-number // grid) * grid


class SpanProposer(nn.Module):
    """Encoder and the four heads."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.encoder = BertModel(config, add_pooling_layer=False)
        width = config.hidden_size
        self.start, self.end, self.inside = (nn.Linear(width, width) for _ in range(3))
        self.absent = nn.Linear(width, 1)
        # Prior of a span's length in chunks.
        self.length = nn.Parameter(torch.zeros(MAX_CHUNKS))
        self.scale: float = width**-0.5

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Weights as `save_folder` writes them, in 32 bits; heads that are not there stay as they start."""
        model = cls(BertConfig.from_pretrained(folder))
        files = sorted(folder.glob("*.safetensors"))
        weights = unpack({name: value for path in files for name, value in load_file(path).items()})
        missing, unknown = model.load_state_dict(weights, strict=False)
        wrong = [*unknown, *(name for name in missing if name.startswith("encoder."))]
        if wrong:
            raise ValueError(f"{folder}: weights do not fit: {', '.join(wrong[:3])}")
        return model

    def save_folder(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """config.json, and the weights as `pack` makes them small, in files of at most 15 MB."""
        self.encoder.config.save_pretrained(folder)
        save_torch_state_dict(pack(weights), folder, max_shard_size=SHARD)

    def forward(self, batch: Batch) -> Tensor:
        """Log-probabilities [L, A, 1 + C * MAX_CHUNKS]: "absent", then span (chunk c, n + 1 chunks) at
        1 + c * MAX_CHUNKS + n."""
        hidden = self.encoder(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.types
        ).last_hidden_state
        named = batch.names.to(hidden.dtype) @ hidden
        first, last = _take(hidden, batch.firsts), _take(hidden, batch.lasts)
        starts = self._dot(self.start(named), first)
        ends = self._dot(self.end(named), last)
        within = self._dot(self.inside(named), (first + last) / 2)
        spans = _spans(starts, ends, within) + self.length
        spans = spans.masked_fill(~_whole(batch.lines)[:, None], _FORBIDDEN)
        scores = torch.cat((self.absent(named).float(), spans.flatten(2)), dim=-1)
        return scores.log_softmax(-1)

    def _dot(self, attributes: Tensor, chunks: Tensor) -> Tensor:
        scores: Tensor = attributes @ chunks.transpose(1, 2)
        return scores.float() * self.scale


def pack(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One byte a number for matrices, with a scale for each row; bfloat16 for vectors, which are few."""
    packed: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2:
            packed[name] = value.to("cpu", torch.bfloat16).contiguous()
            continue
        matrix = value.to("cpu", torch.float32)
        scale = matrix.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        packed[name + _BYTES] = (matrix / scale).round().to(torch.int8)
        packed[name + _SCALE] = scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `pack` up to rounding; weights that were not packed stay as they are."""
    weights = {name: value for name, value in packed.items() if not name.endswith((_BYTES, _SCALE))}
    for name in packed:
        if name.endswith(_BYTES):
            matrix = name.removesuffix(_BYTES)
            weights[matrix] = packed[name].float() * packed[matrix + _SCALE]
    return weights


def _take(hidden: Tensor, places: Tensor) -> Tensor:
    """[L, T, H] at [L, C] -> [L, C, H]."""
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))


def _spans(starts: Tensor, ends: Tensor, within: Tensor) -> Tensor:
    """[L, A, C] each -> [L, A, C, MAX_CHUNKS]: start + end + all that is within."""
    padded = nn.functional.pad(ends, (0, MAX_CHUNKS - 1)).unfold(-1, MAX_CHUNKS, 1)
    sums = nn.functional.pad(within.cumsum(-1), (1, MAX_CHUNKS - 1))
    upto = sums[..., 1:].unfold(-1, MAX_CHUNKS, 1)
    return starts[..., None] + padded + upto - sums[..., : starts.shape[-1], None]


def _whole(lines: Tensor) -> Tensor:
    """[L, C, MAX_CHUNKS]: true where all chunks of the span are real and on one line."""
    windows = lines.unfold(-1, MAX_CHUNKS, 1)
    return (windows == windows[..., :1]) & (windows[..., :1] >= 0)
