"""Listings in, sparse matrices of their tokens out: a row a listing, a column a token by its hash.

A column is the token's CRC-32 modulo a power of two: no vocabulary has to be kept, and a scorer that learned what a
token is worth works on the next collection. Weights of tokens come from the collection itself: rare ones weigh more.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from extractor.match.listing import Listing
from extractor.match.tokens import Tokens, fold, squeeze, tokenize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = 1 << 18
_GRAM = 3
# In a handful of listings every word is rare: they count as a sample of so many.
_LEAST_SIZE = 1000
# A model name that fewer listings state may be anything: a part number, a shop's own, a slip of the pen.
_ESTABLISHED = 3
_LONGEST_TITLE, _LONGEST_TEXT = 500, 3000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of token: who has which (binary), and what each is worth in this collection (0..1)."""

    rows: Any  # scipy.sparse.csr_array, listings x COLUMNS, float32, ones
    weights: NDArray[np.float32]

    def weighted(self) -> Any:
        """Rows with weights for ones."""
        found = self.rows.copy()
        found.data = self.weights[found.indices]
        return found


@dataclass(frozen=True, slots=True)
class Table:
    """A collection as matching sees it."""

    listings: Sequence[Listing]
    # Of titles.
    words: Kind
    # Words and joined words of titles.
    joined: Kind
    codes: Kind
    # Those that several listings state: two listings that state different ones are seldom one product.
    models: Kind
    numbers: Kind
    measures: Kind
    units: Kind
    colors: Kind
    grams: Kind
    # Of title and description.
    text: Kind
    text_codes: Kind
    # "attribute=value", and the attributes alone.
    values: Kind
    attributes: Kind
    # For string distances: folded title, its words in order, squeezed brand, rarest code.
    titles: list[str]
    sorted_titles: list[str]
    brands: list[str]
    rarest_codes: list[str]
    # 0: not known.
    prices: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.listings)


def build_table(listings: Sequence[Listing]) -> Table:
    """Tokenize a collection; memory grows with its tokens, about 5 KB a listing."""
    import numpy as np

    titles = [listing.title[:_LONGEST_TITLE] for listing in listings]
    of_title = [tokenize(title) for title in titles]
    of_text = [_text_tokens(listing, tokens) for listing, tokens in zip(listings, of_title, strict=True)]
    folded = [" ".join(tokens.words) for tokens in of_title]
    kind = partial(_kind, count=len(listings))
    codes = kind(tokens.codes for tokens in of_title)
    return Table(
        listings,
        words=kind(tokens.words for tokens in of_title),
        joined=kind((*tokens.words, *tokens.joined) for tokens in of_title),
        codes=codes,
        models=kind(established([tokens.models for tokens in of_title], _ESTABLISHED)),
        numbers=kind([word for word in tokens.words if word.isdigit()] for tokens in of_title),
        measures=kind([f"{unit}={number}" for unit, number in tokens.measures] for tokens in of_title),
        units=kind([unit for unit, _ in tokens.measures] for tokens in of_title),
        colors=kind(tokens.colors for tokens in of_title),
        grams=kind(map(_grams, folded)),
        text=kind((*tokens.words, *tokens.joined) for tokens in of_text),
        text_codes=kind(tokens.codes for tokens in of_text),
        values=kind(map(_values, listings)),
        attributes=kind([*listing.attributes] for listing in listings),
        titles=folded,
        sorted_titles=[" ".join(sorted(title.split())) for title in folded],
        brands=[squeeze(listing.brand) for listing in listings],
        rarest_codes=[_rarest(tokens.codes, codes.weights) for tokens in of_title],
        prices=np.array([listing.price or 0.0 for listing in listings]),
    )


def column(token: str) -> int:
    """Where a token stands in every matrix, on every machine."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) & (COLUMNS - 1)


def _text_tokens(listing: Listing, of_title: Tokens) -> Tokens:
    if not listing.description:
        return of_title
    return tokenize(f"{listing.title[:_LONGEST_TITLE]}\n{listing.description[:_LONGEST_TEXT]}")


def _values(listing: Listing) -> list[str]:
    return [f"{name}={fold(value)}" for name, values in listing.attributes.items() for value in values]


def _rarest(codes: Sequence[str], weights: NDArray[np.float32]) -> str:
    return max(codes, key=lambda code: (weights[column(code)], code), default="")


def established(rows: Sequence[Collection[str]], least: int) -> Iterator[list[str]]:
    """Of each row the tokens that so many rows have."""
    count = Counter(token for row in rows for token in row)
    return ([token for token in row if count[token] >= least] for row in rows)


def _grams(text: str) -> list[str]:
    padded = f" {text} "
    return [padded[start : start + _GRAM] for start in range(len(padded) - _GRAM + 1)]


def _kind(rows: Iterable[Iterable[str]], count: int) -> Kind:
    import numpy as np
    from scipy.sparse import csr_array

    starts, columns = [0], []
    for tokens in rows:
        columns += sorted({column(token) for token in tokens})
        starts.append(len(columns))
    indices = np.array(columns, dtype=np.int32)
    frequency = np.bincount(indices, minlength=COLUMNS)
    size = max(count, _LEAST_SIZE)
    weights = np.log((size + 1) / (frequency + 0.5)) / np.log(size + 2)
    ones = np.ones(len(indices), dtype=np.float32)
    matrix = csr_array((ones, indices, np.array(starts)), shape=(count, COLUMNS))
    return Kind(matrix, np.clip(weights, 0.01, 1.0).astype(np.float32))
