"""Who decides what: proposals settle values, or leave them to the language model."""

from __future__ import annotations

import pytest
from answers import answering, shipped_extractor
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from extractor.attribute import Attribute
from extractor.calibrate import UNCALIBRATED
from extractor.config import extractor_config
from extractor.engines import ModelInfo
from extractor.errors import ConfigError
from extractor.policy import SURE, TAKE, Decision, Settled, agreed, reduced, settle
from extractor.propose import Ask
from extractor.records import AttributeValue, Policy, Product, Proposal, Reason, ScoredSpan, Span
from extractor.run import choose_policy, open_named_engine
from extractor.schema import CategorySchema, SchemaStore, default_folder, schema_from_names
from extractor.suit import TITLE_CONFIDENCE

TEXT = "Acme Red Shoe, Red"
RED, RED_AGAIN, ACME, RED_SHOE = Span(5, 8), Span(15, 18), Span(0, 4), Span(5, 13)
SCHEMA = schema_from_names("shoes", ["brand", "color"])


def proposal(absent: float, *spans: tuple[Span, float]) -> Proposal:
    return Proposal(absent, tuple(ScoredSpan(*scored) for scored in spans))


SURE_BRAND = proposal(0.02, (ACME, 0.95))
OPEN_COLOR = proposal(0.1, (RED_SHOE, 0.3), (RED, 0.25), (RED_AGAIN, 0.25))


def one_attribute(attribute: Attribute) -> CategorySchema:
    return CategorySchema("one", "One", (attribute,), {"properties": {attribute.id: {}}}, "hash")


def test_the_proposer_alone_takes_the_likeliest_surface_wherever_it_stands() -> None:
    decision = settle(SCHEMA, TEXT, {"brand": SURE_BRAND, "color": OPEN_COLOR}, "propose-only")
    assert decision == Decision(
        settled=(Settled("brand", "Acme", ACME, 0.95), Settled("color", "Red", RED, 0.5)), cells=2
    )


def test_a_cascade_leaves_open_what_the_proposer_is_not_sure_of() -> None:
    decision = settle(SCHEMA, TEXT, {"brand": SURE_BRAND, "color": OPEN_COLOR}, "cascade")
    assert decision == Decision(
        settled=(Settled("brand", "Acme", ACME, 0.95),),
        open=("color",),
        offered={"color": {"Red": 0.5, "Red Shoe": 0.3}},
        cells=1,
    )


def test_what_is_surely_absent_is_settled_without_a_value() -> None:
    decision = settle(SCHEMA, TEXT, {"brand": SURE_BRAND, "color": proposal(0.97, (RED, 0.02))}, "cascade")
    assert (decision.settled, decision.open, decision.cells) == (
        (Settled("brand", "Acme", ACME, 0.95),),
        (),
        2,
    )


def test_an_unlikely_value_is_not_taken() -> None:
    decision = settle(SCHEMA, TEXT, {"brand": proposal(0.5, (ACME, TAKE - 0.01))}, "propose-only")
    assert decision.settled == ()


def test_a_choice_is_as_likely_as_the_spans_that_its_evidence_is_in() -> None:
    color = Attribute("color", title="Color", description="", how="choice", enum=("red", "blue"))
    decision = settle(one_attribute(color), TEXT, {"color": OPEN_COLOR}, "propose-only")
    assert decision.settled == (Settled("color", "red", RED, 0.55),)


def test_a_number_is_one_that_the_text_writes() -> None:
    ports = Attribute("ports", title="Ports", description="", type="integer")
    text = "TV with 4 ports, 65 inch"
    proposals = {"ports": proposal(0.1, (Span(8, 15), 0.8), (Span(17, 19), 0.1))}
    [settled] = settle(one_attribute(ports), text, proposals, "propose-only").settled
    assert (settled.surface, settled.span) == ("4", Span(8, 9))


def test_several_values_share_what_one_alone_would_have() -> None:
    feature = Attribute("feature", title="Feature", description="", multi=True, max_items=3)
    text = "Packable, Windproof coat"
    proposals = {"feature": proposal(0.1, (Span(0, 8), 0.45), (Span(10, 19), 0.4), (Span(10, 24), 0.05))}
    settled = settle(one_attribute(feature), text, proposals, "propose-only").settled
    assert [(s.surface, round(s.confidence, 3)) for s in settled] == [
        ("Packable", 0.85),
        ("Windproof", 0.756),
    ]


def test_derived_attributes_are_the_language_models() -> None:
    style = Attribute("style", title="Style", description="", how="derived", enum=("casual", "formal"))
    schema = one_attribute(style)
    assert settle(schema, TEXT, {}, "cascade").open == ("style",)
    assert settle(schema, TEXT, {}, "propose-only") == Decision(cells=0)


def test_both_have_a_say_in_the_confidence_of_what_the_model_chose() -> None:
    value = AttributeValue("color", "Red", "red", None, RED, "title", "span", 0.9)
    decision = Decision(open=("color",), offered={"color": {"Red": 0.4}})
    assert agreed(value, decision).confidence == pytest.approx(0.6)
    assert agreed(value, Decision()) == value


def test_a_reduced_schema_asks_for_less() -> None:
    schema = reduced(SCHEMA, ["color"])
    assert [attribute.id for attribute in schema.attributes] == ["color"]
    assert list(schema.json_schema["properties"]) == ["color"]
    assert schema.hash != SCHEMA.hash


