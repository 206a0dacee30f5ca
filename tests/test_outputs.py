"""Where an option may point to: one behavior for all commands that write a file, told before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_cli import command
from test_graph import SONY, write_run

from extractor.errors import ConfigError
from extractor.graph.merge import merge_runs
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.outputs import check_output, check_output_file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a graph and what else may stand in the way."""
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "run", "r1", [SONY])], store)
    (tmp_path / "link.html").symlink_to("g.duckdb")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


TAKEN = [
    ("no/such/v.html", "its folder is not there; make it, or give another --html"),
    ("g.duckdb/v.html", "its folder is not there; make it, or give another --html"),
    ("g.duckdb", "is a graph or another database; give another --html"),
    ("link.html", "is a graph or another database; give another --html"),
    ("pipe", "neither a file nor a folder; give another --html"),
    ("folder", "is a folder; give a file in it to --html"),
]


@pytest.mark.parametrize(("name", "told"), TAKEN)
def test_no_place_for_a_file(place: Path, name: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_output_file(place / name, "--html")
    assert str(error.value) == f"{place / name}: {told}"


def test_a_new_file_an_old_one_and_a_folder_of_ones_own_are_fine(place: Path) -> None:
    (place / "old.html").write_text("old")
    check_output_file(place / "new.html", "--html")
    check_output_file(place / "old.html", "--html")
    check_output(place / "folder")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("graph", "view", "x", "--graph", "g.duckdb"), "--html"),
        (("graph", "match", "--graph", "g.duckdb"), "--ask-out"),
        (("graph", "export", "--to", "jsonld", "--graph", "g.duckdb"), "--out"),
        (("graph", "features", "--graph", "g.duckdb"), "--out"),
        (("eval", "compare", "run", "run"), "--html"),
        (("prompts", "compare", "v1", "v1", "--suite", "sample"), "--html"),
    ],
)
def test_every_command_refuses_a_folder_that_is_not_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], option: str
) -> None:
    monkeypatch.chdir(place)
    ended = command(*arguments, option, "no/such/file")
    told = f"extractor: no/such/file: its folder is not there; make it, or give another {option}\n"
    assert (ended.code, ended.out, ended.err) == (2, "", told)
    assert not (place / "no").exists()
