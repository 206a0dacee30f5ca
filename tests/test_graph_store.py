"""What happens to a graph: readers beside a writer, two writers, a full disk, files of others, endless queries."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest
from test_graph import SCHEMAS, SONY, TARGETS, outcome, said, snapshot, write_run
from test_graph_cli import graph

from extractor.errors import ConfigError, SinkError
from extractor.graph.check import problems
from extractor.graph.merge import merge_runs
from extractor.graph.statements import ProductFacts, facts_of
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.stores.snapshot import write_snapshot


def write_many(folder: Path, run_id: str, count: int) -> Path:
    titles = [f"Sony TV number {n} in a box" for n in range(count)]
    return write_run(folder / run_id, run_id, [outcome(t, t, said("brand", "Sony", t)) for t in titles])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A graph of one listing."""
    file = tmp_path / "g.duckdb"
    with DuckDBStore(file) as store:
        merge_runs([write_run(tmp_path / "r1", "r1", [SONY], SCHEMAS)], store)
    return file


# ---- snapshots


def test_a_snapshot_has_what_the_graph_has_and_is_read_like_it(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "it's for readers"
    assert graph("snapshot", folder, "--graph", file)[0] == 0
    with DuckDBStore(file, read_only=True) as store, DuckDBStore(folder, read_only=True) as copy:
        assert snapshot(copy) == snapshot(store)
        assert list(problems(copy)) == []
    for command in (["stats", "--json"], ["show", "x", "--json"], ["query", "SELECT count(*) FROM edges"]):
        assert graph(*command, "--graph", folder) == graph(*command, "--graph", file)
    for command in (["undo", "r1"], ["assert", "x", "has_brand", "LG"], ["merge", tmp_path / "r1"]):
        code, _, err = graph(*command, "--graph", folder)
        assert (code, "a snapshot, to read only" in err) == (2, True)


def test_a_reader_keeps_the_snapshot_that_it_opened(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "snapshot"
    with DuckDBStore(file) as store:
        write_snapshot(store, folder)
        with DuckDBStore(folder, read_only=True) as reader:
            before = snapshot(store)
            merge_runs([write_many(tmp_path, "r2", 50)], store)
            write_snapshot(store, folder)
            assert snapshot(reader) == before
        with DuckDBStore(folder, read_only=True) as reader:
            assert snapshot(reader) == snapshot(store)
        write_snapshot(store, folder)
        assert len(list(folder.glob("v-*"))) == 2


def test_a_snapshot_that_cannot_be_written_leaves_the_last_one(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "snapshot"
    with DuckDBStore(file) as store:
        write_snapshot(store, folder)
        before = sorted(folder.rglob("*"))
        merge_runs([write_many(tmp_path, "r2", 500)], store)
        with largest_file(8_000), pytest.raises(SinkError, match="no space left") as error:
            write_snapshot(store, folder)
        assert "\n" not in str(error.value)
        assert sorted(folder.rglob("*")) == before
        with pytest.raises(ConfigError, match="holds something else than a snapshot"):
            write_snapshot(store, tmp_path)


# Prints how many statements and listings it saw, until it is told to stop.
READER = """
import os, sys
from pathlib import Path
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.errors import SinkError
sql = "SELECT (SELECT count(*) FROM listings) AS listings, count(*) AS statements FROM statements"
while not os.path.exists(sys.argv[2]):
    try:
        with DuckDBStore(Path(sys.argv[1]), read_only=True) as store:
            (row,) = store.rows(sql)
    except SinkError:  # two snapshots later
        continue
    print(row["listings"], row["statements"], flush=True)
"""


def test_a_reader_beside_the_writer_never_sees_half_a_snapshot(tmp_path: Path, file: Path) -> None:
    folder, stop = tmp_path / "snapshot", tmp_path / "stop"
    many = write_many(tmp_path, "r2", 300)
    with DuckDBStore(file) as store:
        write_snapshot(store, folder)
        with subprocess.Popen(
            [sys.executable, "-c", READER, str(folder), str(stop)], stdout=subprocess.PIPE, text=True
        ) as reader:
            assert reader.stdout is not None
            seen = {reader.stdout.readline()}
            for _ in range(4):
                merge_runs([many], store)
                write_snapshot(store, folder)
                seen.add(reader.stdout.readline())
                store.undo("r2")
                write_snapshot(store, folder)
                seen.add(reader.stdout.readline())
            stop.touch()
            seen |= set(reader.stdout)
    # Of SONY alone, and with 300 listings of a category and a brand each; the branch of the category is said once.
    assert seen <= {"1 14\n", f"301 {14 + 300 * 2 + 2}\n"}
    assert len(seen) == 2


# ---- files that cannot be written


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """As on a disk that is full: no file grows larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_merge_on_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, file: Path) -> None:
    run = write_many(tmp_path, "r2", 2000)
    with DuckDBStore(file, read_only=True) as store:
        before = snapshot(store)
    with largest_file(100_000):
        code, out, err = graph("merge", run, "--graph", file)
    assert (code, out) == (3, "")
    assert (
        err
        == f"{file}: no space left on its disk; free some and run the same command again, nothing is lost\n"
    )
    assert graph("check", "--graph", file)[0] == 0
    with DuckDBStore(file, read_only=True) as store:
        assert snapshot(store)["statements"] == before["statements"]
    assert graph("merge", run, "--graph", file)[0] == 0
    assert json.loads(graph("stats", "--graph", file, "--json")[1])["nodes"]["Product"] == 2001


@contextmanager
def nobody() -> Iterator[None]:
    """As a user for whom a file's mode counts: root is none."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_graph_that_may_only_be_read_is_read(file: Path) -> None:
    # In a folder that others may look into.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        copy = folder / "g.duckdb"
        shutil.copy(file, copy)
        copy.chmod(0o444)
        with nobody():
            assert graph("show", "x", "--graph", copy)[0] == 0
            for command in (["undo", "r1"], ["assert", "x", "has_brand", "LG"]):
                code, out, err = graph(*command, "--graph", copy)
                assert (code, out, err.count("\n")) == (3, "", 1)
                assert "this user has no permission for it" in err
            code, _, err = graph("snapshot", folder / "s", "--graph", copy)
            assert (code, err.count("\n")) == (3, 1)


HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_who_comes_while_another_process_writes_is_told(tmp_path: Path, file: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        merge = ["merge", tmp_path / "r1"]
        for command in (merge, ["undo", "r1"], ["assert", "x", "has_brand", "LG"], ["stats"]):
            code, out, err = graph(*command, "--graph", file)
            assert (code, out, err.count("\n")) == (3, "", 1)
            assert f"process {holder.pid} " in err
    assert graph("check", "--graph", file)[0] == 0


# ---- files of others, and what is asked of a graph


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("text", 2, "no DuckDB file"),
        ("empty", 2, "no DuckDB file"),
        ("cut", 3, "is cut short or damaged; restore a copy"),
        ("other", 2, "a DuckDB file of something else"),
        ("newer", 2, "made by a newer version of this package; upgrade to read it"),
        ("folder", 2, "no DuckDB file"),
        ("nowhere/g", 2, "nowhere/g: "),
    ],
)
def test_a_file_that_is_no_graph_of_ours_is_told_and_left_alone(
    tmp_path: Path, file: Path, name: str, code: int, message: str
) -> None:
    import duckdb

    found = tmp_path / name
    if name == "text":
        found.write_text("no database\n" * 1000)
    elif name == "empty":
        found.touch()
    elif name == "cut":
        found.write_bytes(file.read_bytes()[:20_000])
    elif name == "folder":
        found.mkdir()
    elif name in ("other", "newer"):
        shutil.copy(file, found)
        with duckdb.connect(str(found)) as connection:
            connection.execute(
                "DROP TABLE graph_format" if name == "other" else "UPDATE graph_format SET version = 99"
            )
    before = found.read_bytes() if found.is_file() else None
    for command in (
        ["stats"],
        ["merge", tmp_path / "r1"],
        ["undo", "r1"],
        ["check"],
        ["snapshot", tmp_path / "s"],
    ):
        told = graph(*command, "--graph", found)
        assert told[:2] == (code, "")
        assert told[2].count("\n") == 1
        assert message in told[2]
    assert (found.read_bytes() if found.is_file() else None) == before
    assert not (tmp_path / "s").exists()


ENDLESS = "SELECT count(*) FROM range(100000000) AS a, range(100000000) AS b"


def test_a_query_that_does_not_end_is_ended(file: Path) -> None:
    told = graph("query", ENDLESS, "--graph", file, "--timeout", "0.2")
    assert told == (2, "", "query: not done after 0.2 s; ask for less or give more time\n")
    assert graph("query", "SELECT 1", "--graph", file, "--timeout", "0.2")[0] == 0


# ---- Ctrl-C

# DuckDB makes the file when it begins to work; then the graph is there to go on with.
COPY = f"""
import signal, sys
from pathlib import Path
from extractor.graph.stores.duckdb import DuckDBStore
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
with DuckDBStore(Path(sys.argv[1])) as store:
    try:
        store.copy_to_csv("{ENDLESS}", Path(sys.argv[2]))
    except KeyboardInterrupt:
        print("stopped;", store.stats()["runs"], "run")
"""


def test_ctrl_c_is_heard_while_duckdb_works(tmp_path: Path, file: Path) -> None:
    copy = tmp_path / "endless.csv"
    command = [sys.executable, "-c", COPY, str(file), str(copy)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not copy.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        try:
            told = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, *told) == (0, "stopped; 1 run\n", "")


@pytest.fixture
def ctrl_c() -> Iterator[Timer]:
    """Pressed soon after it is started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    yield timer
    timer.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.query(ENDLESS),
        lambda store: list(store.rows(ENDLESS)),
        lambda store: list(store.query("FROM range(10000000000)", timeout_s=600)[1]),
    ],
)
def test_ctrl_c_ends_a_query(file: Path, ctrl_c: Timer, ask: Callable[[DuckDBStore], object]) -> None:
    with DuckDBStore(file, read_only=True) as store:
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.start()
            ask(store)
        assert store.stats()["runs"] == 1


def test_ctrl_c_in_the_middle_of_a_merge_keeps_the_batches_before(tmp_path: Path, ctrl_c: Timer) -> None:
    facts = [facts_of(outcome(f"x{n}", "Sony TV"), "r", TARGETS) for n in range(3)]

    def endless() -> Iterator[ProductFacts]:
        for each in facts:
            assert each is not None
            yield each
        ctrl_c.start()
        while True:
            time.sleep(0.01)

    with DuckDBStore(tmp_path / "g.duckdb", batch_statements=1) as store:
        store.add_run("r", {}, SCHEMAS)
        with pytest.raises(KeyboardInterrupt):
            store.merge("r", endless())
        assert [*store.rows("SELECT count(*) AS listings FROM listings")] == [{"listings": 3}]
        assert list(problems(store)) == []