@st.composite
def proposals_for(draw: st.DrawFn, text: str) -> Proposal:
    places = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(places, places).filter(lambda p: p[0] < p[1]), max_size=4))
    chances = draw(st.lists(st.floats(0, 1), min_size=len(spans) + 1, max_size=len(spans) + 1))
    total = sum(chances) or 1.0
    shares = sorted((chance / total for chance in chances[1:]), reverse=True)
    scored = [ScoredSpan(Span(*span), share) for span, share in zip(spans, shares, strict=True)]
    return Proposal(chances[0] / total, tuple(scored))


@given(st.data(), texts, st.sampled_from(["propose-only", "cascade"]))
def test_every_attribute_is_settled_or_open_and_values_stand_where_they_say(
    data: st.DataObject, text: str, policy: Policy
) -> None:
    proposals = {name: data.draw(proposals_for(text)) for name in ("brand", "color")}
    decision = settle(SCHEMA, text, proposals, policy)
    assert decision.cells + len(decision.open) == 2
    for value in decision.settled:
        assert value.span.slice(text) == value.surface
        assert value.attribute not in decision.open
        assert TAKE <= value.confidence <= 1.0001
    if policy == "cascade":
        assert all(value.confidence >= min(SURE, TAKE) for value in decision.settled)


class FixedProposer:
    """Says the same of every listing."""

    id, hash, source, calibration = "fixed", "fixed-hash", "", UNCALIBRATED

    def __init__(self, found: dict[str, Proposal]) -> None:
        self.found = found
        self.asks: list[Ask] = []

    def propose(self, asks: list[Ask]) -> list[dict[str, Proposal]]:
        self.asks += asks
        return [{name: self.found.get(name, Proposal(0.99, ())) for name in ask.attributes} for ask in asks]


TEE = Product("tee", "Kestrel Bay Men's T-Shirt, Heather Grey, Large")
KESTREL, MENS, HEATHER_GREY, GREY = Span(0, 11), Span(12, 17), Span(27, 39), Span(35, 39)


def test_a_proposer_that_decides_alone_asks_no_language_model() -> None:
    engine = answering({})
    proposer = FixedProposer({"brand": proposal(0.05, (KESTREL, 0.9)), "color": proposal(0.4, (GREY, 0.5))})
    extractor = shipped_extractor(
        engine, SchemaStore(default_folder()), proposer=proposer, policy="propose-only"
    )
    [outcome] = extractor.extract([TEE])
    assert outcome.values == (
        AttributeValue("brand", "Kestrel Bay", "Kestrel Bay", None, KESTREL, "title", "span", 0.9),
        AttributeValue("gender", "Men's", "men", None, MENS, "title", "choice", TITLE_CONFIDENCE),
        AttributeValue("color", "Grey", "gray", None, GREY, "title", "span", 0.5),
    )
    assert engine.calls == []
    assert outcome.usage.proposed == len(proposer.asks[0].attributes)
    assert outcome.made_by.model == "fixed+scripted"


def test_in_a_cascade_the_language_model_chooses_among_the_proposed_spans() -> None:
    engine = answering({"tee": '{"color":"Heather Grey"}'})
    proposer = FixedProposer(
        {
            "brand": proposal(0.05, (KESTREL, 0.94)),
            "color": proposal(0.3, (GREY, 0.32), (HEATHER_GREY, 0.32)),
        }
    )
    extractor = shipped_extractor(engine, SchemaStore(default_folder()), proposer=proposer, policy="cascade")
    [outcome] = extractor.extract([TEE])
    assert [(v.attribute, v.surface, round(v.confidence, 2)) for v in outcome.values] == [
        ("brand", "Kestrel Bay", 0.94),
        ("gender", "Men's", TITLE_CONFIDENCE),
        ("color", "Heather Grey", 0.4),
    ]
    [request] = engine.calls
    assert list(request.constraint.json_schema["properties"]) == ["color"]
    assert outcome.usage.decoded == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"policy": "propose-only", "proposer": "/nowhere"}, "no proposer there"),
        ({"policy": "decode-all", "proposer": "/nowhere"}, "asks no proposer"),
    ],
)
def test_a_proposer_that_is_not_there_or_not_asked_is_told_before_a_model_is_loaded(
    options: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        open_named_engine(extractor_config(options))


@pytest.mark.parametrize(
    ("stated", "prompted", "chosen"),
    [
        (None, False, "propose-only"),
        (None, True, "decode-all"),
        ("cascade", True, "cascade"),
    ],
)
def test_what_only_a_language_model_heeds_is_meant_for_one(
    stated: Policy | None, prompted: bool, chosen: Policy
) -> None:
    model = ModelInfo("m", "h", 4096, policy="propose-only")
    assert choose_policy(stated, model, prompted=prompted) == chosen


def test_of_an_endless_text_the_proposer_reads_the_beginning() -> None:
    proposer = FixedProposer({})
    extractor = shipped_extractor(
        answering({}), SchemaStore(default_folder()), proposer=proposer, policy="propose-only"
    )
    [outcome] = extractor.extract([Product("tee", "Kestrel Bay T-Shirt", "word " * 10_000)])
    assert [(r.reason, r.detail) for r in outcome.rejections] == [
        (Reason.TEXT_CUT, "the proposer read 19,999 of 50,020 characters")
    ]
    assert len(proposer.asks[0].text) == 19_999
