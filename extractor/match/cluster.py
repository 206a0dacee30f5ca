"""Scored pairs in, clusters out, such that no weak link makes a chain of them.

Average linkage on the pairs that were scored: the two clusters that are most alike on average become one, until none
are alike enough. A single good pair joins two listings, but not two groups whose other pairs speak against it, and a
pair of clusters that conflict is never joined. Compare Hassanzadeh et al., "Framework
for Evaluating Clustering Algorithms in Duplicate Detection", VLDB 2009, on why connected components do not do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from extractor.match.veto import Spoken

# A mean over so many pairs or more is told by several witnesses, so that less of it is enough. Chosen on offers of the
# Altosight and camera sets that are neither learned from nor measured on.
_WITNESSES, _ENOUGH = 3, 2 / 3
_LEAST = 1e-9


class Pair(NamedTuple):
    """Two listings by number, the smaller first, and how alike they are, 0..1."""

    left: int
    right: int
    score: float


class _Link:
    """Scores between two clusters."""

    __slots__ = ("count", "total")

    def __init__(self, total: float, count: int) -> None:
        self.total, self.count = total, count


def cluster(said: Sequence[Spoken], pairs: Iterable[Pair], threshold: float) -> list[list[int]]:
    """Group listings.

    Args:
        said: Of each listing what it says of the things that tell products apart.
        pairs: Each pair once at most, in any order; a pair that is missing was not worth comparing.
        threshold: Least average similarity at which clusters are joined, 0..1; two thirds of it where three
            pairs or more were scored between them.

    Returns:
        Clusters of two listings or more, each in ascending order, by their first member.
    """
    return _Clustering(said, sorted(pairs), threshold).run()


def spanning(pairs: Iterable[Pair]) -> list[Pair]:
    """The best pairs that hold together what `pairs` hold together, and no pair more (Kruskal's algorithm)."""
    parents: dict[int, int] = {}

    def root(row: int) -> int:
        while (parent := parents.get(row, row)) != row:
            parents[row] = row = parents.get(parent, parent)
        return row

    chosen = []
    for pair in sorted(pairs, key=lambda pair: (-pair.score, pair.left, pair.right)):
        one, other = root(pair.left), root(pair.right)
        if one != other:
            parents[max(one, other)] = min(one, other)
            chosen.append(pair)
    return sorted(chosen)


class _Clustering:
    def __init__(self, said: Sequence[Spoken], pairs: list[Pair], threshold: float) -> None:
        self._said, self._threshold = said, threshold
        self._members: dict[int, list[int]] = {}
        self._spoken: dict[int, Spoken] = {}
        self._links: dict[int, dict[int, _Link]] = {}
        for left, right, score in pairs:
            link = _Link(score, 1)
            self._links.setdefault(left, {})[right] = self._links.setdefault(right, {})[left] = link
        for row in self._links:
            self._members[row] = [row]
            self._spoken[row] = Spoken({})
            self._spoken[row].add(said[row])
        scores = ((self._score(left, right), left, right) for left, right, _ in pairs)
        self._heap = [(-score, left, right) for score, left, right in scores if score >= 1.0]
        heapify(self._heap)

    def run(self) -> list[list[int]]:
        while self._heap:
            negative, one, other = heappop(self._heap)
            if self._is_current(one, other, -negative) and not self._spoken[one].conflicts(
                self._spoken[other]
            ):
                self._join(one, other)
        return sorted(sorted(members) for members in self._members.values() if len(members) > 1)

    def _is_current(self, one: int, other: int, score: float) -> bool:
        return one in self._members and other in self._links.get(one, {}) and self._score(one, other) == score

    def _score(self, one: int, other: int) -> float:
        """How alike two clusters are, in parts of what is needed to join them."""
        link = self._links[one][other]
        needed = self._threshold * (_ENOUGH if link.count >= _WITNESSES else 1.0)
        return link.total / link.count / max(needed, _LEAST)

    def _join(self, one: int, other: int) -> None:
        """`one` (the smaller number) takes over what `other` has."""
        del self._links[one][other], self._links[other][one]
        self._members[one] += self._members.pop(other)
        self._spoken[one].add(self._spoken.pop(other))
        for third, link in self._links.pop(other).items():
            del self._links[third][other]
            known = self._links[one].get(third)
            total, count = (known.total, known.count) if known else (0.0, 0)
            self._links[one][third] = self._links[third][one] = _Link(total + link.total, count + link.count)
        for third in self._links[one]:
            if (score := self._score(one, third)) >= 1.0:
                heappush(self._heap, (-score, min(one, third), max(one, third)))
