"""Several answers about one product in, one out: the majority for each attribute; and in which order each is asked.

After ExtractGPT's ensemble (arXiv 2310.12537, `in_context_schema_description_with_example_values_ensemble_shuffle.py`):
the first vote is asked for the attributes in schema order, the others in shuffled orders, because a model prefers
what stands first. Where we differ: it takes the most frequent answer and of a tie the earliest; here the order of the
votes does not matter. First it is decided whether the attribute is stated at all, by more than half of the votes; then
which value: the most frequent one, of a tie the more confident one, then the shorter one, then by alphabet. An
attribute with several values keeps each that more than half of the votes have. An answer that is of no use as a whole
abstains. Knows no engine and no prompt.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from extractor.datafile import content_hash
from extractor.records import AttributeValue, Reason, Rejection, with_confidence
from extractor.schema import CategorySchema

_QUOTED_CHARACTERS = 80

# Votes for one value, each as its answer has it.
_Choice = Sequence[AttributeValue]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one answer states about a product, and what of it was dropped."""

    # Each value once.
    values: tuple[AttributeValue, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    @property
    def abstains(self) -> bool:
        """True when the answer as a whole is of no use: that is no vote for leaving everything out."""
        return any(rejection.attribute is None for rejection in self.rejections)


def orders(schema: CategorySchema, votes: int) -> list[CategorySchema]:
    """The schema once for each vote: as it is, then with its attributes shuffled.

    The same way for all products of a category, so that their prompts share a beginning.
    """
    return [schema, *(_shuffled(schema, content_hash([schema.id, vote])) for vote in range(2, votes + 1))]


def count(votes: Sequence[Vote], schema: CategorySchema, product_id: str) -> Vote:
    """What the majority says; a single vote as it is.

    A value's confidence is the mean over the votes that were cast, 0 where a vote does not have it: the mean
    confidence of those that do, times their share. What loses is not lost: each outvoted value is a rejection, and
    what was dropped in several answers for one reason is one rejection.

    Args:
        votes: In any order.
        schema: Values and rejections come in its order.
        product_id: Of the rejections.
    """
    if len(votes) == 1:
        return votes[0]
    cast = [vote for vote in votes if not vote.abstains]
    values: list[AttributeValue] = []
    rejections = _distinct(rejection for vote in votes for rejection in vote.rejections)
    choices = _choices(cast)
    for attribute in schema.attributes:
        ranked = sorted(choices.get(attribute.id, ()), key=_strength)
        elected = _elected(ranked, len(cast), multi=attribute.multi)
        values += [_united(choice, len(cast)) for choice in ranked[:elected]]
        rejections += [_outvoted(choice, len(cast), product_id) for choice in ranked[elected:]]
    rank = {attribute.id: number for number, attribute in enumerate(schema.attributes)}
    rejections.sort(key=lambda r: (rank.get(r.attribute or "", -1), r.attribute or "", r.reason, r.detail))
    return Vote(tuple(values), tuple(rejections))


def _shuffled(schema: CategorySchema, seed: str) -> CategorySchema:
    attributes = list(schema.attributes)
    random.Random(seed).shuffle(attributes)
    names = [attribute.id for attribute in attributes]
    properties = schema.json_schema["properties"]
    return replace(
        schema,
        attributes=tuple(attributes),
        # Engines without our grammar write the object in the order of its properties.
        json_schema={**schema.json_schema, "properties": {name: properties[name] for name in names}},
        hash=content_hash([schema.hash, names]),
    )


def _choices(votes: Iterable[Vote]) -> Mapping[str, list[_Choice]]:
    """Attribute -> its different values. As for `ground.drop_duplicates`, case makes none."""
    found: dict[str, dict[Hashable, list[AttributeValue]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        for value in vote.values:
            found[value.attribute][value.canonical.casefold(), value.unit].append(value)
    return {attribute: list(choices.values()) for attribute, choices in found.items()}


def _strength(choice: _Choice) -> tuple[int, float, int, str]:
    """Sort key, strongest first."""
    surface = _typical(choice).surface
    return (-len(choice), -fsum(value.confidence for value in choice), len(surface), surface)


def _elected(ranked: Sequence[_Choice], votes: int, *, multi: bool) -> int:
    """How many of the strongest choices win."""
    if multi:
        return sum(2 * len(choice) > votes for choice in ranked)
    stated = sum(map(len, ranked))
    return int(2 * stated > votes)


def _united(choice: _Choice, votes: int) -> AttributeValue:
    return with_confidence(_typical(choice), fsum(value.confidence for value in choice) / votes)


def _typical(choice: _Choice) -> AttributeValue:
    """One of them for all: the most frequent surface, of a tie the more confident one, then the earlier one."""
    frequency = Counter(value.surface for value in choice)

    def rank(value: AttributeValue) -> tuple[int, float, int, str]:
        start = value.span.start if value.span else 0
        return (-frequency[value.surface], -value.confidence, start, value.surface)

    return min(choice, key=rank)


def _distinct(rejections: Iterable[Rejection]) -> list[Rejection]:
    """Each once; of those that concern whole answers, one for each reason."""
    found: dict[Hashable, Rejection] = {}
    for rejection in sorted(rejections, key=lambda r: r.detail):
        detail = rejection.detail if rejection.attribute else None
        found.setdefault((rejection.attribute, rejection.reason, detail), rejection)
    return list(found.values())


def _outvoted(choice: _Choice, votes: int, product_id: str) -> Rejection:
    value = _typical(choice)
    detail = f"{value.surface[:_QUOTED_CHARACTERS]!r} has {len(choice)} of {votes} votes"
    return Rejection(product_id, value.attribute, Reason.OUTVOTED, detail)
