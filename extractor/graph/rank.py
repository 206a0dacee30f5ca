"""Which statements count: the policy for what was said again, taken back, or said against one another.

In: claims, all that is said of a listing and of those that are the same product. Out: what does not have the rank
normal, with the reason in words. Pure, and a total order decides each conflict: the same claims give the same verdicts
in any order. Knows no store.

1. A person's word on a statement (same subject, relation and object) comes before all, the last of several persons'
   before the others'. What a person took back stays deprecated, whoever says it again.
2. A run that reads a listing's text replaces what earlier runs read from it. A later feed replaces what an earlier one
   said with the same relation, where it does not say so again. Later is by the run's own date, not by its merge.
3. Where a relation is functional (x-functional of the schemas; the category, prices and metrics), one object is true: a
   person's, the last of several; else the feed's before the text's; then the one that more listings of the product
   (SPU) state; then the surest; then that of the latest run; then the first by its id. All that is said of another
   object is deprecated.

What a person states and nobody took back is preferred; all else is normal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from extractor.graph.feed_numbers import FIGURES

Rank = Literal["preferred", "normal", "deprecated"]

# What a person does to a statement: Provenance.prompt of the person's own.
ASSERT = "assert"
RETRACT = "retract"
PERSON = "person"
# Stands in the reason of what lost to another object, and of nothing else: its listing does say so.
COUNTS = " counts: "

# Functional without a schema that says so: a listing has one category, one price and one rating.
ALWAYS_FUNCTIONAL = frozenset({"in_category", *(f"has_{name}" for name in FIGURES)})
# Provenance.source -> how much it counts; all others are the text.
_AUTHORITY = {PERSON: 2, "feed": 1}
_NAMES = ("the text", "the feed", "a person")
_READ = {"title", "description", "taxonomy"}

_Key = TypeVar("_Key", bound=Hashable)


class Claim(NamedTuple):
    """A statement, as far as its rank depends on it."""

    # Of the statement.
    id: str
    subject: str
    predicate: str
    object: str
    # 0..1.
    confidence: float
    # Id of the listing it was read from; empty for what is about none.
    product: str
    source: str
    # Of a person: ASSERT or RETRACT.
    act: str
    # Of a person: who, and why in their words, which may be empty.
    who: str
    because: str
    # When the run began (ISO 8601, empty if unknown) and its id: later runs sort after earlier ones.
    when: tuple[str, str]


class Verdict(NamedTuple):
    """Rank of a statement."""

    rank: Rank
    # Why it is deprecated, in words; empty when it is not.
    reason: str


def rank(claims: Sequence[Claim], functional: Collection[str]) -> dict[str, Verdict]:
    """Verdicts by id, for the claims that are not normal.

    Args:
        claims: All that is said of a listing, or of all listings of one SPU, and persons' words on the same.
        functional: Relation types of which one object is true at most.
    """
    lost: dict[str, str] = {}
    standing = claims
    for found in (taken_back, _read_again, _restated):
        lost |= found(standing)
        standing = [claim for claim in standing if claim.id not in lost]
    lost |= _outdone(standing, functional)
    return verdicts(claims, lost)


def verdicts(claims: Iterable[Claim], lost: Mapping[str, str]) -> dict[str, Verdict]:
    """Deprecated is what lost; preferred what a person states and did not."""
    preferred = {c.id: Verdict("preferred", "") for c in claims if c.source == PERSON}
    return preferred | {name: Verdict("deprecated", reason) for name, reason in lost.items()}


def taken_back(claims: Iterable[Claim]) -> dict[str, str]:
    """What persons say is not so, id -> reason; and their saying so, which states nothing itself."""
    claims = [*claims]
    words = _grouped((c, _triple(c)) for c in claims if c.source == PERSON)
    lost: dict[str, str] = {}
    for claim in claims if words else ():
        last = max(words.get(_triple(claim), ()), key=_last, default=None)
        if claim.source == PERSON and claim.act == RETRACT:
            lost[claim.id] = "says that this is not so"
        elif last and last.act == RETRACT:
            lost[claim.id] = _told(f"{last.who} took it back", last.because)
    return lost


def _read_again(claims: Iterable[Claim]) -> dict[str, str]:
    """What earlier runs read from a text that a later one read."""
    lost: dict[str, str] = {}
    for of_listing in _grouped((c, c.product) for c in claims if c.source in _READ and c.product).values():
        last = max(claim.when for claim in of_listing)
        reason = f"run {last[1]} read this listing later"
        lost |= {c.id: reason for c in of_listing if c.when != last}
    return lost


def _restated(claims: Iterable[Claim]) -> dict[str, str]:
    """What earlier feeds said with a relation that a later one uses for other objects."""
    lost: dict[str, str] = {}
    for said in _grouped((c, (c.product, c.predicate)) for c in claims if c.source == "feed").values():
        last = max(claim.when for claim in said)
        now = {claim.object for claim in said if claim.when == last}
        reason = f"the feed of run {last[1]} says otherwise"
        lost |= {c.id: reason for c in said if c.object not in now}
    return lost


def _outdone(claims: Sequence[Claim], functional: Collection[str]) -> dict[str, str]:
    """What is said against the one object that counts."""
    single = [c for c in claims if c.predicate in functional or c.predicate in ALWAYS_FUNCTIONAL]
    listings = {
        key: len({claim.product for claim in same})
        for key, same in _grouped((c, (c.predicate, c.object)) for c in single).items()
    }
    lost: dict[str, str] = {}
    for (_, predicate), rivals in _grouped((c, (c.subject, c.predicate)) for c in single).items():
        by_object = _grouped((claim, claim.object) for claim in rivals)
        weights = {o: _Weight.of(said, listings[predicate, o]) for o, said in by_object.items()}
        winner = max(sorted(weights), key=lambda o: weights[o].order)
        for other in by_object.keys() - {winner}:
            reason = f"{winner}{COUNTS}{weights[winner].over(weights[other])}"
            lost |= dict.fromkeys((claim.id for claim in by_object[other]), reason)
    return lost


class _Weight(NamedTuple):
    """What speaks for one object of a functional relation; the fields in the order in which they decide."""

    authority: int
    # Listings of the SPU that state it.
    listings: int
    confidence: float
    when: tuple[str, str]

    @classmethod
    def of(cls, said: Iterable[Claim], listings: int) -> _Weight:
        authority = max(_authority(claim) for claim in said)
        best = [claim for claim in said if _authority(claim) == authority]
        return cls(authority, listings, max(c.confidence for c in best), max(c.when for c in best))

    @property
    def order(self) -> tuple[int, tuple[str, str]] | _Weight:
        """What to compare by: between persons only who came last counts."""
        return (self.authority, self.when) if self.authority == _AUTHORITY[PERSON] else self

    def over(self, other: _Weight) -> str:
        """Why this counts and not the other, in words."""
        if self.authority != other.authority:
            return f"{_NAMES[self.authority]} comes before {_NAMES[other.authority]}"
        is_by_person = self.authority == _AUTHORITY[PERSON]
        if self.listings != other.listings and not is_by_person:
            return f"{self.listings} listings of the product state it, {other.listings} this"
        if self.confidence != other.confidence and not is_by_person:
            return f"it is surer, {self.confidence:.4g} over {other.confidence:.4g}"
        if self.when != other.when:
            return f"run {self.when[1]} says so later"
        return "nothing but the name tells them apart"


def _authority(claim: Claim) -> int:
    return _AUTHORITY.get(claim.source, 0)


def _triple(claim: Claim) -> tuple[str, str, str]:
    return claim.subject, claim.predicate, claim.object


def _last(claim: Claim) -> tuple[tuple[str, str], str]:
    return claim.when, claim.id


def _told(what: str, because: str) -> str:
    return f"{what}: {because}" if because else what


def _grouped(keyed: Iterable[tuple[Claim, _Key]]) -> dict[_Key, list[Claim]]:
    groups: defaultdict[_Key, list[Claim]] = defaultdict(list)
    for claim, key in keyed:
        groups[key].append(claim)
    return groups
