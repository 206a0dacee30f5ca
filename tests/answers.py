"""A scripted engine that knows which product and which task it is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from extractor.engines import Engine, ModelInfo
from extractor.engines.scripted import Answer, ScriptedEngine
from extractor.normalize import load_units
from extractor.pipeline import Extractor, prompt_ids
from extractor.records import Message, Request
from extractor.route import CategoryRouter
from extractor.run import load_prompts
from extractor.schema import SchemaStore

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


def in_turn(answers: Mapping[str, Sequence[Answer]], *, context_tokens: int = 8192) -> ScriptedEngine:
    """Says what is given for a product one after the other, whatever is asked; "{}" where nothing is left."""
    left = {product_id: list(given) for product_id, given in answers.items()}

    def answer(request: Request) -> Answer:
        return left[request.id].pop(0) if left.get(request.id) else "{}"

    return ScriptedEngine(answer, model=ModelInfo("scripted", "scripted", context_tokens))


def shipped_extractor(engine: Engine, store: SchemaStore, **settings: Any) -> Extractor:
    """With the shipped prompts, units and taxonomy."""
    return Extractor(
        engine=engine,
        store=store,
        router=CategoryRouter.of_names(store.taxonomy),
        units=load_units(store.folder),
        prompts=load_prompts(prompt_ids(engine, None), engine.model),
        **settings,
    )
