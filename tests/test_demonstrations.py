"""Demonstrations: the most similar labelled listings before each question, never one that is measured on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from answers import answering, shipped_extractor
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import clean_texts, schema_of, schemas

from extractor.attribute import Attribute
from extractor.config import RunConfig
from extractor.demonstrations import Demonstrations, to_example
from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError
from extractor.gold import GoldRecord
from extractor.journal import read_manifest
from extractor.pipeline import Extractor
from extractor.prompt import PromptExample, PromptTemplate, default_folder, load_prompt, render, shots
from extractor.records import (
    UNKNOWN_CATEGORY,
    CategoryChoice,
    Message,
    Product,
    Reason,
    Request,
)
from extractor.run import run
from extractor.schema import CategorySchema, SchemaStore, schema_from_names

SHOES = CategoryChoice("shop.shoes", ("Shop", "Shoes"), 1.0)
SCHEMA = schema_from_names("shop.shoes", ["brand", "color", "size"])
ROWS: list[dict[str, Any]] = [
    {
        "id": "s1",
        "title": "Kestrel running shoe, red, 42",
        "category": "Shoes",
        "attributes": {"color": ["red"], "brand": ["Kestrel"], "size": ["42"]},
    },
    {
        "id": "s2",
        "title": "Northbay leather boot",
        "description": "Brown, goes with everything.",
        "category": "shop.shoes",
        "attributes": {"brand": ["Northbay"], "color": ["Brown", "brown"], "size": None},
    },
    {
        "id": "s3",
        "title": "Kestrel trail running shoe",
        "category": "Shop > Shoes",
        "attributes": {"brand": ["Kestrel"], "color": None},
    },
    {
        "id": "b1",
        "title": "Kestrel running belt, red",
        "category": "Belts",
        "attributes": {"brand": ["Kestrel"], "closure": ["buckle"], "material": None},
    },
]


def record(row: Mapping[str, Any]) -> GoldRecord:
    return GoldRecord(row["id"], row["category"], row["attributes"], row["title"], row.get("description", ""))


POOL = Demonstrations([record(row) for row in ROWS])


def write(path: Path, rows: Sequence[Mapping[str, Any]] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def picked(title: str, *, category: CategoryChoice = SHOES, k: int = 10, id_: str = "p") -> list[str]:
    return [example.title for example in POOL.pick(Product(id_, title), category, SCHEMA, k)]


# --- which ones


def test_those_of_the_category_come_first_then_those_that_share_words() -> None:
    s1, s2, s3, b1 = (row["title"] for row in ROWS)
    assert picked("Aster trail running shoe") == [s3, s1, s2, b1]
    assert picked("Leather boot, brown")[0] == s2


def test_words_alone_decide_where_the_category_is_unknown() -> None:
    assert picked("Belt", category=UNKNOWN_CATEGORY, k=1) == [ROWS[3]["title"]]


@pytest.mark.parametrize("k", range(5))
def test_there_are_as_many_as_are_wanted(k: int) -> None:
    assert len(picked("shoe", k=k)) == k


def test_a_listing_is_never_its_own_demonstration() -> None:
    assert ROWS[0]["title"] not in picked("Something else", id_="s1")
    assert ROWS[0]["title"] not in picked("KESTREL Running Shoe - red/42")


@pytest.mark.parametrize("title", ["", "!!! ---", "東京タワー 靴", "nothing of that"])
def test_a_text_without_a_shared_word_gets_those_of_its_category(title: str) -> None:
    assert set(picked(title, k=3)) == {row["title"] for row in ROWS[:3]}


@pytest.mark.parametrize("titles", [["!!!"], ["!!!", "shoe"], ["shoe", "!!!"]])
def test_a_pool_may_have_texts_without_words(titles: Sequence[str]) -> None:
    pool = Demonstrations([GoldRecord(title, "Shoes", {"brand": None}, title) for title in titles])
    shown = [example.title for example in pool.pick(Product("p", "A shoe"), SHOES, SCHEMA, 3)]
    assert shown == sorted(titles, reverse=True)


@given(st.permutations(ROWS), st.integers(0, 3), clean_texts)
def test_the_order_of_the_file_does_not_matter(rows: list[dict[str, Any]], k: int, title: str) -> None:
    product = Product("p", title or "?")
    other = Demonstrations([record(row) for row in rows])
    assert other.pick(product, SHOES, SCHEMA, k) == POOL.pick(product, SHOES, SCHEMA, k)
    assert other.hash == POOL.hash


def test_the_seed_decides_among_equally_similar_ones() -> None:
    twins = [GoldRecord(f"t{n}", "Shoes", {"brand": ["Twin"]}, f"Twin {n}") for n in range(20)]
    picks = {
        seed: [
            e.title for e in Demonstrations(twins, seed=seed).pick(Product("p", "Twin"), SHOES, SCHEMA, 20)
        ]
        for seed in (0, 0, 1)
    }
    assert picks[0] != picks[1]
    assert sorted(picks[0]) == sorted(picks[1])
    assert Demonstrations(twins, seed=0).hash != Demonstrations(twins, seed=1).hash


# --- never from what is measured on


def test_an_id_that_is_measured_on_is_refused(tmp_path: Path) -> None:
    pool = write(tmp_path / "train.jsonl")
    gold = [GoldRecord("s2", "Shoes", {}, "Another title")]
    with pytest.raises(ConfigError) as caught:
        Demonstrations.load(pool, refuse=gold)
    assert str(caught.value) == f"{pool}: id 's2' is in the gold to score; give a train file without it"


def test_titles_that_are_measured_on_are_left_out_and_counted(tmp_path: Path) -> None:
    pool = write(tmp_path / "train.jsonl")
    gold = [
        GoldRecord("g1", "Shoes", {}, "  KESTREL Running Shoe (red) 42"),
        GoldRecord("g2", "Shoes", {}, ""),
    ]
    loaded = Demonstrations.load(pool, refuse=gold)
    assert (len(loaded), loaded.left_out) == (3, 1)
    titles = {e.title for e in loaded.pick(Product("p", "Kestrel running shoe"), SHOES, SCHEMA, 10)}
    assert titles == {row["title"] for row in ROWS[1:]}
    assert Demonstrations.load(pool).left_out == 0


BAD_FILES = [
    ("", "holds no record"),
    ("{", "train.jsonl:1: no JSON"),
    ('{"id": "1", "title": "T", "attributes": {}}', "expected an object with id, category and attributes"),
    ('{"id": "1", "category": "c", "attributes": {}}', "id '1' has no title; add it"),
    (
        '{"id": "1", "title": "Taken", "category": "c", "attributes": {}}',
        "has only titles of the gold to score",
    ),
]


@pytest.mark.parametrize(("content", "told"), BAD_FILES)
def test_a_file_that_is_no_pool(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as caught:
        Demonstrations.load(path, refuse=[GoldRecord("g", "c", {}, "taken!")])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pool_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress(write(tmp_path / "train.jsonl").read_bytes()))
    assert Demonstrations.load(path).hash == POOL.hash


# --- what they show

KINDS = schema_of(
    Attribute("brand", title="Brand", description=""),
    Attribute(
        "sleeve",
        title="",
        description="",
        how="choice",
        enum=("short", "long"),
        synonyms={"short": ("half",)},
    ),
    Attribute("season", title="", description="", how="derived", enum=("summer", "winter")),
    Attribute("pieces", title="", description="", type="integer"),
    Attribute("feature", title="", description="", multi=True, max_items=2),
    Attribute("color", title="", description="", max_length=5),
)


def test_an_example_answers_what_its_own_text_states() -> None:
    labels = {
        "feature": ["Packable", "Windproof", "Loud", "half"],
        "brand": ["Northbay Inc.", "Northbay"],
        "sleeve": ["short"],
        "season": ["summer"],
        "pieces": ["3"],
        "theme": ["Dinosaur"],
        "color": None,
        "size": ["XL"],
    }
    gold = GoldRecord(
        "1", "T-shirts", labels, "Northbay tee, half sleeve, Dinosaur", "Packable, Windproof. 3 pieces"
    )
    assert to_example(gold, "Clothing > T-shirts", KINDS) == PromptExample(
        category="Clothing > T-shirts",
        title="Northbay tee, half sleeve, Dinosaur",
        description="Packable, Windproof. 3 pieces",
        # Not asked about what its text does not have: that would teach to overlook.
        offered=["brand", "sleeve", "season", "pieces", "feature", "color", "theme"],
        attributes={
            "brand": "Northbay",
            "sleeve": "short",
            "season": "summer",
            "pieces": 3,
            "feature": ["Packable", "Windproof"],
            "theme": "Dinosaur",
        },
    )


@pytest.mark.parametrize(
    ("attribute", "form"),
    [
        ("brand", "northbay"),
        ("brand", "tee\nRed"),
        ("sleeve", "long"),
        ("sleeve", "half"),
        ("season", "autumn"),
        ("pieces", "7"),
        ("color", "Northbay"),
    ],
)
def test_what_no_grammar_would_let_through_is_not_shown(attribute: str, form: str) -> None:
    gold = GoldRecord("1", "T-shirts", {attribute: [form]}, "Northbay half sleeve tee", "Red, 3 pieces")
    example = to_example(gold, "T-shirts", KINDS)
    assert (example.offered, example.attributes) == ([], {})


@given(schemas, clean_texts, st.data())
def test_examples_obey_the_schema_and_their_text(
    schema: CategorySchema, title: str, data: st.DataObject
) -> None:
    names = st.sampled_from([a.id for a in schema.attributes] + ["other"])
    forms = st.lists(st.text(max_size=3) | st.sampled_from([title[:4] or "?", "short", "12"]), max_size=3)
    labels = data.draw(st.dictionaries(names, st.none() | forms, max_size=4))
    example = to_example(GoldRecord("1", "c", labels, title or "?"), "c", schema)
    assert set(example.attributes) <= set(example.offered) <= set(labels)
    for attribute in schema.attributes:
        found = example.attributes.get(attribute.id, [])
        for value in found if isinstance(found, list) else [found]:
            assert str(value) in (attribute.enum or example.text)
    known = {a.id: example.attributes[a.id] for a in schema.attributes if a.id in example.attributes}
    Draft202012Validator(schema.json_schema).validate(known)


def test_a_template_shows_them_after_its_own_examples() -> None:
    template = PromptTemplate(
        id="attributes@v9",
        version="v9",
        task="attributes",
        form="chat",
        variables=["category", "attributes", "text"],
        system="Extract.",
        user="{{category}}\n{{attributes}}\n{{text}}",
        examples=[PromptExample(category="Own", title="Own title", offered=["a"], attributes={"a": "Own"})],
        demonstrations=1,
    )
    [shown] = POOL.pick(Product("p", "Leather boot"), SHOES, SCHEMA, 1)
    asked = {"category": "Shop > Shoes", "attributes": "- brand", "text": "Leather boot"}
    assert render(template, asked, [shown]) == (
        Message("system", "Extract."),
        Message("user", "Own\n- a\nOwn title"),
        Message("assistant", '{"a":"Own"}'),
        Message(
            "user",
            "Shop > Shoes\n- brand\n- color\n- size\nNorthbay leather boot\nBrown, goes with everything.",
        ),
        Message("assistant", '{"brand":"Northbay","color":"Brown"}'),
        Message("user", "Shop > Shoes\n- brand\nLeather boot"),
    )


def test_a_demonstration_cannot_end_its_turn() -> None:
    gold = GoldRecord("1", "Shoes", {"brand": ["<|im_end|>"]}, "<|im_end|> boot \ufffd")
    pool = Demonstrations([gold])
    [shown] = pool.pick(Product("p", "boot"), SHOES, SCHEMA, 1)
    messages = render(load_prompt("attributes@v1", default_folder()), ASKED, [shown])
    assert isinstance(messages, tuple)
    assert messages[-2].content == '{"brand":"< |im_end|>"}'
    assert not any("<|" in message.content or "\ufffd" in message.content for message in messages)


ASKED = {"category": "c", "attributes": "- brand", "text": "boot"}


# --- how many


@pytest.mark.parametrize(("own", "wanted", "expected"), [(0, None, 5), (3, None, 3), (3, 7, 7), (3, 0, 0)])
def test_the_prompt_or_the_user_says_how_many(own: int, wanted: int | None, expected: int) -> None:
    template = load_prompt("attributes@v1", default_folder()).model_copy(update={"demonstrations": own})
    assert shots(template, wanted) == expected


@pytest.mark.parametrize(
    ("prompt", "wanted", "told"),
    [
        (
            "embedded-v1",
            None,
            "attributes@embedded-v1: a text prompt shows no demonstrations; leave them out",
        ),
        ("embedded-v1", 2, "attributes@embedded-v1: a text prompt shows no demonstrations; leave them out"),
        ("v1", 11, "11 demonstrations: give a number from 0 to 10"),
        ("v1", -1, "-1 demonstrations: give a number from 0 to 10"),
    ],
)
def test_what_cannot_be_shown(prompt: str, wanted: int | None, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        shots(load_prompt(f"attributes@{prompt}", default_folder()), wanted)


# --- through the pipeline


def turns(request: Request) -> list[str]:
    """Titles of the listings that a chat prompt answers, its own examples included."""
    assert not isinstance(request.prompt, str)
    shown = [m.content for m in request.prompt if m.role == "user"][:-1]
    return [content.partition("Listing:\n")[2].splitlines()[0] for content in shown]


TEES = [
    GoldRecord(f"t{n}", "T-shirts", {"brand": [f"Brand{n}"], "color": ["Red"], "gender": None}, title)
    for n, title in enumerate(
        ["Brand0 T-shirt Red", "Brand1 T-shirt with pocket, Red", "Brand2 Red polo", "Brand3 V-neck, Red"]
    )
]
TEE = Product("p", "Kestrel Bay T-shirt with pocket")


def showing(engine: ScriptedEngine, store: SchemaStore, *, shots: int = 2, **settings: Any) -> Extractor:
    return shipped_extractor(engine, store, demonstrations=Demonstrations(TEES), shots=shots, **settings)


def test_the_most_similar_one_stands_next_to_the_question(store: SchemaStore) -> None:
    engine = answering({})
    showing(engine, store).extract([TEE])
    [request] = engine.calls
    assert len(turns(request)) == 3 + 2
    assert turns(request)[3:] == ["Brand0 T-shirt Red", "Brand1 T-shirt with pocket, Red"]
    assert "Category: Clothing > Tops > T-shirts" in request.prompt[-3].content  # type: ignore[union-attr]
    # What all listings share comes first.
    alone = answering({})
    shipped_extractor(alone, store).extract([TEE])
    assert request.prompt[:7] == alone.calls[0].prompt[:7]
    assert request.constraint == alone.calls[0].constraint


def test_each_vote_shows_the_same_ones_in_its_own_order(store: SchemaStore) -> None:
    engine = answering({})
    showing(engine, store, votes=5).extract([TEE])
    assert len({tuple(turns(request)) for request in engine.calls}) == 1
    answers = {request.prompt[-2].content for request in engine.calls}  # type: ignore[union-attr]
    assert answers == {'{"brand":"Brand1","color":"Red"}', '{"color":"Red","brand":"Brand1"}'}


def test_of_what_does_not_fit_demonstrations_go_before_text(store: SchemaStore) -> None:
    product = Product("p", TEE.title, "filler " * 300)
    alone, all_shown = answering({}), answering({})
    shipped_extractor(alone, store).extract([product])
    showing(all_shown, store, shots=4).extract([product])

    def size(request: Request) -> int:
        return alone.count_tokens(request.prompt) + request.constraint.max_tokens

    least, most = size(alone.calls[0]), size(all_shown.calls[0])
    # Whether an answer may have half of the context is another matter.
    assert alone.calls[0].constraint.max_tokens == all_shown.calls[0].constraint.max_tokens
    numbers = []
    for room in (most, most - 1, least, least - 1):
        engine = answering({}, context_tokens=room)
        [outcome] = showing(engine, store, shots=4).extract([product])
        numbers.append(len(turns(engine.calls[0])) - 3)
        assert size(engine.calls[0]) <= room
        assert [r.reason for r in outcome.rejections] == ([Reason.TEXT_CUT] if room < least else [])
    assert numbers == [4, 3, 0, 0]


# --- a run


FEED = [{"id": "1", "title": "Kestrel Bay T-shirt with pocket"}]


def config(tmp_path: Path, **settings: Any) -> RunConfig:
    pool = write(tmp_path / "train.jsonl")
    feeds = (str(write(tmp_path / "feed.jsonl", FEED)),)
    return RunConfig(**{"feeds": feeds, "out": tmp_path / "run", "demonstrations": pool, **settings})


def test_a_run_shows_them_and_says_which(tmp_path: Path) -> None:
    engine = answering({})
    summary = run(config(tmp_path), engine=engine)
    assert summary.products == 1
    assert len(turns(engine.calls[0])) == 3 + len(ROWS)
    settings = read_manifest(tmp_path / "run")["config"]
    assert settings["demonstrations"] == {"hash": POOL.hash, "k": 5}
    assert settings["votes"] == 1


def test_a_run_goes_on_only_with_the_same_ones(tmp_path: Path) -> None:
    run(config(tmp_path), engine=answering({}))
    other = write(tmp_path / "other.jsonl", ROWS[1:])
    for changed in ({"demonstrations": None}, {"demonstrations": other}):
        with pytest.raises(ConfigError, match=r"begun with other settings: demonstrations\.hash was"):
            run(config(tmp_path, **changed), engine=answering({}))
    with pytest.raises(
        ConfigError, match="begun with other settings: votes was 1, is 3; choose another --out"
    ):
        run(config(tmp_path, votes=3), engine=answering({}))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"prompt": "attributes@embedded-v1"},
            "attributes@embedded-v1: a text prompt shows no demonstrations",
        ),
        ({"engine": "transformers"}, "attributes@embedded-v1: a text prompt shows no demonstrations"),
        ({"demonstrations": Path("missing.jsonl")}, "missing.jsonl: No such file or directory"),
    ],
)
def test_what_is_wrong_is_told_before_a_model_is_loaded(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        run(config(tmp_path, **settings))
    assert not (tmp_path / "run").exists()
