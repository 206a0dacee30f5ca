"""Products between whose candidate categories a language model is to choose, in; its choices out.

Beside the pipeline only the fit of a router asks this way: to find out who chooses better, router or model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from extractor.constraint import compile_choice
from extractor.engines import Engine
from extractor.prompt import PromptTemplate, render
from extractor.prompt_variables import route_request_variables
from extractor.records import UNKNOWN_CATEGORY, CategoryChoice, Completion, Product, Request, Usage
from extractor.route import Candidate, chosen, options
from extractor.validate import parse_choice

# Characters of the text that a choice is made from.
ROUTE_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Categorized:
    """A model's choice for one product: unknown also when it gave none."""

    choice: CategoryChoice
    usage: Usage


def categorize(
    asked: Sequence[tuple[Product, Sequence[Candidate]]], engine: Engine, template: PromptTemplate
) -> list[Categorized]:
    """One choice for each, in order.

    Raises:
        EngineError: the engine is down.
    """
    requests = [_request(product, candidates, template) for product, candidates in asked]
    completions = engine.generate(requests)
    return [
        Categorized(_choice(candidates, completion), completion.usage)
        for (_, candidates), completion in zip(asked, completions, strict=True)
    ]


def _request(product: Product, candidates: Sequence[Candidate], template: PromptTemplate) -> Request:
    offered = [*options(candidates), UNKNOWN_CATEGORY.id]
    variables = route_request_variables(offered, product.text[:ROUTE_CHARACTERS], template.form)
    return Request(product.id, render(template, variables), compile_choice(offered))


def _choice(candidates: Sequence[Candidate], completion: Completion) -> CategoryChoice:
    answer = parse_choice(completion)
    return chosen(candidates, *answer) if answer else UNKNOWN_CATEGORY
