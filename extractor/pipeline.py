"""The spine: feed records in, Outcomes out, one for each; calls the stages in their order and does nothing else.

    route -> propose -> ask (prompt + constraint) -> engine -> validate -> repair once -> ground -> normalize -> vote
    route -> suit: what words alone decide

It knows all stages; no stage knows another. What is read and where Outcomes go is the caller's (`run.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from extractor import __version__
from extractor.ask import Limits, Question, ask
from extractor.calibrate import UNCALIBRATED, Calibration, calibrate
from extractor.categorize import categorize
from extractor.draft import Ballot, Draft
from extractor.engines import Engine, ModelInfo
from extractor.errors import ConfigError
from extractor.ground import drop_duplicates, ground
from extractor.label import with_labelled
from extractor.normalize import Units, normalize_value
from extractor.policy import Decision, agreed, reduced, settle
from extractor.prompt import PromptTemplate, render
from extractor.prompt_variables import repair_request_variables
from extractor.propose import Proposer
from extractor.records import (
    UNKNOWN_CATEGORY,
    AttributeValue,
    CategoryChoice,
    MadeBy,
    Outcome,
    Policy,
    Product,
    Reason,
    Rejection,
    Unreadable,
    Usage,
)
from extractor.route import Candidate, Routing
from extractor.schema import CategorySchema
from extractor.validate import needs_repair
from extractor.vote import Vote, count, orders

if TYPE_CHECKING:  # bm25s, which only those need who show demonstrations
    from extractor.demonstrations import Demonstrations


class Router(Protocol):
    """What finds categories: route.CategoryRouter, or an evaluation that knows them."""

    def route(self, products: Sequence[Product]) -> list[Routing]: ...


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
    # Labelled listings, of which so many are shown before each question.
    demonstrations: Demonstrations | None = None
    shots: int = 0
    # Each product is asked about so often, each time for its attributes in another order.
    votes: int = 1
    # False: confidence as the model has it.
    calibrated: bool = True
    # Points at values; None: the language model decides everything.
    proposer: Proposer | None = None
    # Who decides what, where there is a proposer.
    policy: Policy = "cascade"

    def extract(self, records: Sequence[Product | Unreadable]) -> list[Outcome]:
        """One Outcome for each record, in order.

        Raises:
            EngineError: the engine is down; none of these records has an Outcome.
        """
        drafts = [Draft(record) for record in records if isinstance(record, Product)]
        self._route(drafts)
        self._propose(drafts)
        self._ask(drafts)
        self._repair([ballot for draft in drafts for ballot in draft.ballots if needs_repair(ballot.answer)])
        done = iter(drafts)
        return [
            _unreadable(record) if isinstance(record, Unreadable) else self._outcome(next(done))
            for record in records
        ]

    def _route(self, drafts: Sequence[Draft]) -> None:
        """The router's choice, and the model's among its candidates where the router makes none."""
        open_drafts: list[tuple[Draft, Sequence[Candidate]]] = []
        routings = self.router.route([draft.product for draft in drafts])
        for draft, routing in zip(drafts, routings, strict=True):
            draft.category, draft.also = routing.choice or UNKNOWN_CATEGORY, routing.also
            if routing.choice is None:
                open_drafts.append((draft, routing.candidates))
        asked = [(draft.product, candidates) for draft, candidates in open_drafts]
        answers = categorize(asked, self.engine, self.prompts["route"])
        for (draft, _), answer in zip(open_drafts, answers, strict=True):
            draft.category, draft.usage = answer.choice, draft.usage + answer.usage
        for draft in drafts:
            draft.schema = self._schema_of(draft.category)

    def _schema_of(self, category: CategoryChoice) -> CategorySchema:
        return self.store.by_id(self.schema_id) if self.schema_id else self.store.for_category(category.id)

    def _propose(self, drafts: Sequence[Draft]) -> None:
        """Settle what the policy lets the proposer settle."""
        if self.proposer is None:
            return
        started = time.perf_counter()
        proposals = self.proposer.propose([draft.to_propose() for draft in drafts])
        seconds = (time.perf_counter() - started) / max(1, len(drafts))
        for draft, proposed in zip(drafts, proposals, strict=True):
            proposed = with_labelled(draft.product, proposed)
            draft.decision = settle(draft.schema, draft.product.text, proposed, self.policy)
            draft.usage += Usage(latency_s=seconds, proposed=draft.decision.cells)

    def _ask(self, drafts: Sequence[Draft]) -> None:
        """Those of a category together: they share the beginning of their prompts."""
        for draft in drafts:
            if draft.open:
                self._fill_in(draft)
        ballots = [b for draft in sorted(drafts, key=lambda d: d.category.id) for b in draft.ballots]
        completions = self.engine.generate([ballot.request for ballot in ballots])
        for ballot, completion in zip(ballots, completions, strict=True):
            ballot.take(completion)

    def _fill_in(self, draft: Draft) -> None:
        """A ballot for each vote; none when the model cannot read even the title."""
        product, category = draft.product, draft.category
        schema, decision = reduced(draft.schema, draft.open), draft.decision or Decision()
        draft.usage += Usage(decoded=len(schema.attributes))
        pool = self.demonstrations
        shown = pool.pick(product, category, schema, self.shots) if pool else ()
        schemas = orders(schema, self.votes)
        model = self.engine.model
        limits = Limits(model.context_tokens, self.max_output_tokens, self.engine.count_tokens)
        question = Question(product, category.path, schemas, shown, decision.offered)
        asked = ask(question, self.prompts["attributes"], limits)
        draft.length = asked.length
        draft.rejections += asked.rejections
        draft.ballots = [
            Ballot(draft, schema, request) for schema, request in zip(schemas, asked.requests, strict=False)
        ]

    def _repair(self, ballots: Sequence[Ballot]) -> None:
        """Ask once more where the answer was no valid object, quoting the error."""
        template = self.prompts["repair"]
        requests = []
        for ballot in ballots:
            draft = ballot.draft
            variables = repair_request_variables(
                ballot.schema,
                draft.category.path,
                draft.text,
                template.form,
                previous=ballot.completion.text,
                error=needs_repair(ballot.answer) or "",
            )
            requests.append(replace(ballot.request, prompt=render(template, variables)))
        for ballot, completion in zip(ballots, self.engine.generate(requests), strict=True):
            first = ballot.answer
            ballot.take(completion)
            # That the engine failed now says nothing about the first answer.
            if completion.finish == "error" or len(ballot.answer.candidates) < len(first.candidates):
                ballot.answer = first

    def _outcome(self, draft: Draft) -> Outcome:
        product = draft.product
        return Outcome(
            product_id=product.id,
            content_hash=product.content_hash,
            where=product.where,
            title=product.title,
            description=product.description,
            category=draft.category,
            also=draft.also,
            values=self._values(draft),
            rejections=tuple(draft.rejections),
            feed=_feed(product),
            usage=draft.usage,
            made_by=self.made_by(draft.schema),
        )

    def _values(self, draft: Draft) -> tuple[AttributeValue, ...]:
        """What proposer and words settled and what most votes say; the rest goes to the rejections."""
        elected = count([self._vote(ballot) for ballot in draft.ballots], draft.schema, draft.product.id)
        settled = self._finished(draft, draft.placed())
        draft.rejections += [*elected.rejections, *settled.rejections]
        rank = {attribute.id: number for number, attribute in enumerate(draft.schema.attributes)}
        values = (*settled.values, *draft.suited(), *elected.values)
        return tuple(sorted(values, key=lambda value: rank[value.attribute]))

    def _vote(self, ballot: Ballot) -> Vote:
        """Ground what validate let through."""
        draft = ballot.draft
        grounded = (
            ground(draft.schema.attribute(c.attribute), c.surface, c.confidence, draft.product)
            for c in ballot.answer.candidates
            if c.attribute in draft.open
        )
        checked = (
            found if isinstance(found, Rejection) or not draft.decision else agreed(found, draft.decision)
            for found in grounded
        )
        vote = self._finished(draft, checked)
        return Vote(vote.values, (*ballot.answer.rejections, *vote.rejections))

    def _finished(self, draft: Draft, grounded: Iterable[AttributeValue | Rejection]) -> Vote:
        """Normalize and calibrate."""
        values: list[AttributeValue] = []
        rejections: list[Rejection] = []
        for found in grounded:
            if isinstance(found, Rejection):
                rejections.append(found)
                continue
            attribute = draft.schema.attribute(found.attribute)
            value, problem = normalize_value(found, attribute, self.units, draft.product.id)
            values.append(calibrate(value, self._calibration))
            rejections += [problem] if problem else []
        return Vote(drop_duplicates(values), tuple(rejections))

    @property
    def _calibration(self) -> Calibration:
        if not self.calibrated:
            return UNCALIBRATED
        return self.proposer.calibration if self.proposer else self.engine.model.calibration

    def made_by(self, schema: CategorySchema | None = None) -> MadeBy:
        """What shaped an Outcome; without a schema, what is the same for all products of a run."""
        prompt = self.prompts["attributes"]
        return MadeBy(
            prompt=prompt.id,
            prompt_hash=prompt.hash,
            schema=schema.id if schema else "",
            schema_hash=schema.hash if schema else "",
            model="+".join(model.id for model in self._models),
            model_hash="+".join(model.hash for model in self._models),
            engine=self.engine.name,
            version=__version__,
        )

    @property
    def _models(self) -> tuple[ModelInfo | Proposer, ...]:
        return (self.proposer, self.engine.model) if self.proposer else (self.engine.model,)


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
