"""Which listings of a graph are the same product: its statements in, "same as" statements out.

A run of matching is named by what decides it, scorer and settings: matching again replaces what it said before, and
says the same as on a graph that never was matched, because ranks that listings of one product gave each other are
not looked at. What people said of a pair comes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from extractor.attribute import Attribute
from extractor.datafile import content_hash
from extractor.errors import ConfigError
from extractor.graph.brands import HAS_BRAND
from extractor.graph.feed_numbers import money_of
from extractor.graph.identity import DIFFERENT, SAME
from extractor.graph.nodes import GTINS, KINDS, Node, Said
from extractor.graph.rank import COUNTS
from extractor.graph.statements import gathered
from extractor.graph.stores import Change
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.match.ask import Decider
from extractor.match.block import NEIGHBORS
from extractor.match.listing import Listing
from extractor.match.resolve import Decision, People, Resolution, resolve
from extractor.match.score import Scorer
from extractor.normalize.codes import gtin_digits
from extractor.records import Provenance

_PRICES = ("has_price", "has_sale_price")
_SELLER = "sold_by"
# Relations that are of the listing or of its place in the catalogue, not of the product.
_NOT_COMPARED = frozenset(
    {
        *("in_category", "also_in_category", "has_feed_category", "brand_check", _SELLER),
        *("has_url", "has_image", "has_image_url", "has_sku", "has_currency"),
        *("has_availability", "has_stock", "has_rating", "has_reviews", "has_sales"),
    }
)
# Values of these are numbers, sizes or members of a palette: another one is another product. Free text in other words
# ("Extreme Pro" and "ExtremePro", "UHS-I" and "Class 10") is not: it speaks to the scorer alone, and vetoes nothing.
_MEASURE = "quantity"
_COMPARABLE = frozenset({_MEASURE, "number", "pack", "size", "color"})
_RUN = "match-"

_TITLES = "SELECT product, arg_max(title, run) AS title FROM listings GROUP BY product ORDER BY product"
# A value that lost to one that more listings of its product state is still what this listing says.
_STATED = f"""
SELECT DISTINCT product, predicate, label FROM statements
WHERE subject = 'product:' || product AND (rank <> 'deprecated' OR contains(reason, '{COUNTS}'))
    AND source <> 'match' AND predicate NOT IN ('same_as', 'different_from') ORDER BY ALL
"""
# The brand by the shop's word or a person's, and what a registry has above it.
_MAKERS = f"""
WITH RECURSIVE above AS (
    SELECT product, object, label FROM statements
    WHERE subject = 'product:' || product AND predicate = '{HAS_BRAND}' AND source IN ('feed', 'person')
        AND (rank <> 'deprecated' OR contains(reason, '{COUNTS}'))
    UNION
    SELECT above.product, parent.object, parent.label FROM above
    JOIN statements parent ON parent.subject = above.object AND parent.predicate = 'sub_brand_of'
)
SELECT product, label FROM above ORDER BY ALL
"""
_CATEGORIES = f"""
SELECT product, object FROM statements WHERE predicate = 'in_category' AND subject = 'product:' || product
    AND (rank <> 'deprecated' OR contains(reason, '{COUNTS}')) ORDER BY ALL
"""
_PEOPLE = """
SELECT DISTINCT substring(subject, 9) AS one, substring(object, 9) AS other, predicate FROM statements
WHERE source = 'person' AND predicate IN ('same_as', 'different_from') AND rank <> 'deprecated'
"""


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A language model that decides the middle band."""

    # Model and prompt with their hashes: part of what names the run.
    name: str
    decide: Decider


@dataclass(frozen=True, slots=True)
class Matched:
    """What a run of matching found and changed."""

    run_id: str
    resolution: Resolution
    change: Change


