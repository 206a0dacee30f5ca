"""What the pipeline adds to the engine: products/s of a run against the engine alone, model loaded.

A first run records the requests that it makes. Then, in turn and in one process: the same run again, and the engine
alone with all of these requests, prompts and grammars ready, in one call. Prints a JSON line with the times of both
and the ratio of the best. Wants the machine to itself.

    python eval/bench/overhead.py ../shared/data/catalogue/bestbuy.jsonl.gz --limit 2000
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from extractor.config import RunConfig
from extractor.engines import Engine, ModelInfo, open_engine
from extractor.records import Completion, Message, Request
from extractor.run import run


class Recording:
    """An Engine that keeps what another one is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.requests: list[Request] = []
        self.calls = 0
        # In `generate`.
        self.seconds = 0.0

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def model(self) -> ModelInfo:
        return self._engine.model

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        return self._engine.count_tokens(prompt)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        started = time.perf_counter()
        completions = self._engine.generate(requests)
        self.seconds += time.perf_counter() - started
        self.requests += requests
        self.calls += bool(requests)
        return completions

    def close(self) -> None:
        self._engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("feed")
    parser.add_argument("--limit", type=int, default=2000, help="records of the feed")
    parser.add_argument("--model", help="model folder; default: the embedded model")
    parser.add_argument("--batch-size", type=int, default=RunConfig.model_fields["batch_size"].default)
    parser.add_argument("--rounds", type=int, default=3, help="how often both are timed")
    options = parser.parse_args()
    engine = open_engine("vllm", model=options.model)
    try:
        figures = compare(engine, options.feed, options.limit, options.batch_size, options.rounds)
    finally:
        engine.close()
    command = shlex.join(["python", "eval/bench/overhead.py", *sys.argv[1:]])
    print(json.dumps({"bench": "overhead", **figures, "command": command}))


def compare(engine: Engine, feed: str, limit: int, batch_size: int, rounds: int) -> dict[str, Any]:
    recorded = Recording(engine)
    timed_run(recorded, feed, limit, batch_size)
    run_s, in_engine_s, alone_s = [], [], []
    for number in range(rounds):
        # Whoever comes second profits from a warm machine, so take turns.
        for what in ("run", "alone") if number % 2 == 0 else ("alone", "run"):
            forget_prompts(engine)
            if what == "alone":
                alone_s.append(timed_alone(engine, recorded.requests))
            else:
                watched = Recording(engine)
                run_s.append(timed_run(watched, feed, limit, batch_size))
                in_engine_s.append(watched.seconds)
    return {
        "products": len({request.id for request in recorded.requests}),
        "requests": len(recorded.requests),
        "calls": recorded.calls,
        "batch_size": batch_size,
        "run_s": [round(s, 1) for s in run_s],
        "run_in_engine_s": [round(s, 1) for s in in_engine_s],
        "engine_alone_s": [round(s, 1) for s in alone_s],
        "run_products_per_s": round(limit / min(run_s), 1),
        # Of the best rounds: whatever else the machine did only made the others slower.
        "ratio": round(min(alone_s) / min(run_s), 3),
    }


def timed_run(engine: Engine, feed: str, limit: int, batch_size: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            feeds=(feed,),
            out=Path(folder) / "run",
            limit=limit,
            batch_size=batch_size,
            # All is to be asked of the engine.
            policy="decode-all",
        )
        started = time.perf_counter()
        run(config, engine=engine)
        return time.perf_counter() - started


def timed_alone(engine: Engine, requests: Sequence[Request]) -> float:
    started = time.perf_counter()
    engine.generate(requests)
    return time.perf_counter() - started


def forget_prompts(engine: Any) -> None:
    """Neither is to profit from prompts that vLLM has seen before."""
    assert engine._llm.reset_prefix_cache()


if __name__ == "__main__":
    main()
