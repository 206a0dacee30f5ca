"""A made-up shop of headphones and speakers as a graph: runs of the extractor, with planted truths.

Titles, prices and sales are drawn at random; in the headphones, `effect` multiplies the sales of those that are noise
cancelling (e to its power), and dear ones sell less. Every tenth headphone is listed twice and matched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from test_graph import outcome, said, write_run

from extractor.graph.merge import merge_runs
from extractor.graph.nodes import Node, Said
from extractor.graph.statements import gathered
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.records import CategoryChoice, Outcome, Provenance

HEADPHONES = CategoryChoice("electronics.audio.headphones", ("Electronics", "Audio", "Headphones"), 0.9)
SPEAKERS = CategoryChoice(
    "electronics.audio.portable_speakers", ("Electronics", "Audio", "Portable speakers"), 0.8
)
BRANDS = ("Acme", "Borealis", "Corvo", "Delphi")
COLORS = ("black", "white", "red", "teal")
WEAR = ("over-ear", "in-ear")


def headphones(number: int, rng: np.random.Generator, effect: float) -> Outcome:
    brand, color, wear = rng.choice(BRANDS), rng.choice(COLORS), rng.choice(WEAR)
    quiet = rng.random() < 0.3
    price = float(np.exp(rng.normal(4.0, 0.7)))
    sales = int(rng.lognormal(8.0 - np.log(price) + effect * quiet, 0.8))
    title = f"{brand} H{number} {wear} headphones {color}" + (" noise cancelling" if quiet else "")
    values = [
        said("brand", brand, title),
        said("color", color, title),
        said("wear_style", wear, title),
        *([said("noise_cancelling", "noise cancelling", title, "active")] if quiet else []),
    ]
    facts = {"price": f"{price:.2f}", "sales": str(sales), "url": f"https://example.org/h{number}"}
    return outcome(f"h{number}", title, *values, category=HEADPHONES, feed={"facts": facts})


def speaker(number: int) -> Outcome:
    title = f"Acme S{number} bluetooth speaker"
    values = [said("brand", "Acme", title), said("connectivity", "bluetooth", title)]
    return outcome(f"s{number}", title, *values, category=SPEAKERS, feed={"attributes": {"Casing": ["oak"]}})


def twin(first: Outcome) -> Outcome:
    """The same product at another shop, where it costs less and the title says less."""
    title = first.title.replace(" headphones", "")
    brand = first.values[0].surface
    facts = {"price": "49.99", "sales": first.feed["facts"]["sales"], "merchant": "Other Shop"}
    return outcome(
        f"{first.product_id}-b",
        title,
        said("brand", brand, title),
        category=HEADPHONES,
        feed={"facts": facts},
    )


def matched(one: str, other: str) -> Said:
    origin = Provenance("match", one, "match", None, "same model number", "", "", "matcher")
    ends = [Node(f"product:{name}", "Product", name) for name in (one, other)]
    return Said(ends[0], "same_as", ends[1], 0.95, origin)


def fill(store: DuckDBStore, folder: Path, products: int = 120, effect: float = 2.0, seed: int = 0) -> None:
    """Merge the shop's run and its matches; a shop with more products holds those of a smaller one."""
    rng = np.random.default_rng(seed)
    singles = [headphones(number, rng, effect) for number in range(products)]
    twins = [twin(first) for first in singles[::10]]
    listings: list[Outcome] = [*singles, *twins, *map(speaker, range(products // 20))]
    merge_runs([write_run(folder, "shop", listings)], store)
    store.state("match", {}, gathered(matched(each.product_id[:-2], each.product_id) for each in twins))


def shop(folder: Path, **settings: Any) -> Iterator[DuckDBStore]:
    """The shop in memory."""
    with DuckDBStore(Path(":memory:")) as store:
        fill(store, folder, **settings)
        yield store
