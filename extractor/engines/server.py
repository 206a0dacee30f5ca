"""Any OpenAI-compatible server: text prompts go to /completions, chat messages to /chat/completions.

In: a base URL. Out: an Engine. A vLLM server is sent the grammar and decodes within it; any other gets the
JSON Schema as `response_format`, which it may follow or not: what is not in the text is found afterwards, by
`ground`.

The log-probabilities are the server's: a vLLM that `extractor serve` did not start counts forced tokens as
well, unless it runs with `--logprobs-mode processed_logprobs`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

from extractor.engines import EngineSettings
from extractor.engines.connection import RETRIES, CallRefused, Connection, NotFound, Retries, TryLater
from extractor.engines.model import UNKNOWN_CONTEXT_TOKENS, ModelInfo, load_model_info
from extractor.engines.tokens import align_tokens, decode_pieces, estimate_tokens, failed, with_latency
from extractor.errors import ConfigError
from extractor.records import Completion, Constraint, Message, Request, TokenLogprob, Usage

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def open_with(settings: EngineSettings, retries: Retries = RETRIES) -> ServerEngine:
    """Ask the server what it offers.

    Raises:
        ConfigError: no or a wrong base URL, a wrong key, a model that the server does not have.
        EngineError: it does not answer.
    """
    if not settings.base_url:
        raise ConfigError(
            "engine server: no base URL; give one with --base-url, such as http://127.0.0.1:8000/v1"
        )
    connection = Connection(settings.base_url, timeout_s=settings.timeout_s, retries=retries)
    return ServerEngine(connection, settings)


def describe(settings: EngineSettings) -> ModelInfo:
    """The model that the server offers; asks it."""
    with closing(open_with(settings)) as engine:
        return engine.model


class ServerEngine:
    """An `Engine` over HTTP; the requests of one call are under way at the same time."""

    name = "server"

    def __init__(self, connection: Connection, settings: EngineSettings) -> None:
        offer = _pick(connection, settings.model)
        self.model = _model_info(offer, connection.host, settings.context_tokens)
        self._connection = connection
        self._max_in_flight = settings.max_in_flight
        self._is_vllm = offer.get("owned_by") == "vllm"
        # Until the server refuses.
        self._asks_logprobs = True

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        """An estimate of about twice too many; where that may not fit, exact if the server is vLLM."""
        estimate = estimate_tokens(prompt)
        if not self._is_vllm or estimate <= self.model.context_tokens // 2:
            return estimate
        content = {"prompt": prompt} if isinstance(prompt, str) else {"messages": _messages(prompt)}
        try:
            return int(self._connection.tokenize({"model": self.model.id, **content})["count"])
        except (CallRefused, NotFound):
            return estimate

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        if not requests:
            return []
        started = time.perf_counter()
        halt = threading.Event()
        with ThreadPoolExecutor(min(self._max_in_flight, len(requests))) as pool:
            futures = [pool.submit(self._answer, request, halt) for request in requests]
            try:
                answers = [future.result() for future in futures]
            except BaseException:
                _stop(futures, halt)
                raise
        return with_latency(_settle(answers), started)

    def close(self) -> None:
        self._connection.close()

    def _answer(self, request: Request, halt: threading.Event) -> Completion | TryLater:
        try:
            return self._ask(request, halt)
        except CallRefused as error:
            return failed(error)
        except TryLater as error:
            # Perhaps a bug of the server that this request sets off: see _settle.
            if error.status == 500:
                return error
            raise

    def _ask(self, request: Request, halt: threading.Event) -> Completion:
        with_logprobs = self._asks_logprobs
        try:
            return self._send(request, with_logprobs, halt)
        except CallRefused as error:
            if not with_logprobs or "logprob" not in str(error).lower():
                raise
        self._asks_logprobs = False
        return self._send(request, False, halt)

    def _send(self, request: Request, with_logprobs: bool, halt: threading.Event) -> Completion:
        body = {
            "model": self.model.id,
            # More than the context is refused, although it is only a limit.
            "max_tokens": min(request.constraint.max_tokens, self.model.context_tokens),
            "temperature": 0.0,
            "extra_body": self._constraint(request.constraint),
        }
        if isinstance(request.prompt, str):
            logprobs = {"logprobs": 0} if with_logprobs else {}
            answer = self._connection.complete({**body, **logprobs, "prompt": request.prompt}, halt)
        else:
            logprobs = {"logprobs": True} if with_logprobs else {}
            messages = _messages(request.prompt)
            answer = self._connection.chat({**body, **logprobs, "messages": messages}, halt)
        return _completion(answer)

    def _constraint(self, constraint: Constraint) -> dict[str, Any]:
        if self._is_vllm:
            # The penalty that a model's folder recommends would change greedy answers.
            return {"structured_outputs": {"grammar": constraint.grammar}, "repetition_penalty": 1.0}
        schema = {"name": "answer", "schema": dict(constraint.json_schema)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _pick(connection: Connection, wanted: str | None) -> Mapping[str, Any]:
    """What the server says about the model that is wanted, or about its first one.

    Raises:
        ConfigError: it has none, or vLLM does not have this one. Other servers need not list what they have.
    """
    offers = _offers(connection, wanted)
    by_id = {str(offer["id"]): offer for offer in offers}
    if wanted is None and offers:
        return offers[0]
    if wanted in by_id:
        return by_id[wanted]
    if wanted is None or any(offer.get("owned_by") == "vllm" for offer in offers):
        has = ", ".join(by_id) or "no models"
        raise ConfigError(f"{connection.place}: offers {has}; check the URL, or choose with --model")
    return {"id": wanted}


def _offers(connection: Connection, wanted: str | None) -> list[Mapping[str, Any]]:
    try:
        return connection.models()
    except (CallRefused, NotFound) as error:
        if wanted is None:
            raise ConfigError(
                f"{connection.place}: lists no models; check the URL, or give --model"
            ) from error
        return []


def _model_info(offer: Mapping[str, Any], host: str, wanted_tokens: int | None) -> ModelInfo:
    id_ = str(offer["id"])
    tokens = offer.get("max_model_len") or wanted_tokens or UNKNOWN_CONTEXT_TOKENS
    info = ModelInfo(id_, id_, min(tokens, wanted_tokens or tokens))
    # vLLM says where it loaded the model from: on this machine, prompts and hash can be read there.
    if host not in _LOOPBACK or not offer.get("root"):
        return info
    try:
        found = load_model_info(str(offer["root"]))
    except ConfigError:
        return info
    return replace(info, hash=found.hash, prompts=found.prompts)


def _messages(prompt: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt]


def _completion(answer: Any) -> Completion:
    """An answer of either end point, as the openai package reads it."""
    if not getattr(answer, "choices", None):
        raise CallRefused("the answer has no choices; is this the URL of an OpenAI-compatible API?")
    choice = answer.choices[0]
    if choice.finish_reason not in ("stop", "length"):
        return failed(f"the server ended the request with {choice.finish_reason!r}")
    text = (choice.text if hasattr(choice, "text") else choice.message.content) or ""
    return Completion(text, choice.finish_reason, _tokens(text, choice.logprobs), _usage(answer.usage))


def _tokens(text: str, logprobs: Any) -> tuple[TokenLogprob, ...]:
    if content := getattr(logprobs, "content", None):
        texts = decode_pieces(bytes(item.bytes or item.token.encode()) for item in content)
        return align_tokens(text, zip(texts, (item.logprob for item in content), strict=True))
    pieces = getattr(logprobs, "tokens", None) or ()
    return align_tokens(text, zip(pieces, getattr(logprobs, "token_logprobs", None) or (), strict=False))


def _usage(usage: Any) -> Usage:
    if usage is None:
        return Usage()
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    return Usage(usage.prompt_tokens or 0, cached, usage.completion_tokens or 0)


def _settle(answers: Sequence[Completion | TryLater]) -> list[Completion]:
    """A request that only ever got a 500 is a bad one if others were answered; else the server is down."""
    if all(isinstance(answer, TryLater) for answer in answers):
        raise next(answer for answer in answers if isinstance(answer, TryLater))
    return [failed(answer) if isinstance(answer, TryLater) else answer for answer in answers]


def _stop(futures: Sequence[Future[Any]], halt: threading.Event) -> None:
    halt.set()
    for future in futures:
        future.cancel()
