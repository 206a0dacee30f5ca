"""Several answers, one Outcome: the majority counts, whatever the order of the votes, and nothing vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import pytest
from answers import answering, in_turn, prompt_text, shipped_extractor, tasks_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import schema_of

from extractor.attribute import Attribute
from extractor.engines.scripted import ScriptedEngine
from extractor.records import (
    AttributeValue,
    Completion,
    Outcome,
    Product,
    Reason,
    Rejection,
    Request,
    Span,
    Usage,
)
from extractor.schema import SchemaStore
from extractor.vote import Vote, count, orders

BRAND = Attribute("brand", title="Brand", description="")
COLOR = Attribute("color", title="Color", description="")
FEATURE = Attribute("feature", title="Feature", description="", multi=True, max_items=3)
SCHEMA = schema_of(BRAND, COLOR, FEATURE)
TV = Product("tv", "Sony BRAVIA TV", "A 65 inch screen. Half off.")
TEE = Product("tee", "Kestrel Bay Men's T-Shirt, Heather Grey, Large")


def value(attribute: str, surface: str, confidence: float = 0.5, *, start: int = 0) -> AttributeValue:
    """As ground and normalize hand it on."""
    span = Span(start, start + len(surface))
    return AttributeValue(attribute, surface, surface.lower(), None, span, "title", "span", confidence)


def vote(*values: AttributeValue) -> Vote:
    return Vote(values)


def useless(detail: str = "no JSON", reason: Reason = Reason.INVALID_JSON) -> Vote:
    return Vote(rejections=(Rejection("p", None, reason, detail),))


def outvoted(attribute: str, detail: str) -> Rejection:
    return Rejection("p", attribute, Reason.OUTVOTED, detail)


SONY, PANASONIC = value("brand", "Sony"), value("brand", "Panasonic")
ELECTIONS: list[tuple[str, Sequence[Vote], Vote]] = [
    ("nobody was asked", [], Vote()),
    ("all agree", [vote(SONY)] * 3, vote(SONY)),
    (
        "two of three agree: the mean confidence of those who say it, times their share",
        [vote(value("brand", "Sony", 0.9)), vote(value("brand", "Sony", 0.6)), vote(PANASONIC)],
        Vote((value("brand", "Sony", 0.5),), (outvoted("brand", "'Panasonic' has 1 of 3 votes"),)),
    ),
    (
        "most leave it out",
        [vote(SONY), vote(), vote()],
        Vote((), (outvoted("brand", "'Sony' has 1 of 3 votes"),)),
    ),
    (
        "most state it, each differently: the surest one",
        [vote(value("brand", "Sony", 0.3)), vote(value("brand", "Panasonic", 0.6)), vote()],
        Vote((value("brand", "Panasonic", 0.6 / 3),), (outvoted("brand", "'Sony' has 1 of 3 votes"),)),
    ),
    (
        "all differ and are equally sure: the shortest one",
        [vote(PANASONIC), vote(SONY), vote(value("brand", "Samsung"))],
        Vote(
            (value("brand", "Sony", 0.5 / 3),),
            (
                outvoted("brand", "'Panasonic' has 1 of 3 votes"),
                outvoted("brand", "'Samsung' has 1 of 3 votes"),
            ),
        ),
    ),
    (
        "case makes no other value, and the most frequent spelling stands for all",
        [
            vote(value("color", "RED")),
            vote(value("color", "Red", start=9)),
            vote(value("color", "Red", start=9)),
        ],
        vote(value("color", "Red", start=9)),
    ),
    (
        "a list keeps what more than half of the votes have, and the schema's order counts",
        [
            vote(value("feature", "Foldable"), value("feature", "Light")),
            vote(value("feature", "Light"), SONY),
            vote(SONY, value("feature", "Light"), value("feature", "Foldable")),
        ],
        vote(
            value("brand", "Sony", 1 / 3), value("feature", "Light", 0.5), value("feature", "Foldable", 1 / 3)
        ),
    ),
    (
        "an answer that is of no use abstains, and is told",
        [useless(), vote(SONY), vote(SONY)],
        Vote((SONY,), useless().rejections),
    ),
    (
        "of two votes one is no majority",
        [useless(), vote(SONY), vote()],
        Vote((), (*useless().rejections, outvoted("brand", "'Sony' has 1 of 2 votes"))),
    ),
    (
        "one reason for whole answers is told once",
        [useless("b"), useless("a"), useless("c", Reason.TRUNCATED)],
        Vote((), (*useless("a").rejections, *useless("c", Reason.TRUNCATED).rejections)),
    ),
    (
        "what several answers made up is told once",
        [
            Vote((SONY,), (Rejection("p", "color", Reason.UNGROUNDED, "'blue' is not in the text"),)),
            Vote((SONY,), (Rejection("p", "color", Reason.UNGROUNDED, "'blue' is not in the text"),)),
            vote(SONY),
        ],
        Vote((SONY,), (Rejection("p", "color", Reason.UNGROUNDED, "'blue' is not in the text"),)),
    ),
]


@pytest.mark.parametrize(
    ("votes", "expected"), [case[1:] for case in ELECTIONS], ids=[c[0] for c in ELECTIONS]
)
def test_what_most_votes_say(votes: Sequence[Vote], expected: Vote) -> None:
    assert count(votes, SCHEMA, "p") == expected


_values = st.builds(
    value,
    st.sampled_from(["brand", "color", "feature"]),
    st.sampled_from(["Sony", "sony", "SONY", "Red", "a", "b"]),
    st.floats(0, 1),
    start=st.integers(0, 3),
)
_rejections = st.builds(
    Rejection,
    st.just("p"),
    st.sampled_from([None, "brand", "color", "wheels"]),
    st.sampled_from([Reason.SCHEMA, Reason.UNGROUNDED, Reason.TRUNCATED]),
    st.sampled_from(["one", "other"]),
)


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    """One value for an attribute, several for a list."""
    stated = draw(
        st.lists(
            _values,
            max_size=5,
            unique_by=lambda v: (v.attribute, v.canonical if v.attribute == "feature" else None),
        )
    )
    return Vote(tuple(stated), tuple(draw(st.lists(_rejections, max_size=2))))


@given(st.lists(votes(), max_size=9), st.data())
def test_the_order_of_the_votes_does_not_matter(cast: list[Vote], data: st.DataObject) -> None:
    reordered = data.draw(st.permutations(cast))
    assert count(reordered, SCHEMA, "p") == count(cast, SCHEMA, "p")


@given(votes())
def test_a_single_vote_is_taken_as_it_is(one: Vote) -> None:
    assert count([one], SCHEMA, "p") is one


@given(st.lists(votes(), min_size=2, max_size=9))
def test_nothing_vanishes_and_nothing_doubles(cast: list[Vote]) -> None:
    elected = count(cast, SCHEMA, "p")
    stated = {(v.attribute, v.canonical) for one in cast if not one.abstains for v in one.values}
    kept = [(v.attribute, v.canonical) for v in elected.values]
    lost = [r for r in elected.rejections if r.reason is Reason.OUTVOTED]
    assert len(set(kept)) == len(kept)
    assert len(kept) + len(lost) == len(stated)
    assert sum(attribute != "feature" for attribute, _ in kept) == len({a for a, _ in kept} - {"feature"})
    assert all(0.0 <= v.confidence <= 1.0 for v in elected.values)
    assert len(set(elected.rejections)) == len(elected.rejections)
    dropped = {(r.attribute, r.reason) for one in cast for r in one.rejections}
    assert {(r.attribute, r.reason) for r in elected.rejections} - dropped <= {
        (r.attribute, Reason.OUTVOTED) for r in lost
    }
    assert dropped <= {(r.attribute, r.reason) for r in elected.rejections}


# --- in which order attributes are asked for


def test_the_first_vote_is_asked_in_schema_order_and_the_others_in_orders_of_their_own(
    store: SchemaStore,
) -> None:
    schema = store.for_category("clothing.tops.t_shirts")
    first, second, third = orders(schema, 3)
    assert first is schema
    assert first.attributes != second.attributes != third.attributes
    for shuffled in (second, third):
        assert sorted(shuffled.attributes, key=schema.attributes.index) == list(schema.attributes)
    assert list(second.json_schema["properties"]) == [attribute.id for attribute in second.attributes]
    assert second.json_schema == schema.json_schema
    assert len({first.hash, second.hash, third.hash}) == 3


def test_the_orders_are_those_of_schema_and_vote(store: SchemaStore) -> None:
    schema = store.for_category("clothing.tops.t_shirts")
    assert orders(schema, 3) == orders(schema, 5)[:3]
    assert orders(schema, 1) == [schema]


# --- through the pipeline


def extract(engine: ScriptedEngine, store: SchemaStore, *products: Product, votes: int) -> list[Outcome]:
    return shipped_extractor(engine, store, votes=votes).extract(products)


def found(outcome: Outcome) -> list[tuple[str, str, float]]:
    return [(v.attribute, v.surface, round(v.confidence, 4)) for v in outcome.values]


def test_one_vote_is_the_pipeline_without_votes(store: SchemaStore) -> None:
    answers = {"tv": ['{"brand":7}', '{"brand":"Sony","color":"blue"}'], "tee": '{"size":"Large"}'}
    without, single = answering(answers), answering(answers)
    expected = shipped_extractor(without, store).extract([TV, TEE])
    outcomes = extract(single, store, TV, TEE, votes=1)
    timeless = [replace(outcome, usage=Usage()) for outcome in (*expected, *outcomes)]
    assert timeless[:2] == timeless[2:]
    assert single.calls == without.calls


def test_three_votes_become_one_outcome(store: SchemaStore) -> None:
    engine = in_turn(
        {
            "tv": [
                Completion('{"brand":"Sony","screen_size":"65 inch"}', usage=Usage(100, 40, 10)),
                Completion('{"screen_size":"65 inch","brand":"BRAVIA"}', usage=Usage(100, 60, 12)),
                Completion('{"brand":"Sony","color":"blue"}', usage=Usage(101, 60, 8)),
            ]
        }
    )
    [outcome] = extract(engine, store, TV, votes=3)
    assert found(outcome) == [("brand", "Sony", 0.3333), ("screen_size", "65 inch", 0.3333)]
    assert outcome.rejections == (
        Rejection("tv", "brand", Reason.OUTVOTED, "'BRAVIA' has 1 of 3 votes"),
        Rejection("tv", "color", Reason.UNGROUNDED, "'blue' is not in the text"),
    )
    usage = outcome.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.output_tokens) == (301, 160, 30)
    assert outcome.made_by.schema_hash == store.for_category("electronics.tv_video.televisions").hash


def listed(request: Request) -> list[str]:
    """Attributes in the order in which a chat prompt asks for them."""
    lines = prompt_text(request).partition("Listing:")[0].splitlines()
    return [line[2:].partition(":")[0].partition(" (")[0] for line in lines if line.startswith("- ")]


def test_each_vote_asks_in_its_own_order(store: SchemaStore) -> None:
    engine = answering({})
    extract(engine, store, TEE, votes=3)
    first, second, third = map(listed, engine.calls)
    assert first == [a.id for a in store.for_category("clothing.tops.t_shirts").attributes if not a.cues]
    assert first != second != third
    assert sorted(first) == sorted(second) == sorted(third)
    for request, names in zip(engine.calls, (first, second, third), strict=True):
        assert list(request.constraint.json_schema["properties"]) == names
        keys = [request.constraint.grammar.find(f'\\"{name}\\":') for name in names]
        assert [key for key in keys if key >= 0] == sorted(key for key in keys if key >= 0)


def test_every_vote_may_be_repaired_once(store: SchemaStore) -> None:
    engine = in_turn({"tv": ['{"brand":7}', '{"brand":"Sony"}', "{", '{"brand":"Sony"}', "still {"]})
    [outcome] = extract(engine, store, TV, votes=3)
    assert [task for task, _ in tasks_of(engine)] == ["attributes"] * 3 + ["repair"] * 2
    assert found(outcome) == [("brand", "Sony", 0.5)]
    assert [(r.attribute, r.reason) for r in outcome.rejections] == [(None, Reason.INVALID_JSON)]


def test_a_product_that_cannot_be_asked_about_is_told_once(store: SchemaStore) -> None:
    engine = answering({})
    long = Product("long", "television " * 20_000 + "end")
    [outcome] = extract(engine, store, long, votes=3)
    assert [r.reason for r in outcome.rejections] == [Reason.TOO_LONG]
    assert engine.calls == []


def test_all_votes_read_the_same_text(store: SchemaStore) -> None:
    engine = answering({"tv": '{"brand":"Sony"}'}, context_tokens=4096)
    [outcome] = extract(engine, store, Product("tv", "Sony TV", "filler " * 20_000), votes=3)
    assert [r.reason for r in outcome.rejections] == [Reason.TEXT_CUT]
    assert len({prompt_text(request).partition("Listing:")[2] for request in engine.calls}) == 1
    assert len(engine.calls) == 3


_answers = st.sampled_from(
    [
        "{}",
        "{",
        '{"brand":"Sony"}',
        '{"brand":"Heather"}',
        '{"color":"Grey","size":"Large"}',
        '{"size":7}',
        '{"feature":["a","b"]}',
        Completion("", finish="error", error="down"),
        Completion('{"brand', finish="length"),
    ]
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(_answers, min_size=1, max_size=12))
def test_whatever_is_answered_each_product_has_one_outcome(
    store: SchemaStore, answers: Sequence[Completion | str]
) -> None:
    turns = cycle(answers)
    outcomes = extract(ScriptedEngine(lambda _: next(turns)), store, TV, TEE, votes=3)
    assert [outcome.product_id for outcome in outcomes] == ["tv", "tee"]
    for outcome in outcomes:
        assert len(set(outcome.rejections)) == len(outcome.rejections)
        stated = [v.attribute for v in outcome.values if v.attribute != "feature"]
        assert len(set(stated)) == len(stated)
