"""How a graph grows: bulk load against a bare COPY, a nightly delta, memory; on synthetic listings from a seed.

For each size the store merges the facts of one run as `extractor graph merge` has it do, then those of a second run of
10,000 listings, half of them known, with other values. All facts are there before the clock starts, so that nothing is
done while they are made; in another process they are made as they are merged, and its memory is the one that is told.
The bare load is DuckDB's COPY of the very same rows, from CSV and from Parquet, into tables without constraints, then a
unique index on the ids of statements and nodes, with as many threads. Of each kind of load the fastest of three counts.
Prints a JSON line a size. Ratios within one run hold on a busy machine better than seconds do.

    python eval/bench/graph_scale.py                # 100,000, 300,000 and 1,000,000 statements
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import duckdb

from extractor.graph.statements import ProductFacts, facts_of
from extractor.graph.stores.arrow import BATCH, batches
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.targets import Targets
from extractor.records import AttributeValue, CategoryChoice, MadeBy, Outcome, Span
from extractor.schema_set import shipped_schemas

SIZES = (100_000, 300_000, 1_000_000)
SEED = 1
DELTA_LISTINGS = 10_000
# Loads of each kind, of which the fastest counts.
REPEATS = 3
TABLES = ("statements", "nodes", "listings")
COLORS = ("black", "white", "red", "blue", "green", "grey", "silver", "gold")
MADE_BY = MadeBy(prompt="attributes@v1", schema="electronics.tvs", model="synthetic")
# Goals of the project.
GOALS = {"ratio_csv": 2.0, "ratio_parquet": 2.0, "delta_s": 5.0, "peak_mb": 2000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="statements of the graphs")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(CHILDREN[options.child](options.sizes[0], Path(folder))))
    else:
        compare(options.sizes)


def compare(sizes: Sequence[int]) -> None:
    first_us = 0.0
    for size in sizes:
        figures = {}
        for child in CHILDREN:
            command = [sys.executable, __file__, str(size), "--child", child]
            figures |= json.loads(
                subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            )
        each_us = 1e6 * figures["bulk_cpu_s"] / figures["statements"]
        first_us = first_us or each_us
        figures |= {"cpu_us_per_statement": round(each_us, 1), "growth": round(each_us / first_us, 2)}
        met = {name: figures[name] <= goal for name, goal in GOALS.items()}
        command_line = f"python eval/bench/graph_scale.py {size}"
        print(
            json.dumps({"bench": "graph_scale", **figures, "met": met, "command": command_line}), flush=True
        )


def seconds(size: int, folder: Path) -> dict[str, Any]:
    """Wall-clock and CPU seconds of one size."""
    gc.disable()  # as merge_runs has it
    targets = Targets(shipped_schemas())
    graph = folder / "graph.duckdb"
    facts = list(listings_of(size, targets, "bulk"))
    bulk_s, bulk_cpu_s = fastest(lambda: load(empty(graph), "bulk", facts))
    arrow_cpu_s = to_arrow(facts)
    with DuckDBStore(graph, read_only=True) as store:
        statements = store.stats()["statements"]
    files = {form: written(graph, folder, form) for form in ("csv", "parquet")}
    csv_s, csv_cpu_s = fastest(lambda: copied(files["csv"], empty(folder / "bare.duckdb")))
    parquet_s, parquet_cpu_s = fastest(lambda: copied(files["parquet"], empty(folder / "bare.duckdb")))
    delta = list(delta_after(len(facts), targets))
    delta_s, delta_cpu_s = load(graph, "delta", delta)
    again_s, _ = load(graph, "delta", delta)
    return {
        "statements": statements,
        "listings": len(facts),
        "bulk_s": round(bulk_s, 1),
        "bulk_cpu_s": round(bulk_cpu_s, 1),
        "arrow_cpu_s": round(arrow_cpu_s, 1),
        "copy_csv_s": round(csv_s, 1),
        "copy_parquet_s": round(parquet_s, 1),
        "ratio_csv": round(bulk_s / csv_s, 2),
        "ratio_parquet": round(bulk_s / parquet_s, 2),
        "cpu_ratio_csv": round(bulk_cpu_s / csv_cpu_s, 2),
        "cpu_ratio_parquet": round(bulk_cpu_s / parquet_cpu_s, 2),
        "delta_s": round(delta_s, 2),
        "delta_cpu_s": round(delta_cpu_s, 2),
        "delta_again_s": round(again_s, 2),
        "file_mb": round(graph.stat().st_size / 1e6),
    }


def fastest(load: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of the load that other processes disturbed least."""
    return min(load() for _ in range(REPEATS))


def empty(file: Path) -> Path:
    """Where a load begins anew."""
    file.unlink(missing_ok=True)
    return file


