"""Routing from names alone: clear titles are decided, doubtful ones are a model's, strange ones are unknown."""

from __future__ import annotations

import pytest

from extractor.calibrate import Curve
from extractor.records import UNKNOWN_CATEGORY, CategoryChoice, Product
from extractor.route import Candidate, CategoryRouter, PhraseIndex, chosen, options, words
from extractor.route.bundle import parts_of
from extractor.route.decide import Thresholds, routing
from extractor.route.tree import Layout
from extractor.schema import SchemaStore, default_folder
from extractor.taxonomy import CategoryNode, Taxonomy


@pytest.fixture(scope="module")
def router(store: SchemaStore) -> CategoryRouter:
    return CategoryRouter.of_names(store.taxonomy)


def test_the_index_of_a_taxonomy_is_built_once(router: CategoryRouter) -> None:
    assert CategoryRouter.of_names(SchemaStore(default_folder()).taxonomy) is router


def choice(router: CategoryRouter, title: str) -> CategoryChoice | None:
    [found] = router.route([Product("1", title)])
    return found.choice


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ('Sony - BRAVIA 65" Class 4K HDTV - Black', "electronics.tv_video.televisions"),
        ("Nike Men's Air Zoom running shoes", "footwear.shoes.sneakers"),
        ("Basics Men Khaki Slim Fit Checked Casual Shirt", "clothing.tops.shirts"),
        ("Forbis Mild Olive Dog Shampoo, 750 ml", "pets.pet_care.pet_grooming"),
        # What a product is for weighs less than what it is.
        ("Leather phone case for laptop, tablet and camera", "phones.cases_protection.phone_cases"),
    ],
)
def test_clear_titles_are_decided(router: CategoryRouter, title: str, category: str) -> None:
    found = choice(router, title)
    assert found is not None
    assert found.id == category
    assert 0.5 <= found.confidence <= 1.0


@pytest.mark.parametrize("title", ["Zxqv 3000 (renewed)", "Classic Blue 42", "!!!"])
def test_a_title_that_says_nothing_is_unknown(router: CategoryRouter, title: str) -> None:
    assert choice(router, title) == UNKNOWN_CATEGORY


def test_the_feeds_own_category_counts(router: CategoryRouter) -> None:
    [told] = router.route([Product("1", "Classic Blue 42", category_path=("Footwear", "Sneakers"))])
    assert told.candidates[0].category.id == "footwear.shoes.sneakers"


def test_a_product_goes_the_same_way_in_any_company(router: CategoryRouter) -> None:
    products = [Product(str(n), f"Sony {noun} {n}") for n in range(40) for noun in ("TV", "lamp", "tent")]
    together = router.route(products)
    for size in (1, 7, 64):
        parts = [router.route(products[start : start + size]) for start in range(0, len(products), size)]
        assert [found for part in parts for found in part] == together


def test_no_products_no_routings(router: CategoryRouter) -> None:
    assert router.route([]) == []


@pytest.mark.parametrize(
    ("title", "categories"),
    [
        ("Herbal Shampoo + Hair Conditioner Combo", {"Shampoo", "Conditioner"}),
        ("Laptop bag with free mouse", {"Laptop & messenger bags", "Computer mice"}),
        ("Set of Pans + Kettle", {"Pots & pans", "Kettles & water boilers"}),
    ],
)
def test_a_bundle_has_the_categories_of_its_parts(
    router: CategoryRouter, title: str, categories: set[str]
) -> None:
    [found] = router.route([Product("1", title)])
    assert found.choice is not None
    assert {one.path[-1] for one in (found.choice, *found.also)} == categories


@pytest.mark.parametrize(
    "title",
    ["Shirt with belt loops", "Salt & pepper mill", "Sugar free gum, mint and lemon flavour", "Combo"],
)
def test_one_product_is_no_bundle(router: CategoryRouter, title: str) -> None:
    [found] = router.route([Product("1", title)])
    assert found.also == ()


def test_the_parts_of_a_bundle() -> None:
    parts = parts_of(Product("1", "Nike Shoes + Socks Combo (Pack of 2)", "Both in blue.", brand="Nike"))
    assert parts == [Product("1", "Nike Shoes", brand="Nike"), Product("1", "Socks", brand="Nike")]


def test_phrases_of_names_and_synonyms_are_found(store: SchemaStore) -> None:
    best = PhraseIndex(store.taxonomy).candidates(Product("1", "Nike Men's Air Zoom running shoes"))[0]
    assert best.category.id == "footwear.shoes.sneakers"


# -- decisions -----------------------------------------------------------------------------------------------

TREE = Layout(Taxonomy.of_paths([["A", "A1"], ["A", "A2"], ["B"]]))
SAME = Curve((0.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("answers", "thresholds", "expected"),
    [
        ((0.7, 0.2, 0.1), Thresholds(0.5, 0), ("a.a1", 0.7)),
        # Neither leaf is sure, together they are.
        ((0.4, 0.4, 0.2), Thresholds(0.5, 0), ("a", 0.8)),
        ((0.3, 0.1, 0.6), Thresholds(0.7, 0), ("unknown", 0.0)),
        ((0.4, 0.4, 0.2), Thresholds(0.5, 0.5), None),
    ],
)
def test_an_unsure_leaf_gives_way(
    answers: tuple[float, ...], thresholds: Thresholds, expected: tuple[str, float] | None
) -> None:
    import numpy as np

    by_id = dict(zip(("a.a1", "a.a2", "b"), answers, strict=True))
    row = np.array([[by_id[TREE.ids[column]]] for column in TREE.terminals], np.float32)
    found = routing(TREE, TREE.up(row)[:, 0], SAME, thresholds)
    decided = found.choice and (found.choice.id, round(found.choice.confidence, 4))
    assert decided == expected
    assert found.candidates[0].category.id == max(by_id, key=lambda key: by_id[key])


def leaf(category_id: str, *path: str) -> CategoryNode:
    return CategoryNode(category_id, path, None, ())


def test_a_models_choice_is_one_of_the_candidates() -> None:
    near = [Candidate(leaf("a", "A"), 6.0), Candidate(leaf("b", "B"), 5.0)]
    assert chosen(near, "B", 0.7) == CategoryChoice("b", ("B",), 0.7)
    assert chosen(near, "unknown", 0.7).id == "unknown"


def test_options_with_one_name_are_told_apart_by_their_parents() -> None:
    same = [Candidate(leaf("a", "Home", "Lamps"), 2.0), Candidate(leaf("b", "Garden", "Lamps"), 1.0)]
    assert options(same) == ["Home > Lamps", "Garden > Lamps"]


def test_words_fold_case_accents_and_plurals() -> None:
    assert words("Nescafé WATCHES, batteries & glass") == ("nescafe", "watch", "battery", "glass")
