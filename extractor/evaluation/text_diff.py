"""Two texts in, rows for a side-by-side view out: lines that belong together, their changed words marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
# Lines that have less in common stand below each other, as one that went and one that came.
SAME_LINE = 0.5
# Blocks with more pairs of lines than this are shown as gone and come, too: comparing all of them takes seconds.
MOST_PAIRS = 2_500


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a line; `changed`: the other side does not have it."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of each side; None: this side has no such line."""

    left: tuple[Part, ...] | None
    right: tuple[Part, ...] | None

    @property
    def same(self) -> bool:
        return self.left == self.right


@dataclass(frozen=True, slots=True)
class Fold:
    """A run of lines; `open`: near a change, to be shown at once."""

    rows: tuple[Row, ...]
    open: bool


def side_by_side(left: str, right: str, *, context: int = 3) -> list[Fold]:
    """All lines of both texts in order, those farther than `context` lines from any change folded away."""
    rows = list(_rows(left.splitlines(), right.splitlines()))
    changed = [number for number, row in enumerate(rows) if not row.same]
    near = {number for at in changed for number in range(at - context, at + context + 1)}
    folds: list[Fold] = []
    for number, row in enumerate(rows):
        if folds and folds[-1].open == (number in near):
            folds[-1] = Fold((*folds[-1].rows, row), folds[-1].open)
        else:
            folds.append(Fold((row,), number in near))
    return folds


def _rows(left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    for kind, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Row((Part(line),), (Part(line),)) for line in left[i:j])
        else:
            yield from _pair(left[i:j], right[k:m])


def _pair(left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    """Changed lines: the two most alike in one row, and so on above and below them."""
    pairs = [(i, k) for i in range(len(left)) for k in range(len(right))]
    alike = [(_ratio(left[i], right[k]), i, k) for i, k in pairs] if len(pairs) <= MOST_PAIRS else []
    # Of equally good ones the first.
    ratio, i, k = max(alike, key=lambda pair: pair[0], default=(0.0, 0, 0))
    if ratio < SAME_LINE:
        yield from (Row((Part(line, True),), None) for line in left)
        yield from (Row(None, (Part(line, True),)) for line in right)
        return
    yield from _pair(left[:i], right[:k])
    yield _words(left[i], right[k])
    yield from _pair(left[i + 1 :], right[k + 1 :])


@lru_cache(maxsize=MOST_PAIRS)
def _ratio(left: str, right: str) -> float:
    matcher = SequenceMatcher(None, _WORD.findall(left), _WORD.findall(right), autojunk=False)
    # An upper bound that takes no time rules most pairs out.
    return matcher.ratio() if matcher.quick_ratio() >= SAME_LINE else 0.0


def _words(left: str, right: str) -> Row:
    before, after = _WORD.findall(left), _WORD.findall(right)
    parts: tuple[list[Part], list[Part]] = ([], [])
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for side, words in zip(parts, (before[i:j], after[k:m]), strict=True):
            if words:
                side.append(Part("".join(words), kind != "equal"))
    return Row(tuple(parts[0]), tuple(parts[1]))
