"""How well listings find their category: a shop's feed against the shop's own tree, with ever more examples.

In: a catalogue whose records state their category path. The held-out tenth is measured on, the other records are the
examples: none, 1, 5, 20 of each category, and all. Beside it stand a plain linear classifier on all examples and,
where its package is installed, the nearest name by a sentence encoder without any.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from extractor.errors import ConfigError
from extractor.evaluation.calibration import reliability
from extractor.evaluation.category_baselines import nearest_name, plain_linear
from extractor.evaluation.tasks import Measured
from extractor.gold import read_rows
from extractor.read import read_record
from extractor.records import Product, Unreadable
from extractor.route import CategoryRouter, Routing
from extractor.route.examples import Example
from extractor.route.fit import fit_router
from extractor.split import held_out
from extractor.taxonomy import Taxonomy

# Examples of each category, at most; then all of them.
SHOTS = (1, 5, 20)
_BATCH = 512


def measure(inputs: Mapping[str, Path], levels: int | None = None) -> Measured:
    """Measure on `catalogue`, its paths cut to so many levels; ConfigError when it is missing or broken."""
    shop = _read(inputs["catalogue"], levels)
    everything = fit_router(shop.examples, shop.taxonomy).router
    routings = _routed(everything, shop)
    parts = {"0 examples": _routed(CategoryRouter.of_names(shop.taxonomy), shop).figures(shop)}
    for shots in SHOTS:
        few = fit_router(_few(shop.examples, shots), shop.taxonomy).router
        parts[f"{shots} a category"] = _routed(few, shop).figures(shop)
    parts["all examples"] = {"records": len(shop.test), **routings.figures(shop)}
    parts["plain linear, all"] = _shares(shop, plain_linear(shop.examples, shop.products))
    answers = [everything.layout.ids[column] for column in everything.layout.terminals]
    nearest = nearest_name(shop.taxonomy, answers, shop.products)
    if nearest is not None:
        parts["nearest name, 0"] = _shares(shop, nearest)
    return Measured(parts, list(_mistakes(shop, routings.routings)))


measure_two_levels = partial(measure, levels=2)


@dataclass(frozen=True, slots=True)
class _Shop:
    taxonomy: Taxonomy
    examples: Sequence[Example]
    test: Sequence[Example]

    @property
    def products(self) -> list[Product]:
        """Those to measure on."""
        return [example.product for example in self.test]


@dataclass(frozen=True, slots=True)
class _Routed:
    routings: Sequence[Routing]
    listings_per_s: float

    def figures(self, shop: _Shop) -> dict[str, float]:
        """Shares of the best answers that are right, leaf and top category; and what decisions are worth."""
        best = [routing.candidates[0].category.id if routing.candidates else "" for routing in self.routings]
        choices = [routing.choice for routing in self.routings]
        decided = [
            (choice.confidence, choice.id in shop.taxonomy.lineage(example.category))
            for choice, example in zip(choices, shop.test, strict=True)
            if choice and choice.path
        ]
        unknown = sum(choice is not None and not choice.path for choice in choices)
        leaves = sum(
            choice is not None and choice.id == one for choice, one in zip(choices, best, strict=True)
        )
        return {
            **_shares(shop, best),
            "decided": _share(len(decided), len(best)),
            "right of decided": _share(sum(right for _, right in decided), len(decided)),
            "as leaf": _share(leaves, len(best)),
            "unknown": _share(unknown, len(best)),
            "ece": round(reliability(decided).ece, 4),
            "listings_per_s": round(self.listings_per_s),
        }


def _read(path: Path, levels: int | None) -> _Shop:
    listings = list(_listings(path, levels))
    taxonomy = Taxonomy.of_paths(sorted({label for _, label in listings}))
    examples = [Example(product, taxonomy.find(label) or "") for product, label in listings]
    test = [example for example in examples if held_out(example.product.id)]
    train = [example for example in examples if not held_out(example.product.id)]
    if not test or not train:
        raise ConfigError(f"{path}: too few records to learn from one part and measure on the other")
    return _Shop(taxonomy, train, test)


def _listings(path: Path, levels: int | None) -> Iterator[tuple[Product, tuple[str, ...]]]:
    for where, row in read_rows(path, ("title", "category_path")):
        product = read_record(row, where)
        if isinstance(product, Unreadable) or not product.category_path:
            raise ConfigError(f"{where}: no listing with a title and a category_path; correct the row")
        # The label is nothing that a router may read.
        yield replace(product, category_path=()), product.category_path[:levels]


def _few(examples: Sequence[Example], most: int) -> list[Example]:
    """So many of each category, drawn by a hash of their ids."""
    taken: Counter[str] = Counter()
    found = []
    for example in sorted(examples, key=_draw):
        taken[example.category] += 1
        if taken[example.category] <= most:
            found.append(example)
    return found


def _draw(example: Example) -> bytes:
    return hashlib.blake2b(example.product.id.encode(), digest_size=8, key=b"few").digest()


def _routed(router: CategoryRouter, shop: _Shop) -> _Routed:
    products, started = shop.products, perf_counter()
    routings = [
        routing
        for start in range(0, len(products), _BATCH)
        for routing in router.route(products[start : start + _BATCH])
    ]
    return _Routed(routings, len(products) / (perf_counter() - started))


def _shares(shop: _Shop, found: Sequence[str]) -> dict[str, float]:
    pairs = [
        (shop.taxonomy.lineage(one), shop.taxonomy.lineage(example.category))
        for one, example in zip(found, shop.test, strict=True)
    ]
    return {
        "leaf": _share(sum(one == gold for one, gold in pairs), len(pairs)),
        "top": _share(sum(one[:1] == gold[:1] for one, gold in pairs), len(pairs)),
    }


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _mistakes(shop: _Shop, routings: Sequence[Routing]) -> Iterator[dict[str, Any]]:
    for example, routing in zip(shop.test, routings, strict=True):
        best = routing.candidates[0] if routing.candidates else None
        if best is None or best.category.id != example.category:
            yield {
                "id": example.product.id,
                "title": example.product.title,
                "category": shop.taxonomy[example.category].path,
                "found": best.category.path if best else None,
                "probability": round(best.score, 4) if best else None,
            }
