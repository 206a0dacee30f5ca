"""Fit the scorer that ships: `python eval/recipes/matcher.py DATA OUT RUNS`.

Fitted on the train parts of the public matching sets, on neighboring offers of the products that are not held out (one
tenth of these tunes the bands, the tenth of split.py is for measuring), and on neighbors within single catalogues.
Offers are shown as feeds of all kinds have them: with all that their shop states, with what the embedded models
extract (a graph a set in RUNS, made when it is not there; minutes), without attributes, and with nothing but the title.
A scorer that saw one of these forms alone takes the form for evidence. Prints figures on the valid parts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np

import extractor
from extractor import RunConfig
from extractor.evaluation.clusters import b_cubed
from extractor.gold import normalize_title, read_rows
from extractor.graph.match import listings_of
from extractor.graph.merge import merge_runs
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.match.block import candidates
from extractor.match.clusters import Offers, read_offers
from extractor.match.fit import Examples, examples_of, fit_scorer, tune_bands
from extractor.match.listing import Listing
from extractor.match.pairs import Pairs, read_pairs
from extractor.match.resolve import resolve
from extractor.match.reword import reword, usual_words
from extractor.match.score import Bands, Scorer
from extractor.match.table import build_table
from extractor.split import held_out

SETS = (
    *("abt_buy", "amazon_google", "walmart_amazon", "beer", "wdc_products_80cc"),
    *("wdc_cameras", "wdc_computers", "wdc_shoes", "wdc_watches"),
)
OFFERS = ("altosight", "alaska_cameras")
# A set of so many pairs weighs as much as it has.
PAIRS, NEIGHBORS, SEED = 20_000, 20, 1
# Of each form of a set of offers so many pairs; all forms together weigh about what PAIRS do.
OF_A_FORM, WEIGHT = 6_000, 0.4
# Shops that list a product once, or nearly: what they list apart under two titles are two products. Marketplaces
# do not (Lazada, Shopee, the pages of cameras without clusters).
SHOPS = (
    *("amazon_in", "amazon_us_1000", "bestbuy", "bigbasket", "flipkart1050", "flipkart20k", "instacart"),
    *("myntra", "shein"),
)
# Of each shop so many listings, and of each form so many pairs of neighbors.
LISTED, OF_A_SHOP, CLOSE = 12_000, 3000, 5
# So many listings for one that comes again in other words. That few pairs are the same is our doing: those weigh more.
REWORDED, REWORDED_WEIGHT = 4, 4.0
SHOP_FORMS = ("as stated", "title alone")
TREES, LEAVES = 400, 63
# Lower ones make better clusters of these offers still, and bring together what one shop lists apart: at 0.3 one in six
# listings of the catalogues, at 0.4 one in nine.
BANDS = (0.35, 0.4, 0.45, 0.5, 0.55)
EXTRACTED = "as extracted"
FORMS: Mapping[str, Callable[[Listing], Listing]] = {
    "as stated": lambda listing: listing,
    "without attributes": lambda listing: replace(listing, attributes={}),
    "title alone": lambda listing: Listing(listing.id, listing.title),
}


def main(data: Path, out: Path, runs: Path) -> None:
    files = {name: data / f"offers/{name}.jsonl.gz" for name in OFFERS}
    extracted = {name: extract(path, runs / name) for name, path in files.items()}
    train = [weighted(read_pairs(data / f"pairs/{name}_train.jsonl.gz")) for name in SETS]
    train += [in_all_forms(read_offers(files[name], is_train), extracted[name]) for name in OFFERS]
    for name in SHOPS:
        listings = in_shop(data / f"catalogue/{name}.jsonl.gz")
        train += [in_catalogue([*map(FORMS[form], listings)]) for form in SHOP_FORMS]
    valid = {name: examples_of(read_pairs(data / f"pairs/{name}_valid.jsonl.gz")) for name in SETS}
    scorer = fit_scorer(train, join(valid.values()), [*SETS, *OFFERS, *SHOPS], trees=TREES, leaves=LEAVES)
    tuning = [
        offers
        for name in OFFERS
        for form, offers in forms(read_offers(files[name], is_tuning), extracted[name]).items()
        if form in (EXTRACTED, "without attributes")
    ]
    scorer = tuned(scorer, tuning)
    for name, examples in valid.items():
        probabilities = scorer.of_examples(examples.features, examples.words)
        own = tune_bands(probabilities, examples.labels)
        f1 = [round(f1_of(probabilities, examples.labels, same), 2) for same in (own.same, scorer.bands.same)]
        print(name, "own threshold", round(own.same, 3), "f1", f1, flush=True)
    scorer.save(out)


def extract(path: Path, run: Path) -> Mapping[str, Listing]:
    """Listings by id, as a graph has them that the embedded models filled; the product is not told."""
    graph, feed = run.with_suffix(".duckdb"), run.with_suffix(".jsonl")
    if not graph.exists():
        rows = [row for _, row in read_rows(path, ("title", "cluster_id"))]
        run.parent.mkdir(parents=True, exist_ok=True)
        told = [
            {name: row[name] for name in row.keys() - {"cluster_id"}}
            for row in rows
            if not held_out(str(row["cluster_id"]))
        ]
        feed.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
        extractor.run(RunConfig(feeds=(str(feed),), out=run))
        with DuckDBStore(graph) as store:
            merge_runs([run], store)
    with DuckDBStore(graph, read_only=True) as store:
        return {listing.id: listing for listing in listings_of(store)}


def tuned(scorer: Scorer, tuning: Sequence[Offers]) -> Scorer:
    """Pairs are told apart one by one, clusters by all pairs between them: `same` is what makes the best clusters."""
    f1 = {}
    for same in BANDS:
        at = scorer.with_bands(Bands(same, min(same, scorer.bands.ask)))
        found = [grouped(offers, at) for offers in tuning]
        f1[same] = sum(figures["f1"] for figures in found) / len(found)
        print("same", same, *found, "mean f1", round(f1[same], 2), flush=True)
    best = max(f1, key=f1.__getitem__)
    return scorer.with_bands(Bands(best, min(best, scorer.bands.ask)))


def is_tuning(product: str) -> bool:
    return not held_out(product) and held_out(f"tune {product}")


def is_train(product: str) -> bool:
    return not held_out(product) and not is_tuning(product)


def weighted(pairs: Pairs) -> Examples:
    """A set ten times smaller weighs four times less: small sets are heard, and do not shout."""
    return examples_of(pairs, (PAIRS / len(pairs.labels)) ** 0.6 if len(pairs.labels) > 1000 else 2.0)


def forms(offers: Offers, extracted: Mapping[str, Listing]) -> dict[str, Offers]:
    """The same offers in each form."""
    listings = {form: [*map(change, offers.listings)] for form, change in FORMS.items()}
    listings[EXTRACTED] = [extracted[listing.id] for listing in offers.listings]
    return {form: replace(offers, listings=found) for form, found in listings.items()}


def in_all_forms(offers: Offers, extracted: Mapping[str, Listing]) -> Examples:
    """Neighbors of each form, other ones each time; a product is one group in all forms."""
    numbers = {name: number for number, name in enumerate(sorted(set(offers.products)))}
    found = []
    for seed, of_form in enumerate(forms(offers, extracted).values(), SEED):
        pairs = neighbors(of_form, seed)
        weight = WEIGHT * (PAIRS / len(pairs.labels)) ** 0.6
        groups = np.array([numbers[offers.products[row]] for row in pairs.left])
        found.append(examples_of(pairs, weight)._replace(groups=groups))
    return join(found)


def neighbors(offers: Offers, seed: int) -> Pairs:
    left, right = candidates(build_table(offers.listings), NEIGHBORS)
    chosen = np.random.default_rng(seed).choice(len(left), min(OF_A_FORM, len(left)), replace=False)
    products = np.array(offers.products)
    left, right = left[chosen], right[chosen]
    return Pairs(offers.listings, left, right, (products[left] == products[right]).astype(np.int64), [])


def in_shop(path: Path) -> list[Listing]:
    """Without prices and attributes: what two products of one shop share of these says nothing of other shops."""
    rows = [row for _, row in read_rows(path, ("title",)) if not held_out(row["id"])]
    return [
        Listing(row["id"], row["title"], row.get("description") or "", row.get("brand") or "")
        for row in Random(SEED).sample(rows, min(LISTED, len(rows)))
    ]


def in_catalogue(listings: Sequence[Listing]) -> Examples:
    """Neighbors in one shop's catalogue are different products, unless one was made of the other in other words."""
    chance, usual = Random(SEED), usual_words(listings)
    listings = [
        *listings,
        *(reword(one, chance, usual) for one in chance.sample(listings, len(listings) // REWORDED)),
    ]
    left, right = candidates(build_table(listings), CLOSE)
    names = [listing.id.rstrip("'") for listing in listings]
    words = [" ".join(sorted(normalize_title(listing.title).split())) for listing in listings]
    # The same words twice: who knows.
    kept = [
        (one, other)
        for one, other in zip(left.tolist(), right.tolist(), strict=True)
        if words[one] != words[other] or names[one] == names[other]
    ]
    kept = chance.sample(kept, min(OF_A_SHOP, len(kept)))
    labels = [int(names[one] == names[other]) for one, other in kept]
    left, right = np.array(kept, dtype=np.int64).T
    found = examples_of(Pairs(listings, left, right, np.array(labels), []))
    return found._replace(weights=np.where(found.labels == 1, REWORDED_WEIGHT, 1.0))


def join(parts: Iterable[Examples]) -> Examples:
    from scipy.sparse import vstack

    columns = dict(zip(Examples._fields, zip(*parts, strict=True), strict=True))
    words = vstack(columns.pop("words")).tocsr()
    return Examples(words=words, **{name: np.concatenate(column) for name, column in columns.items()})


def f1_of(probabilities: np.ndarray, labels: np.ndarray, same: float) -> float:
    said = probabilities >= same
    return float(200 * labels[said].sum() / (said.sum() + labels.sum()))


def grouped(offers: Offers, scorer: Scorer) -> dict[str, float]:
    products = {
        listing.id: product for listing, product in zip(offers.listings, offers.products, strict=True)
    }
    return b_cubed(products, resolve(offers.listings, scorer).clusters)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
