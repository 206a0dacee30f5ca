"""`extractor graph ...`: exit codes, and what stands on stdout and on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_graph import SONY, outcome, write_run
from typer.testing import CliRunner

from extractor.__main__ import main
from extractor.cli.graph import app
from extractor.cli.graph.shared import JOBS
from extractor.errors import ExtractorError
from extractor.graph.stores.duckdb import DuckDBStore


def graph(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr; an ExtractorError as the main program prints it."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, ExtractorError):
        return result.exception.exit_code, result.stdout, f"{result.stderr}{result.exception}\n"
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "g.duckdb"
    assert graph("merge", write_run(tmp_path / "run", "r1", [SONY]), "--graph", file)[0] == 0
    return file


def test_merge_says_what_changed_and_merging_again_changes_nothing(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, name, [SONY]) for name in ("r1", "r2")]
    file = tmp_path / "g.duckdb"
    assert graph("merge", *runs, "--graph", file)[:2] == (
        0,
        "r1: 1 outcomes read, 15 statements added, 0 removed\nr2: 1 outcomes read, 15 statements added, 0 removed\n",
    )
    before = graph("stats", "--graph", file, "--json")
    assert "0 statements added, 0 removed" in graph("merge", *runs, "--graph", file)[1]
    assert graph("stats", "--graph", file, "--json") == before


def test_merge_notes_a_half_written_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "r1", [SONY])
    with (run / "outcomes.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"prod')
    code, _, err = graph("merge", run, "--graph", tmp_path / "g.duckdb")
    assert (code, err) == (
        0,
        "r1: a half-written last line is left out; `extractor run` again completes it\n",
    )


def test_stats(file: Path) -> None:
    code, out, err = graph("stats", "--graph", file, "--json")
    kinds = {
        "Attribute": 3,
        "Audience": 1,
        "Brand": 1,
        "Category": 2,
        "Merchant": 1,
        "Product": 1,
        "Value": 5,
    }
    assert (code, json.loads(out), err) == (0, {"nodes": kinds, "statements": 15, "runs": 1}, "")
    assert "statements" in graph("stats", "--graph", file)[1]


def test_show(file: Path) -> None:
    code, out, _ = graph("show", "x", "--graph", file)
    assert code == 0
    assert "Electronics > TVs" in out
    assert "65 inch" in out
    assert json.loads(graph("show", "product:x", "--graph", file, "--json")[1])["id"] == "product:x"
    assert "mentioned by 1" in graph("show", "brand:sony", "--graph", file)[1]
    code, out, err = graph("show", "y", "--graph", file)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_product_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    title = "[red]\x1b[31mred\x1b[0m [/nothing]"
    file = tmp_path / "g.duckdb"
    graph("merge", write_run(tmp_path / "run", "r", [outcome("x", title)]), "--graph", file)
    out = (
        graph("show", "x", "--graph", file)[1] + graph("query", "SELECT label FROM nodes", "--graph", file)[1]
    )
    assert "\x1b" not in out
    assert out.count("[red]\ufffd[31mred\ufffd[0m [/nothing]") == 2


def test_query(file: Path) -> None:
    sql = "SELECT kind AS k, count(*) AS k, 'nan'::DOUBLE FROM nodes WHERE kind = 'Brand' GROUP BY kind"
    code, out, _ = graph("query", sql, "--graph", file, "--json")
    assert (code, json.loads(out)["rows"]) == (0, [["Brand", 1, None]])
    assert "Brand" in graph("query", sql, "--graph", file)[1]
    assert len(json.loads(graph("query", "FROM range(1001)", "--graph", file, "--json")[1])["rows"]) == 1001
    assert "only the first 1,000 rows" in graph("query", "FROM range(1001)", "--graph", file)[2]
    code, out, err = graph("query", "DELETE FROM nodes", "--graph", file)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_an_endless_query_ends_and_says_nothing_half(file: Path) -> None:
    endless = "SELECT repeat('x', 1000) FROM range(1000000000000)"
    code, out, err = graph("query", endless, "--graph", file, "--json", "--timeout", "0.2")
    assert (code, out, err) == (2, "", "query: not done after 0.2 s; ask for less or give more time\n")


def test_check_and_undo(file: Path) -> None:
    import duckdb

    assert graph("check", "--graph", file)[0] == 0
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM nodes WHERE kind = 'Brand'")
    code, out, err = graph("check", "--graph", file)
    assert (
        err
        == f"{file}: something else or an older version wrote to it; merge its runs again, or into a new graph\n"
    )
    assert (code, out[:50]) == (1, "2 times: statements have an end that is no node, s")
    assert graph("undo", "r1", "--graph", file)[:2] == (0, "r1: 15 statements removed\n")
    assert json.loads(graph("stats", "--graph", file, "--json")[1]) == {
        "nodes": {},
        "statements": 0,
        "runs": 0,
    }
    assert graph("undo", "r1", "--graph", file)[0] == 2


def test_export(tmp_path: Path, file: Path) -> None:
    for form, name in (("parquet", "tables"), ("jsonld", "g.jsonld")):
        assert graph("export", "--graph", file, "--to", form, "--out", tmp_path / name)[0] == 0
        assert (tmp_path / name).exists()
        assert graph("export", "--graph", file, "--to", form, "--out", tmp_path / name)[0] == 2
        assert graph("export", "--graph", file, "--to", form, "--out", tmp_path / name, "--force")[0] == 0


@pytest.mark.parametrize("command", ["stats", "show x", "query 'SELECT 1'", "check", "undo r"])
def test_a_graph_that_is_not_there_is_not_made(tmp_path: Path, command: str) -> None:
    import shlex

    file = tmp_path / "g.duckdb"
    code, out, err = graph(*shlex.split(command), "--graph", file)
    assert (code, out, err.count("\n"), file.exists()) == (2, "", 1, False)


def test_help_loads_no_database() -> None:
    code = "import sys, extractor.cli.graph; sys.exit(any(m in sys.modules for m in ('duckdb', 'pyarrow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_help_has_every_command_under_its_job_on_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["graph", "--help"])
    rows = [line.strip().partition("  ")[::2] for line in capsys.readouterr().out.splitlines()]
    told = {name: text.strip() for name, text in rows if name in app_commands()}
    assert told.keys() == app_commands()
    assert sorted(name for names in JOBS.values() for name in names) == sorted(app_commands())
    assert all(text.endswith(".") and "..." not in text for text in told.values())


def app_commands() -> set[str]:
    return {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}


def test_a_name_cannot_steer_the_terminal_from_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DuckDBStore(tmp_path / "g.duckdb").close()
    persian = "\u0646\u0645\u06cc\u200c\u0634\u0648\u062f"  # the joiner is part of the word
    with pytest.raises(SystemExit):
        main(["graph", "show", f"\x1b[31m\u202ered {persian}", "--graph", str(tmp_path / "g.duckdb")])
    assert capsys.readouterr().err.startswith(f"extractor: \ufffd[31m\ufffdred {persian}: no such node")
