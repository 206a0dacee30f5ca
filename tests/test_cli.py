"""The command line: exit codes, what stands on stdout and what on stderr, help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
from test_run import ROWS, outcomes, write_answers, write_jsonl

from extractor.__main__ import main
from extractor.journal import read_outcomes

COMMANDS = ("run", "demo", "eval", "prompts", "schemas", "graph", "route", "train", "serve", "doctor")
SUBCOMMANDS = {
    "eval": ("list", "run", "score", "calibrate", "compare", "gate"),
    "prompts": ("list", "show", "render", "check", "try", "compare"),
    "schemas": ("list", "show", "check", "derive"),
    "route": ("fit",),
    "graph": ("merge", "stats", "show", "query", "check", "undo", "export"),
}


class Ended(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> Ended:
    """Run `extractor ARGUMENTS` in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return Ended(int(exit_.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def feed(tmp_path: Path) -> str:
    return write_jsonl(tmp_path / "feed.jsonl")


# --- run


def test_run_prints_one_json_object(tmp_path: Path, feed: str) -> None:
    options = ("--engine", "scripted", "--model", write_answers(tmp_path / "a.jsonl"))
    ended = command(
        "run", feed, "--out", tmp_path / "run", *options, "--graph", tmp_path / "g.duckdb", "--json"
    )
    assert ended.code == 0
    assert ended.out.count("\n") == 1
    summary = json.loads(ended.out)
    assert list(summary.items())[:2] == [("products", 5), ("outcomes", 5)]
    assert {"values", "rejections", "seconds", "products_per_s", "usage", "run_dir"} <= set(summary)
    assert summary["rejections"] == {"UNGROUNDED": 1}
    assert summary["run_dir"] == str(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["run_id"]
    stats = command("graph", "stats", "--graph", tmp_path / "g.duckdb", "--json")
    assert (stats.code, json.loads(stats.out)["runs"], stats.err) == (0, 1, "")


def test_run_tells_people_on_stderr(tmp_path: Path, feed: str) -> None:
    ended = command("run", feed, "--out", tmp_path / "run", "--engine", "scripted")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("5 products, 0 values, ")
    assert ended.err.endswith(f"report: {tmp_path / 'run' / 'report.html'}\n")


def test_paths_may_hold_markup(tmp_path: Path, feed: str) -> None:
    out = tmp_path / "run [/] [red]"
    assert str(out) in command("run", feed, "--out", out, "--engine", "scripted").err


def test_options_of_a_run(tmp_path: Path, feed: str) -> None:
    assert (
        command("run", feed, "--out", tmp_path / "a", "--engine", "scripted", "--limit", 2).err[:10]
        == "2 products"
    )
    options = (
        "--map",
        "title=description",
        "--map",
        "note=title",
        "--schema",
        "base",
        "--prompt",
        "attributes@v1",
    )
    ended = command("run", feed, "--out", tmp_path / "b", "--engine", "scripted", *options)
    assert (ended.code, ended.err[:10]) == (0, "5 products")
    [first, *_, last] = read_outcomes(tmp_path / "b")
    assert (first.title, first.feed["facts"]["note"]) == ("Black.", ROWS[0]["title"])
    assert (first.made_by.schema, last.rejections[0].reason) == ("base", "UNREADABLE")


def test_a_terminal_gets_a_bar(tmp_path: Path, feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    ended = command("run", feed, "--out", tmp_path / "run", "--engine", "scripted", "--json")
    assert (ended.code, "5/5" in ended.err, "products/s" in ended.err) == (0, True, True)
    assert json.loads(ended.out)["outcomes"] == 5


def test_a_named_pipe_is_read_once(tmp_path: Path, feed: str) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    content = Path(feed).read_bytes()
    writer = Thread(target=lambda: pipe.write_bytes(content))
    writer.start()
    ended = command("run", pipe, "--out", tmp_path / "run", "--engine", "scripted")
    writer.join()
    assert (ended.code, ended.err[:10]) == (0, "5 products")


def test_demo(tmp_path: Path) -> None:
    ended = command("demo", "--out", tmp_path / "runs" / "demo.1", "--engine", "scripted")
    assert (ended.code, ended.out) == (0, "")
    assert "What is in the graph" in ended.err
    report, graph = tmp_path / "runs" / "demo.1" / "report.html", tmp_path / "runs" / "demo.1.duckdb"
    assert f"\nReport: {report}   graph: {graph}\n" in ended.err
    assert ended.err.endswith(f"{tmp_path}/runs/demo.1/product.html\n")
    assert report.exists() and graph.exists()


def test_demo_leaves_what_another_version_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("demo", "--engine", "scripted").code == 0
    manifest = tmp_path / "runs" / "demo" / "run.json"
    manifest.write_text(manifest.read_text().replace('"version": "', '"version": "0.0-'))
    before = manifest.read_bytes()
    for _ in range(2):  # the second time it goes on with what the first one made
        ended = command("demo", "--engine", "scripted")
        told = "runs/demo: of another version or engine, and kept; on to runs/demo-2"
        assert (ended.code, told in ended.err.splitlines()) == (0, True)
        assert "\nReport: runs/demo-2/report.html   graph: runs/demo-2.duckdb\n" in ended.err
    assert manifest.read_bytes() == before


def test_settings_may_stand_in_a_file(tmp_path: Path, feed: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text('feeds = ["feed.jsonl"]\nout = "run"\nengine = "scripted"\nlimit = 4\n')
    assert command("run", "--config", file).err.startswith("4 products")
    assert len(list(read_outcomes(tmp_path / "run"))) == 4


def test_more_rejections_than_allowed_end_with_1(tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", [*ROWS, {"id": "6"}])
    options = ("--engine", "scripted", "--json")
    ended = command("run", feed, "--out", tmp_path / "run", *options, "--max-reject-rate", 0.1)
    assert (ended.code, json.loads(ended.out)["rejections"]) == (1, {"UNREADABLE": 1})
    assert command("run", feed, "--out", tmp_path / "run", *options, "--max-reject-rate", 0.2).code == 0
    assert command("run", feed, "--out", tmp_path / "run", *options).code == 0


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    rows = [{"id": str(n), "title": f"Sony TV {n}"} for n in range(120)]
    feed, out = write_jsonl(tmp_path / "feed.jsonl", rows), tmp_path / "run"
    arguments = ("run", feed, "--out", out, "--engine", "scripted", "--batch-size", 1)
    process = subprocess.Popen(
        [sys.executable, "-m", "extractor", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in a shell's background ignore it, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_lines(out / "outcomes.jsonl", process, lines=5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (3, "extractor: stopped; run the same command again to go on\n")
    assert 0 < len(outcomes(out)) < 120
    assert command(*arguments).code == 0
    command("run", feed, "--out", tmp_path / "whole", "--engine", "scripted")
    assert outcomes(out) == outcomes(tmp_path / "whole")


def wait_for_lines(file: Path, process: subprocess.Popen[str], *, lines: int) -> None:
    """Until a process has written so many lines."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends and process.poll() is None:
        if file.exists() and file.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.005)


def test_a_port_that_nobody_answers_on_ends_with_3(tmp_path: Path, feed: str) -> None:
    pytest.importorskip("openai")
    options = ("--engine", "server", "--base-url", "http://127.0.0.1:9/v1")
    ended = command("run", feed, "--out", tmp_path / "run", *options)
    assert (ended.code, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert "http://127.0.0.1:9/v1: no connection" in ended.err
    assert "`extractor serve` starts one" in ended.err


# --- prompts and schemas


def test_prompts() -> None:
    assert "attributes@v1" in command("prompts", "list").out.splitlines()
    assert command("prompts", "show", "route@v1").out.startswith('id = "route@v1"\n')
    assert command("prompts", "check")[:2] == (0, "")
    ended = command("prompts", "show", "attributes@v99")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no prompt 'attributes@v99'; there are attributes@" in ended.err


def test_prompts_are_rendered() -> None:
    category = "clothing.tops.t_shirts"
    listing = ("--title", "Blue {{text}} tee", "--description", "Soft.", "--category", category)
    chat = command("prompts", "render", "attributes@v1", *listing).out
    assert chat.startswith("--- system\n")
    assert chat.endswith("Blue {{text}} tee\nSoft.\n")
    assert "Clothing > Tops > T-shirts" in chat
    text = command("prompts", "render", "attributes@embedded-v1", "--title", "Blue tee").out
    assert text.startswith("<|category|><|attrs|>brand|")
    assert text.endswith("<|text|>Blue tee<|json|>\n")
    route = command("prompts", "render", "route@v1", "--title", "Blue tee")
    assert (route.code, "route@v1: a prompt for route; give one for attributes" in route.err) == (2, True)
    slip = command("prompts", "render", "attributes@v1", "--title", "Blue tee", "--category", "tees")
    assert (slip.code, "--category tees: taxonomy.jsonl has no such category" in slip.err) == (2, True)


def test_schemas() -> None:
    assert {"base", "electronics.tv_video.televisions"} <= set(command("schemas", "list").out.splitlines())
    schema = json.loads(command("schemas", "show", "electronics.tv_video.televisions").out)
    assert {"brand", "screen_size"} <= set(schema["properties"])
    assert command("schemas", "check")[:2] == (0, "")
    ended = command("schemas", "show", "wheels")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


# --- evaluation

GOLD = [
    {"id": "1", "category": "TVs", "attributes": {"brand": ["Sony"], "color": None, "size": ["65"]}},
    {"id": "2", "category": "TVs", "attributes": {"brand": ["LG", "Lg"], "color": ["red"]}},
]
PREDICTIONS = [{"id": "1", "predicted": {"brand": "Sony", "color": ["blue"], "size": None, "weight": "3"}}]


def test_eval_score(tmp_path: Path) -> None:
    gold, predictions = (
        write_jsonl(tmp_path / "gold.jsonl", GOLD),
        write_jsonl(tmp_path / "p.jsonl", PREDICTIONS),
    )
    ended = command("eval", "score", "--gold", gold, "--predictions", predictions, "--json")
    assert (ended.code, ended.err) == (0, "")
    # 1: brand correct, color spurious, size missed; 2 has no prediction: both missed.
    assert json.loads(ended.out) == {
        "protocol": "paper",
        "micro": {"precision": 50.0, "recall": 25.0, "f1": 33.33},
        "macro": {"precision": 33.33, "recall": 16.67, "f1": 22.22},
        "normalized": {"precision": 50.0, "recall": 25.0, "f1": 33.33},
        "overlap": {"precision": 50.0, "recall": 25.0, "f1": 33.33},
        "counts": {"nn": 0, "nv": 1, "vn": 3, "vc": 1, "vw": 0, "unjudged": 1, "failed": 1},
        "records": 2,
    }
    strict = command("eval", "score", "--gold", gold, "--predictions", predictions, "--protocol", "strict")
    assert (strict.code, strict.out, "F1" in strict.err) == (0, "", True)
    assert strict.err.endswith("no prediction for '2': counted as failed, and as missed\n")


BAD_SCORES = [
    ('{"id": "1"}', "gold.jsonl:1: expected an object with id, category and attributes"),
    ("nonsense", "gold.jsonl:1: no JSON"),
    ('{"id": "1", "attributes": {"brand": ["Sony"]}}', "gold.jsonl:1: expected an object"),
    ('{"id": "1", "predicted": {"brand": "Sony"}}', "gold.jsonl:1: expected an object"),
    ('{"id": "1", "category": "Tea", "attributes": ["brand"]}', "gold.jsonl:1: attributes is no object"),
]


@pytest.mark.parametrize(("line", "told"), BAD_SCORES)
def test_gold_that_is_none_ends_with_2(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "gold.jsonl").write_text(line + "\n")
    predictions = write_jsonl(tmp_path / "p.jsonl", PREDICTIONS)
    ended = command("eval", "score", "--gold", tmp_path / "gold.jsonl", "--predictions", predictions)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert told in ended.err


# --- help


def test_help_lists_the_commands() -> None:
    ended = command("--help")
    assert (ended.code, ended.err) == (0, "")
    listed = [line.split()[0] for line in ended.out.partition("Commands:")[2].splitlines() if line.strip()]
    assert set(COMMANDS) <= set(listed)


@pytest.mark.parametrize(
    "name", [*COMMANDS, *(f"{group} {name}" for group in SUBCOMMANDS for name in SUBCOMMANDS[group])]
)
def test_every_command_has_help(name: str) -> None:
    ended = command(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"extractor {name}" in ended.out


@pytest.mark.parametrize("name", ["", *SUBCOMMANDS])
def test_a_group_alone_shows_its_help(name: str) -> None:
    ended = command(*name.split())
    assert ended.code in (0, 2)
    assert "COMMAND [ARGS]..." in ended.out + ended.err


USAGE = [
    (["bogus"], "No such command 'bogus'; see extractor --help"),
    (["graph", "bogus"], "No such command 'bogus'; see extractor graph --help"),
    (["run", "--wheels", "4"], "No such option: --wheels"),
    (["run", "f", "--limit", "few"], "--limit"),
    (["eval", "score", "--gold", "g"], "--predictions"),
    (["graph", "stats"], "Missing option '--graph'; see extractor graph stats --help"),
]


@pytest.mark.parametrize(("arguments", "told"), USAGE)
def test_wrong_usage_is_one_line(arguments: list[str], told: str) -> None:
    ended = command(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert told in ended.err


def test_version() -> None:
    ended = command("--version")
    assert (ended.code, ended.out.count("\n"), ended.err) == (0, 1, "")


def test_doctor_says_what_to_install() -> None:
    ended = command("doctor")
    assert ended.code in (0, 2)
    assert "python: 3." in ended.err
    assert "schemas: all load" in ended.err


def test_the_command_is_installed() -> None:
    """The same as `python -m extractor`; a listing of commands costs no heavy import (test_architecture)."""
    script = Path(sys.executable).with_name("extractor")
    ended = subprocess.run(
        [script, "prompts", "list"], capture_output=True, text=True, env={**os.environ}, check=True
    )
    assert "route@v1" in ended.stdout
    assert ended.stderr == ""
