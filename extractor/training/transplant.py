"""A pretrained BERT-style encoder -> a causal language model that starts with what the encoder knows.

BERT's layers normalize after each block, as the first OPT models do: under a causal mask every matrix finds its place
in an `OPTForCausalLM`, which vLLM serves. What differs is made up for: OPT does not normalize its embeddings, so
the norm is folded into them; our tokens are cased pieces with spaces between them, so each starts as the mean of the
word pieces that spell it, and positions run half as fast. From here the answer loss falls ten times faster than
from scratch (eval/LOG.md). In: a folder with config.json, tokenizer.json, model.safetensors. Out: a model to train.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import OPTConfig, OPTForCausalLM, PreTrainedTokenizerFast

from extractor.training.loop import attention

# OPT's names of what BERT calls otherwise.
_MATCHING = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
# A word and the space before it are two of our tokens and one of BERT's positions.
_PACE = 0.5
# Tokens that differ in case alone, and those that no word piece spells, start so far apart (in standard deviations).
_CASE_NOISE, _NEW_NOISE = 0.15, 0.3


def transplant(
    encoder: Path, tokenizer: PreTrainedTokenizerFast, *, context: int, generator: torch.Generator
) -> OPTForCausalLM:
    """A causal model with the encoder's weights.

    Args:
        encoder: Folder of a BERT-style encoder.
        tokenizer: The new model's; its pieces are looked up in the encoder's vocabulary.
        context: Longest prompt and answer in tokens.
        generator: Of the noise that tells new tokens apart.
    """
    shape = json.loads((encoder / "config.json").read_text("utf-8"))
    source = {
        name.removeprefix("bert."): value.float()
        for name, value in load_file(encoder / "model.safetensors").items()
    }
    config = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape["hidden_size"],
        word_embed_proj_dim=shape["hidden_size"],
        ffn_dim=shape["intermediate_size"],
        num_hidden_layers=shape["num_hidden_layers"],
        num_attention_heads=shape["num_attention_heads"],
        activation_function=shape["hidden_act"],
        max_position_embeddings=context,
        do_layer_norm_before=False,
        dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config._attn_implementation = attention()
    model = OPTForCausalLM(config)
    decoder = model.model.decoder
    vectors = _Vectors(source)
    pieces = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    with torch.no_grad():
        decoder.embed_tokens.weight.copy_(_tokens(vectors.words, pieces, tokenizer, generator))
        # OPT keeps its first rows for padding.
        offset = decoder.embed_positions.weight.shape[0] - context
        decoder.embed_positions.weight[offset:].copy_(_stretched(vectors.positions, context))
        for number, layer in enumerate(decoder.layers):
            for ours, theirs in _MATCHING.items():
                part = layer.get_submodule(ours)
                part.weight.copy_(source[f"encoder.layer.{number}.{theirs}.weight"])
                part.bias.copy_(source[f"encoder.layer.{number}.{theirs}.bias"])
    return model


class _Vectors:
    """Word and position vectors with the norm that follows them folded in, so that their sum is about what it gives."""

    def __init__(self, source: dict[str, Tensor]) -> None:
        gain, bias = (source[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias"))
        positions = source["embeddings.position_embeddings.weight"]
        # The first one is the mark [CLS]'s.
        usual = positions[1:].mean(dim=0)
        sums = (
            source["embeddings.word_embeddings.weight"]
            + source["embeddings.token_type_embeddings.weight"][0]
            + usual
        )
        centered = sums - sums.mean(dim=1, keepdim=True)
        spread = centered.std(dim=1, keepdim=True, unbiased=False)
        self.words = gain * centered / spread + bias
        self.positions = gain * (positions - usual) / spread.median()


def _tokens(
    words: Tensor, pieces: Tokenizer, tokenizer: PreTrainedTokenizerFast, generator: torch.Generator
) -> Tensor:
    """[tokens, width]: for each token the mean of the word pieces that spell it."""
    spread, usual = words.std(dim=0), words.mean(dim=0)
    rows = []
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        noise = torch.randn(len(usual), generator=generator) * spread
        spelled = [] if token in tokenizer.all_special_ids else _spelled(text.lower().strip(), pieces)
        if spelled:
            rows.append(words[spelled].mean(dim=0) + (_CASE_NOISE * noise if text != text.lower() else 0.0))
        else:
            rows.append(usual + _NEW_NOISE * noise)
    return torch.stack(rows)


def _spelled(text: str, pieces: Tokenizer) -> list[int]:
    """Ids of the word pieces; of a part of a word, where it is a piece by itself, that one."""
    for known in (text, f"##{text}"):
        if (piece := pieces.token_to_id(known)) is not None:
            return [piece]
    unknown = pieces.token_to_id("[UNK]")
    return (
        [piece for piece in pieces.encode(text, add_special_tokens=False).ids if piece != unknown]
        if text
        else []
    )


def _stretched(positions: Tensor, size: int) -> Tensor:
    """[size, width]: positions at half the pace; behind the last one all are the last."""
    places = (torch.arange(size) * _PACE).clamp(max=len(positions) - 1.001)
    low = places.floor().long()
    share = (places - low)[:, None]
    return positions[low] * (1 - share) + positions[low + 1] * share
