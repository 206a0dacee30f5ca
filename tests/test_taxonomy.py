"""A taxonomy file of any shop: a tree, or one line that says which row is wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schema_folder import NODES

from extractor.errors import SchemaError
from extractor.taxonomy import CategoryNode, Taxonomy, load_taxonomy, taxonomy_lines


def write_taxonomy(folder: Path, *lines: Any) -> Path:
    path = folder / "taxonomy.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_taxonomy_is_a_tree(tmp_path: Path) -> None:
    taxonomy = load_taxonomy(write_taxonomy(tmp_path, *NODES))
    assert taxonomy["clothing.tops.t_shirts"] == CategoryNode(
        "clothing.tops.t_shirts", ("Clothing", "Tops", "T-shirts"), "clothing.tops", ("tee",)
    )
    assert [leaf.id for leaf in taxonomy.leaves] == ["clothing.tops.t_shirts", "clothing.hats"]
    assert taxonomy.children("clothing") == ("clothing.tops", "clothing.hats")
    assert taxonomy.children(None) == ("clothing",)
    assert taxonomy.children("clothing.hats") == ()
    assert taxonomy.lineage("clothing.tops") == ("clothing", "clothing.tops")
    assert taxonomy.lineage("unknown") == ()
    assert taxonomy.find(["Clothing", "Hats"]) == "clothing.hats"
    assert taxonomy.find(["Hats"]) is None
    assert len(taxonomy) == 4
    assert "clothing" in taxonomy
    assert "unknown" not in taxonomy
    assert taxonomy.hash == Taxonomy(taxonomy.nodes).hash


def test_lines_may_stand_in_any_order_and_hold_more_than_is_needed(tmp_path: Path) -> None:
    lines = [{**node, "name": "x", "children": []} for node in reversed(NODES)]
    taxonomy = load_taxonomy(write_taxonomy(tmp_path, *lines))
    assert dict(taxonomy.nodes) == dict(load_taxonomy(write_taxonomy(tmp_path, *NODES)).nodes)
    ids = list(taxonomy.nodes)
    assert all(node.parent is None or ids.index(node.parent) < ids.index(node.id) for node in taxonomy)


def test_a_folder_stands_for_its_file_and_gzip_is_read(tmp_path: Path) -> None:
    plain = load_taxonomy(write_taxonomy(tmp_path, *NODES))
    packed = tmp_path / "shop.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "taxonomy.jsonl").read_bytes()))
    assert load_taxonomy(tmp_path).hash == load_taxonomy(packed).hash == plain.hash


def test_running_numbers_are_ids_and_what_lacks_a_parent_stands_where_its_path_says(tmp_path: Path) -> None:
    lines = [{"node": 1, "path": ["Pets"]}, {"node": 2, "path": ["Pets", "Dog & Cat", "Beds"]}]
    assert list(load_taxonomy(write_taxonomy(tmp_path, *lines))) == [
        CategoryNode("1", ("Pets",), None, ()),
        CategoryNode("pets.dog_cat", ("Pets", "Dog & Cat"), "1", ()),
        CategoryNode("2", ("Pets", "Dog & Cat", "Beds"), "pets.dog_cat", ()),
    ]


def test_a_parent_that_an_export_left_out_is_added_in_its_branch(tmp_path: Path) -> None:
    lines = [{"id": "m", "path": ["Music"]}, {"id": "70s", "path": ["Music", "Rock", None], "parent": "rock"}]
    assert list(load_taxonomy(write_taxonomy(tmp_path, *lines))) == [
        CategoryNode("m", ("Music",), None, ()),
        CategoryNode("rock", ("Music", "Rock"), "m", ()),
        CategoryNode("70s", ("Music", "Rock", "70s"), "rock", ()),
    ]


def test_thirty_levels(tmp_path: Path) -> None:
    names = [f"level {depth}" for depth in range(30)]
    lines = [
        {"id": str(depth), "path": names[: depth + 1], "parent": str(depth - 1) if depth else None}
        for depth in range(30)
    ]
    taxonomy = load_taxonomy(write_taxonomy(tmp_path, *reversed(lines)))
    assert taxonomy.lineage("29") == tuple(map(str, range(30)))


TOP = NODES[0]
A = {"id": "a", "path": ["A"], "parent": None}
REFUSED_LINES: list[tuple[list[Any], int, str]] = [
    ([{"id": "a"}], 1, "has no path"),
    ([TOP | {"id": ""}], 1, "id: "),
    ([TOP | {"id": "a\nb"}], 1, "id: "),
    ([TOP | {"path": []}], 1, "path: "),
    ([TOP | {"path": [" "]}], 1, "path.0: "),
    ([TOP, "{"], 2, "correct the JSON"),
    ([TOP, "", TOP], 3, "this id is already taken"),
    ([TOP | {"id": "unknown"}], 1, "this id has another meaning"),
    ([TOP | {"id": "base"}], 1, "this id has another meaning"),
    ([TOP | {"parent": "top"}], 1, "no category 'top' stands above it"),
    ([A, {"id": "c", "path": ["A", "C"], "parent": "b"}], 2, "no category 'b' stands above it"),
    ([A, {"id": "c", "path": ["X", "B", "C"], "parent": "b"}], 2, "no category 'b' stands above it"),
    ([TOP | {"parent": "clothing"}], 1, "its parents lead back to it (clothing > clothing)"),
    (
        [{"id": "a", "path": ["A"], "parent": "b"}, {"id": "b", "path": ["A", "B"], "parent": "a"}],
        1,
        "its parents lead back to it (a > b > a)",
    ),
    ([TOP, {"id": "b", "path": ["B", "C"], "parent": "clothing"}], 2, "its path is not the parent's path"),
    ([TOP | {"synonyms": ["Tee"]}], 1, "synonyms are lower-case"),
]


@pytest.mark.parametrize(("lines", "number", "message"), REFUSED_LINES)
def test_bad_taxonomy_is_refused_in_one_line(
    tmp_path: Path, lines: list[Any], number: int, message: str
) -> None:
    path = write_taxonomy(tmp_path, *lines)
    with pytest.raises(SchemaError) as caught:
        load_taxonomy(path)
    assert str(caught.value).startswith(f"{path}:{number}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_missing_or_broken_taxonomy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="holds no category"):
        load_taxonomy(write_taxonomy(tmp_path))
    with pytest.raises(SchemaError, match="no such file"):
        load_taxonomy(tmp_path / "none.jsonl")
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(b"{}" * 100)[:-9])
    with pytest.raises(SchemaError, match="gzip"):
        load_taxonomy(tmp_path / "half.jsonl.gz")


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=1, max_size=6)


@given(st.lists(st.lists(names, min_size=1, max_size=4), min_size=1, max_size=8))
def test_any_paths_make_a_tree_that_is_read_again(paths: list[list[str]]) -> None:
    taxonomy = Taxonomy.of_paths(paths)
    for path in paths:
        category = taxonomy.find(path)
        assert category is not None
        assert [taxonomy[above].path[-1] for above in taxonomy.lineage(category)] == path
    assert [line["id"] for line in taxonomy_lines(taxonomy)] == list(taxonomy.nodes)
