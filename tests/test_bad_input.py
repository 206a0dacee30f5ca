"""What users do wrong: one line that says where and what to do, or a Rejection; no traceback, nothing lost."""

from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from schema_folder import only, schema_file, write_folder
from test_cli import Ended, command
from test_run import outcomes, write_jsonl

from extractor.errors import PromptError, SchemaError
from extractor.prompt import load_prompt
from extractor.records import Reason

SONY, LEGO = b'{"id": "sony", "title": "Sony TV"}\n', b'{"id": "lego", "title": "Lego Set"}\n'
MEGABYTE = b"long " * 200_000


def run(feed: Path | str, out: Path, *options: object) -> Ended:
    return command("run", feed, "--out", out, "--engine", "scripted", *options)


def assert_one_line(ended: Ended, code: int, *told: str) -> None:
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1), ended.err
    assert ended.err.startswith("extractor: ")
    for words in told:
        assert words in ended.err


# --- records that are no products: the others go on

BAD_RECORDS: Sequence[tuple[str, bytes, Sequence[tuple[str, Reason | None]], str]] = [
    (
        "a.jsonl",
        SONY + b'{"id": "x", "title": \n' + LEGO,
        [("sony", None), ("a.jsonl:2", Reason.UNREADABLE), ("lego", None)],
        "broken JSON",
    ),
    ("a.jsonl", SONY + b"[]\n7\n", [("sony", None), *(("", Reason.UNREADABLE),) * 2], "not an object"),
    (
        "a.jsonl",
        b'{"id": "x", "brand": "LG"}\n' + LEGO,
        [("x", Reason.UNREADABLE), ("lego", None)],
        "no title",
    ),
    (
        "a.jsonl",
        b'{"id": "x", "title": "  "}\n' + LEGO,
        [("x", Reason.UNREADABLE), ("lego", None)],
        "no title",
    ),
    (
        "a.jsonl",
        b'{"id": "x", "title": "' + MEGABYTE + b'"}\n' + LEGO,
        [("x", Reason.TOO_LONG), ("lego", None)],
        "title of 999,999 characters; 4,096 tokens fit",
    ),
    ("a.jsonl", b'{"id": "x", "title": "T\\ud800V"}\n' + LEGO, [("x", None), ("lego", None)], ""),
    ("a.jsonl", b'{"id": "x", "title": "T\xff\xc0V"}\n' + LEGO, [("x", None), ("lego", None)], ""),
    ("a.jsonl", b'{"id": "x", "title": "T\\u0000V"}\n' + LEGO, [("x", None), ("lego", None)], ""),
    ("a.jsonl", b"\xef\xbb\xbf" + SONY + b"\n\n" + LEGO.strip(), [("sony", None), ("lego", None)], ""),
    (
        "a.csv",
        b"id,title\nsony,Sony TV\nx\ny,TV,9\nlego,Lego\n",
        [("sony", None), ("a.csv:3", Reason.UNREADABLE), ("a.csv:4", Reason.UNREADABLE), ("lego", None)],
        "cells, the header 2",
    ),
]


