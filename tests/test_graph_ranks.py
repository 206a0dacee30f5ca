"""extractor.graph.rank and identity: what counts where things are said again, taken back, or against one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.graph.identity import DIFFERENT, SAME, identify
from extractor.graph.rank import Claim, Verdict, rank

FUNCTIONAL = {"has_brand"}
NIGHTS = {"r1": "2026-11-20T03:00:00Z", "r2": "2026-11-21T03:00:00Z", "r3": "2026-11-22T03:00:00Z"}


def claim(name: str, target: str, run: str = "r1", source: str = "title", **fields: Any) -> Claim:
    """Said of the brand of listing x, unless fields say otherwise."""
    product = fields.get("product", "x")
    text: dict[str, Any] = {
        **{"id": name, "subject": f"product:{product}", "predicate": "has_brand", "object": target},
        **{"confidence": 0.9, "product": product, "source": source, "act": "", "who": "ann", "because": ""},
        **{"when": (NIGHTS[run], run)},
    }
    return Claim(**text | fields)


def person(name: str, target: str, run: str, act: str = "assert", **fields: Any) -> Claim:
    return claim(name, target, run, "person", act=act, confidence=1.0, **fields)


def lost(reason: str) -> Verdict:
    return Verdict("deprecated", reason)


PREFERRED = Verdict("preferred", "")


@dataclass(frozen=True)
class Case:
    what: str
    claims: list[Claim]
    expected: dict[str, Verdict]


CASES = [
    Case("one brand, said twice", [claim("1", "sony"), claim("2", "sony", source="feed")], {}),
    Case(
        "the feed comes before the text, however sure",
        [claim("1", "lg", confidence=0.99), claim("2", "sony", source="feed", confidence=0.5)],
        {"1": lost("sony counts: the feed comes before the text")},
    ),
    Case(
        "the surer one of the text",
        [claim("1", "lg", confidence=0.7), claim("2", "sony", source="description", confidence=0.8)],
        {"1": lost("sony counts: it is surer, 0.8 over 0.7")},
    ),
    Case(
        "other listings of the product vote",
        [
            claim("1", "lg", confidence=0.9),
            claim("2", "sony", confidence=0.5),
            claim("3", "sony", product="y", confidence=0.5),
        ],
        {"1": lost("sony counts: 2 listings of the product state it, 1 this")},
    ),
    Case(
        "nothing tells them apart but the name",
        [claim("1", "sony"), claim("2", "lg")],
        {"1": lost("lg counts: nothing but the name tells them apart")},
    ),
    Case(
        "several values where several are true",
        [claim("1", "red", predicate="has_color"), claim("2", "blue", predicate="has_color")],
        {},
    ),
    Case(
        "a later run read the listing again, with whatever outcome",
        [claim("1", "sony"), claim("2", "4k", predicate="has_resolution"), claim("3", "sony", "r2")],
        dict.fromkeys("12", lost("run r2 read this listing later")),
    ),
    Case(
        "and takes back nobody else's words",
        [
            claim("1", "10", predicate="has_price", source="feed"),
            person("2", "sony", "r1"),
            claim("3", "sony", product="y"),
            claim("4", "sony", "r2"),
        ],
        {"2": PREFERRED},
    ),
    Case(
        "a later feed says otherwise, and of something else nothing",
        [
            claim("1", "10", predicate="has_price", source="feed"),
            claim("2", "EUR", predicate="has_currency", source="feed"),
            claim("3", "12", "r2", predicate="has_price", source="feed"),
        ],
        {"1": lost("the feed of run r2 says otherwise")},
    ),
    Case(
        "a later feed says the same",
        [claim("1", "10", source="feed"), claim("2", "10", "r2", source="feed")],
        {},
    ),
    Case(
        "a person comes before all",
        [person("1", "lg", "r1"), claim("2", "sony", "r2", source="feed")],
        {"1": PREFERRED, "2": lost("lg counts: a person comes before the feed")},
    ),
    Case(
        "of two persons the last",
        [person("1", "lg", "r1"), person("2", "sony", "r2"), claim("3", "lg", product="y")],
        {"1": lost("sony counts: run r2 says so later"), "2": PREFERRED},
    ),
    Case(
        "what a person took back stays so, whoever says it again",
        [
            person("1", "sony", "r1", "retract", because="it is a case"),
            claim("2", "sony", "r2"),
            claim("3", "sony", "r3", source="feed"),
            claim("4", "lg", "r2", confidence=0.2),
        ],
        {
            "1": lost("says that this is not so"),
            **dict.fromkeys("23", lost("ann took it back: it is a case")),
        },
    ),
    Case(
        "a person states again what was taken back",
        [person("1", "sony", "r1", "retract"), person("2", "sony", "r2"), claim("3", "sony")],
        {"1": lost("says that this is not so"), "2": PREFERRED},
    ),
    Case(
        "another listing's conflict is none",
        [claim("1", "sony"), claim("2", "lg", product="y")],
        {},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_counts(case: Case) -> None:
    assert rank(case.claims, FUNCTIONAL) == case.expected


sources = st.sampled_from(["title", "description", "feed", "person"])
claims = st.lists(
    st.builds(
        claim,
        st.uuids().map(str),
        st.sampled_from(["sony", "lg", "hp"]),
        st.sampled_from(sorted(NIGHTS)),
        sources,
        confidence=st.sampled_from([0.25, 0.5]),
        product=st.sampled_from("xy"),
        act=st.sampled_from(["assert", "retract"]),
    ),
    max_size=8,
)


@given(said=claims, data=st.data())
def test_one_object_of_a_functional_relation_counts_in_whatever_order(
    said: list[Claim], data: st.DataObject
) -> None:
    found = rank(said, FUNCTIONAL)
    assert rank(data.draw(st.permutations(said)), FUNCTIONAL) == found
    standing = [c for c in said if found.get(c.id, PREFERRED).rank != "deprecated"]
    for product in "xy":
        assert len({c.object for c in standing if c.product == product}) <= 1
    assert all(found[c.id].reason for c in said if c not in standing)


# ---- pairs of listings


def pair(name: str, ends: str, sure: float = 0.9, predicate: str = SAME, **fields: Any) -> Claim:
    one, other = ends
    said = {"source": "match", "confidence": sure, "predicate": predicate, "subject": one}
    return claim(name, other, **said | fields)


def by_person(name: str, ends: str, predicate: str, run: str = "r1", act: str = "assert") -> Claim:
    return pair(name, ends, 1.0, predicate, source="person", act=act, when=(NIGHTS[run], run))


@dataclass(frozen=True)
class PairCase:
    what: str
    claims: list[Claim]
    clusters: list[tuple[str, ...]]
    lost: dict[str, str]


PAIR_CASES = [
    PairCase("a chain", [pair("1", "ab"), pair("2", "bc"), pair("3", "de")], [tuple("abc"), tuple("de")], {}),
    PairCase(
        "a person says different",
        [pair("1", "ab"), pair("2", "bc"), by_person("3", "ab", DIFFERENT)],
        [tuple("bc")],
        {"1": "a person says different_from"},
    ),
    PairCase(
        "the weaker link of a chain gives way",
        [pair("1", "ab", 0.8), pair("2", "bc", 0.7), by_person("3", "ac", DIFFERENT)],
        [tuple("ab")],
        {"2": "would put a and c together, which are different_from"},
    ),
    PairCase(
        "a person changes their mind",
        [by_person("1", "ab", DIFFERENT), by_person("2", "ab", SAME, "r2")],
        [tuple("ab")],
        {"1": "somebody later says same_as"},
    ),
    PairCase(
        "a person takes a match back",
        [pair("1", "ab"), by_person("2", "ab", SAME, "r2", "retract")],
        [],
        {"1": "ann took it back", "2": "says that this is not so"},
    ),
]


@pytest.mark.parametrize("case", PAIR_CASES, ids=lambda case: case.what)
def test_which_listings_are_one_product(case: PairCase) -> None:
    identity = identify(case.claims)
    assert (identity.clusters, identity.lost) == (case.clusters, case.lost)


ends = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=2, unique=True).map(sorted).map("".join)
pairs = st.lists(
    st.builds(
        pair, st.uuids().map(str), ends, st.sampled_from([0.5, 0.75]), st.sampled_from([SAME, DIFFERENT])
    ),
    max_size=12,
)


@given(said=pairs, data=st.data())
def test_no_cluster_holds_what_is_different(said: list[Claim], data: st.DataObject) -> None:
    identity = identify(said)
    assert identify(data.draw(st.permutations(said))) == identity
    standing = [c for c in said if c.id not in identity.lost]
    together = {(one, other) for cluster in identity.clusters for one in cluster for other in cluster}
    assert all(((c.subject, c.object) in together) == (c.predicate == SAME) for c in standing)
