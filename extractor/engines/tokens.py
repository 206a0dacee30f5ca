"""What the engines share: prompts to token ids, token pieces to TokenLogprobs, failures to Completions.

Pure functions; the tokenizer is any Hugging Face one and is handed in.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from extractor.errors import ConfigError
from extractor.records import Completion, Message, TokenLogprob

# How far a piece may be from where those before it ended: what a tokenizer cannot show as text is lost.
_MAX_GAP = 16
_MAX_ERROR_CHARACTERS = 300
# Text of shops has four bytes a token and more; two leave room for digits, Chinese and code numbers.
_BYTES_PER_TOKEN = 2
_TOKENS_PER_MESSAGE = 8


def encode_prompt(tokenizer: Any, prompt: str | tuple[Message, ...], model_id: str) -> list[int]:
    """Token ids as the model was trained to see them; special tokens in a text prompt are recognized.

    Raises:
        ConfigError: chat messages for a model that has no chat template.
        TypeError, ValueError: text that the tokenizer refuses, such as lone surrogates.
    """
    if isinstance(prompt, str):
        return list(tokenizer.encode(prompt))
    if not tokenizer.chat_template:
        raise ConfigError(f"{model_id}: the model has no chat template; take a prompt with form = 'text'")
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    # The template has written the start token already, where there is one.
    return list(tokenizer.encode(text, add_special_tokens=False))


def estimate_tokens(prompt: str | tuple[Message, ...]) -> int:
    """About twice too many tokens: for models whose tokenizer is not here."""
    if isinstance(prompt, str):
        return -(-len(prompt.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)
    return sum(estimate_tokens(message.content) + _TOKENS_PER_MESSAGE for message in prompt)


def decode_pieces(pieces: Iterable[bytes]) -> list[str]:
    """Bytes of successive tokens as text: a character stands at the token that completes it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [decoder.decode(piece) for piece in pieces]


def align_tokens(text: str, pieces: Iterable[tuple[str, float]]) -> tuple[TokenLogprob, ...]:
    """Lay (piece, logprob) of successive tokens along the text that they were decoded to.

    The texts of the result, joined, are exactly `text`, whatever the pieces are: a piece that is not where it
    should be (half a character, a special token) gets no text, and the piece after a gap gets the gap as
    well. The end token, whose text is not part of the answer, is left out.
    """
    tokens: list[TokenLogprob] = []
    start = 0
    for piece, logprob in pieces:
        if start == len(text):
            break
        found = text.find(piece, start, start + len(piece) + _MAX_GAP) if piece else -1
        end = start if found < 0 else found + len(piece)
        # Rounding makes a certain token a hair more than certain.
        tokens.append(TokenLogprob(text[start:end], min(0.0, logprob)))
        start = end
    if tokens and start < len(text):
        tokens[-1] = TokenLogprob(tokens[-1].text + text[start:], tokens[-1].logprob)
    return tuple(tokens)


def failed(error: object) -> Completion:
    """The answer to a request that got none."""
    return Completion("", finish="error", error=one_line(error))


def one_line(error: object) -> str:
    """What an error says, short enough for a report."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MAX_ERROR_CHARACTERS else text[:_MAX_ERROR_CHARACTERS] + " ..."


def with_latency(completions: Sequence[Completion], started: float) -> list[Completion]:
    """Share the wall-clock seconds since `started` (time.perf_counter) among the answers of one call."""
    latency_s = (time.perf_counter() - started) / max(1, len(completions))
    return [replace(answer, usage=replace(answer.usage, latency_s=latency_s)) for answer in completions]
