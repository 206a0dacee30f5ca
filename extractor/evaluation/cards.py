"""Listings for people to look at: gold and what runs said, marked in the listing's text.

In: a gold record, the Outcomes of one or two runs, and the attributes to look at. Out: a Card. Knows no HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from extractor.evaluation.runs import gold_form
from extractor.gold import GoldRecord, Values
from extractor.page import cut_pieces
from extractor.records import Outcome, Span

# Characters of plain text that stay beside a mark in a description.
BESIDE = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One attribute of a listing: who says what."""

    attribute: str
    # Voice ("gold"; "a" and "b", or "predicted") -> its values; None: none.
    said: Mapping[str, Values]
    # Why the line is there: "fixed", "missed" ...
    verdict: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of text, and whose values it is part of."""

    text: str
    # Empty for plain text.
    voices: tuple[str, ...] = ()
    # Indexes of the card's lines.
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A listing with the lines that are worth a look."""

    product_id: str
    category: str
    title: tuple[Mark, ...]
    # Shortened where nothing is marked.
    description: tuple[Mark, ...]
    lines: tuple[Line, ...]


def make_card(record: GoldRecord, outcomes: Mapping[str, Outcome | None], lines: Sequence[Line]) -> Card:
    """Mark what the lines say.

    Args:
        record: The listing.
        outcomes: Voice -> Outcome, where spans are known; all other values are looked for in the text.
        lines: What to show.
    """
    text, title_end = record.text, len(record.title)
    found = [
        (span, voice, number)
        for number, line in enumerate(lines)
        for voice in line.said
        for span in _spans(line, voice, outcomes.get(voice), text)
    ]
    return Card(
        record.id,
        record.category,
        tuple(_marks(text, found, 0, title_end)),
        tuple(_shorten(list(_marks(text, found, min(title_end + 1, len(text)), len(text))))),
        tuple(lines),
    )


def find(value: str, text: str) -> Span | None:
    """The first place where a value stands as whole words, else the first at all."""
    if not value:
        return None
    whole = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)
    start = whole.start() if whole else text.find(value)
    return Span(start, start + len(value)) if start >= 0 else None


def _spans(line: Line, voice: str, outcome: Outcome | None, text: str) -> Iterator[Span]:
    said = {value: find(value, text) for value in line.said[voice] or ()}
    if outcome:
        known = [value for value in outcome.values if value.attribute == line.attribute]
        said |= {gold_form(value): value.span for value in known if value.span}
    yield from (span for span in said.values() if span)


def _marks(text: str, found: Sequence[tuple[Span, str, int]], start: int, end: int) -> Iterator[Mark]:
    for piece in cut_pieces(text, [span for span, _, _ in found], start, end):
        # `found` is in the order of lines and voices, whichever span is the shortest.
        here = [found[index] for index in sorted(piece.spans)]
        voices, lines = dict.fromkeys(h[1] for h in here), dict.fromkeys(h[2] for h in here)
        yield Mark(piece.text, tuple(voices), tuple(lines))


def _shorten(marks: Sequence[Mark]) -> Iterator[Mark]:
    """Plain text far from any mark gives way to an ellipsis."""
    for number, mark in enumerate(marks):
        first, last = number == 0, number == len(marks) - 1
        before = BESIDE * 3 if first and last else 0 if first else BESIDE
        after = 0 if last else BESIDE
        if mark.voices or len(mark.text) <= before + after:
            yield mark
        else:
            yield Mark(f"{mark.text[:before]} … {mark.text[len(mark.text) - after :]}")
