"""What goes into a DuckDB graph, as Arrow tables: facts of a run batch by batch, or rows of text.

Python's objects take ten times the memory of Arrow's rows, and are read fastest while they are fresh: so a batch is
made piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa

from extractor.graph.nodes import Node
from extractor.graph.statements import Facts, ProductFacts
from extractor.records import Provenance, Statement

# Rows that DuckDB keeps together, and writes straight to the file when it gets so many at once.
_ROW_GROUP = 122_880
# Statements of one transaction: a row group that is full and one of three quarters. The next checkpoint writes again
# what fits into fewer row groups, up to three, with its neighbors; these never do. After batches of 150,000 it wrote
# all of them again: loading took twice as long and the file was twice as large.
BATCH = _ROW_GROUP * 7 // 4
# Statements that are Python's objects at one time.
_PIECE = 20_000

_LISTING_COLUMNS = dict.fromkeys(("run", "product", "title", "content_hash"), pa.string())
# Rank and reason are the store's own.
_STATEMENT_COLUMNS = {
    **dict.fromkeys(("id", "subject", "predicate", "object", "label"), pa.string()),
    "confidence": pa.float64(),
    **dict.fromkeys(("run", "product", "source"), pa.string()),
    **dict.fromkeys(("span_start", "span_end"), pa.int32()),
    **dict.fromkeys(("quote", "prompt", "schema", "model"), pa.string()),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """What a run says of some listings, in columns as the tables of the graph have them."""

    listings: pa.Table
    # No two state the same.
    statements: pa.Table


def batches(run_id: str, facts: Iterable[ProductFacts], size: int) -> Iterator[Batch]:
    """Facts of a run, some listings at a time, none of them twice in a batch.

    Args:
        run_id: Of the run.
        facts: In any order; of two about one product the later counts.
        size: A batch ends when it has so many statements.
    """
    batch = _Growing(run_id)
    for each in facts:
        if each.product_id in batch.listings:
            yield batch.taken()
        batch.add(each)
        if batch.size >= size:
            yield batch.taken()
    if batch.listings:
        yield batch.taken()


class _Growing:
    """A batch that is being made."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._begin()

    def _begin(self) -> None:
        # Product id -> title and content hash.
        self.listings: dict[str, tuple[str, str]] = {}
        # Statements of these.
        self.size = 0
        # What is said of categories: by its id, because many products have one and the same.
        self._shared: dict[int, Facts] = {}
        self._pieces: list[pa.Table] = []
        self._fresh: list[ProductFacts] = []
        self._fresh_size = 0

    def add(self, facts: ProductFacts) -> None:
        self.listings[facts.product_id] = facts.title, facts.content_hash
        self._shared[id(facts.shared)] = facts.shared
        self._fresh.append(facts)
        self.size += len(facts.statements)
        self._fresh_size += len(facts.statements)
        if self._fresh_size >= _PIECE:
            self._freeze()

    def _freeze(self) -> None:
        self._pieces.append(statement_table(self._fresh))
        self._fresh, self._fresh_size = [], 0

    def taken(self) -> Batch:
        """The batch; another one begins."""
        self._freeze()
        self._pieces.append(statement_table([_united(self._shared.values())]))
        rows = ((self._run_id, product, *known) for product, known in self.listings.items())
        batch = Batch(table(_LISTING_COLUMNS, rows), pa.concat_tables(self._pieces).combine_chunks())
        self._begin()
        return batch


def _united(several: Iterable[Facts]) -> Facts:
    """Each statement once."""
    nodes: dict[str, Node] = {}
    statements: dict[str, Statement] = {}
    for facts in several:
        nodes.update(facts.nodes)
        statements.update(facts.statements)
    return Facts(nodes, statements)


def statement_table(several: Sequence[ProductFacts | Facts]) -> pa.Table:
    """Statements of the facts; no two of them may state the same."""
    names = [*chain.from_iterable(facts.statements for facts in several)]
    said = [*chain.from_iterable(facts.statements.values() for facts in several)]
    labels = [facts.nodes[s.object].label for facts in several for s in facts.statements.values()]
    subject, predicate, object_, _, confidence, origins = _transposed(said, Statement)
    *of, spans, quote, prompt, schema, model = _transposed(origins, Provenance)
    return _arrow(
        _STATEMENT_COLUMNS,
        *(names, subject, predicate, object_, labels, confidence),
        *of,
        [span and span.start for span in spans],
        [span and span.end for span in spans],
        *(quote, prompt, schema, model),
    )


def _transposed(rows: Iterable[tuple[Any, ...]], of: type[NamedTuple]) -> list[list[Any]]:
    """Column by column; each row is looked at once, and `zip(*rows)` takes ten times as long."""
    cells, width = [*chain.from_iterable(rows)], len(of._fields)
    return [cells[at::width] for at in range(width)]


def table(columns: Mapping[str, pa.DataType], rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Rows, in the order of `columns`."""
    rows = [*rows]
    return _arrow(columns, *([row[at] for row in rows] for at in range(len(columns))))


def _arrow(columns: Mapping[str, pa.DataType], *values: Sequence[Any]) -> pa.Table:
    arrays = [pa.array(v, type=t) for v, t in zip(values, columns.values(), strict=True)]
    return pa.table(arrays, names=list(columns))
