"""A product in, the products that it is made of out, where its title says that it is several.

Only titles that say so count: "Shampoo + Conditioner Combo". A "Shirt with Belt Loops" is one product.
"""

from __future__ import annotations

import re
from dataclasses import replace

from extractor.records import Product

# Words that say that several products are sold as one.
_SAYS_SO = re.compile(r"(?i)\b(?:combo|bundle|bundled|gift set|hamper|combi)\b|\s\+\s|\bwith (?:a )?free\b")
_BORDER = re.compile(r"(?i)\s\+\s|\s&\s|\sand\s|,\s|\bwith\b")
_NOISE = re.compile(r"(?i)\b(?:combo|bundle|bundled|gift set|hamper|combi|pack|set|of|a|free|\d+)\b|[()\[\]]")
# More parts are a list of properties.
_MOST = 4


def parts_of(product: Product) -> list[Product]:
    """The parts as products of their own, at least two; empty for a single product."""
    title = product.title
    if not _SAYS_SO.search(title):
        return []
    parts = [" ".join(_NOISE.sub(" ", part).split()) for part in _BORDER.split(title)]
    parts = [part for part in parts if re.search(r"[^\W\d]{3}", part)]
    if not 2 <= len(parts) <= _MOST:
        return []
    return [replace(product, title=part, description="", category_path=()) for part in parts]
