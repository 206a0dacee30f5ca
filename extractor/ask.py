"""A listing and what to ask about it in, requests out that the model can read; what does not fit is left out or said.

Of what is too long, demonstrations go first, the least similar ones before the others; then the end of the description.
All requests about one listing show the same demonstrations and the same text. Knows no engine, only how it counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from extractor.constraint import compile_attributes
from extractor.errors import ConfigError
from extractor.prompt import PromptExample, PromptTemplate, render
from extractor.prompt_variables import attributes_request_variables
from extractor.records import Constraint, Message, Product, Reason, Rejection, Request
from extractor.schema import CategorySchema

# A text without white space over so many characters may be cut anywhere.
WORD_CHARACTERS = 50


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one listing."""

    product: Product
    # Names from the top; empty when the category is unknown.
    category_path: Sequence[str]
    # One for each request: the same attributes, each time in another order.
    schemas: Sequence[CategorySchema]
    # Best ones first.
    demonstrations: Sequence[PromptExample] = ()
    # Of attributes that are words of the text, the ones to choose from; not named: any.
    offered: Mapping[str, Iterable[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model can read, and may write."""

    # Prompt and answer together.
    context_tokens: int
    max_output_tokens: int
    count_tokens: Callable[[str | tuple[Message, ...]], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests about one listing, and what of it they leave out."""

    # One for each schema; none when not even the title fits.
    requests: tuple[Request, ...] = ()
    # Characters of the text that they show.
    length: int = 0
    rejections: tuple[Rejection, ...] = ()


def ask(question: Question, template: PromptTemplate, limits: Limits) -> Asked:
    """Requests with as many demonstrations and as much of the text as the model can read."""
    product, room = question.product, limits.context_tokens
    length, shortest = len(product.text), len(product.title)
    shown = len(question.demonstrations)
    while True:
        try:
            attempt = _Attempt(question, template, limits, length)
        except ConfigError as error:
            return _refused(product, str(error))
        shown = attempt.most_shown(shown)
        used = attempt.used(shown)
        if used <= room:
            break
        if length == shortest:
            return _refused(product, f"title of {shortest:,} characters; {room:,} tokens fit")
        # Less text makes both the prompt and the longest answer shorter; a tenth at least, so that it ends.
        length = max(shortest, word_end(product.text, int(length * min(room / used, 0.9))))
    cut = f"read {length:,} of {len(product.text):,} characters; {room:,} tokens fit"
    rejections = (_rejection(product, Reason.TEXT_CUT, cut),) if length < len(product.text) else ()
    return Asked(attempt.requests(shown), length, rejections)


class _Attempt:
    """The requests for so much of the text, with more or with fewer demonstrations."""

    def __init__(self, question: Question, template: PromptTemplate, limits: Limits, length: int) -> None:
        self._question, self._template, self._limits = question, template, limits
        self._text = question.product.text[:length]
        longest = min(limits.max_output_tokens, limits.context_tokens // 2)
        self._constraints = [
            compile_attributes(schema, self._text, max_tokens=longest, offered=question.offered)
            for schema in question.schemas
        ]
        # Demonstrations shown -> requests, and the tokens of the longest of them with its answer.
        self._tried: dict[int, tuple[tuple[Request, ...], int]] = {}

    def requests(self, shown: int) -> tuple[Request, ...]:
        return self._try(shown)[0]

    def used(self, shown: int) -> int:
        return self._try(shown)[1]

    def most_shown(self, wanted: int) -> int:
        """How many demonstrations fit; 0 also when not even the text does."""
        room = self._limits.context_tokens
        if self.used(wanted) <= room:
            return wanted
        return max(0, bisect_right(range(wanted), room, key=self.used) - 1)

    def _try(self, shown: int) -> tuple[tuple[Request, ...], int]:
        if shown not in self._tried:
            pairs = zip(self._question.schemas, self._constraints, strict=True)
            requests = tuple(self._request(schema, constraint, shown) for schema, constraint in pairs)
            used = max(self._limits.count_tokens(r.prompt) + r.constraint.max_tokens for r in requests)
            self._tried[shown] = (requests, used)
        return self._tried[shown]

    def _request(self, schema: CategorySchema, constraint: Constraint, shown: int) -> Request:
        question, template = self._question, self._template
        variables = attributes_request_variables(schema, question.category_path, self._text, template.form)
        # The most similar one stands next to the question.
        demonstrations = [_in_order(example, schema) for example in reversed(question.demonstrations[:shown])]
        return Request(question.product.id, render(template, variables, demonstrations), constraint)


def _in_order(example: PromptExample, schema: CategorySchema) -> PromptExample:
    """The same example with its attributes as `schema` orders them."""
    rank = {attribute.id: number for number, attribute in enumerate(schema.attributes)}

    def place(name: str) -> int:
        return rank.get(name, len(rank))

    offered = sorted(example.offered, key=place)
    attributes = {name: example.attributes[name] for name in sorted(example.attributes, key=place)}
    return example.model_copy(update={"offered": offered, "attributes": attributes})


def _refused(product: Product, detail: str) -> Asked:
    return Asked(rejections=(_rejection(product, Reason.TOO_LONG, detail),))


def _rejection(product: Product, reason: Reason, detail: str) -> Rejection:
    return Rejection(product.id, None, reason, detail)


def word_end(text: str, length: int) -> int:
    """Where to cut a text that has to become at most so long: half a word would be taken for a value."""
    ends = range(length, max(0, length - WORD_CHARACTERS), -1)
    return next((end for end in ends if text[end].isspace()), length)
