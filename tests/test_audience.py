"""Whom a listing suits and what it is used for: from words alone, with evidence, traps included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from answers import answering, shipped_extractor
from hypothesis import given
from schema_folder import schema_file, write_folder
from strategies import clean_texts

from extractor.attribute import DERIVED_CONFIDENCE
from extractor.engines.scripted import ScriptedEngine
from extractor.evaluation.suite import run_suite
from extractor.evaluation.suite_file import Suite
from extractor.graph.statements import facts_of
from extractor.graph.targets import Targets
from extractor.records import UNKNOWN_CATEGORY, AttributeValue, CategoryChoice, Product, Span
from extractor.schema import SchemaStore, default_folder
from extractor.schema_set import all_schemas
from extractor.suit import DESCRIPTION_CONFIDENCE, SURE_CATEGORY, TITLE_CONFIDENCE, suit

GOLD = Path(__file__).parent.parent / "eval" / "gold"
STORE = SchemaStore(default_folder())
AUDIENCE = {"gender", "age_group", "life_stage", "skill_level", "occasion", "season", "activity"}


def read(category_id: str, title: str, description: str = "", *brands: str) -> list[AttributeValue]:
    node = STORE.taxonomy[category_id]
    category = CategoryChoice(node.id, node.path, 1.0)
    return suit(STORE.for_category(node.id), Product("p", title, description), category, brands)


def said(*args: str) -> dict[str, list[str]]:
    """Attribute -> members."""
    members: dict[str, list[str]] = {}
    for value in read(*args):
        members.setdefault(value.attribute, []).append(value.canonical)
    return members


def test_a_value_has_the_words_that_say_so() -> None:
    title, description = "Kestrel Ladies' Running Shoes", "Warm enough for winter."
    assert read("footwear.shoes.sneakers", title, description) == [
        AttributeValue("gender", "Ladies'", "women", None, Span(8, 15), "title", "choice", TITLE_CONFIDENCE),
        AttributeValue(
            "occasion", "Running Shoes", "sports", None, Span(16, 29), "title", "choice", TITLE_CONFIDENCE
        ),
        AttributeValue(
            *("season", "winter", "winter", None, Span(46, 52)),
            *("description", "choice", DESCRIPTION_CONFIDENCE),
        ),
        AttributeValue(
            *("activity", "Running Shoes", "running", None, Span(16, 29)),
            *("title", "choice", TITLE_CONFIDENCE),
        ),
    ]


def test_what_only_the_category_says_is_derived() -> None:
    derived = (None, None, "taxonomy", "derived", DERIVED_CONFIDENCE)
    assert read("baby.diapering.diapers", "Drylight Overnight, Size 4, 58 Count") == [
        AttributeValue("age_group", "baby", "baby", *derived),
        AttributeValue("life_stage", "infant", "infant", *derived),
    ]


def test_what_the_text_says_goes_before_the_category() -> None:
    assert said("baby.diapering.diapers", "Newborn Diapers") == {
        "age_group": ["baby"],
        "life_stage": ["newborn"],
    }
    assert said("baby.diapering.diapers", "Adult Briefs for Incontinence") == {"age_group": ["adult"]}


def test_an_unsure_category_implies_nothing() -> None:
    node = STORE.taxonomy["baby.diapering.diapers"]
    schema, product = STORE.for_category(node.id), Product("p", "Overnight, Size 4")
    assert suit(schema, product, CategoryChoice(node.id, node.path, SURE_CATEGORY - 0.01)) == []


@pytest.mark.parametrize(
    ("category", "text", "brands"),
    [
        ("grocery.fresh_dairy_frozen.fresh_produce", "Ladies Finger (Okra), 500 g", ()),
        ("grocery.fresh_dairy_frozen.fresh_produce", "Baby Corn and Winter Melon, Summer Squash", ()),
        ("grocery.snacks.chips_savory_snacks", "Potato Chips Party Pack, King Size", ()),
        ("grocery.snacks.chocolate_candy", "Menthol Throat Candy", ()),
        ("grocery.beverages.bottled_water", "Spring Water, 24 x 500 ml", ()),
        ("books_media.books.books", "A Christmas Carol, Hardcover", ()),
        ("books_media.books.books", "The Old Man and the Sea", ()),
        ("office.writing.pens", "Baby Blue Gel Pen", ()),
        ("jewelry.earrings.earrings", "Mother of Pearl Drop Earrings", ()),
        ("clothing.tops.t_shirts", 'Tee "Boys of Summer", XL', ()),
        ("clothing.tops.t_shirts", "Boys Don't Cry T-Shirt", ()),
        ("tools.hardware_electrical.plumbing_faucets", "Male to Female Brass Elbow", ()),
        ("health.medical_first_aid.medicine_pain_relief", "Tablets. Not for children under 3.", ()),
        ("health.medical_first_aid.medicine_pain_relief", "Tablets. Keep out of the reach of children.", ()),
        ("accessories.bags_luggage.handbags", "Gym & Tonic Clutch, Tan", ("Gym & Tonic",)),
        ("baby.gear_nursery.baby_safety_monitors", "Summer Hill Cabinet Child Locks", ("Summer Hill",)),
        ("computers.computers_tablets.laptops", "Lenovo Yoga 7i, 16 GB", ()),
    ],
)
def test_false_friends_say_nothing(category: str, text: str, brands: tuple[str, ...]) -> None:
    assert said(category, text, "", *brands) == {}


@pytest.mark.parametrize(
    ("category", "text", "members"),
    [
        ("beauty.fragrance.deodorant", "Old Spice for Men", {"gender": ["men"]}),
        ("beauty.hair_care.shampoo", "Shampoo for men and women", {"gender": ["unisex"]}),
        (
            "baby.baby_clothing_care.baby_clothing",
            "Gap Baby Romper",
            {"age_group": ["baby"], "life_stage": ["infant"]},
        ),
        ("toys.games.board_card_games", "Not Just for Kids", {"age_group": ["kids"]}),
        ("accessories.watches.wrist_watches", "Watch for Men, Boys", {"gender": ["men"]}),
        (
            "garden.plants_care.seeds_plants",
            "Sow in spring or autumn",
            {"season": ["spring", "autumn"], "activity": ["gardening"]},
        ),
        (
            "sports.fitness.weights_strength",
            "Dumbbell, beginner to advanced",
            {"skill_level": ["all levels"], "activity": ["workout"]},
        ),
        ("clothing.tops.t_shirts", "メンズ Tシャツ", {"gender": ["men"]}),
    ],
)
def test_members(category: str, text: str, members: dict[str, list[str]]) -> None:
    assert said(category, text, "", "Gap Baby") == members


def test_an_unknown_category_leaves_what_counts_anywhere() -> None:
    values = suit(STORE.by_id("base"), Product("p", "Summer lady jacket, women's"), UNKNOWN_CATEGORY)
    assert [(value.attribute, value.canonical) for value in values] == [("gender", "women")]


def test_categories_of_another_taxonomy_count_by_their_names() -> None:
    path = ("Apparel & Accessories", "Clothing", "Outerwear")
    values = suit(
        STORE.by_id("base"), Product("p", "Summer lady jacket"), CategoryChoice("aa-1-10", path, 0.9)
    )
    assert [(value.attribute, value.canonical) for value in values] == [
        ("gender", "women"),
        ("season", "summer"),
    ]


@given(clean_texts, clean_texts)
def test_evidence_stands_in_the_text(title: str, description: str) -> None:
    product = Product("p", title or "?", description)
    for value in suit(STORE.by_id("base"), product, UNKNOWN_CATEGORY):
        assert value.span is not None
        assert value.span.slice(product.text) == value.surface


def test_no_model_is_asked_and_the_graph_says_whom_it_suits() -> None:
    engine = answering({"tee": '{"gender":"women","size":"Large"}'})
    tee = Product("tee", "Kestrel Bay Men's Running T-Shirt, Large")
    [outcome] = shipped_extractor(engine, STORE).extract([tee])
    assert not AUDIENCE & set(engine.calls[-1].constraint.json_schema["properties"])
    facts = facts_of(outcome, "run", Targets(all_schemas(STORE)))
    assert facts is not None
    stated = {(s.predicate, s.object, s.provenance.quote) for s in facts.statements.values()}
    assert {
        ("suits", "audience:men", "Men's"),
        ("used_for", "occasion:sports", "Running"),
        ("used_for", "occasion:running", "Running"),
    } <= stated
    assert {node.kind for node in facts.nodes.values()} >= {"Audience", "Occasion"}


# --- schema files


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (
            {"x-cues": {"members": {"kids": [{"words": ["kids"]}]}}},
            "x-cues names kids: no member of the enum",
        ),
        ({"x-cues": {"members": {"men": [{"words": ["&&"]}]}}}, "'&&' has no word; remove it"),
        ({"x-cues": {"members": {"men": [{}]}}}, "has no x-cues.members.men.0.words; add it"),
        ({"x-cues": {"members": {}, "together": {"unisex": [["men"]]}}}, "x-cues names unisex"),
        ({"x-cues": {"members": {}}, "x-synonyms": {"men": ["gents"]}}, "x-cues and x-synonyms say the same"),
        ({"x-cues": {"members": {}}, "x-how": "derived"}, "x-cues are for a choice"),
    ],
)
def test_faulty_cues_are_told(tmp_path: Path, definition: dict[str, object], told: str) -> None:
    gender = {"type": "string", "title": "Gender", "description": "For whom.", "enum": ["men", "women"]}
    store = write_folder(tmp_path, {"attributes/clothing.json": schema_file(gender=gender | definition)})
    [problem] = store.check()
    assert problem.startswith(f"{tmp_path / 'attributes' / 'clothing.json'}: gender: ")
    assert told in problem


# --- the gold


@pytest.fixture(scope="module")
def gold() -> list[dict[str, object]]:
    texts = [(GOLD / f"{name}.jsonl").read_text("utf-8") for name in ("sample", "audience")]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_gold_is_ours_and_large_enough(gold: list[dict[str, object]]) -> None:
    assert len(gold) >= 500
    assert len({record["id"] for record in gold}) == len({record["title"] for record in gold}) == len(gold)


def test_gold_labels_are_members(gold: list[dict[str, object]]) -> None:
    wrong = []
    for record in gold:
        schema = STORE.for_category(str(record["category"]))
        labels = record["attributes"]
        assert isinstance(labels, dict)
        for name in AUDIENCE & labels.keys():
            strangers = set(labels[name] or ()) - set(schema.attribute(name).enum)
            wrong += [(record["id"], name, member) for member in strangers]
    assert wrong == []


def test_gold_finds_few_false_values(gold: list[dict[str, object]]) -> None:
    """Strict precision of at least 90; the suite `audience` says how much better it is."""
    right = wrong = 0
    for record in gold:
        labels = record["attributes"]
        assert isinstance(labels, dict)
        found = read(str(record["category"]), str(record["title"]), str(record.get("description", "")))
        for value in found:
            good = value.canonical in (labels.get(value.attribute) or ())
            right, wrong = right + good, wrong + (not good)
    assert right / (right + wrong) >= 0.9


def test_a_suite_of_groups_counts_nothing_else(tmp_path: Path) -> None:
    rows = [
        ("Acme Men's T-Shirt", {"gender": ["men"], "brand": ["Acme"]}),
        ("Acme Summer T-Shirt for Women", {"gender": None, "brand": ["Acme"]}),
    ]
    for number, (title, labels) in enumerate(rows):
        row = {"id": str(number), "title": title, "category": "clothing.tops.t_shirts", "attributes": labels}
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(row), "utf-8")
    suite = Suite(
        name="two", about="", gold=["0.jsonl", "1.jsonl"], schemas="shipped", groups={"suits": ["gender"]}
    )
    scores = run_suite(
        suite, tmp_path, tmp_path / "out", lambda: ScriptedEngine(["{}", "{}"]), prompt="attributes@v1"
    )
    assert scores["groups"] == {"suits": {"precision": 50.0, "recall": 100.0, "f1": 66.67, "false": 1}}
    assert scores["strict"]["counts"]["vn"] == 0
