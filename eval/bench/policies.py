"""Products/s of a whole run under each policy, with the embedded model loaded; the proposer is loaded by each run.

python eval/bench/policies.py ../shared/data/catalogue/flipkart20k.jsonl.gz --limit 1000
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

from extractor.config import RunConfig
from extractor.engines import open_engine
from extractor.records import Policy
from extractor.run import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("feed")
    parser.add_argument("--limit", type=int, default=1000, help="records of the feed")
    options = parser.parse_args()
    command = shlex.join(["python", "eval/bench/policies.py", *sys.argv[1:]])
    engine = open_engine("vllm")
    try:
        # The first pass warms up what all share.
        for policy in ("propose-only", *get_args(Policy)):
            with tempfile.TemporaryDirectory() as folder:
                config = RunConfig(
                    feeds=(options.feed,), out=Path(folder) / "run", limit=options.limit, policy=policy
                )
                started = time.perf_counter()
                summary = run(config, engine=engine)
                seconds = time.perf_counter() - started
            figures = {
                "policy": policy,
                "products": summary.outcomes,
                "products_per_s": round(summary.outcomes / seconds, 1),
                "usage": summary.usage,
            }
            print(json.dumps({"bench": "policies", **figures, "command": command}), flush=True)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
