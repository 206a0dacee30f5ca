"""The spine: feed records in, Outcomes out, one for each; calls the stages in their order and does nothing else.

    route -> (propose) -> prompt + constraint -> engine -> validate -> repair once -> ground -> normalize

It knows all stages; no stage knows another. What is read and where Outcomes go is the caller's (`run.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from extractor import __version__
from extractor.constraint import compile_attributes, compile_choice
from extractor.engines import Engine
from extractor.errors import ConfigError
from extractor.ground import drop_duplicates, ground
from extractor.normalize import Units, normalize_value
from extractor.prompt import (
    PromptTemplate,
    attributes_request_variables,
    render,
    repair_request_variables,
    route_request_variables,
)
from extractor.records import (
    UNKNOWN_CATEGORY,
    AttributeValue,
    CategoryChoice,
    Completion,
    MadeBy,
    Outcome,
    Product,
    Reason,
    Rejection,
    Request,
    Unreadable,
    Usage,
)
from extractor.route import Candidate, chosen, decide, options
from extractor.schema import CategorySchema
from extractor.validate import Validated, needs_repair, parse_choice, validate

# Characters of the text that a category choice is made from.
ROUTE_CHARACTERS = 400
# A text without white space over so many characters may be cut anywhere.
WORD_CHARACTERS = 50


class Router(Protocol):
    """What proposes categories: route.Router, or an evaluation that knows them."""

    def candidates(self, product: Product) -> list[Candidate]: ...


class Schemas(Protocol):
    """What knows attributes: schema.SchemaStore, or an evaluation that brings its own."""

    def for_category(self, category_id: str) -> CategorySchema: ...

    def by_id(self, schema_id: str) -> CategorySchema: ...


@dataclass(frozen=True, slots=True)
class Extractor:
    """All that shapes an Outcome; everything in it is loaded."""

    engine: Engine
    store: Schemas
    router: Router
    units: Units
    # Task ("route", "attributes", "repair") -> template.
    prompts: Mapping[str, PromptTemplate]
    # Schema for every product; None: by category.
    schema_id: str | None = None
    # Most output tokens for one product.
    max_output_tokens: int = 2048

    def extract(self, records: Sequence[Product | Unreadable]) -> list[Outcome]:
        """One Outcome for each record, in order.

        Raises:
            EngineError: the engine is down; none of these records has an Outcome.
        """
        drafts = [_Draft(record) for record in records if isinstance(record, Product)]
        self._route(drafts)
        self._ask(drafts)
        self._repair([draft for draft in drafts if needs_repair(draft.answer)])
        done = iter(drafts)
        return [
            _unreadable(record) if isinstance(record, Unreadable) else self._outcome(next(done))
            for record in records
        ]

    def _route(self, drafts: Sequence[_Draft]) -> None:
        """Category by words alone where they are clear, else by the model's choice among the candidates."""
        open_drafts: list[tuple[_Draft, list[Candidate]]] = []
        for draft in drafts:
            candidates = self.router.candidates(draft.product)
            choice = decide(candidates)
            draft.category = choice or UNKNOWN_CATEGORY
            if choice is None:
                open_drafts.append((draft, candidates))
        requests = [self._route_request(draft.product, candidates) for draft, candidates in open_drafts]
        for (draft, candidates), completion in zip(open_drafts, self.engine.generate(requests), strict=True):
            draft.usage += completion.usage
            answer = parse_choice(completion)
            draft.category = chosen(candidates, *answer) if answer else UNKNOWN_CATEGORY

    def _route_request(self, product: Product, candidates: Sequence[Candidate]) -> Request:
        offered = [*options(candidates), UNKNOWN_CATEGORY.id]
        template = self.prompts["route"]
        variables = route_request_variables(offered, product.text[:ROUTE_CHARACTERS], template.form)
        return Request(product.id, render(template, variables), compile_choice(offered))

    def _ask(self, drafts: Sequence[_Draft]) -> None:
        """One request a product, those of a category together: they share the beginning of their prompts."""
        for draft in drafts:
            draft.schema = (
                self.store.by_id(self.schema_id)
                if self.schema_id
                else self.store.for_category(draft.category.id)
            )
            self._fit(draft)
        asked = sorted((d for d in drafts if d.request), key=lambda d: d.category.id)
        completions = self.engine.generate([draft.request for draft in asked if draft.request])
        for draft, completion in zip(asked, completions, strict=True):
            draft.take(completion)

    def _fit(self, draft: _Draft) -> None:
        """The request with as much of the text as the model can read; what is cut is said."""
        text, room = draft.product.text, self.engine.model.context_tokens
        length, shortest = len(text), len(draft.product.title)
        while True:
            try:
                constraint = compile_attributes(
                    draft.schema, text[:length], max_tokens=min(self.max_output_tokens, room // 2)
                )
            except ConfigError as error:
                draft.reject(Reason.TOO_LONG, str(error))
                return
            template = self.prompts["attributes"]
            variables = attributes_request_variables(
                draft.schema, draft.category.path, text[:length], template.form
            )
            prompt = render(template, variables)
            used = self.engine.count_tokens(prompt) + constraint.max_tokens
            if used <= room:
                break
            if length == shortest:
                draft.reject(Reason.TOO_LONG, f"title of {shortest:,} characters; {room:,} tokens fit")
                return
            # Less text makes both the prompt and the longest answer shorter; a tenth at least, so that it ends.
            length = max(shortest, _word_end(text, int(length * min(room / used, 0.9))))
        draft.length, draft.request = length, Request(draft.product.id, prompt, constraint)
        if length < len(text):
            draft.reject(Reason.TEXT_CUT, f"read {length:,} of {len(text):,} characters; {room:,} tokens fit")

    def _repair(self, drafts: Sequence[_Draft]) -> None:
        """Ask once more where the answer was no valid object, quoting the error."""
        requests = []
        for draft in drafts:
            assert draft.request
            template = self.prompts["repair"]
            variables = repair_request_variables(
                draft.schema,
                draft.category.path,
                draft.text,
                template.form,
                previous=draft.completion.text,
                error=needs_repair(draft.answer) or "",
            )
            requests.append(replace(draft.request, prompt=render(template, variables)))
        for draft, completion in zip(drafts, self.engine.generate(requests), strict=True):
            first = draft.answer
            draft.take(completion)
            # That the engine failed now says nothing about the first answer.
            if completion.finish == "error" or len(draft.answer.candidates) < len(first.candidates):
                draft.answer = first

    def _outcome(self, draft: _Draft) -> Outcome:
        product = draft.product
        return Outcome(
            product_id=product.id,
            content_hash=product.content_hash,
            where=product.where,
            title=product.title,
            description=product.description,
            category=draft.category,
            values=self._values(draft),
            rejections=tuple(draft.rejections),
            feed=_feed(product),
            usage=draft.usage,
            made_by=self.made_by(draft.schema),
        )

    def _values(self, draft: _Draft) -> tuple[AttributeValue, ...]:
        """Ground and normalize what validate let through; the rest goes to the rejections."""
        draft.rejections += draft.answer.rejections
        values = []
        for candidate in draft.answer.candidates:
            attribute = draft.schema.attribute(candidate.attribute)
            found = ground(attribute, candidate.surface, candidate.confidence, draft.product)
            if isinstance(found, Rejection):
                draft.rejections.append(found)
                continue
            value, problem = normalize_value(found, attribute, self.units, draft.product.id)
            values.append(value)
            draft.rejections += [problem] if problem else []
        return drop_duplicates(values)

    def made_by(self, schema: CategorySchema | None = None) -> MadeBy:
        """What shaped an Outcome; without a schema, what is the same for all products of a run."""
        prompt = self.prompts["attributes"]
        return MadeBy(
            prompt=prompt.id,
            prompt_hash=prompt.hash,
            schema=schema.id if schema else "",
            schema_hash=schema.hash if schema else "",
            model=self.engine.model.id,
            model_hash=self.engine.model.hash,
            engine=self.engine.name,
            version=__version__,
        )


@dataclass(slots=True)
class _Draft:
    """One product on its way through `extract`."""

    product: Product
    category: CategoryChoice = UNKNOWN_CATEGORY
    schema: CategorySchema = field(init=False)
    # Characters of the text that the model reads.
    length: int = 0
    request: Request | None = None
    completion: Completion = field(default_factory=lambda: Completion(""))
    answer: Validated = field(default_factory=Validated)
    rejections: list[Rejection] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        return self.product.text[: self.length]

    def take(self, completion: Completion) -> None:
        self.completion = completion
        self.usage += completion.usage
        self.answer = validate(completion, self.schema, self.product.id)

    def reject(self, reason: Reason, detail: str) -> None:
        self.rejections.append(Rejection(self.product.id, None, reason, detail))


def _word_end(text: str, length: int) -> int:
    """Where to cut a text that has to become at most so long: half a word would be taken for a value."""
    ends = range(length, max(0, length - WORD_CHARACTERS), -1)
    return next((end for end in ends if text[end].isspace()), length)


def prompt_ids(engine: Engine, attributes: str | None) -> dict[str, str]:
    """Task -> prompt id: the one asked for, else what the model was trained on, else v1."""
    ids = {task: engine.model.prompts.get(task, f"{task}@v1") for task in ("route", "attributes", "repair")}
    return ids | {"attributes": attributes_prompt(attributes)} if attributes else ids


def attributes_prompt(prompt_id: str) -> str:
    """The same id; ConfigError when it is one of another task."""
    if not prompt_id.startswith("attributes@"):
        raise ConfigError(f"--prompt {prompt_id}: not of task attributes; see extractor prompts list")
    return prompt_id


def _feed(product: Product) -> dict[str, object]:
    """What the feed itself states, for the graph."""
    stated = {
        "brand": product.brand,
        "category_path": list(product.category_path),
        "attributes": {name: list(values) for name, values in product.attributes.items()},
        "facts": dict(product.facts),
    }
    return {name: value for name, value in stated.items() if value}


def _unreadable(record: Unreadable) -> Outcome:
    return Outcome(
        product_id=record.id,
        content_hash=record.content_hash,
        where=record.where,
        title="",
        description="",
        category=UNKNOWN_CATEGORY,
        rejections=(Rejection(record.id, None, Reason.UNREADABLE, record.detail),),
    )
