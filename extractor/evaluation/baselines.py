"""What simpler and other methods predict for a suite's records: they stand beside the model in every report.

In: gold records to predict for, and training gold or files of stored predictions. Out: predictions of the same form
as a model's. Knows no model and no counting.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from extractor.evaluation.files import read_predictions
from extractor.gold import GoldRecord, Values

# Product id -> attribute -> values.
Predictions = dict[str, dict[str, Values]]

_WORD = re.compile(r"\w+")


def look_up(
    train: Iterable[GoldRecord], gold: Iterable[GoldRecord], offered: Mapping[str, Sequence[str]]
) -> Predictions:
    """The longest value seen in training for the same category and attribute that stands verbatim in the text.

    Args:
        train: Where values are learned.
        gold: Records to predict for; their labels are not looked at.
        offered: Category -> attributes to predict.
    """
    known: dict[tuple[str, str], _Dictionary] = defaultdict(_Dictionary)
    for record in train:
        for name, values in record.attributes.items():
            known[record.category, name].learn(values or ())
    return {
        record.id: {
            name: known[record.category, name].longest_in(record.text) for name in offered[record.category]
        }
        for record in gold
    }


def stored(path: Path, gold: Iterable[GoldRecord], known: Collection[str]) -> Predictions:
    """What a file of predictions says of the records.

    Args:
        path: JSON Lines, see files.read_predictions.
        gold: Records to predict for: the suite's or a sample of them.
        known: Ids of all the suite's records; any other id in the file is an error.
    """
    predictions = read_predictions(path, known)
    return {record.id: predictions[record.id] for record in gold if record.id in predictions}


class _Dictionary:
    """Values of one attribute, found in texts as whole words."""

    def __init__(self) -> None:
        # By their first word, so that a text is compared with few of them.
        self._values: dict[str, set[str]] = defaultdict(set)

    def learn(self, values: Iterable[str]) -> None:
        for value in values:
            if first := _WORD.search(value):
                self._values[first.group()].add(value)

    def longest_in(self, text: str) -> Values:
        """The longest value, of equally long ones the first in the text; None when there is none."""
        return [max(found, key=len)] if (found := list(self._found(text))) else None

    def _found(self, text: str) -> Iterator[str]:
        for word in dict.fromkeys(_WORD.findall(text)):
            for value in sorted(self._values.get(word, ())):
                if value in text and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text):
                    yield value
