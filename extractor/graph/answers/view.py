"""An SPU or product and its neighborhood as one page to look at.

In: a graph, a name and a file. Out: one self-contained page: what is said and in which words, what was decided
against and why, the listings, why they are one product, and what competes with it. A graph has titles and quotes but no
descriptions: these are most of a feed, and the report of the run that a quote names shows it in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from extractor.graph.answers.attributes import PRICES, REMARKS, SELLER, attribute_name, attribute_relations
from extractor.graph.answers.prices import asked, comparable, typical
from extractor.graph.answers.rivals import rivals
from extractor.graph.answers.said import Evidence, SaidValue, said_of
from extractor.graph.brands import HAS_BRAND
from extractor.graph.feed_numbers import Money
from extractor.graph.find import Thing, find_thing
from extractor.graph.identity import DIFFERENT, SAME
from extractor.graph.show import describe
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.outputs import check_output_file
from extractor.page import color_rules, write_page
from extractor.records import Span

# Listings, and matches, that stand open on the page; more are folded.
_OPEN = 20
# Values of one attribute that do.
_VALUES = 8
# Characters of a title beside a quote.
_CONTEXT = 28


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that a title states."""

    span: Span
    # Relation.
    attribute: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of the thing."""

    # Product id.
    id: str
    title: str
    marks: tuple[Mark, ...]
    price: Money | None
    # As the feed writes it; empty where it does not.
    seller: str


def write_view(graph: DuckDBStore, name: str, path: Path) -> Path:
    """Write the page of an SPU or product.

    Raises:
        ConfigError: There is none of this name, or `path` is no place for a page.
        SinkError: The page cannot be written.
    """
    check_output_file(path, "--html")
    thing = find_thing(graph, name)
    said = said_of(graph, thing.listings, without=REMARKS)
    known = set(attribute_relations(graph)) & said.keys()
    attributes = sorted(known, key=lambda relation: (relation != HAS_BRAND, relation))
    listings = _listings(graph, thing, said, attributes)
    costs = [each.price for each in listings if each.price]
    return write_page(
        path,
        "view.html",
        styles=["page.css", "report.css", "view.css"],
        scripts=[],
        rules=color_rules(len(attributes)),
        thing=thing,
        category=describe(graph, thing.listings[0])["category"],
        brands=[value.label for value in said.get(HAS_BRAND, ()) if value.stands],
        colors={relation: f"a{number}" for number, relation in enumerate(attributes)},
        attributes={relation: said[relation] for relation in attributes},
        facts={relation: said[relation] for relation in sorted(said.keys() - known)},
        listings=listings,
        most=_OPEN,
        most_values=_VALUES,
        prices=(prices := comparable(costs)),
        otherwise_priced=len(costs) - len(prices),
        own_price=typical(costs),
        matches=_matches(graph, thing),
        rivals=rivals(graph, thing),
        name_of=attribute_name,
        around=partial(_around, {each.id: each.title for each in listings}),
    )


def _listings(
    graph: DuckDBStore, thing: Thing, said: Mapping[str, Sequence[SaidValue]], attributes: Sequence[str]
) -> list[Listing]:
    rows = graph.rows("SELECT id, label FROM nodes WHERE list_contains(?, id)", [list(thing.listings)])
    titles = {row["id"].removeprefix("product:"): row["label"] for row in rows}
    return [
        Listing(
            id=product,
            title=title,
            marks=tuple(_marks(product, title, said, attributes)),
            price=next(iter(asked({name: _stated(product, said.get(name, ())) for name in PRICES})), None),
            seller=next(iter(_stated(product, said.get(SELLER, ()))), ""),
        )
        for product, title in sorted(titles.items())
    ]


def _marks(
    product: str, title: str, said: Mapping[str, Sequence[SaidValue]], attributes: Sequence[str]
) -> Iterator[Mark]:
    """Where the title says a value that stands; runs that read an older title are left out."""
    for relation in attributes:
        for value in filter(lambda value: value.stands, said[relation]):
            places = {each.span: each for each in value.evidence if each.product == product and each.span}
            for span, each in places.items():
                if each.rank != "deprecated" and span.slice(title) == each.quote:
                    yield Mark(span, relation, each.confidence)


def _stated(product: str, values: Sequence[SaidValue]) -> list[str]:
    """What a listing itself says, the surest first."""
    return [
        value.label
        for value in values
        if any(each.product == product and each.rank != "deprecated" for each in value.evidence)
    ]


def _matches(graph: DuckDBStore, thing: Thing) -> list[dict[str, Any]]:
    """What is said of its listings being the same as others, or not."""
    rows = graph.rows(
        "SELECT subject, predicate, object, confidence, source, quote, rank, reason, run, model FROM statements"
        " WHERE predicate IN ($1, $2) AND (list_contains($3, subject) OR list_contains($3, object))"
        " ORDER BY rank = 'deprecated', confidence DESC, subject, object, run",
        [SAME, DIFFERENT, list(thing.listings)],
    )
    return list(rows)


def _around(titles: Mapping[str, str], evidence: Evidence) -> tuple[str, str]:
    """What stands in the title before and after a quote; empty where the quote is from elsewhere."""
    title, span = titles.get(evidence.product, ""), evidence.span
    if span is None or span.slice(title) != evidence.quote:
        return "", ""
    return _last_words(title[: span.start]), _first_words(title[span.end :])


def _first_words(text: str) -> str:
    return text if len(text) <= _CONTEXT else f"{text[:_CONTEXT].rsplit(' ', 1)[0]} …"


def _last_words(text: str) -> str:
    return text if len(text) <= _CONTEXT else f"… {text[-_CONTEXT:].split(' ', 1)[-1]}"
