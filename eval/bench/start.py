"""How long the command takes to say something: the price of importing what is not needed.

Starts `extractor --help` and `python -c "import extractor"` several times, each in a fresh process with its files in
the page cache, and prints a JSON line with the median wall-clock and user seconds of each.

    python eval/bench/start.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

COMMANDS = {
    "extractor --help": ["-m", "extractor", "--help"],
    "import extractor": ["-c", "import extractor"],
    "python alone": ["-c", "pass"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    for name, arguments in COMMANDS.items():
        started(arguments)
        wall_s, user_s = zip(*(started(arguments) for _ in range(times)), strict=True)
        figures = {
            "wall_s": round(statistics.median(wall_s), 3),
            "user_s": round(statistics.median(user_s), 3),
            "command": f"python eval/bench/start.py --times {times}",
        }
        print(json.dumps({"bench": "start", "what": name, **figures}))


def started(arguments: Sequence[str]) -> tuple[float, float]:
    """Wall-clock and user seconds of one process."""
    user, wall = os.times().children_user, time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - wall, os.times().children_user - user


if __name__ == "__main__":
    main()
