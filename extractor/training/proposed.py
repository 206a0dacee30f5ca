"""Unlabelled listings + a span proposer -> labelled records: what a smaller or younger model is taught.

Every listing is asked for the attributes of a category of the judged data that its title is like, so that the
names are those the proposer was taught on. Only what it is sure of becomes a label, values and absences alike; of
the other cells nothing is said. In: rows of feeds, rows of judged files. Out: `Record`s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import bm25s

from extractor.policy import SURE
from extractor.propose import Ask, Proposer
from extractor.records import Proposal
from extractor.training.dataset import Record, text_of
from extractor.training.leaks import words

# A value is a label from this probability on.
VALUE = 0.7
# Judged titles that vote on a listing's category.
_VOTERS = 5
_AT_ONCE = 2048


class Categories:
    """Judged rows of one data set, to find the category that a title is most like."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        names: dict[str, dict[str, None]] = defaultdict(dict)
        for row in rows:
            names[row["category"]].update(dict.fromkeys(row["attributes"]))
        self.names = {category: tuple(found) for category, found in names.items()}
        self._of_row = [row["category"] for row in rows]
        self._index = bm25s.BM25()
        self._index.index([words(row["title"]) for row in rows], show_progress=False)

    def nearest(self, titles: Iterable[str]) -> list[str]:
        """For each title the category that the most similar judged titles vote for, each as loud as it is similar."""
        rows, scores = self._index.retrieve(
            [words(title) for title in titles],
            k=min(_VOTERS, len(self._of_row)),
            show_progress=False,
            backend_selection="numpy",
        )
        return [self._elected(*votes) for votes in zip(rows, scores, strict=True)]

    def _elected(self, rows: Iterable[int], scores: Iterable[float]) -> str:
        votes: dict[str, float] = defaultdict(float)
        for row, score in zip(rows, scores, strict=True):
            votes[self._of_row[row]] += score
        return max(votes, key=votes.__getitem__)


def label(
    rows: Sequence[Mapping[str, Any]], categories: Categories, proposer: Proposer, *, max_chars: int
) -> Iterator[Record | None]:
    """Of each row what the proposer is sure of; None where that is no value at all."""
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        nearest = categories.nearest(row["title"] for row in part)
        asks = [
            Ask(categories.names[category], category, text_of(row, max_chars))
            for row, category in zip(part, nearest, strict=True)
        ]
        for ask, proposals in zip(asks, proposer.propose(asks), strict=True):
            sure = {name: sure_label(proposal, ask.text) for name, proposal in proposals.items()}
            labels = {name: forms for name, forms in sure.items() if forms is not UNSURE}
            yield Record(ask.text, ask.category, labels) if any(labels.values()) else None


UNSURE: tuple[str, ...] = ()


def sure_label(proposal: Proposal, text: str) -> tuple[str, ...] | None:
    """The value, None for "absent", or UNSURE."""
    if proposal.absent >= SURE:
        return None
    chances: dict[str, float] = defaultdict(float)
    for scored in proposal.spans:
        chances[scored.span.slice(text)] += scored.probability
    surface, chance = max(chances.items(), key=lambda item: item[1], default=("", 0.0))
    return (surface,) if chance >= VALUE else UNSURE
