"""A corpus -> the tokenizer of our own language model, and the ids that structure its prompts and answers.

In: files of records. Out: byte-level BPE in which words are spelled alike wherever they stand. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from extractor.split import held_out
from extractor.training.dataset import read_lines
from extractor.training.masks import Marks
from extractor.training.recipe import Strict

END, PAD = "<|end|>", "<|pad|>"
SPECIAL = (PAD, END, "<|category|>", "<|attrs|>", "<|options|>", "<|text|>", "<|json|>")
# Frequent JSON joints as one token each: every output token costs a decoding step.
JOINTS = ('{"', '":"', '","', '"}', "{}")


class TokenizerRecipe(Strict):
    """Byte-level BPE; `corpus` names files whose titles (and a part of the descriptions) it is fitted on."""

    vocab_size: int
    corpus: list[str]


def fit_tokenizer(recipe: TokenizerRecipe, data: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which spaces, digits and punctuation stand alone.

    So a word has the same tokens at the start of a JSON value as in the middle of the title: copying it needs no
    second spelling to be learned.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d|\s|_|[^\w\s]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size - len(JOINTS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(corpus_lines(recipe.corpus, data), trainer)
    core.add_tokens([AddedToken(joint, normalized=False) for joint in JOINTS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def corpus_lines(files: Sequence[str], data: Path) -> Iterator[str]:
    for name in files:
        for row in read_lines(data / name):
            if held_out(row["id"]):  # measured on
                continue
            yield f"{row['title']} {(row.get('description') or '')[:200]}"
            yield from (row.get("attributes") or {}).keys()


def marks_of(tokenizer: PreTrainedTokenizerFast) -> Marks:
    """Vocabulary and structure under this tokenizer."""
    space, newline = (tokenizer(char, add_special_tokens=False)["input_ids"][0] for char in " \n")
    names, bar, text, brace, quote = tokenizer.convert_tokens_to_ids(["<|attrs|>", "|", "<|text|>", "{", '"'])
    opening, colon, comma, close, empty = tokenizer.convert_tokens_to_ids(list(JOINTS))
    return Marks(
        ids=tokenizer.get_vocab(),
        tokens=tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))),
        names=names,
        bar=bar,
        text=text,
        space=space,
        newline=newline,
        open=opening,
        colon=colon,
        comma=comma,
        close=close,
        empty=empty,
        brace=brace,
        quote=quote,
    )
