"""Ranks and clusters of a DuckDB graph follow from its statements: rank.py and identity.py decide, this asks them.

In: a connection, and the listings that a write was about. Out: the table members, and rank and reason of the statements
of these listings and of those that are the same product. All other statements stay as they are, unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import pyarrow as pa

from extractor.graph.identity import DIFFERENT, SAME, identify
from extractor.graph.rank import ALWAYS_FUNCTIONAL, Claim, Verdict, rank, verdicts
from extractor.graph.stores.arrow import table

# Statements looked at together, but for the last product of a part: bounds the memory of settling a whole graph.
_PART = 200_000

_PAIR = f"predicate IN ('{SAME}', '{DIFFERENT}')"
_WHEN = "(SELECT id, coalesce(manifest->>'created', '') AS created FROM runs)"
# Fields of Claim, the two of its `when` last; then the rank and reason of the graph. A row is read by position,
# because a graph has millions.
_CLAIM = (
    "s.id::VARCHAR AS id, subject, predicate, object, confidence, product, source, prompt, model,"
    " if(source = 'person', quote, '') AS quote, r.created, run, rank, reason"
)
_WHEN_AT, _VERDICT_AT = slice(10, 12), slice(12, 14)
_CLAIMS = f"SELECT {_CLAIM} FROM statements AS s JOIN {_WHEN} AS r ON r.id = s.run"
_NORMAL = Verdict("normal", "")

# Ids of the listings whose statements may have another rank when a run comes or goes: those it speaks of, and those of
# which others say what a person takes back or states in it.
_ABOUT = f"""
SELECT product FROM listings WHERE run = $run
UNION SELECT product FROM statements WHERE run = $run
UNION SELECT unnest([substring(subject, 9), substring(object, 9)]) FROM statements WHERE run = $run AND {_PAIR}
UNION SELECT s.product FROM statements AS s JOIN statements AS word USING (subject, predicate, object)
    WHERE word.run = $run AND word.source = 'person'
"""

# With whether both ends are listings of the graph: after an undo they may be gone.
_PAIRS = f"""
WITH listed AS (SELECT 'product:' || product AS id FROM listings), pair AS ({_CLAIMS} WHERE {_PAIR})
SELECT *, subject IN (FROM listed) AND object IN (FROM listed) FROM pair
"""
_LISTED = 14
_PAIRS_ARE_TOUCHED = f"""
SELECT EXISTS (FROM members WHERE substring(product, 9) IN (FROM touched)) OR EXISTS
    (FROM statements WHERE {_PAIR}
     AND (substring(subject, 9) IN (FROM touched) OR substring(object, 9) IN (FROM touched)))
"""
# With all listings of a SPU, because they vote on each other's values.
_GROUPED = """
CREATE OR REPLACE TEMP TABLE grouped AS
WITH spu AS (SELECT spu, substring(product, 9) AS product FROM members)
SELECT product, coalesce(spu, product) AS of FROM touched LEFT JOIN spu USING (product)
UNION SELECT product, spu FROM spu WHERE spu IN (SELECT spu FROM spu WHERE product IN (FROM touched))
"""
_SIZES = "SELECT of, count(*) FROM statements JOIN grouped USING (product) GROUP BY of ORDER BY of"
_ALWAYS = tuple(sorted(ALWAYS_FUNCTIONAL))
# Only where several runs speak of a listing, two objects of one functional relation are stated, a person has a word on
# it, or a rank was given before, can a rank be another than normal.
_CONTESTED = f"""
CREATE OR REPLACE TEMP TABLE contested AS
WITH part AS (FROM grouped WHERE of BETWEEN $first AND $last), said AS NOT MATERIALIZED (
    FROM statements JOIN part USING (product) WHERE NOT {_PAIR}
), word AS (
    SELECT subject, predicate, object FROM statements WHERE source = 'person' AND NOT {_PAIR}
), judged AS MATERIALIZED ( -- first, because there are few
    SELECT DISTINCT product FROM statements JOIN word USING (subject, predicate, object)
)
SELECT of FROM listings JOIN part USING (product) GROUP BY of, product HAVING count(*) > 1
UNION SELECT of FROM said WHERE predicate IN {_ALWAYS} OR predicate IN (FROM functional)
    GROUP BY of, subject, predicate HAVING min(object) <> max(object)