def match_graph(
    graph: DuckDBStore,
    scorer: Scorer,
    neighbors: int = NEIGHBORS,
    model: AskedModel | None = None,
    *,
    listed_once: bool = False,
) -> Matched:
    """Match all listings of a graph, and make the graph say so in place of what earlier matching said.

    Matching again changes nothing.

    Args:
        graph: Open for writing.
        scorer: Its bands decide.
        neighbors: With so many others each listing is compared.
        model: Decides the middle band; None: it stays open.
        listed_once: What one merchant has under two titles is two products.

    Raises:
        ConfigError: `listed_once`, and no listing states a merchant.
        SinkError: The graph cannot be written.
    """
    settings = {
        "scorer": scorer.hash,
        "neighbors": neighbors,
        "model": model.name if model else None,
        "listed_once": listed_once,
    }
    run_id = f"{_RUN}{content_hash(settings)[:12]}"
    listings = listings_of(graph, listed_once=listed_once)
    if listed_once and listings and not any(listing.merchants for listing in listings):
        raise ConfigError(
            f"{graph.path}: no listing states a merchant (a column merchant, seller or shop of the feed); add it, or"
            " leave --listed-once out"
        )
    found = resolve(
        listings,
        scorer,
        neighbors=neighbors,
        people=people_of(graph),
        decide=model.decide if model else None,
    )
    facts = gathered(_said(run_id, decision, scorer.hash) for decision in found.same)
    earlier = [run for run in _matchings(graph) if run != run_id]
    return Matched(run_id, found, graph.state(run_id, {"match": settings}, facts, replacing=earlier))


def _matchings(graph: DuckDBStore) -> list[str]:
    """Runs of matching that the graph holds."""
    return [
        row["id"] for row in graph.rows("SELECT id FROM runs WHERE starts_with(id, ?) ORDER BY id", [_RUN])
    ]


def listings_of(graph: DuckDBStore, *, listed_once: bool = False) -> list[Listing]:
    """All listings, each with what is stated of it itself; with their merchants if these list a product once."""
    stated: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in graph.rows(_STATED):
        stated[row["product"]][row["predicate"]].add(row["label"])
    makers: defaultdict[str, set[str]] = defaultdict(set)
    for row in graph.rows(_MAKERS):
        makers[row["product"]].add(row["label"])
    categories = {row["product"]: row["object"] for row in graph.rows(_CATEGORIES)}
    schemas = graph.schemas()
    keys = {
        each: _keys(schemas.for_category(each.removeprefix("category:")))
        for each in {"", *categories.values()}
    }
    listings = [
        _listing(
            row["product"],
            row["title"],
            stated.get(row["product"], {}),
            makers[row["product"]],
            keys[categories.get(row["product"], "")],
        )
        for row in graph.rows(_TITLES)
    ]
    if not listed_once:
        return listings
    return [replace(each, merchants=frozenset(stated[each.id][_SELLER])) for each in listings]


def people_of(graph: DuckDBStore) -> People:
    """What people said about pairs of listings."""
    pairs: dict[str, set[tuple[str, str]]] = {SAME: set(), DIFFERENT: set()}
    for row in graph.rows(_PEOPLE):
        one, other = sorted((row["one"], row["other"]))
        pairs[row["predicate"]].add((one, other))
    return People(frozenset(pairs[SAME]), frozenset(pairs[DIFFERENT]))


def _listing(
    product: str, title: str, stated: Mapping[str, set[str]], makers: set[str], keys: Sequence[Attribute]
) -> Listing:
    compared = stated.keys() - _NOT_COMPARED - GTINS - {HAS_BRAND, *_PRICES}
    brands = stated.get(HAS_BRAND, set())
    numbers = {gtin_digits(label) for relation in GTINS for label in stated.get(relation, ())}
    return Listing(
        product,
        title,
        brand=min(brands & makers or brands, default=""),
        makers=frozenset(makers),
        price=_price(stated),
        attributes={relation: frozenset(stated[relation]) for relation in sorted(compared)},
        keys=frozenset(attribute.relation for attribute in keys),
        measured=frozenset(attribute.relation for attribute in keys if attribute.normalizer == _MEASURE),
        gtins=frozenset(numbers - {""}),
    )


def _price(stated: Mapping[str, set[str]]) -> float | None:
    """The first amount, whatever the currency."""
    labels = (label for relation in _PRICES for label in sorted(stated.get(relation, ())))
    return next((cost.amount for label in labels if (cost := money_of(label))), None)


def _keys(attributes: Sequence[Attribute]) -> Sequence[Attribute]:
    """Those that tell products of their category apart (x-key), and whose values can."""
    return [attribute for attribute in attributes if attribute.key and _is_comparable(attribute)]


def _is_comparable(attribute: Attribute) -> bool:
    return bool(attribute.enum) or attribute.normalizer in _COMPARABLE


def _said(run_id: str, decision: Decision, scorer: str) -> Said:
    one, other = (Node(f"product:{name}", KINDS["product"], name) for name in (decision.left, decision.right))
    origin = Provenance(run_id, "", "match", None, decision.evidence, "", "", scorer)
    return Said(one, SAME, other, decision.probability, origin)
