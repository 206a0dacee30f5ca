"""Fit the scorer that ships: `python eval/recipes/matcher.py DATA OUT`.

Fitted on the train parts of the public matching sets, on neighboring offers of the products that are not held out (one
tenth of these is looked at below, the tenth of split.py is for measuring), and on neighbors within single catalogues.
Prints figures on the valid parts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import numpy as np

from extractor.evaluation.clusters import b_cubed
from extractor.gold import normalize_title, read_rows
from extractor.match.block import candidates
from extractor.match.clusters import Offers, read_offers
from extractor.match.fit import Examples, examples_of, fit_scorer, tune_bands
from extractor.match.listing import Listing
from extractor.match.pairs import Pairs, read_pairs
from extractor.match.resolve import resolve
from extractor.match.reword import reword
from extractor.match.score import Bands
from extractor.match.table import build_table
from extractor.split import held_out

SETS = (
    *("abt_buy", "amazon_google", "walmart_amazon", "beer", "wdc_products_80cc"),
    *("wdc_cameras", "wdc_computers", "wdc_shoes", "wdc_watches"),
)
OFFERS = ("altosight", "alaska_cameras")
# Pairs of offers that are learned from; so many pairs of a set weigh as much as theirs.
PAIRS, NEIGHBORS, SEED = 20_000, 20, 1
# Of each catalogue so many listings, and pairs of neighbors.
CATALOGUE = 2500


def main(data: Path, out: Path) -> None:
    train = [weighted(read_pairs(data / f"pairs/{name}_train.jsonl.gz")) for name in SETS]
    train += [weighted(neighbors(read_offers(data / f"offers/{name}.jsonl.gz", is_train))) for name in OFFERS]
    train += [in_catalogue(path) for path in sorted((data / "catalogue").glob("*.jsonl.gz"))]
    valid = {name: examples_of(read_pairs(data / f"pairs/{name}_valid.jsonl.gz")) for name in SETS}
    tuning = {name: read_offers(data / f"offers/{name}.jsonl.gz", is_tuning) for name in OFFERS}
    together = Examples(*(join([getattr(v, f) for v in valid.values()]) for f in Examples._fields))
    scorer = fit_scorer(train, together, [*SETS, *OFFERS], trees=250, leaves=31)
    print("bands", scorer.bands, flush=True)
    for name, examples in valid.items():
        probabilities = scorer.of_examples(examples.features, examples.words)
        own = tune_bands(probabilities, examples.labels)
        f1 = [round(f1_of(probabilities, examples.labels, same), 2) for same in (own.same, scorer.bands.same)]
        print(name, "own threshold", round(own.same, 3), "f1", f1, flush=True)
    for same in (0.2, 0.3, 0.4, 0.5, 0.6):
        at = scorer.with_bands(Bands(same, min(same, scorer.bands.ask)))
        for name, offers in tuning.items():
            print(name, same, grouped(offers, at), flush=True)
    scorer.save(out)


def is_tuning(product: str) -> bool:
    return not held_out(product) and held_out(f"tune {product}")


def is_train(product: str) -> bool:
    return not held_out(product) and not is_tuning(product)


def weighted(pairs: Pairs) -> Examples:
    """A set ten times smaller weighs four times less: small sets are heard, and do not shout."""
    return examples_of(pairs, (PAIRS / len(pairs.labels)) ** 0.6 if len(pairs.labels) > 1000 else 2.0)


def neighbors(offers: Offers) -> Pairs:
    left, right = candidates(build_table(offers.listings), NEIGHBORS)
    chosen = np.random.default_rng(SEED).choice(len(left), min(PAIRS, len(left)), replace=False)
    products = np.array(offers.products)
    left, right = left[chosen], right[chosen]
    return Pairs(offers.listings, left, right, (products[left] == products[right]).astype(np.int64), [])


def in_catalogue(path: Path) -> Examples:
    """Neighbors in one shop's catalogue are different products, unless one was made of the other in other words."""
    chance = Random(SEED)
    rows = [row for _, row in read_rows(path, ("title",)) if not held_out(row["id"])]
    chosen = chance.sample(rows, min(CATALOGUE, len(rows)))
    known = [
        Listing(str(number), row["title"], row.get("description") or "", row.get("brand") or "")
        for number, row in enumerate(chosen)
    ]
    listings = [*known, *(reword(one, chance) for one in chance.sample(known, len(known) // 5))]
    left, right = candidates(build_table(listings), 5)
    names = [listing.id.rstrip("'") for listing in listings]
    titles = [normalize_title(listing.title) for listing in listings]
    pairs = list(zip(left.tolist(), right.tolist(), strict=True))
    # One title twice: who knows.
    kept = [
        (one, other) for one, other in pairs if titles[one] != titles[other] or names[one] == names[other]
    ]
    kept = chance.sample(kept, min(CATALOGUE, len(kept)))
    labels = [int(names[one] == names[other]) for one, other in kept]
    left, right = np.array(kept, dtype=np.int64).T
    return examples_of(Pairs(listings, left, right, np.array(labels), []))


def join(parts: list[object]) -> object:
    from scipy.sparse import issparse, vstack

    return vstack(parts).tocsr() if issparse(parts[0]) else np.concatenate(parts)


def f1_of(probabilities: np.ndarray, labels: np.ndarray, same: float) -> float:
    said = probabilities >= same
    return float(200 * labels[said].sum() / (said.sum() + labels.sum()))


def grouped(offers: Offers, scorer: object) -> dict[str, float]:
    products = {
        listing.id: product for listing, product in zip(offers.listings, offers.products, strict=True)
    }
    return b_cubed(products, resolve(offers.listings, scorer).clusters)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
