"""A listing in, the words of its title that the description itself calls the brand out ("Brand: Kestrel Bay").

Shops paste specification tables into descriptions. Where such a table and the title have the same words, nobody has to
guess where the brand ends. Knows no model and no schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from extractor.records import Product, Proposal, ScoredSpan, Span

# Names of the attribute that a proposer is asked for.
NAMES = frozenset({"brand", "brand name"})
# Of 153 brands labelled so in training records of three shops, 152 were the shop's (eval/LOG.md).
CONFIDENCE = 0.98
# More words in common with the title are a repetition of the title.
_MOST_WORDS = 4
_LABEL = re.compile(
    r"(?<!\w)(?:Brand|BRAND)(?:\s+(?:Name|NAME))?(?:\s*[:|]\s*|\s+)(?!(?i:new|colou?r)\b)(?=\S)"
)
_WORD = re.compile(r"\S+")


def with_labelled(product: Product, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
    """Proposals of which the brand's, where one was asked for, is what the description calls it."""
    labelled = labelled_brand(product)
    if labelled is None:
        return dict(proposals)
    sure = Proposal(1 - CONFIDENCE, (ScoredSpan(labelled, CONFIDENCE),))
    return {name: sure if name.lower() in NAMES else found for name, found in proposals.items()}


def labelled_brand(product: Product) -> Span | None:
    """Where the title has the words behind a label of the description; as many of them as it has."""
    if _LABEL.search(product.title):  # the description may repeat it: "Generic Brand Mug"
        return None
    for label in _LABEL.finditer(product.description):
        longest = None
        for count, word in enumerate(_WORD.finditer(product.description, label.end()), 1):
            place = _in_title(product.description[label.end() : word.end()].rstrip(" .,;"), product.title)
            if place is None:
                break
            if count > _MOST_WORDS:
                longest = None
                break
            longest = place
        if longest:
            return longest
    return None


def _in_title(words: str, title: str) -> Span | None:
    found = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", title, re.IGNORECASE)
    return Span(*found.span()) if found and words else None