def memory(size: int, folder: Path) -> dict[str, Any]:
    """Peak memory of one size, facts made as they are merged."""
    targets = Targets(shipped_schemas())
    graph = folder / "graph.duckdb"
    load(graph, "bulk", listings_of(size, targets, "bulk"))
    after_bulk = peak_mb()
    with DuckDBStore(graph, read_only=True) as store:
        known = store.stats()["nodes"]["Product"]
    load(graph, "delta", delta_after(known, targets))
    return {"peak_mb_after_bulk": after_bulk, "peak_mb": peak_mb()}


CHILDREN = {"seconds": seconds, "memory": memory}


def load(graph: Path, run_id: str, facts: Iterable[ProductFacts]) -> tuple[float, float]:
    """Merge a run as merge_runs does; wall-clock and CPU seconds from opening the store to closing it."""
    created = "2026-01-01" if run_id == "bulk" else "2026-01-02"
    with Clock() as clock, DuckDBStore(graph) as store:
        store.add_run(run_id, {"run_id": run_id, "created": created}, shipped_schemas())
        store.merge(run_id, facts)
        store.settle()
    return clock.wall_s, clock.cpu_s


def to_arrow(facts: Iterable[ProductFacts]) -> float:
    """CPU seconds of the load that Python's rows take to become Arrow's, which COPY's are."""
    with Clock() as clock:
        deque(batches("bulk", facts, BATCH), maxlen=0)
    return clock.cpu_s


class Clock:
    """The seconds of its block."""

    wall_s = cpu_s = 0.0

    def __enter__(self) -> Self:
        self.started, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc: object) -> None:
        self.wall_s = time.perf_counter() - self.started
        self.cpu_s = time.process_time() - self.cpu


def listings_of(statements: int, targets: Targets, run_id: str) -> Iterator[ProductFacts]:
    """Listings until they have so many statements."""
    left = statements
    for facts in listings_from(0, statements, targets, run_id):
        if left <= 0:
            return
        left -= len(facts.statements)
        yield facts


def delta_after(listings: int, targets: Targets) -> Iterator[ProductFacts]:
    """Of a later run: half known, half new."""
    return listings_from(listings - DELTA_LISTINGS // 2, DELTA_LISTINGS, targets, "delta")


def listings_from(first: int, count: int, targets: Targets, run_id: str) -> Iterator[ProductFacts]:
    for number in islice(range(first, first + count), count):
        facts = facts_of(outcome(number, random.Random(f"{SEED} {run_id} {number}")), run_id, targets)
        assert facts is not None
        yield facts


def outcome(number: int, rng: random.Random) -> Outcome:
    """A listing with a brand, a color, a model, a size, a price and a seller."""
    brand, color, model = f"Brand{number % 997}", rng.choice(COLORS), f"M{number}"
    words = {"brand": brand, "color": color, "model_number": model, "size": f"{rng.randrange(10, 99)} cm"}
    title, values = "", []
    for attribute, word in words.items():
        span = Span(len(title), len(title) + len(word))
        values.append(AttributeValue(attribute, word, word, None, span, "title", "span", 0.9))
        title += f"{word} "
    leaf = number % 53
    category = CategoryChoice(f"electronics.leaf{leaf}", ("Electronics", f"Leaf {leaf}"), 0.8)
    feed = {"facts": {"price": f"{rng.randrange(1, 999)}.99", "merchant": f"Shop {number % 31}"}}
    return Outcome(
        f"p{number}",
        f"{rng.getrandbits(64):x}",
        "feed",
        title.rstrip(),
        "",
        category,
        tuple(values),
        (),
        feed,
        made_by=MADE_BY,
    )


def written(graph: Path, folder: Path, form: str) -> dict[str, Path]:
    """Table -> file of the rows that the graph has of it, and beside it an empty one that knows its types."""
    with duckdb.connect(str(graph), read_only=True) as connection:
        for name in TABLES:
            connection.execute(f"COPY {name} TO '{folder / name}.{form}'")
            connection.execute(f"COPY (SELECT * FROM {name} LIMIT 0) TO '{folder / name}-empty.parquet'")
    return {name: folder / f"{name}.{form}" for name in TABLES}


def copied(files: Mapping[str, Path], database: Path) -> tuple[float, float]:
    """Wall-clock and CPU seconds of COPY and index."""
    with duckdb.connect(str(database), config={"threads": "2"}) as connection:
        for name, file in files.items():
            connection.execute(f"CREATE TABLE {name} AS FROM '{file.with_name(name)}-empty.parquet'")
        with Clock() as clock:
            for name, file in files.items():
                connection.execute(f"COPY {name} FROM '{file}'")
            for name in ("statements", "nodes"):
                connection.execute(f"CREATE UNIQUE INDEX {name}_id ON {name} (id)")
            connection.execute("CHECKPOINT")
        return clock.wall_s, clock.cpu_s


def peak_mb() -> int:
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 if sys.platform == "linux" else 1
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


if __name__ == "__main__":
    main()
