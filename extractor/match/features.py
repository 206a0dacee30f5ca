"""Pairs of listings in, what speaks for and against their being the same product out, as numbers.

Every feature is symmetric: of two numbers that depend on the order, the smaller and the larger one are given. Works on
whole arrays of pairs; a chunk at a time keeps memory bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from extractor.match.listing import Listing
from extractor.match.table import Kind, Table, build_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

CHUNK = 20_000
# Kind of tokens -> what they are values of: both speak of it and agree on nothing.
_CONFLICTS = {"measures": "units", "values": "attributes"}


def feature_names() -> tuple[str, ...]:
    """Names of the columns of `features`, in order."""
    import numpy as np

    nobody = np.zeros(1, dtype=np.int64)
    return tuple(name for name, _ in _columns(build_table([Listing("", "a")]), nobody, nobody))


def features(table: Table, left: Ints, right: Ints) -> Floats:
    """One row a pair.

    Args:
        table: The collection.
        left: Row numbers of one side of the pairs.
        right: Of the other side; as many.

    Returns:
        Pairs x features; -1 where one side says nothing (no price, no brand).
    """
    import numpy as np

    chunks = [
        np.column_stack(
            [column for _, column in _columns(table, left[at : at + CHUNK], right[at : at + CHUNK])]
        )
        for at in range(0, len(left), CHUNK)
    ]
    return np.concatenate(chunks) if chunks else np.empty((0, len(feature_names())))


def _columns(table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    yield from _words(table, left, right)
    for name in ("codes", "models", "numbers", "measures", "colors", "values"):
        yield from _shared(name, table, left, right)
    yield from _grams(table, left, right)
    yield from _across(table, left, right)
    yield from _strings(table, left, right)
    yield from _prices(table, left, right)


def _words(table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    """Overlap of titles by weight, and the weightiest words that the other title lacks."""
    import numpy as np

    weights = table.words.weights
    sides = []
    for one, other in ((left, right), (right, left)):
        mine = _weighted(table.words.rows[one], weights)
        found = mine.multiply(table.joined.rows[other]).tocsr()
        missing = (mine - found).tocsr()
        missing.eliminate_zeros()
        sides.append((_sum(mine), _sum(found), _sum(missing), _max(missing), _count(missing), _count(mine)))
    (
        (total_a, found_a, missing_a, max_a, count_a, size_a),
        (total_b, found_b, missing_b, max_b, count_b, size_b),
    ) = sides
    yield from _both("words_found", found_a / np.maximum(total_a, 1e-6), found_b / np.maximum(total_b, 1e-6))
    yield "words_shared", np.minimum(found_a, found_b)
    yield "words_cosine", (found_a + found_b) / np.maximum(total_a + total_b, 1e-6)
    yield from _both("words_missing", missing_a, missing_b)
    yield from _both("words_missing_max", max_a, max_b)
    yield from _both("words_missing_count", count_a, count_b)
    yield from _both("words_count", size_a, size_b)


def _shared(name: str, table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    """How many tokens of a kind both have, and either has alone."""
    import numpy as np

    kind: Kind = getattr(table, name)
    a, b = kind.rows[left], kind.rows[right]
    both = _weighted(a.multiply(b).tocsr(), kind.weights)
    shared, of_a, of_b = _count(both), _count(a), _count(b)
    yield f"{name}_shared", shared
    if name in _CONFLICTS:
        yield (
            f"{name}_conflicts",
            np.maximum(_count(_both_have(table, _CONFLICTS[name], left, right)) - shared, 0),
        )
    yield f"{name}_shared_max", _max(both)
    yield f"{name}_alone_min", np.minimum(of_a, of_b) - shared
    yield f"{name}_alone_max", np.maximum(of_a, of_b) - shared


def _both_have(table: Table, name: str, left: Ints, right: Ints) -> Any:
    kind: Kind = getattr(table, name)
    return kind.rows[left].multiply(kind.rows[right]).tocsr()


def _grams(table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    import numpy as np

    a, b = _weighted(table.grams.rows[left], table.grams.weights), table.grams.rows[right]
    both = a.multiply(b)
    of_b = _weighted(b, table.grams.weights)
    norm = np.sqrt(_sum(a.multiply(a)) * _sum(of_b.multiply(of_b)))
    yield "grams_cosine", _sum(both.multiply(of_b)) / np.maximum(norm, 1e-6)
    total = np.minimum(_sum(a), _sum(of_b))
    yield "grams_found", _sum(both) / np.maximum(total, 1e-6)


def _across(table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    """What one side's title says and the other side's title or description bears out."""
    import numpy as np

    found, codes, missing = [], [], []
    for one, other in ((left, right), (right, left)):
        mine = _weighted(table.words.rows[one], table.words.weights)
        there = mine.multiply(table.text.rows[other]).tocsr()
        found.append(_sum(there) / np.maximum(_sum(mine), 1e-6))
        missing.append(_max((mine - there).tocsr()))
        codes.append(_count(table.codes.rows[one].multiply(table.text_codes.rows[other]).tocsr()))
    yield from _both("text_found", *found)
    yield from _both("text_missing_max", *missing)
    yield from _both("text_codes", *codes)
    a, b = table.text.rows[left], table.text.rows[right]
    both = _weighted(a.multiply(b).tocsr(), table.text.weights)
    smaller = np.minimum(_sum(_weighted(a, table.text.weights)), _sum(_weighted(b, table.text.weights)))
    yield "text_shared", _sum(both) / np.maximum(smaller, 1e-6)


def _strings(table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    import numpy as np
    from rapidfuzz import fuzz
    from rapidfuzz.distance import JaroWinkler, Prefix
    from rapidfuzz.process import cpdist

    def compare(name: str, texts: list[str], scorer: Any) -> tuple[str, Floats]:
        pairs = [texts[row] for row in left], [texts[row] for row in right]
        return name, cpdist(*pairs, scorer=scorer, dtype=np.float32).astype(np.float64)

    yield compare("title_ratio", table.titles, fuzz.ratio)
    yield compare("title_sorted_ratio", table.sorted_titles, fuzz.ratio)
    yield compare("title_set_ratio", table.titles, fuzz.token_set_ratio)
    yield compare("title_partial", table.titles, fuzz.partial_ratio)
    codes = compare("code", table.rarest_codes, fuzz.partial_ratio)[1]
    both = np.array(
        [bool(table.rarest_codes[a] and table.rarest_codes[b]) for a, b in zip(left, right, strict=True)],
        dtype=bool,
    )
    yield "code", np.where(both, codes, -1.0)
    prefixes = compare("code_prefix", table.rarest_codes, Prefix.normalized_similarity)[1]
    yield "code_prefix", np.where(both, prefixes, -1.0)
    brands = compare("brand", table.brands, JaroWinkler.normalized_similarity)[1]
    known = np.array(
        [bool(table.brands[a] and table.brands[b]) for a, b in zip(left, right, strict=True)], dtype=bool
    )
    yield "brand", np.where(known, brands, -1.0)


def _prices(table: Table, left: Ints, right: Ints) -> Iterator[tuple[str, Floats]]:
    import numpy as np

    a, b = table.prices[left], table.prices[right]
    known = (a > 0) & (b > 0)
    ratio = np.abs(np.log(np.where(known, a, 1.0)) - np.log(np.where(known, b, 1.0)))
    yield "price_ratio", np.where(known, ratio, -1.0)


def _weighted(rows: Any, weights: NDArray[np.float32]) -> Any:
    found = rows.tocsr(copy=True)
    found.data = weights[found.indices] * (found.data != 0)
    return found


def _both(name: str, one: Floats, other: Floats) -> Iterator[tuple[str, Floats]]:
    import numpy as np

    yield f"{name}_min", np.minimum(one, other)
    yield f"{name}_max", np.maximum(one, other)


def _sum(rows: Any) -> Floats:
    import numpy as np

    return np.asarray(rows.sum(axis=1), dtype=np.float64).ravel()


def _max(rows: Any) -> Floats:
    import numpy as np

    return np.asarray(rows.max(axis=1).todense(), dtype=np.float64).ravel()


def _count(rows: Any) -> Floats:
    import numpy as np

    return np.diff(rows.indptr).astype(np.float64)
