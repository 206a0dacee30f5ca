"""Proposals for one listing in, what they settle and what is left to ask the language model out.

Policies:
    propose-only  the proposer decides every attribute whose value stands in the text; no language model
    cascade       cells of which the proposer is sure are taken as they are, the others go to the language model,
                  which chooses among the proposed spans; derived attributes always do
    decode-all    the language model decides everything; nothing is proposed

What words decide (suit.py) neither of the two is asked for.

Pure functions: knows no proposer, no engine and no grammar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from extractor.datafile import content_hash
from extractor.records import AttributeValue, Policy, Proposal, ScoredSpan, Span, with_confidence
from extractor.schema import Attribute, CategorySchema
from extractor.search import find_evidence
from extractor.written_numbers import find_numbers, numbers_for

# A value is taken when the proposer gives it at least this probability: best F1 on the held-out tenth of the training
# gold under both protocols (eval/LOG.md).
TAKE = 0.5
# A cell is sure when its likeliest answer, a value or "absent", has at least this probability.
SURE = 0.9
# Of an attribute with several values, those are taken that are as likely as this share of its likeliest.
_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Settled:
    """One value that needs no language model."""

    attribute: str
    # Words of the text, an enum member, or a number.
    surface: str
    # Where it, or the evidence of a choice, stands in the text.
    span: Span
    # 0..1.
    confidence: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the attributes of one listing."""

    settled: tuple[Settled, ...] = ()
    # Ids of those that the language model is to be asked for.
    open: tuple[str, ...] = ()
    # Of those that are words of the text: the surfaces it may choose from, likeliest first, with their probability.
    offered: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    # Attributes that are settled, those without a value included.
    cells: int = 0


def settle(schema: CategorySchema, text: str, proposals: Mapping[str, Proposal], policy: Policy) -> Decision:
    """Settle what the policy lets the proposer settle.

    Args:
        schema: Whose attributes are in question.
        text: `Product.text`.
        proposals: By attribute id; an attribute without one is left open, but for those that words decide.
        policy: See above; under "propose-only" nothing stays open.
    """
    settled: list[Settled] = []
    left_open: list[str] = []
    cells = 0
    for attribute in schema.attributes:
        if attribute.cues:  # words decide it, see suit.py
            continue
        proposal = proposals.get(attribute.id)
        if proposal is None or attribute.how == "derived":
            left_open.append(attribute.id)
            continue
        ranked = _ranked(attribute, text, proposal)
        if policy == "propose-only" or _is_sure(proposal, ranked):
            settled += _taken(attribute, ranked)
            cells += 1
        else:
            left_open.append(attribute.id)
    if policy == "propose-only":
        return Decision(tuple(settled), (), cells=cells)
    scored = {name: _surfaces(proposals[name], text) for name in left_open if name in proposals}
    offered = {
        name: {s: found.probability for s, found in surfaces.items()} for name, surfaces in scored.items()
    }
    return Decision(tuple(settled), tuple(left_open), offered, cells)


def agreed(value: AttributeValue, decision: Decision) -> AttributeValue:
    """A value that the language model chose, with a confidence that both have a say in: their geometric mean."""
    chance = decision.offered.get(value.attribute, {}).get(value.surface)
    return value if chance is None else with_confidence(value, sqrt(chance * value.confidence))


def reduced(schema: CategorySchema, names: Sequence[str]) -> CategorySchema:
    """The schema with only these attributes, in its order."""
    kept = tuple(attribute for attribute in schema.attributes if attribute.id in names)
    if kept == schema.attributes:
        return schema
    properties = {a.id: schema.json_schema["properties"][a.id] for a in kept}
    return replace(
        schema,
        attributes=kept,
        json_schema={**schema.json_schema, "properties": properties},
        hash=content_hash([schema.hash, list(properties)]),
    )


def _ranked(attribute: Attribute, text: str, proposal: Proposal) -> list[Settled]:
    """Possible values, likeliest first."""
    if attribute.enum:
        members = ((member, find_evidence(attribute, member, text)) for member in attribute.enum)
        places = [(member, span) for member, span in members if span]
    elif attribute.type != "string":
        allowed = set(numbers_for(attribute, text))
        places = [(span.slice(text), span) for span in find_numbers(text) if span.slice(text) in allowed]
    else:
        return [
            Settled(attribute.id, surface, scored.span, scored.probability)
            for surface, scored in _surfaces(proposal, text).items()
            if len(surface) <= attribute.max_length
        ]
    values = (Settled(attribute.id, value, span, _chance(span, proposal)) for value, span in places)
    return sorted((value for value in values if value.confidence), key=lambda value: -value.confidence)


def _chance(evidence: Span, proposal: Proposal) -> float:
    """Probability that the value is one that has these words in it, or is in them."""
    return sum(scored.probability for scored in proposal.spans if _overlap(scored.span, evidence))


def _is_sure(proposal: Proposal, ranked: Sequence[Settled]) -> bool:
    """Whether "absent", or that its likeliest value is right, is as good as certain."""
    return max(proposal.absent, ranked[0].confidence if ranked else 0.0) >= SURE


def _taken(attribute: Attribute, ranked: Sequence[Settled]) -> Iterator[Settled]:
    if not attribute.multi:
        yield from (value for value in ranked[:1] if value.confidence >= TAKE)
        return
    # The values of one attribute share its probability: together they have to reach what one alone would, and the
    # likeliest is as certain as that one of them is stated at all.
    apart = list(_apart(ranked))
    stated = sum(value.confidence for value in apart)
    if stated >= TAKE:
        shares = ((value, value.confidence / apart[0].confidence) for value in apart[: attribute.max_items])
        yield from (replace(value, confidence=stated * share) for value, share in shares if share >= _SHARE)


def _apart(ranked: Sequence[Settled]) -> Iterator[Settled]:
    """The likeliest of those that overlap."""
    taken: list[Span] = []
    for value in ranked:
        if not any(_overlap(value.span, span) for span in taken):
            taken.append(value.span)
            yield value


def _surfaces(proposal: Proposal, text: str) -> dict[str, ScoredSpan]:
    """Surface -> its likeliest place, with the probability of all its places; likeliest first."""
    found: dict[str, ScoredSpan] = {}
    for scored in proposal.spans:
        surface = scored.span.slice(text)
        known = found.get(surface)
        found[surface] = ScoredSpan(known.span, known.probability + scored.probability) if known else scored
    return dict(sorted(found.items(), key=lambda item: -item[1].probability))


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
