"""What statements are about: nodes, their kinds and their ids; and what is said of them before it is a Statement.

Knows neither Outcomes nor stores.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from extractor.records import Provenance

# Prefix of a node id -> kind of the node.
KINDS = {
    "product": "Product",
    "category": "Category",
    "brand": "Brand",
    "product_type": "ProductType",
    "audience": "Audience",
    "occasion": "Occasion",
    "merchant": "Merchant",
    "value": "Value",
    # What several listings are of.
    "spu": "SPU",
    "attribute": "Attribute",
}
# Relation types that hold numbers of the GS1 system.
GTINS = frozenset({"has_gtin", "has_upc", "has_ean", "has_isbn", "has_barcode"})
# Stands in the id of a node whose name has another meaning elsewhere, before the vertical where it has this one.
MEANING = "@"
# Characters; the text of a longer literal stands in the label.
_MAX_LITERAL = 160


class Node(NamedTuple):
    """One thing that statements are about."""

    # Prefix, colon, and what identifies it: "brand:sony".
    id: str
    # One of KINDS.
    kind: str
    # How this Outcome spells it.
    label: str


class Said(NamedTuple):
    """One edge and where it comes from."""

    subject: Node
    predicate: str
    target: Node
    # 0..1.
    confidence: float
    provenance: Provenance


def value_node(name: str, text: str) -> Node:
    """The node of a plain value of an attribute."""
    return Node(f"value:{name}:{keyed(text)}", KINDS["value"], text)


def keyed(literal: str) -> str:
    """What stands for a literal in an id: itself, or the hash of a long one, which databases refuse as a key."""
    if len(literal) <= _MAX_LITERAL:
        return literal
    return hashlib.blake2b(literal.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=65_536)
def slug(text: str, separator: str) -> str:
    """A name in lower case, with a separator for all but letters, marks and digits: "black-decker".

    Marks stay, because Devanagari and Thai write vowels with them. Empty when nothing is left ("???").
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return re.sub(r" +", separator, kept.strip())
