"""How well listings are grouped into products: B-cubed precision, recall and F1 on offers whose product is known.

In: a file of offers. Measured on the tenth of products that split.py holds out; nothing is fitted on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from extractor.evaluation.tasks import Measured
from extractor.match.clusters import read_offers
from extractor.match.resolve import Resolution, resolve
from extractor.match.score import shipped_scorer
from extractor.split import held_out

HELD_OUT = "held out"


def measure(inputs: Mapping[str, Path]) -> Measured:
    """Cluster the held-out offers of `offers` with the scorer that ships; ConfigError when the file is broken."""
    offers = read_offers(inputs["offers"], held_out)
    found = resolve(offers.listings, shipped_scorer())
    products = {
        listing.id: product for listing, product in zip(offers.listings, offers.products, strict=True)
    }
    figures = {
        "records": len(products),
        **b_cubed(products, found.clusters),
        "products": len(set(offers.products)),
        "clusters": len(found.clusters),
    }
    return Measured({HELD_OUT: figures}, _mistakes(products, found))


def b_cubed(products: Mapping[str, str], clusters: Iterable[Sequence[str]]) -> dict[str, float]:
    """B-cubed (Bagga and Baldwin, 1998), 0..100: over listings, the share of a listing's cluster that is its product,
    and of its product that is in its cluster; a listing in no cluster is alone in one."""
    cluster_of = {listing: str(number) for number, members in enumerate(clusters) for listing in members}
    label = {listing: cluster_of.get(listing, f"alone {listing}") for listing in products}
    sizes, found = Counter(products.values()), Counter(label.values())
    shared = Counter((label[listing], product) for listing, product in products.items())
    precision = sum(n * n / found[cluster] for (cluster, _), n in shared.items()) / len(products)
    recall = sum(n * n / sizes[product] for (_, product), n in shared.items()) / len(products)
    f1 = 2 * precision * recall / (precision + recall)
    return {
        name: round(100 * value, 2)
        for name, value in (("precision", precision), ("recall", recall), ("f1", f1))
    }


def _mistakes(products: Mapping[str, str], found: Resolution) -> list[dict[str, Any]]:
    """Links between listings of two products."""
    wrong = [said for said in found.same if products[said.left] != products[said.right]]
    return [
        {"left": said.left, "right": said.right, "probability": said.probability, "evidence": said.evidence}
        for said in wrong
    ]
