"""A scripted engine that knows which product and which task it is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from extractor.engines import ModelInfo
from extractor.engines.scripted import Answer, ScriptedEngine
from extractor.records import Message, Request

Task = Literal["route", "attributes", "repair"]
# Product id -> answers to its attributes request and, after that, to its repair request.
Answers = Mapping[str, Answer | Sequence[Answer]]


def task_of(request: Request) -> Task:
    """What a request made of the chat prompts asks for."""
    if request.constraint.json_schema["type"] != "object":
        return "route"
    return "repair" if "Refused answer:" in prompt_text(request) else "attributes"


def tasks_of(engine: ScriptedEngine) -> list[tuple[Task, str]]:
    """Task and product id of every request so far."""
    return [(task_of(request), request.id) for request in engine.calls]


def prompt_text(request: Request) -> str:
    """What the model reads last."""
    last = request.prompt[-1]
    return last.content if isinstance(last, Message) else str(request.prompt)


def answering(
    answers: Answers, *, categories: Mapping[str, Answer] | None = None, context_tokens: int = 8192
) -> ScriptedEngine:
    """Says what is given for a product; "{}" and "unknown" where nothing is."""

    def answer(request: Request) -> Answer:
        task = task_of(request)
        if task == "route":
            return (categories or {}).get(request.id, '"unknown"')
        given = answers.get(request.id, "{}")
        if isinstance(given, Sequence) and not isinstance(given, str):
            return given[task == "repair"]
        return given

    return ScriptedEngine(answer, model=ModelInfo("scripted", "scripted", context_tokens))
