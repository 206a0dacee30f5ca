"""Our gold and the demo feed keep what their readers rely on: labels fit schemas and texts, messy lines are there."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from extractor.read import read_feed
from extractor.records import Product, Unreadable
from extractor.schema import SchemaStore, default_folder

ROOT = Path(__file__).parent.parent
FEED = ROOT / "extractor" / "demo" / "feed.jsonl"
GOLD = ROOT / "eval" / "gold" / "sample.jsonl"
AUDIENCE = ("gender", "age_group", "occasion")


@pytest.fixture(scope="module")
def store() -> SchemaStore:
    return SchemaStore(default_folder())


@pytest.fixture(scope="module")
def gold() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def feed() -> list[Product | Unreadable]:
    return list(read_feed(str(FEED)))


def text_of(record: dict[str, Any]) -> str:
    return Product(record["id"], record["title"], record.get("description", "")).text


def stated(record: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(name, forms) for name, forms in record["attributes"].items() if forms is not None]


def test_gold_is_broad_enough(gold: list[dict[str, Any]]) -> None:
    assert len(gold) >= 200
    assert len({record["category"] for record in gold}) >= 40
    assert sum("description" in record for record in gold) >= 100
    assert sum(any(name in record["attributes"] for name in AUDIENCE) for record in gold) >= 150
    for name in AUDIENCE:
        assert sum(record["attributes"].get(name) is not None for record in gold) >= 40


def test_gold_ids_and_titles_are_unique(gold: list[dict[str, Any]]) -> None:
    for field in ("id", "title"):
        assert [value for value, n in Counter(record[field] for record in gold).items() if n > 1] == []


def test_gold_shares_no_title_with_the_demo_feed(
    gold: list[dict[str, Any]], feed: list[Product | Unreadable]
) -> None:
    demo = {record.title.casefold() for record in feed if isinstance(record, Product)}
    assert [record["id"] for record in gold if record["title"].casefold() in demo] == []


def test_gold_categories_are_leaves(gold: list[dict[str, Any]], store: SchemaStore) -> None:
    leaves = {node.id for node in store.taxonomy.leaves}
    assert [record["id"] for record in gold if record["category"] not in leaves] == []


def test_gold_names_only_attributes_of_its_schema(gold: list[dict[str, Any]], store: SchemaStore) -> None:
    strangers = [
        (record["id"], name)
        for record in gold
        for name in record["attributes"]
        if name not in {attribute.id for attribute in store.for_category(record["category"]).attributes}
    ]
    assert strangers == []


def test_gold_values_are_members_or_stand_in_the_text(gold: list[dict[str, Any]], store: SchemaStore) -> None:
    wrong = []
    for record in gold:
        schema = store.for_category(record["category"])
        for name, forms in stated(record):
            allowed = schema.attribute(name).enum or text_of(record)
            wrong += [(record["id"], name, form) for form in forms if form not in allowed]
    assert wrong == []


def test_gold_spans_are_whole_words(gold: list[dict[str, Any]], store: SchemaStore) -> None:
    """A span decoder offers whole words only; a form that cuts one could never be predicted."""
    cut = []
    for record in gold:
        schema = store.for_category(record["category"])
        for name, forms in stated(record):
            pattern = r"(?<![^\W_]){}(?![^\W_])"
            cut += [
                (record["id"], name, form)
                for form in forms
                if form.isascii()
                and not schema.attribute(name).enum
                and not re.search(pattern.format(re.escape(form)), text_of(record))
            ]
    assert cut == []


def test_gold_lists_of_forms_are_not_empty_and_have_no_duplicates(gold: list[dict[str, Any]]) -> None:
    faulty = [
        (record["id"], name)
        for record in gold
        for name, forms in stated(record)
        if not forms or len(set(forms)) < len(forms) or any(form != form.strip() for form in forms)
    ]
    assert faulty == []


def test_demo_feed_has_96_products_and_four_faulty_lines(feed: list[Product | Unreadable]) -> None:
    products = [record for record in feed if isinstance(record, Product)]
    unreadable = [
        record.detail.split(":")[0].split(";")[0] for record in feed if isinstance(record, Unreadable)
    ]
    assert unreadable == ["broken JSON", "no title"]
    assert len({product.id for product in products}) == 96
    twice = [n for n in Counter(product.id for product in products).values() if n > 1]
    same = [n for n in Counter(product.content_hash for product in products).values() if n > 1]
    assert (twice, same) == ([2, 2], [2])


def test_demo_feed_holds_hostile_texts(feed: list[Product | Unreadable]) -> None:
    texts = [record.text for record in feed if isinstance(record, Product)]
    assert sum("<script>" in text for text in texts) == 1
    assert sum("Ignore your instructions" in text for text in texts) == 1