@pytest.mark.parametrize(("name", "content", "expected", "told"), BAD_RECORDS)
def test_a_bad_record_is_told_and_the_others_go_on(
    tmp_path: Path, name: str, content: bytes, expected: Sequence[tuple[str, Reason | None]], told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    ended = run(tmp_path / name, tmp_path / "run", "--json")
    summary = json.loads(ended.out)
    assert (ended.code, summary["outcomes"]) == (0, len(expected))
    found = outcomes(tmp_path / "run")
    reasons = [outcome.rejections[0].reason if outcome.rejections else None for outcome in found]
    assert reasons == [reason for _, reason in expected]
    assert all(id_ in ("", outcome.product_id) for (id_, _), outcome in zip(expected, found, strict=True))
    details = [rejection.detail for outcome in found for rejection in outcome.rejections]
    assert all(told in detail for detail in details)


def test_an_id_that_comes_again(tmp_path: Path) -> None:
    other = b'{"id": "sony", "title": "Sony Camera"}\n'
    (tmp_path / "feed.jsonl").write_bytes(SONY + LEGO + SONY + other)
    summary = json.loads(run(tmp_path / "feed.jsonl", tmp_path / "run", "--json").out)
    assert (summary["outcomes"], summary["duplicates"], summary["rejections"]) == (2, 1, {"DUPLICATE_ID": 1})
    assert [outcome.title for outcome in outcomes(tmp_path / "run")] == ["Sony TV", "Lego Set"]
    [line] = (tmp_path / "run" / "rejections.jsonl").read_text("utf-8").splitlines()
    assert "feed.jsonl:4: has the id of feed.jsonl:1 and other content" in json.loads(line)["detail"]


# --- feeds that are none

BAD_FEEDS: Sequence[tuple[str, bytes | None, Sequence[str]]] = [
    ("missing.jsonl", None, ["cannot be opened (No such file or directory)", "give a feed file"]),
    (".", None, ["cannot be opened (Is a directory)", "give a feed file"]),
    ("a.jsonl", b"", ["is empty; give a feed with at least one record"]),
    ("a.jsonl", bytes(range(256)) * 40, ["is neither UTF-8 text nor Parquet; give JSON Lines, CSV"]),
    ("a.parquet", b"PAR1 and nothing else", ["no sound Parquet", "write it again"]),
    ("a.jsonl.gz", b"\x1f\x8b nonsense", ["cannot be read beyond line 0", "get it again"]),
]


@pytest.mark.parametrize(("name", "content", "told"), BAD_FEEDS)
def test_a_feed_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes | None, told: Sequence[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_one_line(run(tmp_path / name, tmp_path / "run"), 2, str(tmp_path / name), *told)
    assert not (tmp_path / "run").exists()


def test_what_stands_before_the_break_of_a_gzip_is_extracted(tmp_path: Path) -> None:
    feed, out = tmp_path / "feed.jsonl.gz", tmp_path / "run"
    packed = gzip.compress(
        b"".join(b'{"id": "%d", "title": "Sony TV %d"}\n' % (n, n * n) for n in range(1500))
    )
    feed.write_bytes(packed[:-20])
    last = run(feed, out).err.splitlines()[-1]
    assert last.startswith(f"extractor: {feed}: cannot be read beyond line ")
    assert last.endswith("it is cut off or damaged, get it again")
    read = int(last.partition("beyond line ")[2].split()[0])
    assert len(outcomes(out)) == read > 1000
    feed.write_bytes(packed)
    assert run(feed, out).code == 0
    assert len(outcomes(out)) == 1500


def test_a_gzip_that_is_damaged_in_the_middle(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"".join(SONY.replace(b"sony", b"%d" % n) for n in range(2000)), 9))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "feed.jsonl.gz").write_bytes(packed)
    ended = run(tmp_path / "feed.jsonl.gz", tmp_path / "run")
    assert ended.code == 2
    assert "it is cut off or damaged, get it again" in ended.err.splitlines()[-1]


# --- options that are wrong

