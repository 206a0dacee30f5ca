"""What is wrong with a graph.

In: a graph. Out: one line for each kind of problem; none when all is well. A graph that only this package wrote has
none, even after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator

from extractor.graph.statements import statement_of
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.stores.tables import KIND_OF_ID

# Problem -> SQL that gives the ids it shows at.
_RULES = {
    "statement ids are not unique": "SELECT id FROM statements GROUP BY id HAVING count(*) > 1",
    "node ids are not unique": "SELECT id FROM nodes GROUP BY id HAVING count(*) > 1",
    "nodes have a kind that their id does not say": (
        f"SELECT id FROM nodes WHERE kind IS DISTINCT FROM {KIND_OF_ID}"
    ),
    "statements have an end that is no node": (
        "SELECT id FROM statements WHERE subject NOT IN (SELECT id FROM nodes)"
        " OR object NOT IN (SELECT id FROM nodes)"
    ),
    "nodes are mentioned by no statement and no listing": (
        "SELECT id FROM nodes WHERE id NOT IN (SELECT subject FROM statements)"
        " AND id NOT IN (SELECT object FROM statements)"
        " AND id NOT IN (SELECT 'product:' || product FROM listings)"
        " AND id NOT IN (SELECT spu FROM members)"
    ),
    "members of a SPU are no nodes": (
        "SELECT spu FROM members WHERE spu NOT IN (SELECT id FROM nodes)"
        " OR product NOT IN (SELECT id FROM nodes)"
    ),
    "reasons are missing, or given for a statement that stands": (
        "SELECT id FROM statements WHERE (rank = 'deprecated') <> (reason <> '')"
    ),
    "statements belong to a run that was not merged": (
        "SELECT id FROM statements WHERE run NOT IN (SELECT id FROM runs)"
    ),
    "statements are about a product that their run does not list": (
        "SELECT id FROM statements AS s WHERE product <> '' AND source NOT IN ('person', 'match')"
        " AND NOT EXISTS"
        " (FROM listings AS l WHERE l.run = s.run AND l.product = s.product)"
    ),
    "listings are not unique in their run": (
        "SELECT product FROM listings GROUP BY run, product HAVING count(*) > 1"
    ),
    "statements have a rank or confidence that is none": (
        "SELECT id FROM statements WHERE rank NOT IN ('preferred', 'normal', 'deprecated')"
        " OR NOT confidence BETWEEN 0 AND 1"
    ),
    "spans are empty or half-given": (
        "SELECT id FROM statements WHERE (span_start IS NULL) <> (span_end IS NULL)"
        " OR span_start < 0 OR span_end <= span_start"
    ),
    "quotes are not as long as their span": (
        "SELECT id FROM statements WHERE source NOT IN ('person', 'match', 'feed')"
        " AND length(quote) <> coalesce(span_end - span_start, 0)"
    ),
    "quotes do not stand in the title at their span": (
        "SELECT s.id FROM statements AS s JOIN listings AS l ON l.run = s.run AND l.product = s.product"
        " WHERE span_end <= length(title)"
        " AND quote <> substring(title, span_start + 1, span_end - span_start)"
    ),
}


def problems(graph: DuckDBStore) -> Iterator[str]:
    """One line a problem: how many, what, and one id."""
    for problem, sql in _RULES.items():
        counted = f"SELECT count(*) AS n, min(ids::VARCHAR) AS example FROM ({sql}) AS found(ids)"
        for row in graph.rows(counted):
            if row["n"]:
                yield f"{row['n']} times: {problem}, such as {row['example']}"
    yield from _ids(graph)
    if wrong := sorted(graph.wrong_schemas()):
        yield f"{len(wrong)} times: schemas or functional relations do not follow from the runs, such as {wrong[0]}"
    if unsettled := sorted(graph.unsettled()):
        yield f"{len(unsettled)} times: ranks or SPUs do not follow from the statements, such as {unsettled[0]}"


def _ids(graph: DuckDBStore) -> Iterator[str]:
    """Statement ids are what their content hashes to."""
    rows = graph.rows("SELECT * FROM statements")
    wrong = [str(row["id"]) for row in rows if row["id"].hex != statement_of(row).id]
    if wrong:
        yield f"{len(wrong)} times: statement ids do not follow from what is stated, such as {min(wrong)}"
