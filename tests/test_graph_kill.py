"""kill -9 while a graph is written: it is as after the last write that was acknowledged, or the one that was going on.

Run as a program, `test_graph_kill.py FOLDER KILLS SEED` is the killer: a small process that has everything imported, so
that a session is a fork and not the start of an interpreter. It opens no graph itself, because DuckDB's threads do not
survive a fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from test_graph import TARGETS, outcome, pair, said, snapshot, word

from extractor.graph.check import problems
from extractor.graph.statements import ProductFacts, facts_of, gathered
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.schema_set import shipped_schemas

KILLS = 22
# Listings of one write, and writes of a run.
LISTINGS, BATCHES = 30, 4

Write = Callable[[DuckDBStore], object]


def batch(run: str, number: int) -> list[ProductFacts]:
    """Listings of which runs and feed and text disagree about the brand."""
    found = []
    for index in range(number * LISTINGS, (number + 1) * LISTINGS):
        brand = "Sony" if (index + len(run)) % 3 else "LG"
        title = f"{brand} TV {index} inch"
        read = [said("brand", brand, title), said("screen_size", f"{index} inch", title)]
        facts = facts_of(outcome(str(index), title, *read, feed={"brand": "LG"}), run, TARGETS)
        assert facts is not None
        found.append(facts)
    return found


def writes(*, at_once: bool = False) -> list[Write]:
    """What a graph is told, one transaction each: runs, matches, a person's words, and some of it taken back.

    Args:
        at_once: A merge goes on to the last batch of its run, however many transactions that takes.
    """

    def merging(run: str, number: int) -> Write:
        numbers = range(number, BATCHES if at_once else number + 1)
        return lambda store: store.merge(run, (facts for n in numbers for facts in batch(run, n)))

    def beginning(run: str) -> Write:
        return lambda store: store.add_run(run, {"created": run}, shipped_schemas())

    def stating(run: str, *what: Any, replacing: tuple[str, ...] = ()) -> Write:
        return lambda store: store.state(run, {"created": run}, gathered(what), replacing)

    def undoing(run: str) -> Write:
        return lambda store: store.undo(run)

    chain, again = ([pair(str(n), str(n + 1), run=run) for n in range(30)] for run in ("m1", "m2"))
    return [
        beginning("r1"),
        *(merging("r1", number) for number in range(BATCHES)),
        *(stating("m1", *chain), stating("p1", word("3", "brand:hp", "p1", "assert"))),
        *(beginning("r22"), *(merging("r22", number) for number in range(BATCHES))),
        *(stating("m1", *chain[5:]), stating("m2", *again[:20], replacing=("m1",))),
        *(undoing("p1"), undoing("r1"), undoing("m2")),
    ]


def digest(store: DuckDBStore) -> str:
    return blake2b(repr(snapshot(store)).encode()).hexdigest()


# --- the killer


class Killer:
    """Starts sessions that go on with the writes, and ends them at random moments."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        started = time.monotonic()
        # Number of writes -> what the graph is like after them.
        self.expected = self.in_child(lambda: self.undisturbed(folder / "whole.duckdb"))
        self.whole_s = time.monotonic() - started

    def undisturbed(self, file: Path) -> list[str]:
        with DuckDBStore(file) as store:
            found = [digest(store)]
            for write in writes():
                write(store)
                found.append(digest(store))
        return found

    def kill_often(self, kills: int) -> dict[str, int]:
        """Until so many sessions were killed; how many graphs that took."""
        killed = graphs = 0
        while killed < kills:
            file = self.folder / f"g{graphs}.duckdb"
            graphs += 1
            done = 0
            while done < len(self.expected) - 1:
                was_killed, acknowledged = self.session(file, done, is_killed=killed < kills)
                now = self.in_child(lambda file=file: self.found(file))
                assert acknowledged <= now <= acknowledged + BATCHES, (
                    f"{file}: {acknowledged} acknowledged, {now} there"
                )
                killed += was_killed
                done = now
        return {"graphs": graphs, "killed": killed}

    def found(self, file: Path) -> int:
        """How many writes the graph knows; it is exactly as after them, and nothing is wrong with it."""
        with DuckDBStore(file) as store:
            wrong = list(problems(store))
            assert not wrong, wrong
            return self.expected.index(digest(store))

    def session(self, file: Path, done: int, *, is_killed: bool) -> tuple[bool, int]:
        """Whether the session was killed: it may be through before; and how many writes it acknowledged."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            self.as_child(lambda: self.go_on(file, done, writing))
        os.close(writing)
        if is_killed:
            time.sleep(self.random.uniform(0, self.whole_s / 4))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with os.fdopen(reading, "rb") as pipe:
            acknowledged = len(pipe.read())
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
        return os.WIFSIGNALED(status), done + acknowledged

    def go_on(self, file: Path, done: int, pipe: int) -> None:
        # The next batch is made while the last is written, as long as a merge lasts.
        size = sum(len(facts.statements) for facts in batch("r1", 0))
        with DuckDBStore(file, batch_statements=size) as store:
            for write in writes(at_once=True)[done:]:
                write(store)
                os.write(pipe, b".")

    def in_child(self, what: Callable[[], Any]) -> Any:
        """Its result, through a file."""
        answer = self.folder / "answer.json"
        if pid := os.fork():
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            return json.loads(answer.read_text())
        return self.as_child(lambda: answer.write_text(json.dumps(what())))

    def as_child(self, what: Callable[[], object]) -> None:
        code = 1
        try:
            what()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def main(folder: Path, kills: int, seed: int) -> None:
    (folder / "found.json").write_text(json.dumps(Killer(folder, seed).kill_often(kills)))


def test_a_graph_whose_writer_is_killed_is_as_before_or_after_the_write(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    command = [sys.executable, __file__, str(tmp_path), str(KILLS), str(seed)]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    found = json.loads((tmp_path / "found.json").read_text())
    record_testsuite_property("graph_kills", {"seed": seed, **found})
    assert found["killed"] >= KILLS


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
