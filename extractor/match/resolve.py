"""The whole of matching: listings in, decisions about pairs and clusters out.

The order of the listings does not count: they are sorted by id first, and ties are broken by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extractor.match.block import NEIGHBORS, candidates
from extractor.match.cluster import Pair, cluster, spanning
from extractor.match.evidence import evidence
from extractor.match.listing import Listing
from extractor.match.score import Band, Bands, Scorer
from extractor.match.table import build_table
from extractor.match.veto import Claims, Spoken, claims, conflict, without

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

# Probability of two listings with one GTIN, as nothing but a slip speaks against it.
_SAME_GTIN = 0.99
# Pairs less likely than this say nothing to clustering.
_NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True)
class People:
    """What people said about pairs of listings: ids, the smaller first."""

    same: frozenset[tuple[str, str]] = frozenset()
    different: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether two listings are one product."""

    # Ids, the smaller first.
    left: str
    right: str
    band: Band
    # 0..1.
    probability: float
    # One line for a person: what speaks for it.
    evidence: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What matching found in a collection."""

    # Pairs that hold the clusters together, the likeliest of each: one less than it has members.
    same: Sequence[Decision]
    # Pairs of the middle band that clustering did not bring together, likeliest first.
    ask: Sequence[Decision]
    # Ids of two listings or more each.
    clusters: Sequence[Sequence[str]]
    # Pairs that were compared: by band, and how many of them a veto forbids ("vetoed").
    pairs: Mapping[str, int]


NOBODY = People()


def resolve(
    listings: Sequence[Listing], scorer: Scorer, *, neighbors: int = NEIGHBORS, people: People = NOBODY
) -> Resolution:
    """Find the listings that are the same product.

    Args:
        listings: The collection; ids are unique.
        scorer: Its bands decide.
        neighbors: With so many others each listing is compared, the likeliest ones.
        people: They outrank scorer and vetoes.
    """
    known = sorted(listings, key=lambda listing: listing.id)
    rows = {listing.id: row for row, listing in enumerate(known)}
    same, different = (_rows(pairs, rows) for pairs in (people.same, people.different))
    said = _heard([claims(listing) for listing in known], same, different)
    table = build_table(known)
    left, right = _joined(candidates(table, neighbors), [*same, *different], len(known))
    probabilities = scorer.probabilities(table, left, right)
    scored = _ruled(_pairs(left, right, probabilities), known, set(same))
    clusters = cluster([Spoken(each) for each in said], _likely(scored), scorer.bands.same)
    return _resolution(known, said, scored, clusters, scorer.bands)


def _ruled(pairs: Iterable[Pair], listings: Sequence[Listing], same: set[tuple[int, int]]) -> list[Pair]:
    """What is certain whatever the scorer says: a person's word, and one GTIN for both."""
    return [pair._replace(score=_certain(pair, listings, same)) for pair in pairs]


def _certain(pair: Pair, listings: Sequence[Listing], same: set[tuple[int, int]]) -> float:
    if (pair.left, pair.right) in same:
        return 1.0
    shared = listings[pair.left].gtins & listings[pair.right].gtins
    return max(pair.score, _SAME_GTIN) if shared else pair.score


def _resolution(
    listings: Sequence[Listing],
    said: Sequence[Claims],
    pairs: Sequence[Pair],
    clusters: Sequence[Sequence[int]],
    bands: Bands,
) -> Resolution:
    group = {row: number for number, members in enumerate(clusters) for row in members}
    together = [pair for pair in pairs if group.get(pair.left, -1) == group.get(pair.right, -2)]
    apart = [pair for pair in pairs if group.get(pair.left, -1) != group.get(pair.right, -2)]
    allowed = [pair for pair in apart if not conflict(said[pair.left], said[pair.right])]
    open_ = [pair for pair in allowed if pair.score >= bands.ask]

    def decisions(chosen: Iterable[Pair], band: Band) -> list[Decision]:
        return [_decision(pair, listings, band) for pair in chosen]

    return Resolution(
        same=decisions(spanning(together), "same"),
        ask=decisions(sorted(open_, key=lambda pair: (-pair.score, pair.left, pair.right)), "ask"),
        clusters=[[listings[row].id for row in members] for members in clusters],
        pairs={
            "same": len(together),
            "ask": len(open_),
            "different": len(apart) - len(open_),
            "vetoed": len(apart) - len(allowed),
        },
    )


def _decision(pair: Pair, listings: Sequence[Listing], band: Band) -> Decision:
    left, right = listings[pair.left], listings[pair.right]
    return Decision(left.id, right.id, band, round(pair.score, 4), evidence(left, right))


def _rows(pairs: Iterable[tuple[str, str]], rows: Mapping[str, int]) -> list[tuple[int, int]]:
    """Row numbers, the smaller first; a listing that is not in the collection is passed over."""
    known = [(rows[one], rows[other]) for one, other in pairs if one in rows and other in rows]
    return sorted((min(pair), max(pair)) for pair in known)


def _heard(
    said: list[Claims], same: Iterable[tuple[int, int]], different: Iterable[tuple[int, int]]
) -> list[Claims]:
    """Claims after people's words: what speaks against a "same" is dropped, a "different" is a claim of its own."""
    for one, other in same:
        said[one], said[other] = without(said[one], said[other]), without(said[other], said[one])
    for one, other in different:
        name = f"person {one} {other}"
        said[one] = {**said[one], name: frozenset({"one"})}
        said[other] = {**said[other], name: frozenset({"other"})}
    return said


def _joined(found: tuple[Ints, Ints], pairs: Sequence[tuple[int, int]], size: int) -> tuple[Ints, Ints]:
    """Candidates and the pairs that people spoke of."""
    import numpy as np

    more = np.array([one * size + other for one, other in pairs], dtype=np.int64)
    keys = np.union1d(found[0] * size + found[1], more)
    return keys // max(size, 1), keys % max(size, 1)


def _pairs(left: Ints, right: Ints, probabilities: Floats) -> Iterator[Pair]:
    return map(Pair, left.tolist(), right.tolist(), probabilities.tolist())


def _likely(pairs: Iterable[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.score >= _NEGLIGIBLE]
