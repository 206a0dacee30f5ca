"""Pairs that the scorer cannot tell in, a language model's yes or no out, with how sure it is.

The answer is decoded under a grammar of the two words; no answer, or a broken one, is None: the pair stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp
from typing import NamedTuple

from extractor.constraint import compile_choice
from extractor.datafile import DataFileError, parse_json
from extractor.engines import Engine
from extractor.match.listing import Listing
from extractor.prompt import PromptTemplate, defuse, render
from extractor.prompt_variables import match_request_variables
from extractor.records import Completion, Request


class Answer(NamedTuple):
    """What a language model says of a pair of listings."""

    same: bool
    # 0..1: of the word that it chose, beside the other one.
    confidence: float


# Answers to pairs of listings, in order.
Decider = Callable[[Sequence[tuple[Listing, Listing]]], Sequence[Answer | None]]

_ANSWERS = {"yes": True, "no": False}
# Of a word from an engine that tells no probabilities.
_UNTOLD = 0.9
# Of each listing: the title, and the beginning of a description.
_CHARACTERS = 600


def by_model(engine: Engine, template: PromptTemplate) -> Decider:
    """A language model that decides, greedy, one request a pair."""
    constraint = compile_choice(list(_ANSWERS))

    def decide(pairs: Sequence[tuple[Listing, Listing]]) -> list[Answer | None]:
        requests = [
            Request(
                f"{left.id} {right.id}",
                render(template, match_request_variables(_text(left), _text(right))),
                constraint,
            )
            for left, right in pairs
        ]
        return [_answer(completion) for completion in engine.generate(requests)]

    return decide


def _text(listing: Listing) -> str:
    lines = [listing.title, f"brand: {listing.brand}" if listing.brand else ""]
    lines += [f"{name}: {', '.join(sorted(values))}" for name, values in sorted(listing.attributes.items())]
    lines += [f"price: {listing.price:g}" if listing.price else "", listing.description]
    return defuse("\n".join(filter(None, lines)))[:_CHARACTERS]


def _answer(completion: Completion) -> Answer | None:
    if completion.finish != "stop":
        return None
    try:
        answer = parse_json(completion.text.strip())
    except DataFileError:
        return None
    if not isinstance(answer, str) or answer not in _ANSWERS:
        return None
    told = [token.logprob for token in completion.tokens]
    return Answer(_ANSWERS[answer], exp(sum(told)) if told else _UNTOLD)
