"""What is known so far of a product on its way through the pipeline: its category, what was settled, what was asked.

`Draft` is one product, `Ballot` one request about it with the answer. Made and dropped within one call of
`Extractor.extract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from extractor.ask import word_end
from extractor.ground import place
from extractor.policy import Decision, Settled
from extractor.propose import Ask
from extractor.records import (
    UNKNOWN_CATEGORY,
    AttributeValue,
    CategoryChoice,
    Completion,
    Product,
    Reason,
    Rejection,
    Request,
    Usage,
)
from extractor.schema import CategorySchema
from extractor.suit import suit
from extractor.validate import Validated, validate

# Characters of the text that the proposer reads: a hundred times what most listings have.
PROPOSE_CHARACTERS = 20_000


@dataclass(slots=True)
class Draft:
    """One product on its way through `extract`."""

    product: Product
    category: CategoryChoice = UNKNOWN_CATEGORY
    # Categories of the other parts of a bundle.
    also: tuple[CategoryChoice, ...] = ()
    schema: CategorySchema = field(init=False)
    # What the proposer settled; None: nothing was proposed.
    decision: Decision | None = None
    # Characters of the text that the model reads.
    length: int = 0
    ballots: list[Ballot] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        return self.product.text[: self.length]

    def to_propose(self) -> Ask:
        names = tuple(a.id for a in self.schema.attributes if a.how != "derived" and not a.cues)
        text = self.product.text
        if len(text) > PROPOSE_CHARACTERS:
            length = word_end(text, PROPOSE_CHARACTERS)
            detail = f"the proposer read {length:,} of {len(text):,} characters"
            self.rejections.append(Rejection(self.product.id, None, Reason.TEXT_CUT, detail))
            text = text[:length]
        return Ask(names, self.category.path[-1] if self.category.path else "", text)

    @property
    def open(self) -> tuple[str, ...]:
        """Ids of the attributes that the language model is asked for."""
        if self.decision:
            return self.decision.open
        return tuple(attribute.id for attribute in self.schema.attributes if not attribute.cues)

    def suited(self) -> list[AttributeValue]:
        """What words decide; nothing where the model failed, which is not to look like half a success."""
        if any(r.attribute is None and r.reason is not Reason.TEXT_CUT for r in self.rejections):
            return []
        settled = self.decision.settled if self.decision else ()
        brands = [value.surface for value in settled if value.attribute == "brand"]
        stated = [self.product.brand] if self.product.brand else []
        return suit(self.schema, self.product, self.category, (*brands, *stated))

    def placed(self) -> list[AttributeValue]:
        """What the proposer settled, with its place."""
        settled: Sequence[Settled] = self.decision.settled if self.decision else ()
        return [
            place(self.schema.attribute(s.attribute), s.surface, s.span, s.confidence, self.product)
            for s in settled
        ]


@dataclass(slots=True)
class Ballot:
    """One request about a product's attributes, and the answer."""

    draft: Draft
    # The draft's, with its attributes in the order in which this one asks for them.
    schema: CategorySchema
    request: Request
    completion: Completion = field(default_factory=lambda: Completion(""))
    answer: Validated = field(default_factory=Validated)

    def take(self, completion: Completion) -> None:
        self.completion = completion
        self.draft.usage += completion.usage
        self.answer = validate(completion, self.draft.schema, self.draft.product.id)
