"""extractor.brands: spellings of one name, registries that are refused, and which brand a name means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.brands.link import Link, Linker, Rule, category_names
from extractor.brands.names import is_no_brand, keys
from extractor.brands.registry import Brand, Registry, load_registry
from extractor.errors import ConfigError
from extractor.records import UNKNOWN_CATEGORY, CategoryChoice

HP = {"id": "hp", "name": "HP", "aliases": ["Hewlett-Packard"]}
SONY = {"id": "sony", "name": "Sony", "aliases": ["ソニー"]}
PHILIPS = {"id": "philips", "name": "Philips"}
SONICARE = {"id": "sonicare", "name": "Sonicare", "parent": "philips"}
APPLE = {"id": "apple", "name": "Apple", "categories": ["phones", "Computers"]}
DOVE = {"id": "dove", "name": "Dove", "categories": ["beauty"]}
DOVE_CHOCOLATE = {"id": "dove-chocolate", "name": "Dove", "categories": ["grocery"]}
BLACK_DECKER = {"id": "bd", "name": "BLACK+DECKER"}


def write(path: Path, *rows: object) -> Path:
    """JSON Lines; a text is written as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


@pytest.fixture
def linker(tmp_path: Path) -> Linker:
    rows = (HP, SONY, PHILIPS, SONICARE, APPLE, DOVE, DOVE_CHOCOLATE, BLACK_DECKER)
    return Linker(load_registry(write(tmp_path / "brands.jsonl", *rows)))


def category(*path: str) -> CategoryChoice:
    return CategoryChoice(".".join(path).lower(), path, 0.9)


# --- names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nestlé", "NESTLE"),
        ("L'Oréal", "L’OREAL"),
        ("Levi's®", "Levis"),
        ("Hewlett-Packard", "hewlett packard"),
        ("U.S. Polo Assn.", "US POLO ASSN"),
        ("Black & Decker", "Black and Decker"),
        ("BLACK+DECKER", "Black 'n Decker"),
        ("Johnson &amp; Johnson", "Johnson & Johnson"),
        ("Tommy Hil\ufb01ger", "Tommy Hilfiger"),
        ("Ørsted", "Orsted"),
        ("Strauß & Söhne", "Strauss und Sohne"),
        ("ＳＯＮＹ", "Sony"),
        ("ｿﾆｰ", "ソニー"),
    ],
)
def test_spellings_of_one_name_have_the_same_exact_key(one: str, other: str) -> None:
    assert keys(one).exact == keys(other).exact


@pytest.mark.parametrize(
    ("name", "loose", "company"),
    [
        ("Mont Blanc", "montblanc", "montblanc"),
        ("The North Face", "northface", "northface"),
        ("Bang & Olufsen", "bangolufsen", "bangolufsen"),
        ("M&S", "mands", "mands"),
        ("Disney+", "disneyplus", "disneyplus"),
        ("HP, Inc.", "hpinc", "hp"),
        ("Robert Bosch GmbH & Co. KG", "robertboschgmbhcokg", "robertbosch"),
        ("Samsung India Pvt. Ltd.", "samsungindiapvtltd", "samsung"),
        ("Chicco S.p.A.", "chiccospa", "chicco"),
        ("Dove Spa", "dovespa", "dovespa"),
        ("The Limited", "limited", "the"),
        ("Co., Ltd.", "coltd", "co"),
        ("???", "", ""),
    ],
)
def test_looser_keys(name: str, loose: str, company: str) -> None:
    assert keys(name)[1:] == (loose, company)


@given(st.text(max_size=30))
def test_a_name_has_all_keys_or_none(name: str) -> None:
    assert len({bool(key) for key in keys(name)}) == 1
    assert " " not in keys(name).loose


@given(
    st.lists(st.sampled_from("Sony hp & The and Inc. Co U.S. é + L'Or 7 ソ".split()), min_size=1, max_size=5)
)
def test_keys_of_a_key_are_the_key(words: list[str]) -> None:
    assert keys(keys(" ".join(words)).loose).loose == keys(" ".join(words)).loose


@pytest.mark.parametrize("name", ["No Brand", "N/A", "generic", "-", "", "Unbranded"])
def test_sellers_say_that_there_is_no_brand(name: str) -> None:
    assert is_no_brand(name)
    assert not is_no_brand(f"{name} Kestrel")


# --- registries


