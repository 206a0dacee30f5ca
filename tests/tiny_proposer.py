"""Build a random span proposer of about 100 k parameters, without any download; what it proposes is noise."""

from __future__ import annotations

import json
from pathlib import Path

_WORDS = "acme bolt red blue shoe trail runner brand color size name 8 m us , . - ( ) a b c d e f g h".split()


def build_tiny_encoder(folder: Path, *, prefix: str = "") -> Path:
    """Write config, weights and tokenizer of a pretrained BERT-style encoder, the same bytes every time."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    vocabulary = dict.fromkeys([*marks, *_WORDS, *(letter[2:] for letter in letters), *letters])
    tokenizer = Tokenizer(
        models.WordPiece({piece: n for n, piece in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    weights = BertModel(config, add_pooling_layer=False).state_dict()
    save_file(
        {prefix + name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors"
    )
    return folder


def build_tiny_proposer(folder: Path) -> Path:
    """Write a proposer that `open_proposer` loads."""
    from extractor.training.prune import prune

    prune(build_tiny_encoder(folder / "pretrained"), folder, ["Acme Trail Shoe, Red"], 1000)
    return folder
