"""Transformers in this process, with Outlines' masks: the fallback where vLLM is not, and a cross-check.

In: a model folder or Hugging Face id. Out: an Engine that answers one request after the other, ten to twenty
times slower than vLLM. Importing this module imports neither library.

Outlines' own `generate` is not used: it puts a text prompt into the chat template wherever a model has one,
writes the start token twice, and drops the scores.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from extractor.engines import EngineSettings
from extractor.engines.model import ModelInfo, load_model_info
from extractor.engines.tokens import (
    align_tokens,
    decode_pieces,
    encode_prompt,
    failed,
    one_line,
    with_latency,
)
from extractor.errors import EngineError
from extractor.records import Completion, Message, Request, Usage


def describe(settings: EngineSettings) -> ModelInfo:
    """The model as this engine runs it."""
    model = load_model_info(settings.model)
    return replace(
        model, context_tokens=min(model.context_tokens, settings.context_tokens or model.context_tokens)
    )


def open_with(settings: EngineSettings) -> TransformersEngine:
    """Load a model onto the GPU where there is one."""
    info = describe(settings)
    import outlines  # noqa: F401  (missing packages show before the model is loaded)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    # There is one bar, ours.
    disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(info.source)
        model = AutoModelForCausalLM.from_pretrained(info.source, dtype="auto")
    except Exception as error:
        raise EngineError(f"transformers: cannot load {info.source} ({one_line(error)})") from error
    return TransformersEngine(
        model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer, info
    )


class TransformersEngine:
    """An `Engine` over a causal language model of transformers."""

    name = "transformers"

    def __init__(self, model: Any, tokenizer: Any, info: ModelInfo) -> None:
        import outlines
        from outlines.backends.llguidance import LLGuidanceBackend

        self.model = info
        self._model = model
        self._tokenizer = tokenizer
        # Once: reading a large vocabulary takes a second.
        self._masks = LLGuidanceBackend(outlines.from_transformers(model, tokenizer))
        self._decoding = _greedy(tokenizer)
        # What the model's folder says about sampling and penalties must not reach our decoding.
        model.generation_config = self._decoding

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        return len(encode_prompt(self._tokenizer, prompt, self.model.id))

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        started = time.perf_counter()
        return with_latency([self._answer(request) for request in requests], started)

    def close(self) -> None:
        self._model = None

    def _answer(self, request: Request) -> Completion:
        try:
            prompt = encode_prompt(self._tokenizer, request.prompt, self.model.id)
            room = self._room(prompt)
            mask = self._mask(request.constraint.grammar)
        except (ValueError, TypeError) as error:
            return failed(error)
        try:
            ids, logprobs = self._decode(prompt, mask, min(room, request.constraint.max_tokens))
        except Exception as error:
            raise EngineError(f"transformers: {self.model.id} failed ({one_line(error)})") from error
        return self._completion(len(prompt), ids, logprobs)

    def _room(self, prompt: list[int]) -> int:
        if not prompt:
            raise ValueError("the prompt is empty")
        room = self.model.context_tokens - len(prompt)
        if room < 1:
            raise ValueError(
                f"the prompt has {len(prompt)} tokens, the model takes {self.model.context_tokens}"
            )
        return room

    def _mask(self, grammar: str) -> Any:
        from llguidance import LLMatcher

        # Outlines would only warn, and then decode whatever the model likes.
        if problem := LLMatcher.validate_grammar(
            LLMatcher.grammar_from_lark(grammar), self._masks.llg_tokenizer
        ):
            raise ValueError(f"grammar: {problem}")
        return self._masks.get_cfg_logits_processor(grammar)

    def _decode(self, prompt: list[int], mask: Any, max_tokens: int) -> tuple[list[int], list[float]]:
        """Answer token ids, and the log-probability of each under the mask."""
        import torch

        ids = torch.tensor([prompt], device=self._model.device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                logits_processor=[mask],
                max_new_tokens=max_tokens,
                output_scores=True,
                return_dict_in_generate=True,
            )
        answer = output.sequences[0, len(prompt) :].tolist()
        scores = torch.cat(output.scores).float().log_softmax(dim=-1)
        return answer, [float(scores[step, id_]) for step, id_ in enumerate(answer)]

    def _completion(self, prompt_tokens: int, ids: list[int], logprobs: list[float]) -> Completion:
        ended = bool(ids) and ids[-1] == self._tokenizer.eos_token_id
        said = ids[:-1] if ended else ids
        pieces = [bytes(self._masks.llg_tokenizer.decode_bytes([id_])) for id_ in said]
        text = b"".join(pieces).decode("utf-8", "replace")
        return Completion(
            text=text,
            finish="stop" if ended else "length",
            tokens=align_tokens(text, zip(decode_pieces(pieces), logprobs, strict=False)),
            usage=Usage(prompt_tokens=prompt_tokens, output_tokens=len(ids)),
        )


def _greedy(tokenizer: Any) -> Any:
    from transformers import GenerationConfig

    end = tokenizer.eos_token_id
    pad = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    return GenerationConfig(do_sample=False, num_beams=1, eos_token_id=end, pad_token_id=pad)
