"""Matching: tokens, vetoes, blocks, clusters, and the whole on listings written for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import build_tiny_model

from extractor.engines import open_engine
from extractor.engines.scripted import ScriptedEngine
from extractor.match.ask import Answer, by_model
from extractor.match.block import candidates
from extractor.match.cluster import Pair, cluster, spanning
from extractor.match.features import feature_names, features
from extractor.match.listing import Listing
from extractor.match.resolve import People, resolve
from extractor.match.reword import reword
from extractor.match.score import Bands, Scorer, shipped_scorer
from extractor.match.table import build_table
from extractor.match.tokens import tokenize
from extractor.match.veto import Spoken, claims, conflict, model_keys
from extractor.prompt import default_folder, load_prompt

KEYS = frozenset({"has_color", "has_size"})


def colored(name: str, title: str, color: str) -> Listing:
    return Listing(name, title, brand="Velora", attributes={"has_color": frozenset({color})}, keys=KEYS)


PHONES = (
    Listing("phone-64-a", "Nuvia Halo X2 NHX-220 smartphone 64 GB graphite", brand="Nuvia", price=399.0),
    Listing("phone-64-b", "Nuvia Halo X2 (NHX220) 64GB smartphone, graphite", brand="NUVIA", price=389.0),
    Listing("phone-128-a", "Nuvia Halo X2 NHX-220 smartphone 128 GB graphite", brand="Nuvia", price=449.0),
    Listing("phone-128-b", "Nuvia Halo X2 (NHX220) 128GB smartphone, graphite", brand="Nuvia", price=455.0),
)
PAINTS = (
    Listing("paint-1-a", "Bramwell Wall & Ceiling paint PW-510, 1 gal", brand="Bramwell"),
    Listing("paint-1-b", "BRAMWELL wall & ceiling paint PW510 - 1 gallon", brand="Bramwell"),
    Listing("paint-5-a", "Bramwell Wall & Ceiling paint PW-510, 5 gal", brand="Bramwell"),
    Listing("paint-5-b", "BRAMWELL wall & ceiling paint PW510 - 5 gallons", brand="Bramwell"),
)
SHOES = (
    colored("shoe-red-a", "Velora Swift 3 VS-3011 running shoes red", "red"),
    colored("shoe-red-b", "Velora Swift 3 running shoe VS3011, crimson", "red"),
    colored("shoe-blue-a", "Velora Swift 3 VS-3011 running shoes blue", "blue"),
    colored("shoe-blue-b", "Velora Swift 3 running shoe VS3011, navy", "blue"),
)
CAMERA = frozenset({"has_megapixels"})


def camera(name: str, megapixels: str) -> Listing:
    stated = {"has_megapixels": frozenset({megapixels})}
    return Listing(name, "Tarn T5 camera", attributes=stated, keys=CAMERA, measured=CAMERA)


def made_by(*makers: str) -> Listing:
    return Listing(makers[0], "quinoa", brand=makers[0], makers=frozenset(makers))


UNLIKE = (Listing("a", "Velora Swift 3 red"), Listing("b", "Zapatilla Velora roja"))
SHOP = (*PHONES, *PAINTS, *SHOES)
PRODUCTS = [
    ["paint-1-a", "paint-1-b"],
    ["paint-5-a", "paint-5-b"],
    ["phone-128-a", "phone-128-b"],
    ["phone-64-a", "phone-64-b"],
    ["shoe-blue-a", "shoe-blue-b"],
    ["shoe-red-a", "shoe-red-b"],
]


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    return shipped_scorer()


# ---- tokens


@pytest.mark.parametrize(
    ("text", "codes", "measures", "colors"),
    [
        ("Panasonic DC-S5M2 schwarz", ("dcs5m2",), (), ("black",)),
        ("USB stick 32 Go", (), (("gb", "32"),), ()),
        ('SSD 1TB, 2.5"', (), (("gb", "1000"), ("in", "2.5")), ()),
        ("Pack of 6, 0,5 l", (), (("pack", "6"), ("ml", "500")), ()),
        ("lens 18-55mm", ("1855mm",), (), ()),
        ("Crème brûlée", (), (), ()),
    ],
)
def test_what_a_text_is_taken_apart_into(
    text: str, codes: tuple[str, ...], measures: tuple[tuple[str, str], ...], colors: tuple[str, ...]
) -> None:
    tokens = tokenize(text)
    assert (tokens.codes, tokens.measures, tokens.colors) == (codes, measures, colors)


def test_short_words_of_letters_and_digits_name_models_but_measures_do_not() -> None:
    assert tokenize("Tarn T3i 32GB DC-S5M2 12345").models == ("t3i", "s5m2", "dcs5m2")


def test_neighboring_words_are_one_word_too() -> None:
    assert "cushtop" in tokenize("Cush Top").joined
    assert tokenize("Crème brûlée").words == ("creme", "brulee")


@given(st.integers(0, 10_000))
def test_another_shop_words_it_otherwise_and_it_stays_the_same_product(seed: int) -> None:
    stated = {"has_color": frozenset({"graphite"}), "has_memory": frozenset({"8 GB"})}
    phone = replace(PHONES[0], attributes=stated, makers=frozenset({"Nuvia"}))
    usual = {"smartphone", "GB"}
    again = reword(phone, Random(seed), usual)
    assert again == reword(phone, Random(seed), usual)
    assert again.id == "phone-64-a'"
    assert set(tokenize(again.title).words) >= set(tokenize(phone.title).words) - {"smartphone", "64gb"}
    assert again.price is None or 0.75 * 399 <= again.price <= 1.3 * 399
    assert again.attributes.items() <= stated.items()
    assert again.makers == ({"Nuvia"} if again.brand else set())


# ---- vetoes


@pytest.mark.parametrize(
    ("one", "other", "about"),
    [
        (PHONES[0], PHONES[2], "title gb"),
        (PHONES[0], PHONES[1], None),
        (PAINTS[0], PAINTS[2], "title gal"),
        (SHOES[0], SHOES[2], "has_color"),
        (SHOES[0], SHOES[1], None),
        # Which of two numbers counts is not known, and who says nothing is against nobody.
        (Listing("a", "laptop 8 GB 256 GB"), Listing("b", "laptop 8 GB 512 GB"), None),
        (Listing("a", "soap pack of 3"), Listing("b", "soap"), None),
        (Listing("a", "soap pack of 3"), Listing("b", "soap 6 pack"), "title pack"),
        # Shops round measures, and leave units out; what is no number is no measure.
        (camera("a", "16.1 megapixel"), camera("b", "16.0"), None),
        (camera("a", "16.1 megapixel"), camera("b", "12 megapixel"), "has_megapixels"),
        (camera("a", "16.1 megapixel"), camera("b", "compact"), None),
        # Whose it is by its shop; what only a model read in the text forbids nothing.
        (made_by("Nuvia"), made_by("Velora"), "brand of the shop"),
        (made_by("Nuvia"), made_by("NUVIA Inc."), None),
        (made_by("Tarn & Moor"), made_by("Tarn"), None),
        (made_by("Moorhen", "Tarn"), made_by("Tarn"), None),
        (made_by("Hale Peck"), made_by("HP"), None),
        (made_by("Nuvia"), made_by("Generic"), None),
        (made_by("Nuvia"), Listing("a", "quinoa", brand="Velora"), None),
        # The category does not say that colors matter.
        (
            Listing("a", "cable", attributes={"has_color": frozenset({"red"})}),
            Listing("b", "cable", attributes={"has_color": frozenset({"blue"})}),
            None,
        ),
    ],
)
def test_what_tells_products_apart_whatever_else_they_share(
    one: Listing, other: Listing, about: str | None
) -> None:
    assert conflict(claims(one), claims(other)) == about
    assert conflict(claims(other), claims(one)) == about


# ---- features and blocks

TITLES = st.lists(
    st.sampled_from("nuvia halo x2 nhx-220 64gb 128 gb red blau 日本 cable for (new) 12345678".split()),
    max_size=7,
).map(lambda words: " ".join(words) or "untitled")
LISTINGS = st.lists(
    st.builds(
        Listing,
        id=st.uuids().map(str),
        title=TITLES,
        description=TITLES | st.just(""),
        brand=st.sampled_from(["", "Nuvia", "nuvia inc"]),
        price=st.sampled_from([None, 9.5, 10.0]),
        attributes=st.sampled_from(
            [{}, {"has_color": frozenset({"red"})}, {"has_color": frozenset({"blue"})}]
        ),
        keys=st.sampled_from([KEYS, frozenset()]),
        gtins=st.sampled_from([frozenset(), frozenset({"00012345678905"})]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda listing: listing.id,
)


@given(LISTINGS)
@settings(max_examples=25)
def test_features_do_not_depend_on_which_side_comes_first(listings: list[Listing]) -> None:
    table = build_table(listings)
    left, right = np.divmod(np.arange(len(listings) ** 2), len(listings))
    there, back = features(table, left, right), features(table, right, left)
    assert there.shape == (len(left), len(feature_names()))
    assert np.isfinite(there).all()
    np.testing.assert_array_equal(there, back)


def test_blocks_hold_each_pair_once_and_find_what_shares_a_key() -> None:
    left, right = candidates(build_table(SHOP), neighbors=3)
    pairs = list(zip(left.tolist(), right.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and all(one < other for one, other in pairs)
    same = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)]
    assert set(same) <= set(pairs)
    assert len(pairs) < len(SHOP) * (len(SHOP) - 1) / 2


def test_a_gtin_brings_together_what_has_no_word_in_common() -> None:
    gtin = frozenset({"00012345678905"})
    listings = [
        Listing("a", "kettle", gtins=gtin),
        Listing("b", "Wasserkocher", gtins=gtin),
        Listing("c", "lamp"),
    ]
    left, right = candidates(build_table(listings))
    assert (left.tolist(), right.tolist()) == ([0], [1])


# ---- clusters


def said(*values: str) -> list[Spoken]:
    """Listings that speak of one thing; "" says nothing."""
    return [Spoken({"has_color": frozenset({value})} if value else {}) for value in values]


def test_a_weak_link_makes_no_chain() -> None:
    strong = [Pair(0, 1, 0.9), Pair(2, 3, 0.9)]
    weak = [Pair(1, 2, 0.6), Pair(0, 2, 0.1), Pair(1, 3, 0.1), Pair(0, 3, 0.1)]
    assert cluster(said(*[""] * 4), strong + weak, 0.5) == [[0, 1], [2, 3]]


def test_who_says_nothing_does_not_bring_together_what_conflicts() -> None:
    pairs = [Pair(0, 1, 0.95), Pair(1, 2, 0.9)]
    assert cluster(said("red", "", "blue"), pairs, 0.5) == [[0, 1]]


def named(*keys: str) -> Spoken:
    """A cluster of listings; "" names no model."""
    cluster = Spoken({})
    for key in keys:
        cluster.add(Spoken({}, frozenset({key} - {""})))
    return cluster


@pytest.mark.parametrize(
    ("one", "other", "conflicts"),
    [
        (("ds2cd2132i", "ds2cd2132i"), ("ds2cd2632fis", "", ""), True),
        (("ds2cd2132i", "ds2cd2132i"), ("", ""), False),
        # One of three is enough, and another color is not another model.
        (("ds2cd2132i", "ds2cd2132i"), ("ds2cd2132i", "17341x7", "1560264z"), False),
        (("sdcz48032gu46", "sdcz48032gu46"), ("sdcz48032gb35", "sdcz48032gb35"), False),
    ],
)
def test_groups_that_name_other_models_are_other_products(
    one: Sequence[str], other: Sequence[str], conflicts: bool
) -> None:
    assert named(*one).conflicts(named(*other)) == named(*other).conflicts(named(*one)) == conflicts


def test_what_names_a_model() -> None:
    assert model_keys(Listing("a", "SanDisk SDCZ48-032G-U46 X2 32GB 1080p 0012345")) == {"sdcz48032gu46"}


def test_the_best_pairs_hold_a_cluster_together() -> None:
    pairs = [Pair(0, 1, 0.9), Pair(0, 2, 0.6), Pair(1, 2, 0.8), Pair(3, 4, 0.7)]
    assert spanning(pairs) == [Pair(0, 1, 0.9), Pair(1, 2, 0.8), Pair(3, 4, 0.7)]


@st.composite
def collections(draw: st.DrawFn) -> tuple[list[str], list[Pair]]:
    colors = draw(st.lists(st.sampled_from(["", "", "red", "blue"]), min_size=2, max_size=9))
    possible = list(combinations(range(len(colors)), 2))
    chosen = draw(st.lists(st.sampled_from(possible), unique=True))
    scores = st.sampled_from([0.1, 0.4, 0.5, 0.7, 0.7, 0.95])
    return colors, [Pair(*pair, draw(scores)) for pair in chosen]


@given(collections(), st.randoms(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_clusters_are_apart_free_of_conflicts_connected_and_independent_of_order(
    collection: tuple[list[str], list[Pair]], random: Random, threshold: float
) -> None:
    colors, pairs = collection
    clusters = cluster(said(*colors), pairs, threshold)
    members = [row for rows in clusters for row in rows]
    assert len(set(members)) == len(members)
    for rows in clusters:
        assert len({colors[row] for row in rows} - {""}) <= 1
        inside = [pair for pair in pairs if {pair.left, pair.right} <= set(rows)]
        assert len(spanning(inside)) == len(rows) - 1
    shuffled = random.sample(pairs, len(pairs))
    assert cluster(said(*colors), shuffled, threshold) == clusters


@given(collections(), st.sampled_from([0.3, 0.5, 0.9]))
def test_a_cluster_is_as_alike_as_its_joins_had_to_be(
    collection: tuple[list[str], list[Pair]], threshold: float
) -> None:
    """Every pair inside was counted in one join, so that all of them together are no less alike than a join."""
    colors, pairs = collection
    for rows in cluster(said(*colors), pairs, threshold):
        scores = [pair.score for pair in pairs if {pair.left, pair.right} <= set(rows)]
        least = threshold if len(rows) == 2 else threshold * 2 / 3
        assert sum(scores) / len(scores) >= least - 1e-9


# ---- the whole


@given(LISTINGS, st.randoms())
@settings(max_examples=25)
def test_products_are_free_of_conflicts_held_together_by_their_pairs_and_independent_of_order(
    listings: list[Listing], random: Random
) -> None:
    found = resolve(listings, shipped_scorer())
    by_id = {listing.id: listing for listing in listings}
    for members in found.clusters:
        for one, other in combinations(members, 2):
            assert conflict(claims(by_id[one]), claims(by_id[other])) is None
    assert len(found.same) == sum(len(members) - 1 for members in found.clusters)
    assert resolve(random.sample(listings, len(listings)), shipped_scorer()) == found


def test_capacities_sizes_and_colors_make_products(scorer: Scorer) -> None:
    found = resolve(SHOP, scorer)
    assert [list(members) for members in found.clusters] == PRODUCTS
    assert [(d.left, d.right, d.band) for d in found.same] == [(*pair, "same") for pair in PRODUCTS]
    assert found.same[3].evidence == (
        "model nhx220; 64 gb; brand nuvia; words graphite, halo, nuvia, smartphone"
    )


@given(st.permutations(SHOP))
@settings(max_examples=5)
def test_the_order_of_the_listings_does_not_count(listings: list[Listing]) -> None:
    assert resolve(listings, shipped_scorer()) == resolve(SHOP, shipped_scorer())


def test_people_know_better_than_the_models_that_groups_name(scorer: Scorer) -> None:
    listings = [
        Listing(f"{key}-{number:02}", f"Tarn {key} dome camera {number} MP outdoor", brand="Tarn")
        for key in ("TRN-2132-I", "TRX-9917-K")
        for number in range(10)
    ]
    pairs = {(f"TRN-2132-I-{a:02}", f"TRX-9917-K-{b:02}") for a in range(10) for b in range(10)}

    def kinds(people: People) -> set[frozenset[str]]:
        found = resolve(listings, scorer, people=people)
        return {frozenset(name[:3] for name in members) for members in found.clusters}

    assert kinds(People()) == {frozenset({"TRN"}), frozenset({"TRX"})}
    assert kinds(People(same=frozenset(pairs))) == {frozenset({"TRN", "TRX"})}


def test_people_come_first(scorer: Scorer) -> None:
    people = People(
        same=frozenset({("phone-128-a", "phone-64-a")}), different=frozenset({("shoe-red-a", "shoe-red-b")})
    )
    clusters = [set(members) for members in resolve(SHOP, scorer, people=people).clusters]
    assert any({"phone-128-a", "phone-64-a"} <= members for members in clusters)
    assert not any({"shoe-red-a", "shoe-red-b"} <= members for members in clusters)


def test_between_the_bands_a_person_is_asked(scorer: Scorer) -> None:
    found = resolve(SHOP, scorer.with_bands(Bands(1.0, 0.1)))
    assert not found.clusters
    assert [(d.left, d.right) for d in found.ask if d.left[:5] == "phone"] and found.pairs["same"] == 0


def test_a_language_model_decides_the_middle_band(scorer: Scorer) -> None:
    unsure = scorer.with_bands(Bands(0.9, 0.0))
    engine = ScriptedEngine(['"yes"'])
    decide = by_model(engine, load_prompt("match@v1", default_folder()))
    found = resolve(UNLIKE, unsure, decide=decide)
    assert [list(members) for members in found.clusters] == [["a", "b"]]
    assert [(said.probability, said.evidence) for said in found.same] == [
        (0.9, "words velora; the language model says yes")
    ]
    assert (found.pairs["asked"], found.pairs["answered"]) == (1, 1)
    assert [request.id for request in engine.calls] == ["a b"]
    assert "Velora Swift 3" in str(engine.calls[0].prompt)
    assert [d.band for d in resolve(UNLIKE, unsure).ask] == ["ask"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [('"yes"', Answer(True, 0.9)), ('"no"', Answer(False, 0.9)), ('"ye', None), ("[]", None)],
)
def test_answers_of_a_language_model(text: str, answer: Answer | None) -> None:
    decide = by_model(ScriptedEngine([text]), load_prompt("match@v1", default_folder()))
    assert decide([(PHONES[0], PHONES[1])]) == [answer]


def test_a_real_engine_answers_yes_or_no_and_nothing_else(tmp_path: Path) -> None:
    """A tiny random model with little room for a question: which word it says is noise."""
    template = load_prompt("match@v1", default_folder()).model_copy(update={"system": ""})
    pairs = [UNLIKE, (Listing("a", "red"), Listing("b", "red"))]
    with closing(open_engine("transformers", model=str(build_tiny_model(tmp_path / "tiny")))) as engine:
        answers = by_model(engine, template)(pairs)
    assert len(answers) == 2
    # As sure as of the likelier of two words, or a little less: a word may be spelled in several tokens.
    assert all(answer and 0.0 < answer.confidence <= 1.0 for answer in answers)


@pytest.mark.parametrize("listings", [[], [Listing("a", "x")], [Listing("a", "日本"), Listing("b", "...")]])
def test_a_collection_with_nothing_to_match(listings: list[Listing], scorer: Scorer) -> None:
    found = resolve(listings, scorer)
    assert (found.same, found.ask, found.clusters) == ([], [], [])
