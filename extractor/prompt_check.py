"""Prompt files in, complaints out: problems, which a prompt must not have, and warnings, which cost money.

An example has to pass what an answer of a model has to pass, `validate` and `ground`, on its own listing. Loads
no model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from extractor.errors import PromptError, SchemaError
from extractor.ground import ground
from extractor.prompt import PromptExample, PromptTemplate, list_prompts, load_prompt
from extractor.records import Completion, Product, Rejection
from extractor.schema import CategorySchema, SchemaStore
from extractor.taxonomy import PATH_SEPARATOR
from extractor.validate import Candidate, validate

# Without these a prompt does not say what it asks for.
_NEEDED = {
    "route": ("options", "text"),
    "attributes": ("attributes", "text"),
    "repair": ("attributes", "text"),
    "match": ("left", "right"),
}
# What differs between the listings of one category; the other variables are the category's.
_OF_LISTING = frozenset({"options", "text", "previous", "error", "left", "right"})
# Fixed words behind a variable up to this length are labels ("Listing:"), not instructions.
_LABEL_CHARACTERS = 80
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")


def check_prompts(folder: Path, store: SchemaStore) -> list[str]:
    """Every problem of every prompt, one line each; empty when all is well."""
    problems: list[str] = []
    for prompt_id in list_prompts(folder):
        try:
            template = load_prompt(prompt_id, folder)
        except PromptError as error:
            problems.append(str(error))
        else:
            problems += (f"{prompt_id}: {problem}" for problem in _problems(template, store))
    return problems


def prefix_warnings(template: PromptTemplate) -> list[str]:
    """Where a prompt says what many listings share behind what they do not.

    Engines keep the beginning that prompts have in common (vLLM, "Automatic Prefix Caching"): what stands behind
    a listing's text is computed anew for every listing.
    """
    warnings = []
    before: list[str] = []
    for variable, fixed in _pieces(template):
        listing = [name for name in before if name in _OF_LISTING]
        if fixed and before:
            warnings.append(
                f"{fixed} stand behind {_quoted(before)}; put them first, all listings share them"
            )
        elif listing and variable and variable not in _OF_LISTING:
            shared = f"{_quoted([variable])} stands behind {_quoted(listing)}"
            warnings.append(f"{shared}; put it before, the listings of a category share it")
        before += [variable] if variable else []
    return [f"{template.id}: {warning}" for warning in warnings]


def _pieces(template: PromptTemplate) -> Iterator[tuple[str, str]]:
    """What a filled-in prompt consists of, in order: a variable's name and "", or "" and what fixed words are."""
    for text, examples in ((template.system, template.examples), (template.user, ())):
        # Names stand at the odd places.
        for place, piece in enumerate(_VARIABLE.split(text)):
            if place % 2:
                yield piece, ""
            elif len(piece.strip()) > _LABEL_CHARACTERS:
                yield "", f"{len(piece.strip())} characters of fixed words"
        if examples:
            yield "", "the examples"


def _quoted(names: list[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in names)


def _problems(template: PromptTemplate, store: SchemaStore) -> Iterator[str]:
    for name in _NEEDED[template.task]:
        if name not in template.variables:
            yield f"task {template.task} needs {{{{{name}}}}}; put it into user"
    for number, example in enumerate(template.examples, 1):
        yield from (f"example {number}: {problem}" for problem in _example_problems(example, store))


def _example_problems(example: PromptExample, store: SchemaStore) -> Iterator[str]:
    path = tuple(example.category.split(PATH_SEPARATOR))
    ids = [node.id for node in store.taxonomy if node.path == path]
    if not ids:
        yield f"taxonomy.jsonl has no category {example.category!r}; correct it"
        return
    try:
        schema = store.for_category(ids[0])
    except SchemaError as error:
        yield str(error)
        return
    order = [attribute.id for attribute in schema.attributes]
    for name in sorted(set(example.offered) - set(order)):
        yield f"category {ids[0]} has no attribute {name!r}; remove it"
    if set(example.attributes) - set(example.offered):
        yield "expects attributes that it does not offer; add them to offered"
    if list(example.attributes) != [name for name in order if name in example.attributes]:
        yield "attributes are not in schema order; sort them so"
    yield from _answer_problems(example, schema)


def _answer_problems(example: PromptExample, schema: CategorySchema) -> Iterator[str]:
    product = Product("", example.title, example.description)
    completion = Completion(json.dumps(example.attributes, ensure_ascii=False))
    answer = validate(completion, schema, product.id)
    for rejection in answer.rejections:
        yield f"{rejection.attribute}: {rejection.detail}; correct it"
    for candidate in answer.candidates:
        if problem := _grounding_problem(candidate, schema, product):
            yield f"{candidate.attribute}: {problem}"


def _grounding_problem(candidate: Candidate, schema: CategorySchema, product: Product) -> str | None:
    attribute = schema.attribute(candidate.attribute)
    found = ground(attribute, candidate.surface, candidate.confidence, product)
    if isinstance(found, Rejection):
        return f"{candidate.surface!r} does not stand in the listing; copy it from there"
    if found.how == "derived" and attribute.how != "derived":
        return f"the listing has no words for {candidate.surface!r}; remove it"
    # Models copy the care of the examples: whoever answers "red" for "Red" is forgiven, whoever shows it is not.
    if found.how == "span" and attribute.type == "string" and found.surface != candidate.surface:
        return f"the listing writes {found.surface!r}, not {candidate.surface!r}; copy it from there"
    return None
