"""A JSON-LD document in the words of schema.org.

In: a graph. Out: one file, one node of `@graph` a line, so that it is written and can be read without holding
it in memory. Node ids become IRIs by percent-encoding; all other text is a plain string and never an IRI.
Statements of rank deprecated are left out; origins are in the exports to N-Quads and Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from extractor.graph.feed_numbers import money_of
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.normalize.codes import gtin_digits

VOCABULARY = "https://schema.org/"
# Terms that schema.org does not have; those that end in a colon are prefixes.
TERMS = {
    "broader": "http://www.w3.org/2004/02/skos/core#broader",
    "gs1:": "https://ref.gs1.org/voc/",
    "relation:": "urn:extractor:relation:",
}
_CONTEXT = {"@vocab": VOCABULARY} | {name.rstrip(":"): iri for name, iri in TERMS.items()}
# Kind of node -> class of schema.org. ProductType and Occasion have none of their own.
_CLASSES = {
    "Product": "Product",
    "Brand": "Brand",
    "Category": "CategoryCode",
    "Audience": "Audience",
    "Merchant": "Organization",
    "ProductType": "DefinedTerm",
    "Occasion": "DefinedTerm",
    "Attribute": "DefinedTerm",
    "SPU": "ProductModel",
}
# Relation type -> property whose value is the node.
_LINKS = {
    "has_brand": "brand",
    "in_category": "category",
    "also_in_category": "category",
    "subcategory_of": "broader",
    "suits": "audience",
    "is_a": "additionalType",
    "member_of": "model",
}
# Relation type -> property whose value is text; all others become a PropertyValue.
_TEXTS = {
    "has_color": "color",
    "has_material": "material",
    "has_pattern": "pattern",
    "has_size": "size",
    "has_model_number": "model",
    "has_mpn": "mpn",
    "has_gtin": "gtin",
    "has_ean": "gtin",
    "has_upc": "gtin",
    "has_url": "url",
}
# Relation type -> property of the product's offer.
_OFFERS = {"has_price": "price", "has_currency": "priceCurrency", "sold_by": "seller"}
# Relation types that say how a statement came about, nothing of the product.
_REMARKS = {"brand_link", "brand_check", "same_as", "different_from"}

_ROWS = """
WITH e AS (
    SELECT subject, predicate, object FROM edges UNION ALL SELECT product, 'member_of', spu FROM members
)
SELECT n.id, n.kind, n.label, e.predicate, o.id AS object, o.kind AS object_kind, o.label AS text
FROM nodes AS n LEFT JOIN e ON e.subject = n.id LEFT JOIN nodes AS o ON o.id = e.object
WHERE n.kind <> 'Value' ORDER BY n.id, e.predicate, e.object
"""


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the document to a new file."""
    with out.open("w", encoding="utf-8") as file:
        file.write(f'{{"@context": {json.dumps(_CONTEXT)},\n"@graph": [')
        separator = "\n"
        for node in nodes(graph):
            file.write(separator + json.dumps(node, ensure_ascii=False))
            separator = ",\n"
        file.write("\n]}\n")


def nodes(graph: DuckDBStore) -> Iterator[dict[str, Any]]:
    """JSON-LD of each node, by id: strings, {"@id": ...}, and nodes without an id; several values in a list."""
    for _, rows in groupby(graph.rows(_ROWS), key=itemgetter("id")):
        yield _node(rows)


def _node(rows: Iterator[dict[str, Any]]) -> dict[str, Any]:
    first = next(rows)
    node: dict[str, Any] = {"@id": iri(first["id"]), "@type": _CLASSES[first["kind"]], "name": first["label"]}
    if first["kind"] in ("Product", "Category"):
        node["sku" if first["kind"] == "Product" else "codeValue"] = first["id"].split(":", 1)[1]
    for row in (first, *rows):
        if row["predicate"]:
            _add_edge(node, row)
    return node


def _add_edge(node: dict[str, Any], row: dict[str, Any]) -> None:
    predicate = row["predicate"]
    if predicate in _REMARKS:
        return
    if predicate in _LINKS:
        _append(node, _LINKS[predicate], _object(row))
    elif predicate in _OFFERS:
        _add_to_offer(node.setdefault("offers", {"@type": "Offer"}), row)
    elif predicate in _TEXTS:
        _append(node, _TEXTS[predicate], row["text"])
        if _TEXTS[predicate] == "gtin" and (digits := gtin_digits(row["text"])):
            _append(node, "gs1:gtin", digits)
    elif row["kind"] != "Product" and row["object_kind"] != "Value":
        _append(node, f"relation:{quote(predicate, safe='')}", _object(row))
    else:
        _append(node, "additionalProperty", _property(row))


def _add_to_offer(offer: dict[str, Any], row: dict[str, Any]) -> None:
    """A price is an amount, and its currency comes before what the feed calls it."""
    cost = money_of(row["text"]) if row["predicate"] == "has_price" else None
    if cost and cost.currency:
        offer["priceCurrency"] = cost.currency
    _append(offer, _OFFERS[row["predicate"]], f"{cost.amount:.2f}" if cost else _object(row))


def _object(row: dict[str, Any]) -> Any:
    return row["text"] if row["object_kind"] == "Value" else {"@id": iri(row["object"])}


def _property(row: dict[str, Any]) -> dict[str, Any]:
    name = row["predicate"].removeprefix("has_")
    value: dict[str, Any] = {"@type": "PropertyValue", "propertyID": name, "name": name.replace("_", " ")}
    value["value"] = row["text"]
    if row["object_kind"] != "Value":
        value["valueReference"] = {"@id": iri(row["object"])}
    return value


def _append(node: dict[str, Any], key: str, value: Any) -> None:
    """A single value stands alone, several in a list."""
    if key not in node:
        node[key] = value
    elif isinstance(node[key], list):
        node[key].append(value)
    else:
        node[key] = [node[key], value]


def iri(node_id: str) -> str:
    """A node id as an IRI: "urn:extractor:product:a%20b"."""
    prefix, _, name = node_id.partition(":")
    return f"urn:extractor:{prefix}:{quote(name, safe='')}"
