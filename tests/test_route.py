"""Routing by words alone: clear titles are decided, doubtful ones are the model's, strange ones are unknown."""

from __future__ import annotations

import pytest

from extractor.records import UNKNOWN_CATEGORY, CategoryChoice, Product
from extractor.route import Candidate, Router, chosen, decide, options, words
from extractor.schema import SchemaStore
from extractor.taxonomy import CategoryNode


@pytest.fixture(scope="module")
def router(store: SchemaStore) -> Router:
    return Router(store.taxonomy)


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ('Sony - BRAVIA 65" Class 4K HDTV - Black', "electronics.tv_video.televisions"),
        ("Nike Men's Air Zoom running shoes", "footwear.shoes.sneakers"),
        ("Basics Men Khaki Slim Fit Checked Casual Shirt", "clothing.tops.shirts"),
        ("Forbis Mild Olive Dog Shampoo, 750 ml", "pets.pet_care.pet_grooming"),
    ],
)
def test_clear_titles_are_decided_by_words(router: Router, title: str, category: str) -> None:
    choice = decide(router.candidates(Product("1", title)))
    assert choice is not None
    assert choice.id == category
    assert 0.5 <= choice.confidence <= 1.0


def test_a_title_without_known_words_is_unknown(router: Router) -> None:
    assert decide(router.candidates(Product("1", "Zxqv 3000 (renewed)"))) == UNKNOWN_CATEGORY


def test_what_a_product_is_for_weighs_less_than_what_it_is(router: Router) -> None:
    best = router.candidates(Product("1", "Leather phone case for laptop, tablet and camera"))[0]
    assert best.category.id.startswith("phones.")


def test_the_feeds_own_category_counts(router: Router) -> None:
    bare = Product("1", "Classic Blue 42")
    told = Product("1", "Classic Blue 42", category_path=("Footwear", "Sneakers"))
    assert decide(router.candidates(bare)) == UNKNOWN_CATEGORY
    assert router.candidates(told)[0].category.id == "footwear.shoes.sneakers"


def leaf(category_id: str, *path: str) -> CategoryNode:
    return CategoryNode(category_id, path, None, ())


def test_near_candidates_are_left_to_the_model() -> None:
    near = [Candidate(leaf("a", "A"), 6.0), Candidate(leaf("b", "B"), 5.0)]
    assert decide(near) is None
    assert chosen(near, "B", 0.7) == CategoryChoice("b", ("B",), 0.7)
    assert chosen(near, "unknown", 0.7).id == "unknown"


def test_options_with_one_name_are_told_apart_by_their_parents() -> None:
    same = [Candidate(leaf("a", "Home", "Lamps"), 2.0), Candidate(leaf("b", "Garden", "Lamps"), 1.0)]
    assert options(same) == ["Home > Lamps", "Garden > Lamps"]


def test_words_fold_case_accents_and_plurals() -> None:
    assert words("Nescafé WATCHES, batteries & glass") == ("nescafe", "watch", "battery", "glass")
