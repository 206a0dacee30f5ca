"""kill -9 at any moment: the same command goes on, and in the end nothing tells that anything happened.

Run as a program, `test_kill.py FOLDER KILLS SEED` is the killer: a small process that has everything imported,
so that a session is a fork and not the start of an interpreter.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow.parquet as pq
import pytest

from extractor.config import RunConfig
from extractor.graph.merge import merge_runs
from extractor.graph.stores import open_store
from extractor.journal import read_manifest, read_outcomes
from extractor.records import Outcome
from extractor.report import write_report
from extractor.run import run
from extractor.schema_set import shipped_schemas

KILLS = 100
PRODUCTS = 60
# Sessions of one run that are killed, at most.
KILLS_OF_A_RUN = 12
# Of the kills, how many leave half a line behind; the system hardly ever stops in the middle of a write.
TORN_SHARE = 0.1


def write_feed(folder: Path) -> None:
    """Listings with values, with rejections and with a repair; a broken line, and ids that come again."""
    rows: list[Any] = [{"id": str(n), "title": f"Sony TV {n} inch"} for n in range(PRODUCTS)]
    rows[20:20] = ["no product", {"id": "3", "title": "Sony TV 3 inch"}, {"id": "4", "title": "Another TV"}]
    answers = [
        {"id": str(n), "text": f'{{"brand":"Sony","screen_size":"{n} inch"}}'} for n in range(0, PRODUCTS, 2)
    ]
    answers += [{"id": str(n), "text": '{"brand":"Samsung"}'} for n in range(1, PRODUCTS, 6)]
    answers += [
        {"id": str(n), "text": text} for n in range(3, PRODUCTS, 6) for text in ("{", '{"brand":"Sony"}')
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    (folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # Of a shipped category, as loading all of them takes longer than all the rest of a session.
    televisions = {"id": "electronics.tv_video.televisions", "path": ["Television"], "synonyms": ["tv"]}
    (folder / "taxonomy.jsonl").write_text(json.dumps(televisions) + "\n")


def settings(folder: Path, name: str) -> RunConfig:
    return RunConfig(
        feeds=(str(folder / "feed.jsonl"),),
        out=folder / name,
        graph=folder / f"{name}.duckdb",
        taxonomy=folder / "taxonomy.jsonl",
        engine="scripted",
        model=str(folder / "answers.jsonl"),
        batch_size=4,
    )


# --- the killer


class Killer:
    """Starts sessions and ends them at random moments."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        # Likewise.
        shipped_schemas()
        # What sessions were doing when they were killed -> how often.
        self.killed: Counter[str] = Counter()
        self.torn = 0
        self.undisturbed_s, self.done_s = (self.timed(settings(folder, "undisturbed")) for _ in range(2))
        # A journal may be a little smaller: the seconds in it have fewer digits.
        self.journal_bytes = 0.98 * size_of(folder / "undisturbed" / "outcomes.jsonl")

    def timed(self, config: RunConfig) -> float:
        started = time.monotonic()
        self.end(self.start(config))
        return time.monotonic() - started

    def kill_often(self, kills: int) -> int:
        """Until so many sessions were killed; how many runs that took."""
        runs = 0
        while self.killed.total() < kills:
            config = settings(self.folder, f"run{runs}")
            runs += 1
            allowed = min(self.random.randint(1, KILLS_OF_A_RUN), kills - self.killed.total())
            # A session that is through before it is killed ends its run.
            if all(self.kill_one(config) for _ in range(allowed)):
                self.end(self.start(config))
        return runs

    def kill_one(self, config: RunConfig) -> bool:
        """Whether the session was killed: it may be through before."""
        started = time.time()
        pid = self.start(config)
        self.wait(config, pid, started)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0, self.log()
            return False
        self.killed[doing(config, started)] += 1
        if self.random.random() < TORN_SHARE:
            self.tear(config.out / "outcomes.jsonl")
        return True

    def wait(self, config: RunConfig, pid: int, started: float) -> None:
        """Until a random moment: of the start, of the work, of what comes after it, or of the merge at its end."""
        moment = self.random.choice(["start", "work", "work", "after", "merge"])
        if moment == "start":
            return time.sleep(self.random.uniform(0, self.done_s / 2))
        if moment == "merge":
            while doing(config, started) != "merge" and is_running(pid):
                time.sleep(0.0002)
            return time.sleep(self.random.uniform(0, self.done_s / 5))
        # What an earlier session wrote is there from the start.
        journal = config.out / "outcomes.jsonl"
        there = self.journal_bytes if moment == "after" else size_of(journal)
        written = self.random.uniform(there, self.journal_bytes)
        while size_of(journal) < written and is_running(pid):
            time.sleep(0.0002)
        return time.sleep(
            self.random.uniform(0, self.done_s if moment == "after" else self.undisturbed_s / 20)
        )

    def tear(self, journal: Path) -> None:
        """As if the last line had reached the disk in part."""
        content = journal.read_bytes() if journal.exists() else b""
        if content:
            last = len(content) - content[:-1].rfind(b"\n") - 1
            os.truncate(journal, len(content) - self.random.randint(1, last))
            self.torn += 1

    def start(self, config: RunConfig) -> int:
        """Fork a session: what `extractor run FEED --graph G` does, without its output."""
        if pid := os.fork():
            return pid
        code = 1
        try:
            run(config)
            write_report(config.out)
            assert config.graph
            with open_store(config.graph) as store:
                merge_runs([config.out], store)
            code = 0
        except BaseException as error:
            (self.folder / "log").write_text(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(code)

    def end(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, self.log()

    def log(self) -> str:
        return (self.folder / "log").read_text()


def doing(config: RunConfig, started: float) -> str:
    """What a session was at, by what it had written."""
    fresh: set[str] = set()
    for path in config.out.glob("*"):
        with suppress(FileNotFoundError):
            fresh |= {path.name} if path.stat().st_mtime >= started else set()
    for file, what in (
        ("report.html", "merge"),
        ("summary.json", "report"),
        (".outcomes.parquet.part", "finish"),
    ):
        if file in fresh:
            return what
    return "work" if "outcomes.jsonl" in fresh else "start"


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def is_running(pid: int) -> bool:
    """Without taking its exit status away."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def main(folder: Path, kills: int, seed: int) -> None:
    killer = Killer(folder, seed)
    runs = killer.kill_often(kills)
    found = {"runs": runs, "killed": killer.killed, "torn": killer.torn}
    (folder / "found.json").write_text(json.dumps(found))


# --- what is left in the end


def outcomes(folder: Path) -> list[Outcome]:
    """All that does not depend on the clock."""
    return [replace(o, usage=replace(o.usage, latency_s=0.0)) for o in read_outcomes(folder)]


def table(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "outcomes.parquet").to_pylist()
    for row in rows:
        row["usage"].pop("latency_s")
    return rows


def summary(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return {
        name: content[name]
        for name in ("products", "outcomes", "values", "rejections", "duplicates", "usage")
    }


def graph(file: Path) -> list[Any]:
    """Nodes, listings and statements, but for the ids of run and statement."""
    with duckdb.connect(str(file), read_only=True) as connection:
        queries = (
            "SELECT * FROM nodes ORDER BY ALL",
            "SELECT * EXCLUDE (run) FROM listings ORDER BY ALL",
            "SELECT * EXCLUDE (id, run) FROM statements ORDER BY ALL",
            "SELECT count(*) FROM runs",
        )
        return [connection.execute(query).fetchall() for query in queries]


def left(folder: Path) -> dict[str, Any]:
    """All that a run leaves in its folder and in the graph beside it."""
    return {
        "outcomes": outcomes(folder),
        "rejections": (folder / "rejections.jsonl").read_bytes(),
        "table": table(folder),
        "summary": summary(folder),
        "graph": graph(folder.with_suffix(".duckdb")),
        "finished": bool(read_manifest(folder)["finished"]),
        "in part": [path.name for path in folder.iterdir() if path.name.endswith(".part")],
    }


def test_a_run_that_was_killed_ends_as_if_nothing_had_happened(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    write_feed(tmp_path)
    seed = random.SystemRandom().randrange(10**6)
    subprocess.run([sys.executable, __file__, tmp_path, str(KILLS), str(seed)], check=True, timeout=500)
    found = json.loads((tmp_path / "found.json").read_text())
    record_testsuite_property("kills", {"seed": seed, **found})
    whole = left(tmp_path / "undisturbed")
    assert (len(whole["outcomes"]), whole["finished"], whole["in part"]) == (PRODUCTS + 1, True, [])
    for number in range(found["runs"]):
        assert left(tmp_path / f"run{number}") == whole
    # The moments were spread over all that a session does.
    assert sum(found["killed"].values()) == KILLS
    assert {"start", "work", "report", "merge"} <= set(found["killed"])


# --- the same with a real engine

DEMO = Path(str(files("extractor") / "demo" / "feed.jsonl"))


def session(out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "extractor", "run", str(DEMO), "--out", str(out), "--engine", "vllm"]
    # Proposer and language model both have a say.
    return subprocess.Popen(
        [*command, "--policy", "cascade", "--batch-size", "8"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_once(process: subprocess.Popen[bytes], is_time: Callable[[], object]) -> None:
    """With vLLM's own processes: the next session needs their memory."""
    while not is_time() and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def surfaces(folder: Path) -> set[tuple[str, str, str]]:
    return {
        (o.product_id, value.attribute, value.surface) for o in read_outcomes(folder) for value in o.values
    }


@pytest.mark.engine
def test_a_run_on_a_real_engine_that_was_killed_has_an_outcome_for_every_product(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    pytest.importorskip("vllm")
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert session(whole).wait() == 0
    written = random.uniform(0.1, 0.9) * size_of(whole / "outcomes.jsonl")
    # While vLLM starts its processes, and while they answer.
    starting = session(folder)
    kill_once(starting, psutil.Process(starting.pid).children)
    kill_once(session(folder), lambda: size_of(folder / "outcomes.jsonl") >= written)
    assert session(folder).wait() == 0
    ids = [outcome.product_id for outcome in read_outcomes(whole)]
    assert [outcome.product_id for outcome in read_outcomes(folder)] == ids
    # Batches are cut elsewhere, which may flip a near-tie.
    same, all_ = surfaces(whole) & surfaces(folder), surfaces(whole) | surfaces(folder)
    record_testsuite_property("share_of_equal_values", len(same) / len(all_))
    assert len(same) / len(all_) > 0.95


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