BAD_OPTIONS = [
    (["--map", "title=name"], "has no column 'name'; map to one of id, title"),
    (["--map", "title"], "--map title: no FIELD=COLUMN pair; write for example --map title=name"),
    (["--format", "xml"], "format: 'xml' is unknown; use one of jsonl, csv"),
    (["--engine", "gpt"], "engine: Input should be 'auto', 'vllm'"),
    (["--prompt", "attributes@v99"], "no prompt 'attributes@v99'; there are attributes@"),
    (["--prompt", "route@v1"], "--prompt route@v1: not of task attributes; see extractor prompts list"),
    (["--prompt", "../secret"], "no prompt '../secret'"),
    (["--schema", "wheels"], "no schema 'wheels'; there are "),
    (["--schema", "../../etc/passwd"], "no schema '../../etc/passwd'"),
    (["--taxonomy", "/nowhere/t.jsonl"], "/nowhere/t.jsonl: no such file"),
    (["--limit", "0"], "limit: Input should be greater than or equal to 1"),
    (["--limit", "many"], "Invalid value for '--limit'"),
    (["--max-reject-rate", "7"], "max_reject_rate: Input should be less than or equal to 1"),
    (["--config", "/nowhere/run.toml"], "/nowhere/run.toml: No such file or directory; give a TOML file"),
    (
        ["--engine", "vllm", "--model", "/nowhere/model"],
        "/nowhere/model: no such model folder; give a folder",
    ),
    (["--engine", "transformers", "--model", "./model"], "./model: no such model folder; give a folder"),
    (["--model", "/nowhere/answers.jsonl"], "/nowhere/answers.jsonl: No such file"),
    (["--base-url", "http://127.0.0.1:9/v1"], "takes no base URL; leave it out, or take --engine server"),
    (["--engine", "server"], "no base URL; give one with --base-url"),
    (["--engine", "server", "--base-url", "nonsense"], "the base URL must look like http://"),
]


@pytest.mark.parametrize(("options", "told"), BAD_OPTIONS)
def test_a_wrong_option(tmp_path: Path, options: Sequence[str], told: str) -> None:
    (tmp_path / "feed.jsonl").write_bytes(SONY)
    assert_one_line(run(tmp_path / "feed.jsonl", tmp_path / "run", *options), 2, told)
    assert not (tmp_path / "run").exists()


def test_no_feed_and_no_out(tmp_path: Path) -> None:
    assert_one_line(
        command("run", "--out", tmp_path / "run"), 2, "feeds: is missing; see extractor run --help"
    )
    assert_one_line(command("run", "feed.jsonl"), 2, "out: is missing; see extractor run --help")


@pytest.mark.parametrize("name", ["missing.jsonl", "junk.jsonl"])
def test_a_taxonomy_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "feed.jsonl").write_bytes(SONY)
    (tmp_path / "junk.jsonl").write_bytes(b'{"id": 7}\n')
    ended = run(tmp_path / "feed.jsonl", tmp_path / "run", "--taxonomy", tmp_path / name)
    assert_one_line(ended, 2, str(tmp_path / name))


# --- places that cannot be written


def test_out_is_a_file(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_bytes(SONY)
    # Told before the model is loaded.
    assert_one_line(run(feed, feed, "--model", "/nowhere"), 2, f"{feed}: is a file; choose another --out")
    assert feed.read_bytes() == SONY


def test_out_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "feed.jsonl").write_bytes(SONY)
    assert_one_line(run(tmp_path / "feed.jsonl", tmp_path), 2, "is no run, it has feed.jsonl and no run.json")


def test_out_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "feed.jsonl").write_bytes(SONY)
    out = tmp_path / "feed.jsonl" / "run"
    assert_one_line(run(tmp_path / "feed.jsonl", out), 3, f"{out}: Not a directory; put that right")


@pytest.mark.parametrize("name", ["folder", "feed.jsonl", "nowhere/g.duckdb"])
def test_a_graph_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "feed.jsonl").write_bytes(SONY)
    ended = run(tmp_path / "feed.jsonl", tmp_path / "run", "--graph", tmp_path / name)
    assert ended.code in (2, 3)
    assert_one_line(ended, ended.code, str(tmp_path / name))
    assert (tmp_path / "feed.jsonl").read_bytes() == SONY


# The journal becomes larger than the schemas that a run keeps.
ROWS: list[dict[str, Any]] = [{"id": str(n), "title": f"Sony TV {n}", "note": "-" * 3000} for n in range(300)]


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_journal_that_cannot_grow_says_so_and_goes_on_later(tmp_path: Path) -> None:
    feed, out = write_jsonl(tmp_path / "feed.jsonl", ROWS), tmp_path / "run"
    with files_at_most(700_000):
        ended = run(feed, out, "--batch-size", 30)
    assert_one_line(ended, 3, str(out), "put that right and run the same command again")
    assert 0 < len(outcomes(out)) < 300
    assert run(feed, out, "--batch-size", 30).code == 0
    run(feed, tmp_path / "whole")
    assert outcomes(out) == outcomes(tmp_path / "whole")


