"""Routing over a large taxonomy without a language model: seconds to build or open the index, listings/s, memory.

From names alone, and from a router that is fitted on listings of the feed, which are labelled by their best name: what
they are does not matter here. Each in a process of its own; prints a JSON line for each.

    python eval/bench/routing.py DATA/taxonomy/shopify_categories.jsonl.gz DATA/catalogue/bigbasket.jsonl.gz
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from extractor.fitting import fit_folder
from extractor.read import read_feeds
from extractor.records import Product
from extractor.route import CategoryRouter, find_router

# Products that a run routes at a time.
BATCH = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("taxonomy", type=Path)
    parser.add_argument("feed")
    parser.add_argument("--limit", type=int, default=10_000, help="listings to route, and to fit on")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        figures = MEASURES[options.measure](
            options.taxonomy, options.folder, listings(options.feed, options.limit)
        )
        print(json.dumps({"measured": options.measure, **figures, "peak_mb": peak_mb()}))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in MEASURES:
            subprocess.run([sys.executable, *sys.argv, "--measure", name, "--folder", folder], check=True)


def listings(feed: str, limit: int) -> list[Product]:
    """Without what the feed says of their category."""
    products = (record for record in read_feeds([feed], {}) if isinstance(record, Product))
    return [Product(p.id, p.title, p.description, p.brand) for p in islice(products, limit)]


def names(taxonomy: Path, folder: Path, products: Sequence[Product]) -> dict[str, Any]:
    """Open and route; leaves examples for `fit` behind."""
    started = time.perf_counter()
    router = find_router(taxonomy)
    opened = time.perf_counter() - started
    best, figures = routed(router, products)
    with (folder / "examples.jsonl").open("w", encoding="utf-8") as file:
        for product, category in zip(products, best, strict=True):
            if category:
                file.write(
                    json.dumps({"id": product.id, "title": product.title, "category": category}) + "\n"
                )
    return {"open_s": round(opened, 2), **figures}


def fit(taxonomy: Path, folder: Path, products: Sequence[Product]) -> dict[str, Any]:
    """Fit on the examples and save."""
    started = time.perf_counter()
    fitted = fit_folder([str(folder / "examples.jsonl")], taxonomy, folder / "fitted")
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in (folder / "fitted").iterdir())
    return {"examples": fitted.examples, "fit_s": round(seconds, 1), "folder_mb": round(size / 1e6, 1)}


def fitted(taxonomy: Path, folder: Path, products: Sequence[Product]) -> dict[str, Any]:
    """Open what was saved and route."""
    started = time.perf_counter()
    router = find_router(folder / "fitted")
    opened = time.perf_counter() - started
    return {"open_s": round(opened, 2), **routed(router, products)[1]}


def routed(router: CategoryRouter, products: Sequence[Product]) -> tuple[list[str], dict[str, Any]]:
    """The best category of each, "" for none; and what it took."""
    started, cpu = time.perf_counter(), time.process_time()
    batches = (products[start : start + BATCH] for start in range(0, len(products), BATCH))
    routings = [routing for batch in batches for routing in router.route(batch)]
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    best = [routing.candidates[0].category.id if routing.candidates else "" for routing in routings]
    figures = {
        "leaves": len(router.layout.taxonomy.leaves),
        "listings": len(products),
        "listings_per_s": round(len(products) / seconds),
        "listings_per_cpu_s": round(len(products) / cpu_seconds),
    }
    return best, figures


def peak_mb() -> int:
    """Most memory that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


MEASURES: dict[str, Callable[[Path, Path, Sequence[Product]], dict[str, Any]]] = {
    "names": names,
    "fit": fit,
    "fitted": fitted,
}


if __name__ == "__main__":
    main()
