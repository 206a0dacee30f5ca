"""Feeds -> labels to train on: what a span proposer is sure of, and words of two taxonomies that stand in titles.

    python eval/recipes/labels.py DATA OUT [PROPOSER]        the shipped proposer, or that in a folder

Writes proposed.jsonl.gz, own.jsonl.gz and stated.jsonl.gz, gold lines that embedded.toml and proposer-2.toml read from
DATA/labels. Test titles and the held-out tenth are left out. About 15 minutes on one core.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from extractor.propose import Proposer, open_proposer
from extractor.schema import SchemaStore, default_folder
from extractor.training.dataset import Record, read_lines
from extractor.training.leaks import TestTitles
from extractor.training.lexicon import Lexicon
from extractor.training.proposed import Categories, label

SHOPS = ["amazon_in", "amazon_us_1000", "bigbasket", "flipkart1050", "flipkart20k", "instacart"]
SHOPS += ["lazada", "myntra", "shein", "shopee", "bestbuy"]
FEEDS = [*(f"catalogue/{shop}.jsonl.gz" for shop in SHOPS), "offers/altosight.jsonl.gz"]
# Judged data set -> the share of a feed's listings that are asked for its attributes, and of their texts how much.
JUDGED = {"oamine": (0.5, 220), "ae110k": (0.35, 220), "wdc_pave": (0.08, 600)}
PROPOSED_PER_FEED, STATED_PER_FEED = 6_000, 12_000

Row = Mapping[str, Any]


def main(data: Path, out: Path, proposer: Path | None = None) -> None:
    titles, rng = TestTitles.load(data / "eval" / "attributes"), random.Random(5)
    feeds = {name: titles.trainable(read_lines(data / name)) for name in FEEDS}
    for rows in feeds.values():
        rng.shuffle(rows)
    out.mkdir(parents=True, exist_ok=True)
    lexicons = {
        "own": Lexicon.of_schemas(SchemaStore(default_folder())),
        "stated": Lexicon.load(data / "taxonomy"),
    }
    for name, lexicon in lexicons.items():
        write(out / f"{name}.jsonl.gz", stated(lexicon, feeds, rng))
    write(out / "proposed.jsonl.gz", proposed(data, feeds, rng, open_proposer(proposer)))


def stated(
    lexicon: Lexicon, feeds: Mapping[str, list[Row]], rng: random.Random
) -> Iterator[tuple[Row, Record | None]]:
    for rows in feeds.values():
        yield from ((row, lexicon.stated(row, rng)) for row in rows[:STATED_PER_FEED])


def proposed(
    data: Path, feeds: Mapping[str, list[Row]], rng: random.Random, proposer: Proposer
) -> Iterator[tuple[Row, Record | None]]:
    for judged, (share, max_chars) in JUDGED.items():
        categories = Categories(read_lines(data / f"attributes/{judged}_train.jsonl.gz"))
        for rows in feeds.values():
            few = rows[:PROPOSED_PER_FEED]
            some = rng.sample(few, int(len(few) * share))
            yield from zip(some, label(some, categories, proposer, max_chars=max_chars), strict=True)


def write(path: Path, labelled: Iterator[tuple[Row, Record | None]]) -> None:
    count = 0
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for row, record in labelled:
            if record:
                title, _, description = record.text.partition("\n")
                line = {
                    "id": row["id"],
                    "title": title,
                    "description": description,
                    "category": record.category,
                    "attributes": record.labels,
                    "unjudged": record.unjudged,
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
