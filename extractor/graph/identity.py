"""Which listings are one product: "same as" and "different from" between two listings become clusters.

In: claims about pairs of listings. Out: clusters, and the claims that lost, each with why. Pure: the same claims give
the same answer in any order. Knows no store.

A person outranks a match, a later word a former one. The claims that are left are taken surest first, those of people
before all others; one that would put two listings into one cluster that are said to be different is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from extractor.graph.rank import PERSON, Claim, taken_back

SAME = "same_as"
DIFFERENT = "different_from"


@dataclass(frozen=True, slots=True)
class Identity:
    """What becomes of the claims."""

    # Members of each cluster in order, two or more; node ids.
    clusters: Sequence[tuple[str, ...]]
    # Id of a claim that lost -> why, in words.
    lost: Mapping[str, str]


def identify(claims: Sequence[Claim]) -> Identity:
    """Clusters of listings that are the same product.

    Args:
        claims: With SAME or DIFFERENT, between two listings.
    """
    lost = taken_back(claims)
    standing = []
    for claim, winner in _by_pair(claim for claim in claims if claim.id not in lost):
        if claim.predicate == winner.predicate:
            standing.append(claim)
        else:
            who = "a person" if winner.source == PERSON != claim.source else "somebody later"
            lost[claim.id] = f"{who} says {winner.predicate}"
    joined = _Joined((c.subject, c.object) for c in standing if c.predicate == DIFFERENT)
    for claim in sorted((c for c in standing if c.predicate == SAME), key=_surest_first):
        if apart := joined.join(claim.subject, claim.object):
            lost[claim.id] = f"would put {apart[0]} and {apart[1]} together, which are {DIFFERENT}"
    return Identity(sorted(joined.clusters()), lost)


def _by_pair(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Each claim with the one that counts for its pair."""
    pairs: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        pairs.setdefault(tuple(sorted((claim.subject, claim.object))), []).append(claim)
    for of_pair in pairs.values():
        winner = max(of_pair, key=lambda c: (c.source == PERSON, c.when, c.id))
        yield from ((claim, winner) for claim in of_pair)


def _surest_first(claim: Claim) -> tuple[bool, float, str]:
    return claim.source != PERSON, -claim.confidence, claim.id


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
        forbidden = self._apart.get(large, {})
        if pairs := [forbidden[member] for member in self._of(small) if member in forbidden]:
            return min(pairs)
        moved = self._members.pop(small, [small])
        self._members.setdefault(large, [large]).extend(moved)
        self._root |= dict.fromkeys(moved, large)
        self._apart.setdefault(large, {}).update(self._apart.pop(small, {}))
        return None

    def clusters(self) -> Iterator[tuple[str, ...]]:
        return (tuple(sorted(members)) for members in self._members.values())

    def _find(self, listing: str) -> str:
        return self._root.get(listing, listing)

    def _of(self, root: str) -> Sequence[str]:
        return self._members.get(root, (root,))
