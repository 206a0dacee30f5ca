"""Listings that state the words of a taxonomy's attributes, found in feeds and made up."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from extractor.schema import SchemaStore, default_folder
from extractor.training.dataset import Record
from extractor.training.lexicon import Lexicon, longest

CATEGORIES = [
    {"id": "fb", "path": ["Food"], "leaf": False, "attributes": ["roast"]},
    {
        "id": "fb-1",
        "path": ["Food", "Ground Coffee"],
        "leaf": True,
        "attributes": ["roast", "diet", "mystery"],
    },
    {"id": "ha-1", "path": ["Hardware", "Door Hinges"], "leaf": True, "attributes": ["finish"]},
    {"id": "ha-2", "path": ["Hardware", "Black Bolts"], "leaf": True, "attributes": ["finish"]},
]
ATTRIBUTES = [
    {"id": "color", "name": "Color", "extends": None, "values": ["Black", "Gold"]},
    {"id": "roast", "name": "Coffee roast", "extends": None, "values": ["Dark", "Medium dark", "Other"]},
    {
        "id": "diet",
        "name": "Dietary preferences",
        "extends": None,
        "values": ["Organic", "Vegan (certified)"],
    },
    {"id": "finish", "name": "Hardware/Finish", "extends": "color", "values": None},
    {"id": "mystery", "name": "Mystery", "extends": None, "values": ["Yes", "No"]},
]
LEXICON = Lexicon.of_taxonomy(CATEGORIES, ATTRIBUTES)


def test_leaves_have_the_words_of_their_attributes() -> None:
    assert {key: dict(leaf.words) for key, leaf in LEXICON.leaves.items()} == {
        "fb-1": {"Coffee roast": ("Dark", "Medium dark"), "Dietary preferences": ("Organic", "Vegan")},
        "ha-1": {"Finish": ("Black", "Gold")},
    }


def test_a_feed_listing_states_what_stands_in_it() -> None:
    row = {"id": "1", "title": "Kestrel organic ground coffee, medium dark", "brand": "Kestrel"}
    assert LEXICON.stated(row, random.Random(1)) == Record(
        "Kestrel organic ground coffee, medium dark",
        "Ground Coffee",
        {
            "Coffee roast": ("medium dark",),
            "Dietary preferences": ("organic",),
            "brand": ("Kestrel",),
            "Finish": None,
        },
        (),
    )


def test_a_listing_without_known_words_teaches_nothing() -> None:
    row = {"id": "1", "title": "Kestrel ground coffee", "brand": "Kestrel"}
    assert LEXICON.stated(row, random.Random(1)) is None


@given(st.integers())
def test_whatever_is_made_up_states_its_values(seed: int) -> None:
    record = LEXICON.made_up(random.Random(seed))
    for forms in record.labels.values():
        assert all(form in record.text for form in forms or ())


def test_our_own_schemas_are_a_lexicon_too() -> None:
    lexicon = Lexicon.of_schemas(SchemaStore(default_folder()))
    row = {"id": "1", "title": "Kestrel Bay Cotton T-Shirt, Navy Blue"}
    record = lexicon.stated(row, random.Random(1))
    assert record
    assert {name: record.labels[name] for name in ("product_type", "material")} == {
        "product_type": ("T-Shirt",),
        "material": ("Cotton",),
    }


def test_parts_of_longer_words_are_left_out() -> None:
    assert longest(["gold", "Rose gold", "silver"]) == ("Rose gold", "silver")
