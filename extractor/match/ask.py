"""Pairs that the scorer cannot tell in, a language model's yes or no out.

The answer is decoded under a grammar of the two words; no answer, or a broken one, is None: the pair stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from extractor.constraint import compile_choice
from extractor.datafile import DataFileError, parse_json
from extractor.engines import Engine
from extractor.match.listing import Listing
from extractor.prompt import PromptTemplate, defuse, match_request_variables, render
from extractor.records import Completion, Request

# Answers to pairs of listings, in order.
Decider = Callable[[Sequence[tuple[Listing, Listing]]], Sequence[bool | None]]

_ANSWERS = {"yes": True, "no": False}
# Of each listing: the title, and the beginning of a description.
_CHARACTERS = 600


def by_model(engine: Engine, template: PromptTemplate) -> Decider:
    """A language model that decides, greedy, one request a pair."""
    constraint = compile_choice(list(_ANSWERS))

    def decide(pairs: Sequence[tuple[Listing, Listing]]) -> list[bool | None]:
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


def _answer(completion: Completion) -> bool | None:
    if completion.finish != "stop":
        return None
    try:
        answer = parse_json(completion.text.strip())
    except DataFileError:
        return None
    return _ANSWERS.get(answer) if isinstance(answer, str) else None
