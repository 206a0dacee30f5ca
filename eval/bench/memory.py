"""Time and memory of everything but the model, on feeds that grow: both must not depend on the feed's length.

A synthetic feed of our own categories goes through `extractor run` with the scripted engine, its report and its
merge into a graph, once for each size, each in a process of its own. Prints a JSON line a size: seconds, products/s,
peak resident memory, and the time of a line relative to the first size. CPU time hardly depends on what else the
machine does; wall-clock time does.

    python eval/bench/memory.py                          # 100,000, 300,000 and 1,000,000 lines
    python eval/bench/memory.py 20000 --profile run.prof # where the time goes, for cProfile's readers
"""

from __future__ import annotations

import argparse
import cProfile
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

from extractor.config import RunConfig
from extractor.engines import ModelInfo
from extractor.engines.scripted import ScriptedEngine
from extractor.graph.merge import merge_runs
from extractor.graph.stores import open_store
from extractor.records import Request
from extractor.report import write_report
from extractor.run import run
from extractor.training.synthesize import Synthesizer, listing, product_type

SIZES = (100_000, 300_000, 1_000_000)
SEED = 1
# Of ten products so many get an answer that states something.
ANSWERED = 7
STEPS = ("run", "report", "merge")
# The embedded model's prompts: the ones that most runs use.
MODEL = ModelInfo(
    "scripted", "scripted", 4096, {task: f"{task}@embedded-v1" for task in ("route", "attributes", "repair")}
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="lines of the feeds")
    parser.add_argument("--profile", type=Path, help="write a profile of the last size")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.profile)))
    else:
        compare(options.sizes, options.profile)


def compare(sizes: Sequence[int], profile: Path | None) -> None:
    first_us: dict[str, float] = {}
    for lines in sizes:
        with tempfile.TemporaryDirectory() as folder:
            feed = Path(folder) / "feed.jsonl"
            write_feed(feed, lines)
            figures = in_a_child(feed, profile)
        line_us = {clock: 1e6 * figures[f"{clock}_s"] / lines for clock in ("wall", "cpu")}
        first_us = first_us or line_us
        for clock, us in line_us.items():
            figures[f"{clock}_us_per_line"] = round(us)
            figures[f"{clock}_us_ratio"] = round(us / first_us[clock], 2)
        command = f"python eval/bench/memory.py {lines}"
        print(json.dumps({"bench": "memory", "lines": lines, **figures, "command": command}), flush=True)


def write_feed(path: Path, lines: int) -> None:
    """The first lines of one endless feed: a longer one begins like a shorter one."""
    rng, synthesizer = random.Random(SEED), Synthesizer.shipped()
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            leaf = rng.choice(synthesizer.leaves)
            kind = product_type(leaf.path[-1], leaf.synonyms, rng)
            text, _ = listing(synthesizer.store.for_category(leaf.id), kind, synthesizer.brand(rng), rng)
            title, _, description = text.partition("\n")
            row = {"id": f"p{number}", "title": title, "description": description, "price": f"{number % 997}"}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def in_a_child(feed: Path, profile: Path | None) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(feed)]
    command += ["--profile", str(profile)] if profile else []
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(feed: Path, profile: Path | None) -> dict[str, Any]:
    """What one run costs this process."""
    profiler = cProfile.Profile() if profile else None
    with profiler or nullcontext():
        figures = timed_run(feed, feed.parent / "run", feed.parent / "graph.duckdb")
    if profiler and profile:
        profiler.dump_stats(profile)
    return figures


def timed_run(feed: Path, out: Path, graph: Path) -> dict[str, Any]:
    """The steps of `extractor run FEED --out OUT --graph GRAPH`: CPU seconds of each, peak memory up to its end."""
    engine = ScriptedEngine(answer, model=MODEL, keep_calls=False)
    started, costs = time.perf_counter(), [cost()]
    summary = run(RunConfig(feeds=(str(feed),), out=out), engine=engine)
    costs.append(cost())
    write_report(out)
    costs.append(cost())
    with open_store(graph) as store:
        (merged,) = merge_runs([out], store)
    costs.append(cost())
    wall_s, cpu = time.perf_counter() - started, [seconds for seconds, _ in costs]
    return {
        "wall_s": round(wall_s, 1),
        "products_per_s": round(summary.outcomes / wall_s),
        "cpu_s": round(cpu[-1] - cpu[0], 1),
        "peak_mb": costs[-1][1],
        "cpu_s_of": dict(zip(STEPS, (round(end - start, 1) for start, end in pairwise(cpu)), strict=True)),
        "peak_mb_after": dict(zip(STEPS, (peak_mb for _, peak_mb in costs[1:]), strict=True)),
        "values": summary.values,
        "rejections": sum(summary.rejections.values()),
        "statements": merged.change.added,
    }


def cost() -> tuple[float, int]:
    """CPU seconds and peak megabytes of this process up to now."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 if sys.platform == "linux" else 1
    return time.process_time(), round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def answer(request: Request) -> str:
    """For most products the first words as brand and the last as product type; the first option of a choice."""
    if options := request.constraint.json_schema.get("enum"):
        return json.dumps(options[0], ensure_ascii=False)
    if zlib.crc32(request.id.encode()) % 10 >= ANSWERED:
        return "{}"
    assert isinstance(request.prompt, str)
    words = request.prompt.rpartition("<|text|>")[2].removesuffix("<|json|>").split("\n")[0].split(" ")
    return json.dumps({"brand": words[0], "product_type": words[-1]}, ensure_ascii=False)


if __name__ == "__main__":
    main()