UNION SELECT of FROM said WHERE rank <> 'normal'
UNION SELECT of FROM judged JOIN part USING (product)
"""
# What persons say elsewhere of the same statements comes along, but is not `own`: it is ranked where it stands.
_SAID = f"""
WITH part AS (FROM grouped WHERE of IN (FROM contested)), own AS (
    SELECT part.of, true AS own, {_CLAIM} FROM statements AS s JOIN part USING (product)
    JOIN {_WHEN} AS r ON r.id = s.run WHERE NOT {_PAIR}
), word AS (
    {_CLAIMS} WHERE source = 'person' AND NOT {_PAIR}
), said AS (
    FROM own UNION ALL
    SELECT DISTINCT own.of, false, word.* FROM own JOIN word USING (subject, predicate, object)
    WHERE (own.of, word.product) NOT IN (SELECT (of, product) FROM part)
)
SELECT * EXCLUDE (of, own), of, own FROM said ORDER BY of
"""
_OF, _OWN = 14, 15


def listings_of(connection: duckdb.DuckDBPyConnection, run_id: str) -> set[str]:
    """Ids of the listings whose ranks and clusters depend on what a run says now."""
    return {row[0] for row in connection.execute(_ABOUT, {"run": run_id}).fetchall()}


def settle(connection: duckdb.DuckDBPyConnection, listings: Iterable[str] | None = None) -> bool:
    """Bring clusters and ranks in line after a write, in its transaction.

    Args:
        connection: To the graph.
        listings: Ids of the listings that the write was about; None: all there are.

    Returns:
        Whether a cluster changed.
    """
    _touch(connection, listings)
    is_moved = _is_true(connection, _PAIRS_ARE_TOUCHED) and _settle_pairs(connection)
    for wrong in _misranked(connection):
        _write_verdicts(connection, wrong)
    return is_moved


def unsettled(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Ids of what is not as it follows from all statements: statements for their rank or reason, members."""
    _touch(connection, None)
    pairs = _pairs(connection)
    yield from (product for _, product in _members(connection) ^ pairs.members)
    for wrong in (pairs.misranked, *_misranked(connection)):
        yield from wrong


@dataclass(frozen=True, slots=True)
class _Pairs:
    """What follows from the statements about pairs of listings."""

    # Rows that the table members should have.
    members: set[tuple[str, str]]
    # Statement id -> right verdict, where it is another.
    misranked: dict[str, Verdict]


def _pairs(connection: duckdb.DuckDBPyConnection) -> _Pairs:
    rows = connection.execute(_PAIRS).fetchall()
    identity = identify([_claim(row) for row in rows if row[_LISTED]])
    lost = {row[0]: "a listing that it is about is not in the graph" for row in rows if not row[_LISTED]}
    found = verdicts(map(_claim, rows), lost | {**identity.lost})
    members = {(f"spu:{c[0].removeprefix('product:')}", product) for c in identity.clusters for product in c}
    return _Pairs(members, _wrong(rows, found))


def _settle_pairs(connection: duckdb.DuckDBPyConnection) -> bool:
    """Clusters and the ranks of pairs; listings that are in another cluster now are touched too."""
    pairs = _pairs(connection)
    _write_verdicts(connection, pairs.misranked)
    moved = pairs.members ^ _members(connection)
    if not moved:
        return False
    with _registered(connection, "wanted", ("spu", "product"), pairs.members):
        connection.execute("DELETE FROM members AS m WHERE NOT EXISTS (FROM wanted AS w WHERE w = m)")
        connection.execute(
            "INSERT INTO members FROM wanted AS w WHERE NOT EXISTS (FROM members AS m WHERE w = m)"
        )
    with _registered(connection, "moved", ("spu", "product"), moved):
        connection.execute("INSERT INTO touched SELECT DISTINCT substring(product, 9) FROM moved")
    return True


def _members(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    return set(connection.execute("FROM members").fetchall())


def _misranked(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Verdict]]:
    """Id -> right verdict of the statements about touched listings that have another; some listings at a time."""
    connection.execute(_GROUPED)
    functional = {row[0] for row in connection.execute("FROM functional").fetchall()}
    for first, last in _parts(connection):
        connection.execute(_CONTESTED, {"first": first, "last": last})
        found: dict[str, Verdict] = {}
        for _, of_product in groupby(connection.execute(_SAID).fetchall(), key=itemgetter(_OF)):
            rows = [*of_product]
            found |= _wrong(
                [row for row in rows if row[_OWN]], rank([_claim(row) for row in rows], functional)
            )
        yield found


def _parts(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """First and last id of what is looked at together."""
    first, size = "", 0
    for of, count in connection.execute(_SIZES).fetchall():
        first = first if size else of
        size += count
        if size >= _PART:
            yield first, of
            size = 0
    if size:
        yield first, of


def _claim(row: tuple[Any, ...]) -> Claim:
    return Claim._make((*row[: _WHEN_AT.start], row[_WHEN_AT]))


def _wrong(rows: Iterable[tuple[Any, ...]], right: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Id -> right verdict, of the rows that have another."""
    return {row[0]: verdict for row in rows if (verdict := right.get(row[0], _NORMAL)) != row[_VERDICT_AT]}


def _write_verdicts(connection: duckdb.DuckDBPyConnection, found: Mapping[str, Verdict]) -> None:
    if not found:
        return
    rows = [(name, *verdict) for name, verdict in found.items()]
    with _registered(connection, "verdicts", ("id", "rank", "reason"), rows):
        connection.execute(
            "UPDATE statements SET rank = v.rank, reason = v.reason FROM verdicts AS v"
            " WHERE statements.id = v.id::UUID"
        )


def _touch(connection: duckdb.DuckDBPyConnection, listings: Iterable[str] | None) -> None:
    """The table touched: ids of the listings that are looked at."""
    if listings is None:
        connection.execute("CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT product FROM statements")
        return
    with _registered(connection, "ids", ("product",), ((name,) for name in listings)):
        connection.execute("CREATE OR REPLACE TEMP TABLE touched AS FROM ids")


def _is_true(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    row = connection.execute(sql).fetchone()
    return bool(row and row[0])


@contextmanager
def _registered(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]
) -> Iterator[None]:
    """Rows of text as a table that SQL can name."""
    connection.register(name, table(dict.fromkeys(columns, pa.string()), rows))
    try:
        yield
    finally:
        connection.unregister(name)