def test_a_registry_is_read_in_its_order(tmp_path: Path) -> None:
    registry = load_registry(write(tmp_path / "brands.jsonl", SONICARE, PHILIPS))
    assert registry.brands == {
        "sonicare": Brand(id="sonicare", name="Sonicare", parent="philips"),
        "philips": Brand(id="philips", name="Philips"),
    }
    assert list(registry.lineage(registry.brands["sonicare"])) == [registry.brands["philips"]]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [SONY, {**HP, "aliases": ["SONY"]}],
            r"jsonl:2: 'SONY' is a name of 'sony' too \(.*jsonl:1\); remove one",
        ),
        ([{**SONY, "aliases": ["ソニー", "ソニー"]}], "jsonl:1: alias 'ソニー' stands twice; remove one"),
        ([SONY, HP, {**SONY, "name": "S"}], r"jsonl:3: id 'sony' stands in .*jsonl:1 too; make ids unique"),
        (
            [DOVE, {**DOVE_CHOCOLATE, "categories": ["beauty.skin_care"]}],
            "jsonl:2: 'Dove' is a name of 'dove' too",
        ),
        ([SONY, {"id": "x", "name": "SONY!"}], "jsonl:2: 'SONY!' is a name of 'sony' too"),
        ([SONICARE], "jsonl:1: there is no parent 'philips'; add it or correct the id"),
        ([{**PHILIPS, "parent": "sonicare"}, SONICARE], "jsonl:2: 'philips' is its parent and below it"),
        ([{**PHILIPS, "parent": "philips"}], "jsonl:1: 'philips' is its parent and below it"),
        ([{"id": "x", "name": "..."}], "jsonl:1: '...' has no letter or digit"),
        ([{"id": "x", "name": ""}], "jsonl:1: name: "),
        ([{"id": "x"}], "jsonl:1: expected an object with id and name"),
        ([{**SONY, "alias": ["S"]}], "jsonl:1: unknown keyword 'alias'"),
        ([{**SONY, "aliases": "ソニー"}], "jsonl:1: aliases: "),
        (["{"], "jsonl:1: no JSON"),
        ([], "holds no brand"),
    ],
)
def test_a_registry_that_says_two_things_is_refused(tmp_path: Path, rows: list[object], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        load_registry(write(tmp_path / "brands.jsonl", *rows))
    assert "\n" not in str(error.value)


def test_categories_tell_brands_of_one_name_apart(tmp_path: Path) -> None:
    """A brand without categories has the name wherever the other has not."""
    everywhere = {"id": "dove-birds", "name": "Dove"}
    registry = load_registry(write(tmp_path / "brands.jsonl", DOVE, DOVE_CHOCOLATE))
    assert len(registry.brands) == 2
    linker = Linker(load_registry(write(tmp_path / "more.jsonl", DOVE, everywhere)))
    assert linker.link("Dove", frozenset({"pets"})).brand == Brand(**everywhere)
    assert linker.link("Dove", frozenset({"beauty"})).brand == Brand(**DOVE)


# --- links


@pytest.mark.parametrize(
    ("name", "brand", "rule"),
    [
        ("HP", "hp", "name"),
        ("hp", "hp", "name"),
        ("Hewlett Packard", "hp", "name"),
        ("HewlettPackard", "hp", "spelling"),
        ("HP Inc.", "hp", "company name"),
        ("Hewlett-Packard Company", "hp", "company name"),
        ("Black and Decker", "bd", "name"),
        ("Black Decker", "bd", "spelling"),
        ("Sonicare", "sonicare", "name"),
        ("Philips Sonicare", "sonicare", "sub-brand"),
        ("Sonicare by Philips", "sonicare", "sub-brand"),
        ("Sonos", None, "new brand"),
        ("Philips Avent", None, "new brand"),
        ("Phillips", None, "new brand"),
        ("Son", None, "new brand"),
        ("Packard", None, "new brand"),
        ("...", None, "new brand"),
    ],
)
def test_names_are_looked_up_and_never_guessed(
    linker: Linker, name: str, brand: str | None, rule: Rule
) -> None:
    expected = linker.registry.brands[brand] if brand else None
    assert linker.link(name, category_names(category("Electronics"))) == Link(expected, rule)


@pytest.mark.parametrize(
    ("name", "where", "brand", "rule"),
    [
        ("Apple", category("Phones", "Smartphones"), "apple", "name"),
        ("Apple Inc.", category("Computers"), "apple", "company name"),
        ("Apple", category("Grocery", "Fruit"), None, "other meaning"),
        ("Apple", UNKNOWN_CATEGORY, None, "undecided"),
        ("Dove", category("Beauty", "Bath"), "dove", "name"),
        ("Dove", category("Grocery"), "dove-chocolate", "name"),
        ("Dove", category("Pets"), None, "other meaning"),
        ("Dove", UNKNOWN_CATEGORY, None, "undecided"),
        ("Sony", UNKNOWN_CATEGORY, "sony", "name"),
    ],
)
def test_the_category_decides_between_meanings(
    linker: Linker, name: str, where: CategoryChoice, brand: str | None, rule: Rule
) -> None:
    expected = linker.registry.brands[brand] if brand else None
    assert linker.link(name, category_names(where)) == Link(expected, rule)


def test_a_category_is_known_by_its_ids_and_by_its_names() -> None:
    tv = CategoryChoice("electronics.tvs", ("Electronics", "TVs & Video"), 1.0)
    assert category_names(tv) == {"electronics", "electronics.tvs", "tvs & video"}
    assert category_names(CategoryChoice("aa-1", ("Apparel",), 1.0)) == {"aa-1", "apparel"}
    assert category_names(tv, ("Toys",)) == category_names(tv)
    assert category_names(UNKNOWN_CATEGORY, ("Toys", "Games")) == {"toys", "games"}


NAMES = st.text(alphabet="abAB é&.'-1", min_size=1, max_size=8).filter(lambda name: keys(name).exact)


@given(NAMES, st.sampled_from(["{}", "{}®", "({})", "{} Inc.", "  {} "]), NAMES)
def test_a_name_is_found_however_it_is_dressed_and_others_are_not(name: str, dress: str, other: str) -> None:
    linker = Linker(Registry({"b": Brand(id="b", name=name.strip())}))
    assert linker.link(dress.format(name)).brand is not None
    if keys(other).company != keys(name).company and keys(other).loose != keys(name).loose:
        assert linker.link(other).brand is None
