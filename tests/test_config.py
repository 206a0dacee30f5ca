"""Settings: options over the file over the defaults, and one line for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from extractor.config import RunConfig, load_config, parse_mapping
from extractor.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults() -> None:
    config = load_config(None, {"feeds": ("feed.jsonl",), "out": Path("run1")})
    assert config == RunConfig(feeds=("feed.jsonl",), out=Path("run1"))
    assert (config.engine, config.schema_id, config.limit, config.batch_size) == ("auto", "auto", None, 1024)


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "run.toml", 'engine = "vllm"\nlimit = 5\n[mapping]\ntitle = "name"\n')
    options = {"feeds": ("feed.jsonl",), "out": Path("run1"), "limit": 7, "engine": None, "mapping": None}
    config = load_config(file, options)
    assert (config.engine, config.limit, config.mapping) == ("vllm", 7, {"title": "name"})


def test_paths_of_a_file_count_from_its_folder(tmp_path: Path) -> None:
    file = write(
        tmp_path / "run.toml",
        'feeds = ["a.jsonl", "/b.csv", "-"]\nout = "run1"\ngraph = "../g.duckdb"\ndemonstrations = "train.jsonl"\n',
    )
    config = load_config(file, {"feeds": ()})
    assert config.feeds == (str(tmp_path / "a.jsonl"), "/b.csv", "-")
    assert (config.out, config.graph) == (tmp_path / "run1", tmp_path / "../g.duckdb")
    assert config.demonstrations == tmp_path / "train.jsonl"


def test_settings_do_not_change() -> None:
    config = RunConfig(feeds=("feed.jsonl",), out=Path("run1"))
    with pytest.raises(ValidationError):
        config.limit = 3  # type: ignore[misc]


FINE: dict[str, Any] = {"feeds": ("feed.jsonl",), "out": Path("run1")}
BAD_OPTIONS = [
    ({}, "feeds: is missing"),
    ({"feeds": ("feed.jsonl",)}, "out: is missing"),
    ({**FINE, "engine": "gpt"}, "engine: Input should be 'auto', 'vllm'"),
    ({**FINE, "limit": 0}, "limit: Input should be greater than or equal to 1"),
    ({**FINE, "batch_size": -3}, "batch_size: Input should be greater than or equal to 1"),
    ({**FINE, "votes": 2}, "votes: Input should be 1, 3, 5, 7 or 9; see extractor run --help"),
    ({**FINE, "max_reject_rate": 1.5}, "max_reject_rate: Input should be less than or equal to 1"),
    ({**FINE, "tempreature": 1}, "tempreature: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("options", "told"), BAD_OPTIONS)
def test_what_is_wrong_with_options(options: Mapping[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, options)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


BAD_FILES = [
    ("limit = 0", "run.toml: limit: Input should be"),
    ("bogus = 1", "run.toml: bogus: Extra inputs"),
    ("limit = ", "run.toml: Invalid value"),
    ("feeds = 7", "run.toml: feeds: Input should be a valid tuple"),
]


@pytest.mark.parametrize(("text", "told"), BAD_FILES)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, told: str) -> None:
    options = {"out": Path("run1")} if text.startswith("feeds") else FINE
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path / "run.toml", text), options)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b'out = "\xff"')
    for name in ("missing.toml", ".", "bytes.toml"):
        with pytest.raises(ConfigError, match=str(tmp_path)):
            load_config(tmp_path / name, FINE)


def test_mapping() -> None:
    assert parse_mapping(["title=name", "price=Price=EUR"]) == {"title": "name", "price": "Price=EUR"}


@pytest.mark.parametrize("pair", ["title", "title=", "=name", ""])
def test_a_mapping_names_field_and_column(pair: str) -> None:
    with pytest.raises(ConfigError, match="no FIELD=COLUMN pair; write for example --map title=name"):
        parse_mapping([pair])
