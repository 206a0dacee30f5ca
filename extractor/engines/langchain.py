"""Any LangChain chat model as an engine, handed in from Python: `run(config, engine=LangChainEngine(model))`.

In: a `BaseChatModel` as the caller has set it up. Its own settings hold: temperature 0 makes it greedy,
`max_retries` says how often it asks again, `max_tokens` where it stops. Out: an Engine. Such a model has no
grammar: it is told the JSON Schema where it offers structured output, and what is not in the text is found
afterwards, by `ground`.

Log-probabilities are used where the model's `response_metadata` has them as OpenAI's API writes them. They count
what a schema forces as well.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeAlias

import httpx
from langchain_core.exceptions import (
    ModelAuthenticationError,
    ModelError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from extractor.engines.model import UNKNOWN_CONTEXT_TOKENS, ModelInfo
from extractor.engines.status import NOT_FOUND, try_later, wrong_key
from extractor.engines.tokens import (
    align_tokens,
    decode_pieces,
    estimate_tokens,
    failed,
    one_line,
    with_latency,
)
from extractor.errors import ConfigError, EngineError
from extractor.records import Completion, Constraint, Message, Request, TokenLogprob, Usage

# A chat model, or one that is told a schema, and its messages as (role, content).
_Call: TypeAlias = tuple[Runnable[Any, Any], list[tuple[str, str]]]

# Why a model stopped, in the words of OpenAI, Anthropic, Google and Ollama; all others are a proper end.
_REASON_KEYS = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
_REFUSED = frozenset({"content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content"})

_WRONG_SETTING = (ModelAuthenticationError, ModelPermissionDeniedError, ModelNotFoundError)
# Of the other errors, those that a request sets off by itself.
_BAD_REQUEST = (ModelError, ValueError, TypeError)
_NO_ANSWER = (ConnectionError, TimeoutError, httpx.TransportError)
# Chat models like to wrap JSON for people.
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)


class LangChainEngine:
    """An `Engine` over a chat model of LangChain; the requests of one call are under way at the same time.

    Args:
        chat_model: Stays the caller's: `close` leaves it open.
        model: What to say of the model, where its own settings and profile do not say enough: how many tokens it
            takes (4096 where neither tells), or its prompts.
        structured: Tell it the JSON Schema where it offers structured output. Turn it off for a server behind
            the chat model that does not offer what the chat model does.
        max_in_flight: Requests under way at once.
    """

    name = "langchain"

    def __init__(
        self,
        chat_model: BaseChatModel,
        *,
        model: ModelInfo | None = None,
        structured: bool = True,
        max_in_flight: int = 64,
    ) -> None:
        self.model = model or _model_info(chat_model)
        self._chat_model = chat_model
        self._structured = structured
        self._max_in_flight = max_in_flight

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        """An estimate: LangChain's own counting asks the provider's server, or fetches a tokenizer."""
        return estimate_tokens(prompt)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        started = time.perf_counter()
        # Closed when an error concerns all requests: those that were not sent yet are not sent then.
        with closing(self._answers(requests)) as answers:
            answered = {index: self._completion(answer) for index, answer in answers}
        return with_latency(self._settle([answered[index] for index in range(len(requests))]), started)

    def close(self) -> None:
        pass

    def _answers(
        self, requests: Sequence[Request]
    ) -> Generator[tuple[int, AIMessage | Exception], None, None]:
        """One answer for each request, with its index, as they come in."""
        configs = [
            RunnableConfig(max_concurrency=self._max_in_flight, metadata={"product_id": request.id})
            for request in requests
        ]
        yield from _ASK.batch_as_completed(self._calls(requests), configs, return_exceptions=True)

    def _calls(self, requests: Sequence[Request]) -> list[_Call]:
        # The requests of a category have one schema, which is put into the provider's words once.
        models: dict[int, Runnable[Any, Any]] = {}
        calls = []
        for request in requests:
            schema = id(request.constraint.json_schema)
            if schema not in models:
                models[schema] = self._told(request.constraint)
            calls.append((models[schema], _messages(request.prompt)))
        return calls

    def _told(self, constraint: Constraint) -> Runnable[Any, Any]:
        """The chat model, told the schema of an object.

        A choice has a schema of its own for every product. Providers take no schema but an object's, and prepare
        each new one for seconds: there the prompt has to do.
        """
        if not self._structured or constraint.json_schema.get("type") != "object":
            return self._chat_model
        schema = {name: value for name, value in constraint.json_schema.items() if name != "$schema"}
        try:
            return self._chat_model.with_structured_output({**schema, "title": "answer"}, include_raw=True)
        except NotImplementedError:  # how langchain-core says that this chat model offers none
            self._structured = False
            return self._chat_model

    def _completion(self, answer: AIMessage | Exception) -> Completion | Exception:
        if isinstance(answer, AIMessage):
            return _read(answer)
        if _is_wrong_setting(answer):
            raise ConfigError(
                f"langchain: {self.model.id}: {one_line(answer)}; check the chat model's key and name"
            ) from answer
        if _is_retryable(answer):
            raise EngineError(
                f"langchain: {self.model.id}: {one_line(answer)}; run the same command again to go on",
                retryable=True,
            ) from answer
        return failed(answer) if isinstance(answer, _BAD_REQUEST) or _status(answer) else answer

    def _settle(self, answers: Sequence[Completion | Exception]) -> list[Completion]:
        """What may be a request's fault or the model's: the model's if it answered nothing at all."""
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if errors and len(errors) == len(answers):
            raise EngineError(f"langchain: {self.model.id} failed ({one_line(errors[0])})") from errors[0]
        return [failed(answer) if isinstance(answer, Exception) else answer for answer in answers]


