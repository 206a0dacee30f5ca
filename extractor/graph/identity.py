"""Which listings are one product: "same as" and "different from" between two listings become clusters.

In: what runs and people say of pairs. Out: clusters, and the claims that lost, each with why. Pure: the same claims
give the same answer in any order. Knows no store.

A person outranks a match, a later word of a person an earlier one. The claims that are left are taken surest first,
those of people before all others; one that would put two listings into one cluster that are said to be different is
left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SAME = "same_as"
DIFFERENT = "different_from"


class PairClaim(NamedTuple):
    """One statement about two listings."""

    # Of the statement.
    id: str
    # Node ids of the listings, the smaller first.
    one: str
    other: str
    # The listings are the same product.
    same: bool
    # Said by a person.
    by_person: bool
    # 0..1.
    confidence: float
    # Later runs sort after earlier ones.
    when: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What becomes of the claims."""

    # Members of each cluster in order, two or more.
    clusters: Sequence[tuple[str, ...]]
    # Id of a claim that lost -> why, in words.
    lost: Mapping[str, str]


def identify(claims: Iterable[PairClaim]) -> Identity:
    """Clusters of listings that are the same product."""
    lost: dict[str, str] = {}
    standing = []
    for claim, winner in _by_pair(claims):
        if claim.same == winner.same:
            standing.append(claim)
        else:
            who = "a person" if winner.by_person > claim.by_person else "somebody later"
            lost[claim.id] = f"{who} says {SAME if winner.same else DIFFERENT}"
    joined = _Joined((c.one, c.other) for c in standing if not c.same)
    for claim in sorted((c for c in standing if c.same), key=_surest_first):
        if apart := joined.join(claim.one, claim.other):
            lost[claim.id] = f"would put {apart[0]} and {apart[1]} together, which are {DIFFERENT}"
    return Identity(sorted(joined.clusters()), lost)


def _by_pair(claims: Iterable[PairClaim]) -> Iterator[tuple[PairClaim, PairClaim]]:
    """Each claim with the one that counts for its pair."""
    pairs: dict[tuple[str, str], list[PairClaim]] = {}
    for claim in claims:
        pairs.setdefault((claim.one, claim.other), []).append(claim)
    for of_pair in pairs.values():
        winner = max(of_pair, key=lambda c: (c.by_person, c.when, c.id))
        yield from ((claim, winner) for claim in of_pair)


def _surest_first(claim: PairClaim) -> tuple[bool, float, str]:
    return not claim.by_person, -claim.confidence, claim.id


class _Joined:
    """Sets that grow together, but for the pairs that must stay apart."""

    def __init__(self, apart: Iterable[tuple[str, str]]) -> None:
        self._root: dict[str, str] = {}
        self._members: dict[str, list[str]] = {}
        # Root of a set -> what its members must stay apart from, and the pair that says so.
        self._apart: dict[str, dict[str, tuple[str, str]]] = {}
        for one, other in apart:
            self._apart.setdefault(one, {})[other] = (one, other)
            self._apart.setdefault(other, {})[one] = (one, other)

    def join(self, one: str, other: str) -> tuple[str, str] | None:
        """None when they are together now, else the pair that is in the way."""
        small, large = sorted((self._find(one), self._find(other)), key=lambda r: (len(self._of(r)), r))
        if small == large:
            return None
        if pairs := [pair for m in self._of(small) if (pair := self._apart.get(large, {}).get(m))]:
            return min(pairs)
        self._members[large] = [*self._of(large), *self._of(small)]
        self._root |= dict.fromkeys(self._members.pop(small, [small]), large)
        self._apart.setdefault(large, {}).update(self._apart.pop(small, {}))
        return None

    def clusters(self) -> Iterator[tuple[str, ...]]:
        return (tuple(sorted(members)) for members in self._members.values())

    def _find(self, listing: str) -> str:
        return self._root.get(listing, listing)

    def _of(self, root: str) -> Sequence[str]:
        return self._members.get(root, (root,))
