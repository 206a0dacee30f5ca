"""A pretrained encoder as the beginning of a causal language model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from extractor.training.transplant import transplant

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "shoe", "##lace", "lace"]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A small BERT with random weights, saved as all-MiniLM-L6-v2 is."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        initializer_range=0.5,
    )
    model = BertModel(config, add_pooling_layer=False)
    config.save_pretrained(tmp_path)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    words = Tokenizer(models.WordPiece(dict(zip(PIECES, range(8), strict=True)), unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    tokens = ["<|pad|>", "<|end|>", "red", "Red", "shoelace", "lace", " "]
    core = Tokenizer(models.WordLevel(dict(zip(tokens, range(7), strict=True)), unk_token="<|pad|>"))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>")


def test_a_word_means_to_both_about_the_same(encoder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """With one token a causal mask hides nothing; what differs is the norm that was folded in."""
    model = transplant(encoder, tokenizer, context=64, generator=torch.Generator().manual_seed(1)).eval()
    bert = BertModel.from_pretrained(encoder, add_pooling_layer=False).eval()
    with torch.no_grad():
        ours = model.model(input_ids=torch.tensor([[2]])).last_hidden_state[0, 0]
        theirs = bert(input_ids=torch.tensor([[PIECES.index("red")]])).last_hidden_state[0, 0]
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.95


def test_tokens_begin_as_the_pieces_that_spell_them(
    encoder: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = transplant(encoder, tokenizer, context=64, generator=torch.Generator().manual_seed(1))
    tokens = {token: model.get_input_embeddings().weight[id_] for token, id_ in tokenizer.get_vocab().items()}
    near = torch.cosine_similarity(tokens["red"], tokens["Red"], dim=0)
    assert not tokens["red"].equal(tokens["Red"])
    assert near > torch.cosine_similarity(tokens["red"], tokens["lace"], dim=0)
    pieces = load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert pieces.shape[1] == tokens["shoelace"].shape[0]
    assert torch.cosine_similarity(tokens["shoelace"], tokens["red"], dim=0) < near


def test_prompts_may_be_longer_than_what_the_encoder_read(
    encoder: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = transplant(encoder, tokenizer, context=64, generator=torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.randint(2, 7, (1, 64))).logits
    assert logits.shape == (1, 64, 7)
    assert logits.isfinite().all()