def _ask(call: _Call, config: RunnableConfig) -> AIMessage:
    model, messages = call
    answer = model.invoke(messages, config)
    # With a schema: the message, and what LangChain makes of it.
    message: AIMessage = answer["raw"] if isinstance(answer, dict) else answer
    return message


_ASK = RunnableLambda(_ask, name="extractor request")


def _model_info(chat_model: BaseChatModel) -> ModelInfo:
    settings = chat_model.asdict()
    names = (getattr(chat_model, key, None) or settings.get(key) for key in ("model", "model_name"))
    id_ = next((name for name in names if isinstance(name, str)), str(settings["_type"]))
    # What JSON cannot say, such as a client, counts by its kind: where it lies in memory tells nothing.
    told = json.dumps(settings, sort_keys=True, default=lambda value: type(value).__name__)
    hash_ = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
    context_tokens = (chat_model.profile or {}).get("max_input_tokens")
    return ModelInfo(id_, hash_, context_tokens or UNKNOWN_CONTEXT_TOKENS)


def _messages(prompt: str | tuple[Message, ...]) -> list[tuple[str, str]]:
    if isinstance(prompt, str):
        return [("user", prompt)]
    return [(message.role, message.content) for message in prompt]


# --- answers


def _read(message: AIMessage) -> Completion:
    reason = _reason(message.response_metadata)
    if reason in _REFUSED:
        return failed(f"the model ended the request with {reason!r}")
    text = _text(message)
    return Completion(
        text=text,
        finish="length" if reason in _CUT else "stop",
        # Those of a text that was changed do not lie along it.
        tokens=_tokens(text, message.response_metadata) if text == message.text else (),
        usage=_usage(message),
    )


def _reason(metadata: Mapping[str, Any]) -> str:
    return next((str(metadata[key]).lower() for key in _REASON_KEYS if metadata.get(key)), "")


def _text(message: AIMessage) -> str:
    """The JSON of an answer: the arguments of a tool call, or the text without a code fence around it."""
    if message.tool_calls:
        return json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
    if message.invalid_tool_calls:
        return message.invalid_tool_calls[0]["args"] or ""
    fenced = _FENCED.fullmatch(message.text)
    return fenced[1] if fenced else str(message.text)


def _tokens(text: str, metadata: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    content = (metadata.get("logprobs") or {}).get("content") or ()
    texts = decode_pieces(bytes(token.get("bytes") or token["token"].encode()) for token in content)
    return align_tokens(text, zip(texts, (token["logprob"] for token in content), strict=True))


def _usage(message: AIMessage) -> Usage:
    usage = message.usage_metadata
    if usage is None:
        return Usage()
    cached = usage.get("input_token_details", {}).get("cache_read", 0)
    return Usage(usage["input_tokens"], cached, usage["output_tokens"])


# --- errors: LangChain's own where the provider's package has them, else what its HTTP client says


def _is_wrong_setting(error: Exception) -> bool:
    status = _status(error)
    return isinstance(error, _WRONG_SETTING) or wrong_key(status) or status == NOT_FOUND


def _is_retryable(error: Exception) -> bool:
    if isinstance(error, ModelError):
        return error.is_retryable
    return (
        try_later(_status(error)) or isinstance(error, _NO_ANSWER) or isinstance(error.__cause__, _NO_ANSWER)
    )


def _status(error: Exception) -> int:
    """HTTP status of an answer; 0 where there was none."""
    for holder in (error, getattr(error, "response", None)):
        if isinstance(status := getattr(holder, "status_code", None), int):
            return status
    return 0
