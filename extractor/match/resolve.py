"""The whole of matching: listings in, decisions about pairs and clusters out.

The order of the listings does not count: they are sorted by id first, and ties are broken by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from extractor.match.ask import Answer, Decider
from extractor.match.block import NEIGHBORS, candidates
from extractor.match.cluster import Pair, cluster, spanning
from extractor.match.evidence import evidence
from extractor.match.listing import Listing
from extractor.match.score import Scorer
from extractor.match.table import build_table, established
from extractor.match.veto import Claims, Spoken, claims, conflict, model_keys, without

# Probability of two listings with one GTIN, as nothing but a slip speaks against it.
_SAME_GTIN = 0.99
# A model key that so many listings name is none of a shop's own numbers: two groups that name other ones stay apart.
_KNOWN_MODEL = 10
# Neighbors are the likeliest pairs: a cluster that they made is looked at again, by so many pairs of each listing
# that are no neighbors, and made again by all of them; so many times at most.
_CHECKED, _ROUNDS = 6, 2
# A language model is asked about so many pairs.
_MOST_ASKED = 2000


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
    band: Literal["same", "ask"]
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
    # Pairs that were compared: by band, how many of them a veto forbids ("vetoed"), and on how many of the pairs that
    # it was asked about a language model had an answer ("asked", "answered"; absent when there was none to ask).
    pairs: Mapping[str, int]


NOBODY = People()


def resolve(
    listings: Sequence[Listing],
    scorer: Scorer,
    *,
    neighbors: int = NEIGHBORS,
    people: People = NOBODY,
    decide: Decider | None = None,
) -> Resolution:
    """Find the listings that are the same product.

    Args:
        listings: The collection; ids are unique.
        scorer: Its bands decide.
        neighbors: With so many others each listing is compared, the likeliest ones.
        people: They outrank scorer, vetoes and `decide`.
        decide: Asked about the middle band; None: it stays open.
    """
    collection = _Collection(listings, scorer, people)
    pairs = collection.neighbors(neighbors)
    clusters = collection.cluster(pairs)
    for _ in range(_ROUNDS):
        if not (unseen := _unseen(clusters, {(pair.left, pair.right) for pair in pairs})):
            break
        pairs += collection.judge(unseen)
        clusters = collection.cluster(pairs)
    if decide:
        pairs = collection.asked(pairs, clusters, decide)
        clusters = collection.cluster(pairs)
    return collection.resolution(pairs, clusters)


class _Collection:
    """Listings by row number, in the order of their ids, with what they and people say."""

    def __init__(self, listings: Sequence[Listing], scorer: Scorer, people: People) -> None:
        self._listings = sorted(listings, key=lambda listing: listing.id)
        self._scorer = scorer
        rows = {listing.id: row for row, listing in enumerate(self._listings)}
        self._same, self._different = (_rows(pairs, rows) for pairs in (people.same, people.different))
        self._said = _heard([claims(listing) for listing in self._listings], self._same, self._different)
        named = established([*map(model_keys, self._listings)], _KNOWN_MODEL)
        self._models = [*map(frozenset, named)]
        for row in chain.from_iterable(self._same):  # whatever it names, a person knows better
            self._models[row] = frozenset()
        self._table = build_table(self._listings)
        # None: there is no language model.
        self._asked: dict[tuple[int, int], Answer | None] | None = None

    def neighbors(self, count: int) -> list[Pair]:
        """The pairs worth comparing, and those that people spoke of."""
        left, right = candidates(self._table, count)
        return self.judge({*zip(left.tolist(), right.tolist(), strict=True), *self._same, *self._different})

    def judge(self, pairs: Iterable[tuple[int, int]]) -> list[Pair]:
        """Score pairs; what is certain, a person's word or one GTIN for both, counts whatever the scorer says."""
        import numpy as np

        left, right = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
        scores = self._scorer.probabilities(self._table, left, right)
        same = set(self._same)
        found = map(Pair, left.tolist(), right.tolist(), scores.tolist())
        return [pair._replace(score=max(pair.score, self._certainty(pair, same))) for pair in found]

    def cluster(self, pairs: Iterable[Pair]) -> list[list[int]]:
        spoken = [Spoken(*each) for each in zip(self._said, self._models, strict=True)]
        return cluster(spoken, pairs, self._scorer.bands.same)

    def asked(self, pairs: Sequence[Pair], clusters: Sequence[Sequence[int]], decide: Decider) -> list[Pair]:
        """The pairs with the answers to the likeliest of the middle band for their scores."""
        open_ = self._open(_apart(pairs, clusters))[:_MOST_ASKED]
        answers = decide([(self._listings[pair.left], self._listings[pair.right]) for pair in open_])
        self._asked = {(pair.left, pair.right): answer for pair, answer in zip(open_, answers, strict=True)}
        return [self._answered(pair) for pair in pairs]

    def _answer_to(self, pair: Pair) -> Answer | None:
        return (self._asked or {}).get((pair.left, pair.right))

    def _answered(self, pair: Pair) -> Pair:
        """A yes counts as the same product, however sure it is; a no as none."""
        answer = self._answer_to(pair)
        if answer is None:
            return pair
        return pair._replace(score=max(answer.confidence, self._scorer.bands.same) if answer.same else 0.0)

    def resolution(self, pairs: Sequence[Pair], clusters: Sequence[Sequence[int]]) -> Resolution:
        apart = _apart(pairs, clusters)
        separate = set(apart)
        together = [pair for pair in pairs if pair not in separate]
        open_ = self._open(apart)
        return Resolution(
            same=[self._decision(pair, "same") for pair in spanning(together)],
            ask=[self._decision(pair, "ask") for pair in open_],
            clusters=[[self._listings[row].id for row in members] for members in clusters],
            pairs={
                "same": len(together),
                "ask": len(open_),
                "different": len(apart) - len(open_),
                "vetoed": sum(self._is_vetoed(pair) for pair in apart),
                **self._counts_of_asked(),
            },
        )

    def _counts_of_asked(self) -> dict[str, int]:
        if self._asked is None:
            return {}
        answered = [answer for answer in self._asked.values() if answer is not None]
        return {"asked": len(self._asked), "answered": len(answered)}

    def _certainty(self, pair: Pair, same: set[tuple[int, int]]) -> float:
        if (pair.left, pair.right) in same:
            return 1.0
        left, right = self._listings[pair.left], self._listings[pair.right]
        return _SAME_GTIN if left.gtins & right.gtins else 0.0

    def _open(self, apart: Iterable[Pair]) -> list[Pair]:
        """The middle band, likeliest first."""
        asked = [p for p in apart if p.score >= self._scorer.bands.ask and not self._is_vetoed(p)]
        return sorted(asked, key=lambda pair: (-pair.score, pair.left, pair.right))

    def _is_vetoed(self, pair: Pair) -> bool:
        return conflict(self._said[pair.left], self._said[pair.right]) is not None

    def _decision(self, pair: Pair, band: Literal["same", "ask"]) -> Decision:
        left, right = self._listings[pair.left], self._listings[pair.right]
        answer = self._answer_to(pair)
        told = f"; the language model says {'yes' if answer.same else 'no'}" if answer else ""
        return Decision(left.id, right.id, band, round(pair.score, 4), evidence(left, right) + told)


def _apart(pairs: Iterable[Pair], clusters: Sequence[Sequence[int]]) -> list[Pair]:
    """Pairs whose listings are not in one cluster."""
    group = {row: number for number, members in enumerate(clusters) for row in members}
    return [pair for pair in pairs if group.get(pair.left, -1) != group.get(pair.right, -2)]


def _unseen(clusters: Sequence[Sequence[int]], seen: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs within clusters that nobody compared yet: of each listing with some others, spread over its cluster."""
    return sorted(
        {
            (min(pair), max(pair))
            for members in clusters
            for place, row in enumerate(members)
            for other in _spread(place, members)
            if (pair := (row, other)) and (min(pair), max(pair)) not in seen
        }
    )


def _spread(place: int, members: Sequence[int]) -> Iterator[int]:
    steps = min(_CHECKED, len(members) - 1)
    return (members[(place + 1 + step * (len(members) - 1) // steps) % len(members)] for step in range(steps))


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
