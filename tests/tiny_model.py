"""Build a random Llama of about 100 k parameters with a byte-level BPE tokenizer, without any download.

In: an empty folder. Out: a model folder that vLLM and transformers load. It does not know the language: what
it answers is noise, so a test may assert that an answer is well formed, never what it says.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

# One thread is faster on so small a model, and tests share their machine; counts as the user's own setting.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CONTEXT_TOKENS = 512
_SPECIAL = ("<|pad|>", "<|end|>", "<|text|>", "<|json|>")
_CORPUS = ('{"brand":"Sony"}', "Sony 65 inch TV", "brand: Sony, size: 65 inch, color: black") * 20
_CHAT_TEMPLATE = (
    "{% for m in messages %}<|text|>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|json|>{% endif %}"
)


def build_tiny_model(folder: Path, *, chat: bool = True) -> Path:
    """Write config, weights and tokenizer into `folder`; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab_size = _write_tokenizer(folder, chat)
    _write_weights(folder, vocab_size)
    return folder


def _write_tokenizer(folder: Path, chat: bool) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|end|>")
    if chat:
        tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return int(bpe.get_vocab_size())


def _write_weights(folder: Path, vocab_size: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def write_prompts(folder: Path, prompts: dict[str, str]) -> None:
    """Write the `extractor.json` that names a model's own prompts."""
    (folder / "extractor.json").write_text(json.dumps({"prompts": prompts}))
