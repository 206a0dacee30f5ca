"""Time and memory of matching, in one process, on real listings of which some come twice in other words.

Listings are drawn from the shops' catalogues of the data folder; four of ten are another one reworded
(extractor/match/reword.py). Prints a JSON line: seconds of all (CPU seconds hold
on a busy machine), peak resident memory, pairs by band,
and of the reworded pairs how many came together.

    python eval/bench/matching.py DATA             # 100,000 listings
    python eval/bench/matching.py DATA 20000
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from pathlib import Path
from typing import Any

from extractor.gold import read_rows
from extractor.match.listing import Listing
from extractor.match.resolve import resolve
from extractor.match.reword import reword, usual_words
from extractor.match.score import shipped_scorer

SIZE, REWORDED, SEED = 100_000, 0.4, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with catalogue/*.jsonl.gz")
    parser.add_argument("size", type=int, nargs="?", default=SIZE, help="listings")
    options = parser.parse_args()
    listings = collection(options.data, options.size)
    scorer, started, of_cpu = shipped_scorer(), time.perf_counter(), time.process_time()
    found = resolve(listings, scorer)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - of_cpu
    cluster_of = {name: number for number, members in enumerate(found.clusters) for name in members}
    twins = [listing.id for listing in listings if listing.id.endswith("'")]
    together = [
        name for name in twins if name in cluster_of and cluster_of[name] == cluster_of.get(name[:-1])
    ]
    figures = {
        "listings": len(listings),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "pairs": dict(found.pairs),
        "clusters": len(found.clusters),
        "largest": max(map(len, found.clusters)),
        "reworded": len(twins),
        "reworded_found": round(100 * len(together) / len(twins), 1),
    }
    print(json.dumps(figures))


def collection(data: Path, size: int) -> list[Listing]:
    """Listings in a random order that is always the same."""
    rows = [
        row
        for path in sorted((data / "catalogue").glob("*.jsonl.gz"))
        for _, row in read_rows(path, ("title",))
    ]
    chance = random.Random(SEED)
    chance.shuffle(rows)
    originals = [listing(number, row) for number, row in enumerate(rows[: int(size * (1 - REWORDED))])]
    usual = usual_words(originals)
    twins = [reword(one, chance, usual) for one in chance.sample(originals, size - len(originals))]
    return originals + twins


def listing(number: int, row: dict[str, Any]) -> Listing:
    brand = str(row.get("brand") or "")
    makers = frozenset({brand} - {""})
    return Listing(str(number), str(row["title"]), str(row.get("description") or ""), brand, makers=makers)


if __name__ == "__main__":
    main()
