"""Labelled phrases in, the label of another phrase out: naive Bayes over words, for data sets that name classes.

Knows no data set. A phrase that was seen has the label that it mostly had.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

# Added to every count of a word (Lidstone); of 0.05 to 1 this was the best on folds of WDC-PAVE's train split.
SMOOTHING = 0.1
_WORD = re.compile(r"[a-z0-9]+")


class Example(NamedTuple):
    """A phrase with its label; `group` keeps labels apart that do not compete."""

    group: str
    phrase: str
    label: str


class Generalizer:
    """Labels as examples have them."""

    def __init__(self, examples: Iterable[Example]) -> None:
        """Count words by label; without examples nothing has a label."""
        self._seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)
        self._words: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._known: set[str] = set()
        for group, phrase, label in examples:
            self._seen[group, _key(phrase)][label] += 1
            self._labels[group][label] += 1
            self._words[group, label].update(_features(phrase))
            self._known.update(_features(phrase))

    def label(self, group: str, phrase: str) -> str | None:
        """The likeliest label of the group; None for a group without examples."""
        if seen := self._seen.get((group, _key(phrase))):
            return seen.most_common(1)[0][0]
        features = [feature for feature in _features(phrase) if feature in self._known]
        labels = self._labels.get(group, Counter())
        return max(labels, key=lambda label: self._likelihood(group, label, features), default=None)

    def _likelihood(self, group: str, label: str, features: Iterable[str]) -> float:
        words = self._words[group, label]
        total = words.total() + SMOOTHING * len(self._known)
        prior = math.log(self._labels[group][label])
        return prior + sum(math.log((words[feature] + SMOOTHING) / total) for feature in features)


def _features(phrase: str) -> Iterator[str]:
    """Words, pairs of words, and the head noun twice: it decides most."""
    words = _words(phrase)
    yield from words
    yield from (f"{one} {other}" for one, other in pairwise(words))
    yield from [f"head {words[-1]}"] * 2 if words else ()


def _key(phrase: str) -> str:
    return " ".join(_words(phrase))


def _words(phrase: str) -> list[str]:
    """Without case and plural s."""
    return [
        word.removesuffix("s") if not word.endswith("ss") else word for word in _WORD.findall(phrase.lower())
    ]
