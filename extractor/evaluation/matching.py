"""Two spellings in, how alike they are out: equal but for their spelling, or the words they share.

Knows single values only; what is counted with them says metrics.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from extractor.normalize import fold

# Punctuation and spaces do not tell values apart, except between two digits (5.5, 1/2, 10-20) and as a sign (-5).
_PUNCTUATION = r".,;:!?()\[\]{}<>/\\|_~*\-\u2013\u2014\u2022\u00b7\u3001\u3002\uff0c"
_IGNORED = rf"[\s{_PUNCTUATION}]++"
_spaces_at_punctuation = re.compile(rf"\s+(?=[{_PUNCTUATION}])|(?<=[{_PUNCTUATION}])\s+")
_ignored = re.compile(rf"(?<![0-9])(?!^-[0-9]){_IGNORED}|{_IGNORED}(?![0-9])|(?<![0-9])[\"']")
# Numbers; single characters of scripts that write no spaces (as MLQA, arXiv 1910.07475, does for Chinese);
# words, with the marks of Indic scripts, which are no \w.
_token = re.compile(
    r"[0-9]+(?:[.,/][0-9]+)*|[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|(?:(?![\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])[^\W\d_]|[\u0300-\u036f\u0900-\u0dff])+"
)

# The same values come again and again, and under every protocol: 100,000 records take seconds.
_KEPT = 1 << 16


class Overlap(NamedTuple):
    """Shared words as a share of those predicted and of those in gold, 0..1."""

    precision: float
    recall: float


FULL, NO_OVERLAP = Overlap(1.0, 1.0), Overlap(0.0, 0.0)


def same_but_spelling(one: str, other: str) -> bool:
    """Equal but for case, white space, punctuation and Unicode's many ways: "16 GB" = "16gb"."""
    return _key(one) == _key(other)


def best_overlap(predicted: Sequence[str], gold: Sequence[str]) -> Overlap:
    """Each predicted value against the accepted form it is most like (by F1), the mean over the values."""
    best = [max((_overlap(value, form) for form in gold), key=_f1) for value in predicted]
    return Overlap(_mean(each.precision for each in best), _mean(each.recall for each in best))


def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers, folded; text without any is one token."""
    folded = fold(text)
    return tuple(_token.findall(folded)) or (folded,)


@lru_cache(_KEPT)
def _overlap(predicted: str, form: str) -> Overlap:
    """SQuAD's token overlap (arXiv 1606.05250): a word that stands twice counts twice."""
    if predicted == form:
        return FULL
    ours, theirs = _tokens(predicted), _tokens(form)
    shared = sum(min(ours.count(word), theirs.count(word)) for word in set(ours).intersection(theirs))
    return Overlap(shared / len(ours), shared / len(theirs))


def _f1(overlap: Overlap) -> float:
    precision, recall = overlap
    return 2 * precision * recall / (precision + recall) if precision else 0.0


def _mean(shares: Iterable[float]) -> float:
    listed = list(shares)
    return sum(listed) / len(listed)


_tokens = lru_cache(_KEPT)(tokens)


@lru_cache(_KEPT)
def _key(text: str) -> str:
    folded = fold(text)
    return _ignored.sub("", _spaces_at_punctuation.sub("", folded)) or folded