PARTS = (
    ".run.json.part",
    ".schemas.json.part",
    ".rejections.jsonl.part",
    ".outcomes.parquet.part",
    ".summary.json.part",
    ".report.html.part",
)


@pytest.mark.parametrize("part", PARTS)
def test_a_full_disk_is_told_and_the_same_command_goes_on(tmp_path: Path, part: str) -> None:
    feed, out = write_jsonl(tmp_path / "feed.jsonl", [*ROWS[:4], {"id": "no title"}]), tmp_path / "run"
    out.mkdir()
    if part != ".run.json.part":
        run(feed, out, "--limit", 2)
    # Every write to it fails as on a full disk.
    (out / part).symlink_to("/dev/full")
    assert_one_line(run(feed, out), 3, str(out), "no space left; free some and run the same command again")
    (out / part).unlink()
    assert run(feed, out).code == 0
    assert len(outcomes(out)) == 5


# --- data files that are wrong

BAD_SCHEMAS = [
    (
        {"$ref": "https://example.com/s.json#/$defs/color"},
        "is remote; copy the definition into the schema folder",
    ),
    ({"$ref": "//example.com/s.json#/a"}, "is remote"),
    ({"$ref": "file:///etc/passwd#/a"}, "is remote"),
    ({"$ref": "../../../../etc/passwd#/a"}, "leaves the schema folder"),
    ({"$ref": "#/properties/color"}, "leads back to itself; break the circle"),
    (only(pattern="^[a-z]+$"), "unknown keyword 'pattern'"),
    (only(**{"x-hwo": "span"}), "unknown keyword 'x-hwo'"),
    (only(type=None), "type"),
    (only(type="boolean"), "type"),
    (only(title=None), "title"),
]


@pytest.mark.parametrize(("definition", "told"), BAD_SCHEMAS)
def test_a_schema_that_is_wrong(tmp_path: Path, definition: dict[str, Any], told: str) -> None:
    store = write_folder(tmp_path, {"attributes/clothing.hats.json": schema_file(color=definition)})
    [problem] = store.check()
    assert problem.startswith(f"{tmp_path / 'attributes' / 'clothing.hats.json'}: color: ")
    assert told in problem
    with pytest.raises(SchemaError) as caught:
        store.by_id("clothing.hats")
    assert (str(caught.value), caught.value.exit_code) == (problem, 2)


PROMPT = 'id = "attributes@v1"\nversion = "v1"\ntask = "attributes"\nform = "chat"\n'
BAD_PROMPTS = [
    ('variables = []\nuser = "{{text}}"', "variable 'text' is used and not declared; declare it"),
    ('variables = ["text"]\nuser = "Listing:"', "variable 'text' is declared and not used; remove it"),
    ('variables = ["price"]\nuser = "{{price}}"', "task attributes has no variable 'price'; remove it"),
    ('variables = ["text"]\nuser = "{{text}}"\ntone = "polite"', "unknown keyword 'tone'"),
    ('variables = ["text"]', "has no user; add it"),
    ("variables = [", "correct the TOML"),
]


@pytest.mark.parametrize(("rest", "told"), BAD_PROMPTS)
def test_a_prompt_that_is_wrong(tmp_path: Path, rest: str, told: str) -> None:
    file = tmp_path / "attributes" / "v1.toml"
    file.parent.mkdir()
    file.write_text(PROMPT + rest)
    with pytest.raises(PromptError) as caught:
        load_prompt("attributes@v1", tmp_path)
    assert str(caught.value).startswith(f"{file}: ")
    assert told in str(caught.value)
    assert ("\n" in str(caught.value), caught.value.exit_code) == (False, 2)
