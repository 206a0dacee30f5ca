"""A feed becomes a run folder and a graph, whatever its format; running again does only what is left."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from answers import answering, tasks_of

from extractor.cli.run import execute, rejects_too_many
from extractor.config import RunConfig
from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError, EngineError, FeedError
from extractor.journal import read_manifest, read_outcomes
from extractor.records import Outcome, Reason
from extractor.run import Progress, run

ROWS = [
    {"id": "1", "title": "Sony BRAVIA TV 65 inch", "description": "Black.", "price": "900"},
    {"id": "2", "title": "Kestrel Bay T-Shirt, Größe L", "description": "", "price": "9"},
    {"id": "3", "title": "Samsung TV 55 inch", "description": "", "price": "120"},
    {"id": "4", "title": "Zorbo", "description": "A thing.", "price": "1"},
    {"id": "5", "title": "Lego Star Wars Set", "description": "", "price": "50"},
]
ANSWERS = {
    "1": '{"brand":"Sony","color":"Black","screen_size":"65 inch"}',
    "2": '{"brand":"Kestrel Bay","color":"pink"}',
    "3": '{"brand":"Samsung"}',
    "5": ["{", '{"brand":"Lego"}'],
}


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]] = ROWS) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def write_gzip(path: Path) -> str:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return str(path)


def write_csv(path: Path) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(ROWS)
    return str(path)


def write_parquet(path: Path) -> str:
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return str(path)


def write_answers(path: Path) -> str:
    """What `--engine scripted --model` reads."""
    turns = [
        (id_, turn)
        for id_, turns in ANSWERS.items()
        for turn in ([turns] if isinstance(turns, str) else turns)
    ]
    path.write_text(
        "".join(json.dumps({"id": id_, "text": text}) + "\n" for id_, text in turns), encoding="utf-8"
    )
    return str(path)


def config(feed: str, out: Path, **settings: Any) -> RunConfig:
    return RunConfig(feeds=(feed,), out=out, **{"batch_size": 2, **settings})


def outcomes(folder: Path) -> list[Outcome]:
    """Without what differs from run to run, and from format to format."""
    return [replace(o, where="", usage=replace(o.usage, latency_s=0.0)) for o in read_outcomes(folder)]


@pytest.fixture
def feed(tmp_path: Path) -> str:
    return write_jsonl(tmp_path / "feed.jsonl")


def test_a_run(tmp_path: Path, feed: str) -> None:
    seen: list[Progress] = []
    summary = run(config(feed, tmp_path / "run"), engine=answering(ANSWERS), progress=seen.append)
    assert (summary.products, summary.outcomes, summary.values, summary.duplicates) == (5, 5, 6, 0)
    assert summary.rejections == {"UNGROUNDED": 1}
    assert seen == [Progress(2, 0), Progress(4, 0), Progress(5, 0)]
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        *("run.json", "outcomes.jsonl", "rejections.jsonl", "summary.json", "outcomes.parquet")
    }


def test_the_journal_has_a_line_for_every_product(tmp_path: Path, feed: str) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "outcomes.jsonl").read_text("utf-8").splitlines()
    ]
    assert [line["product_id"] for line in lines] == ["1", "2", "3", "4", "5"]
    assert lines[0]["where"] == "feed.jsonl:1"
    assert lines[0]["category"]["path"][-1] == "Televisions"
    assert lines[0]["values"][2] == {
        "attribute": "screen_size",
        "surface": "65 inch",
        "canonical": "65",
        "unit": "inch",
        "span": [15, 22],
        "source": "title",
        "how": "span",
        "confidence": 0.5,
    }
    [rejection] = lines[1]["rejections"]
    assert (rejection["attribute"], rejection["reason"]) == ("color", "UNGROUNDED")
    assert lines[1]["feed"] == {"facts": {"price": "9"}}
    assert lines[2]["made_by"]["prompt"] == "attributes@v1"


def test_the_manifest_says_with_what(tmp_path: Path, feed: str) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    manifest = read_manifest(tmp_path / "run")
    assert manifest["counts"]["outcomes"] == 5
    assert manifest["finished"]
    assert manifest["config"]["engine"] == "auto"
    assert set(manifest["config"]["prompts"]) == {"route", "attributes", "repair"}
    assert "python" in manifest["versions"]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("feed.csv", write_csv),
        ("feed.tsv", write_csv),
        ("feed.parquet", write_parquet),
        ("feed.jsonl.gz", write_gzip),
        ("feed.any", write_jsonl),
    ],
)
def test_every_format_gives_the_same_outcomes(tmp_path: Path, feed: str, name: str, write: Any) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    run(config(write(tmp_path / name), tmp_path / "other"), engine=answering(ANSWERS))
    assert outcomes(tmp_path / "other") == outcomes(tmp_path / "run")


def test_stdin_gives_the_same_outcomes(tmp_path: Path, feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path(feed).read_bytes())))
    run(config("-", tmp_path / "other"), engine=answering(ANSWERS))
    assert outcomes(tmp_path / "other") == outcomes(tmp_path / "run")


def test_several_feeds_give_the_same_outcomes(tmp_path: Path, feed: str) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    parts = (write_jsonl(tmp_path / "a.jsonl", ROWS[:3]), write_jsonl(tmp_path / "b.jsonl", ROWS[3:]))
    run(RunConfig(feeds=parts, out=tmp_path / "other"), engine=answering(ANSWERS))
    assert outcomes(tmp_path / "other") == outcomes(tmp_path / "run")


def test_columns_are_mapped(tmp_path: Path, feed: str) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    renamed = [
        {"key": row["id"], "headline": row["title"], "body": row["description"], "price": row["price"]}
        for row in ROWS
    ]
    settings = config(
        write_jsonl(tmp_path / "other.jsonl", renamed),
        tmp_path / "other",
        mapping={"id": "key", "title": "headline", "description": "body"},
    )
    run(settings, engine=answering(ANSWERS))
    assert outcomes(tmp_path / "other") == outcomes(tmp_path / "run")


def test_a_limit_counts_records_and_can_be_raised(tmp_path: Path, feed: str) -> None:
    assert run(config(feed, tmp_path / "run", limit=3), engine=answering(ANSWERS)).outcomes == 3
    engine = answering(ANSWERS)
    assert run(config(feed, tmp_path / "run"), engine=engine).outcomes == 5
    assert {request.id for request in engine.calls} == {"4", "5"}


# --- going on


def test_a_finished_run_asks_nothing_again(tmp_path: Path, feed: str) -> None:
    first = run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    silent = ScriptedEngine([])
    assert run(config(feed, tmp_path / "run"), engine=silent).outcomes == first.outcomes
    assert silent.calls == []


def test_an_engine_that_fails_costs_no_finished_batch(tmp_path: Path, feed: str) -> None:
    with pytest.raises(EngineError, match="too short"):
        run(config(feed, tmp_path / "run"), engine=ScriptedEngine(["{}"] * 3))
    assert [outcome.product_id for outcome in read_outcomes(tmp_path / "run")] == ["1", "2"]
    assert read_manifest(tmp_path / "run")["finished"] is None
    engine = answering(ANSWERS)
    assert run(config(feed, tmp_path / "run"), engine=engine).outcomes == 5
    assert tasks_of(engine)[0] == ("attributes", "3")


def test_other_settings_need_another_folder(tmp_path: Path, feed: str) -> None:
    run(config(feed, tmp_path / "run"), engine=answering(ANSWERS))
    with pytest.raises(ConfigError, match="schema_id was 'auto', is 'base'"):
        run(config(feed, tmp_path / "run", schema_id="base"), engine=answering(ANSWERS))


def test_an_engine_that_is_handed_in_stays_open(tmp_path: Path, feed: str) -> None:
    engine = answering(ANSWERS)
    run(config(feed, tmp_path / "run"), engine=engine)
    run(config(feed, tmp_path / "other"), engine=engine)
    assert outcomes(tmp_path / "other") == outcomes(tmp_path / "run")


def test_what_stands_before_a_break_in_the_feed_is_extracted(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS[:3]).encode())
    (tmp_path / "feed.jsonl.gz").write_bytes(whole + gzip.compress(b'{"id": "4"' * 999)[:60])
    settings = config(str(tmp_path / "feed.jsonl.gz"), tmp_path / "run", batch_size=512)
    with pytest.raises(FeedError, match=r"cannot be read beyond line 3 .* get it again"):
        run(settings, engine=answering(ANSWERS))
    assert [outcome.product_id for outcome in read_outcomes(tmp_path / "run")] == ["1", "2", "3"]


def test_nothing_is_opened_when_the_settings_are_wrong(tmp_path: Path, feed: str) -> None:
    engine = answering(ANSWERS)
    for settings in (
        {"prompt": "attributes@v99"},
        {"prompt": "route@v1"},
        {"schema_id": "wheels"},
        {"mapping": {"title": "x"}},
    ):
        with pytest.raises((ConfigError, FeedError, Exception)) as caught:
            run(config(feed, tmp_path / "run", **settings), engine=engine)
        assert getattr(caught.value, "exit_code", None) == 2, caught.value
    assert not (tmp_path / "run").exists()


# --- with report and graph, as the command line does it


def statements(graph: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(graph), read_only=True) as connection:
        return connection.execute("SELECT * FROM statements ORDER BY ALL").fetchall()


def test_a_run_is_reported_and_merged(tmp_path: Path, feed: str) -> None:
    graph = tmp_path / "g.duckdb"
    settings = config(
        feed, tmp_path / "run", engine="scripted", model=write_answers(tmp_path / "a.jsonl"), graph=graph
    )
    summary = execute(settings)
    assert summary.values == 6
    assert "Kestrel Bay" in (tmp_path / "run" / "report.html").read_text("utf-8")
    once = statements(graph)
    assert any("Kestrel Bay" in row for row in once)
    assert execute(settings) == summary
    assert statements(graph) == once


def test_a_graph_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, feed: str) -> None:
    settings = config(feed, tmp_path / "run", engine="scripted", graph=tmp_path)
    with pytest.raises(Exception, match=str(tmp_path)) as caught:
        execute(settings)
    assert caught.value.exit_code in (2, 3)  # type: ignore[attr-defined]
    assert not (tmp_path / "run").exists()


def test_the_share_of_rejected_products(tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", [*ROWS, {"id": "6"}])
    settings = config(feed, tmp_path / "run", engine="scripted")
    summary = execute(settings)
    assert summary.rejections == {str(Reason.UNREADABLE): 1}
    assert not rejects_too_many(settings, summary)
    assert not rejects_too_many(settings.model_copy(update={"max_reject_rate": 1 / 6}), summary)
    assert rejects_too_many(settings.model_copy(update={"max_reject_rate": 0.1}), summary)
