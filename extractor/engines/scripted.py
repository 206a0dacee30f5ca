"""The fake engine: answers from a list, a function or a file, without a model.

In: what to answer. Out: an Engine that can keep every request it was given in `calls`. For tests, for trying out
the rest of the pipeline, and for replaying answers: `--engine scripted --model ANSWERS.jsonl`, one `{"id",
"text"}` a line; several lines with one id answer that product's requests in turn, and whoever has no line
left gets the smallest answer that its schema allows.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from extractor.engines import EngineSettings
from extractor.engines.model import UNKNOWN_CONTEXT_TOKENS, ModelInfo
from extractor.engines.tokens import with_latency
from extractor.errors import ConfigError, EngineError
from extractor.records import Completion, Message, Request

Answer = Completion | str
_BYTES_PER_TOKEN = 4
_NO_MODEL = ModelInfo("scripted", "scripted", UNKNOWN_CONTEXT_TOKENS)


class ScriptedEngine:
    """An `Engine` that says what it is told to.

    Args:
        script: Answers in the order of the requests, or a function of the request.
        delay_s: Sleep so long in every call of `generate`.
        keep_calls: Not for long runs, whose requests would fill the memory.
    """

    name = "scripted"

    def __init__(
        self,
        script: Iterable[Answer] | Callable[[Request], Answer],
        *,
        model: ModelInfo = _NO_MODEL,
        delay_s: float = 0.0,
        keep_calls: bool = True,
    ) -> None:
        self.model = model
        # Every request so far, in order; empty without `keep_calls`.
        self.calls: list[Request] = []
        self._answer = script if callable(script) else _in_turn(script)
        self._delay_s = delay_s
        self._keep_calls = keep_calls

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
        return sum(-(-len(text.encode()) // _BYTES_PER_TOKEN) for text in texts)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        started = time.perf_counter()
        time.sleep(self._delay_s)
        return with_latency([self._complete(request) for request in requests], started)

    def close(self) -> None:
        pass

    def _complete(self, request: Request) -> Completion:
        if self._keep_calls:
            self.calls.append(request)
        answer = self._answer(request)
        return Completion(answer) if isinstance(answer, str) else answer


def open_with(settings: EngineSettings) -> ScriptedEngine:
    """Answers from the JSONL file `settings.model`; without one, the smallest valid ones."""
    if settings.model is None:
        return ScriptedEngine(smallest_answer, keep_calls=False)
    path = Path(settings.model)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror or error}; the scripted engine needs a JSONL file of answers"
        ) from error
    hash_ = hashlib.blake2b(content, digest_size=16).hexdigest()
    model = ModelInfo(path.name, hash_, UNKNOWN_CONTEXT_TOKENS)
    return ScriptedEngine(_by_id(content, path), model=model, keep_calls=False)


def describe(settings: EngineSettings) -> ModelInfo:
    """The file of answers, as a model."""
    return open_with(settings).model


def smallest_answer(request: Request) -> str:
    """An empty object, the first member of an enum, or "unknown"."""
    schema = request.constraint.json_schema
    if schema.get("enum"):
        return json.dumps(schema["enum"][0], ensure_ascii=False)
    return "{}" if schema.get("type") == "object" else '"unknown"'


def _in_turn(script: Iterable[Answer]) -> Callable[[Request], Answer]:
    answers = iter(script)

    def answer(request: Request) -> Answer:
        for given in answers:
            return given
        raise EngineError(f"scripted: no answer left for {request.id}; the script is too short")

    return answer


def _by_id(content: bytes, path: Path) -> Callable[[Request], Answer]:
    answers: dict[str, deque[str]] = defaultdict(deque)
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            id_, text = _read_line(line, f"{path}:{number}")
            answers[id_].append(text)

    def answer(request: Request) -> Answer:
        return answers[request.id].popleft() if answers[request.id] else smallest_answer(request)

    return answer


def _read_line(line: bytes, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        id_, text = row["id"], row["text"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f'{where}: not an answer; write {{"id": PRODUCT_ID, "text": ANSWER}}') from error
    if not isinstance(id_, str) or not isinstance(text, str):
        raise ConfigError(f'{where}: "id" and "text" must be strings')
    return id_, text
