"""The store of record: one DuckDB file.

In: batches of ProductFacts. Out: the tables of `_TABLES`, for SQL. Knows nothing of run folders.

No table but `runs` has an index. DuckDB lets only one process write, and `merge` never inserts a row that is
there, so ids stay unique without one; an index on random 128-bit ids would make the file several times larger
and has to fit in memory. Rows of one run lie together, so looking for what the run said before reads that
run's row groups only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from extractor.errors import ConfigError, ExtractorError, SinkError
from extractor.graph.nodes import KINDS
from extractor.graph.statements import ProductFacts
from extractor.graph.stores import Change

# Raised when the tables change in a way that an older package cannot read.
FORMAT = 1

# SQL for the kind that a node id says.
KIND_OF_ID = (
    "CASE split_part(id, ':', 1) "
    + " ".join(f"WHEN '{prefix}' THEN '{kind}'" for prefix, kind in KINDS.items())
    + " END"
)

_TABLES = f"""
CREATE TABLE graph_format (version INTEGER NOT NULL);
INSERT INTO graph_format VALUES ({FORMAT});
-- merged_at is in UTC.
CREATE TABLE runs (id VARCHAR PRIMARY KEY, manifest JSON NOT NULL, merged_at TIMESTAMP NOT NULL);
-- One row for each run and product; what it says of the product stands in statements.
CREATE TABLE listings (
    run VARCHAR NOT NULL, product VARCHAR NOT NULL, title VARCHAR NOT NULL, content_hash VARCHAR NOT NULL
);
-- Derived from statements and listings: see `_NODES`.
CREATE TABLE nodes (id VARCHAR NOT NULL, kind VARCHAR NOT NULL, label VARCHAR NOT NULL);
-- label: how this statement spells its object. Spans count characters of title, newline, description.
CREATE TABLE statements (
    id UUID NOT NULL, subject VARCHAR NOT NULL, predicate VARCHAR NOT NULL, object VARCHAR NOT NULL,
    label VARCHAR NOT NULL, rank VARCHAR NOT NULL, confidence DOUBLE NOT NULL,
    run VARCHAR NOT NULL, product VARCHAR NOT NULL, source VARCHAR NOT NULL,
    span_start INTEGER, span_end INTEGER, quote VARCHAR NOT NULL,
    prompt VARCHAR NOT NULL, schema VARCHAR NOT NULL, model VARCHAR NOT NULL
);
CREATE VIEW edges AS
    SELECT subject, predicate, object, max(confidence) AS confidence, count(*) AS statements
    FROM statements WHERE rank <> 'deprecated' GROUP BY ALL;
"""

# What the nodes have to be: a product is labelled by the title of its last run (by id), everything else by
# the spelling that most statements use. A function of the other tables, so order and undo leave no trace.
_NODES = f"""
WITH spelled AS (
    SELECT object AS id, label, count(*) AS times FROM statements GROUP BY ALL
    UNION ALL -- a category that only its branch still mentions: nothing spells it but its id
    SELECT DISTINCT subject, split_part(subject, '.', -1), 0 FROM statements WHERE product = ''
), labelled AS (
    SELECT id, first(label ORDER BY times DESC, label) AS label FROM spelled GROUP BY id
    UNION ALL
    SELECT 'product:' || product, arg_max(title, run) FROM listings GROUP BY product
)
SELECT id, {KIND_OF_ID} AS kind, label FROM labelled
"""

_SETTLE = f"""
MERGE INTO nodes USING ({_NODES}) AS wanted ON nodes.id = wanted.id
WHEN MATCHED AND nodes.label <> wanted.label THEN UPDATE SET label = wanted.label
WHEN NOT MATCHED THEN INSERT VALUES (wanted.id, wanted.kind, wanted.label)
WHEN NOT MATCHED BY SOURCE THEN DELETE
"""

_LISTING_COLUMNS = dict.fromkeys(("run", "product", "title", "content_hash"), pa.string())
_NODE_COLUMNS = dict.fromkeys(("id", "kind", "label"), pa.string())
_STATEMENT_COLUMNS = {
    **dict.fromkeys(("id", "subject", "predicate", "object", "label", "rank"), pa.string()),
    "confidence": pa.float64(),
    **dict.fromkeys(("run", "product", "source"), pa.string()),
    **dict.fromkeys(("span_start", "span_end"), pa.int32()),
    **dict.fromkeys(("quote", "prompt", "schema", "model"), pa.string()),
}

# A merge streams, and a laptop does other things beside it: what does not fit goes to the disk, hardly slower.
_SETTINGS = {"threads": "2", "memory_limit": "128MB"}
# For questions that people ask.
_READING = {"memory_limit": "1GB"}
# For people's SQL: reads this graph and nothing else.
_CLOSED = {"enable_external_access": "false", "lock_configuration": "true"}


class DuckDBStore:
    """A graph file, open for writing, or read-only for any number of processes at once."""

    def __init__(self, path: Path, *, read_only: bool = False, closed: bool = False) -> None:
        """Open a graph.

        Args:
            path: The file; made when it is not there, unless `read_only`.
            read_only: Write nothing, and let others read.
            closed: SQL can reach no other file, and cannot change that.
        """
        self._path = path
        if read_only and not path.exists():
            raise ConfigError(
                f"{path}: no such graph; `extractor graph merge RUN_DIR --graph {path}` makes one"
            )
        with _mapped(path):
            settings = {**_SETTINGS, **(_READING if read_only else {}), **(_CLOSED if closed else {})}
            self._connection = duckdb.connect(str(path), read_only=read_only, config=settings)
        try:
            self._check_format()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """Rows of a SELECT by column name; streamed."""
        with _mapped(self._path), closing(self._connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            while batch := cursor.fetchmany(10_000):
                yield from (dict(zip(names, row, strict=True)) for row in batch)

    def query(self, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Column names and rows of SQL that a person wrote; an error in it is a ConfigError."""
        rows = self._queried(sql)
        return list(next(rows)), rows

    def _queried(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The names, then the rows: an error may show at a row only."""
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(sql)
                yield tuple(column[0] for column in cursor.description or ())
                while batch := cursor.fetchmany(10_000):
                    yield from batch
        except duckdb.Error as error:
            raise ConfigError(f"query: {_first_line(error)}; correct the SQL") from error

    def stats(self) -> dict[str, Any]:
        """Counts, as `graph stats --json` prints them."""
        kinds = self.rows("SELECT kind, count(*) AS n FROM nodes GROUP BY kind ORDER BY kind")
        return {
            "nodes": {row["kind"]: row["n"] for row in kinds},
            "statements": self._count("SELECT count(*) FROM statements"),
            "runs": self._count("SELECT count(*) FROM runs"),
        }

    def add_run(self, run_id: str, manifest: Mapping[str, Any]) -> None:
        with self._transaction():
            self._connection.execute(
                "INSERT INTO runs VALUES (?, ?, now() AT TIME ZONE 'UTC') ON CONFLICT (id) DO UPDATE"
                " SET manifest = excluded.manifest, merged_at = excluded.merged_at"
                " WHERE manifest <> excluded.manifest",
                [run_id, json.dumps(manifest, sort_keys=True)],
            )

    def merge(self, run_id: str, batch: Sequence[ProductFacts]) -> Change:
        with self._transaction(), self._registered(run_id, batch):
            removed = self._count(
                "DELETE FROM statements AS old WHERE run = $run"
                " AND product IN (SELECT product FROM new_listings)"
                " AND NOT EXISTS (FROM new_statements AS new WHERE new.id::UUID = old.id"
                " AND new.label = old.label AND new.rank = old.rank AND new.confidence = old.confidence)",
                {"run": run_id},
            )
            added = self._count(
                f"INSERT INTO statements SELECT id::UUID, {', '.join([*_STATEMENT_COLUMNS][1:])}"
                " FROM new_statements AS new WHERE NOT EXISTS"
                " (FROM statements AS old WHERE old.run = $run AND old.id = new.id::UUID)",
                {"run": run_id},
            )
            self._connection.execute(
                "DELETE FROM listings AS old WHERE run = $run AND EXISTS"
                " (FROM new_listings AS new WHERE new.product = old.product"
                " AND (new.title <> old.title OR new.content_hash <> old.content_hash))",
                {"run": run_id},
            )
            self._connection.execute(
                "INSERT INTO listings FROM new_listings AS new WHERE NOT EXISTS"
                " (FROM listings AS old WHERE old.run = $run AND old.product = new.product)",
                {"run": run_id},
            )
            self._connection.execute(
                "INSERT INTO nodes FROM new_nodes AS new"
                " WHERE NOT EXISTS (FROM nodes AS old WHERE old.id = new.id)"
            )
            if removed:
                self._connection.execute(_SETTLE)
        return Change(added, removed)

    def settle(self) -> None:
        with self._transaction():
            self._connection.execute(_SETTLE)

    def undo(self, run_id: str) -> Change:
        with self._transaction():
            if not self._count("SELECT count(*) FROM runs WHERE id = ?", [run_id]):
                look_up = "extractor graph query 'SELECT id FROM runs'"
                raise ConfigError(f"{self._path}: no run {run_id!r}; `{look_up}` lists them")
            removed = self._count("DELETE FROM statements WHERE run = ?", [run_id])
            self._connection.execute("DELETE FROM listings WHERE run = ?", [run_id])
            self._connection.execute("DELETE FROM runs WHERE id = ?", [run_id])
            self._connection.execute(_SETTLE)
        return Change(removed=removed)

    def copy_to_parquet(self, sql: str, file: Path) -> None:
        """Write the rows of a SELECT to a new Parquet file."""
        name = str(file).replace("'", "''")
        with _mapped(file):
            self._connection.execute(f"COPY ({sql}) TO '{name}' (FORMAT parquet, COMPRESSION zstd)")

    def _count(self, sql: str, parameters: Any = ()) -> int:
        with _mapped(self._path):
            row = self._connection.execute(sql, parameters).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _mapped(self._path):
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _registered(self, run_id: str, batch: Sequence[ProductFacts]) -> Iterator[None]:
        """The batch as Arrow tables that SQL can name."""
        tables = {
            "new_listings": _listings(run_id, batch),
            "new_statements": _statements(batch),
            "new_nodes": _nodes(batch),
        }
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                self._connection.unregister(name)

    def _check_format(self) -> None:
        """Make the tables of a new file; refuse what is no graph, or newer than this package."""
        with _mapped(self._path):
            tables = {row[0] for row in self._connection.execute("SELECT name FROM (SHOW TABLES)").fetchall()}
        if not tables:
            with self._transaction():
                self._connection.execute(_TABLES)
        elif "graph_format" not in tables:
            raise ConfigError(f"{self._path}: a DuckDB file of something else; give another --graph")
        elif self._count("SELECT version FROM graph_format") > FORMAT:
            raise ConfigError(f"{self._path}: made by a newer version of this package; upgrade to read it")


def _listings(run_id: str, batch: Sequence[ProductFacts]) -> pa.Table:
    return _table(_LISTING_COLUMNS, [(run_id, f.product_id, f.title, f.content_hash) for f in batch])


def _nodes(batch: Sequence[ProductFacts]) -> pa.Table:
    nodes = {node.id: (node.id, node.kind, node.label) for facts in batch for node in facts.nodes.values()}
    return _table(_NODE_COLUMNS, list(nodes.values()))


def _statements(batch: Sequence[ProductFacts]) -> pa.Table:
    # By id: products of one category state what lies above it in the same words.
    rows: dict[str, tuple[Any, ...]] = {}
    for facts in batch:
        for name, s in facts.statements.items():
            p = s.provenance
            start, end = (p.span.start, p.span.end) if p.span else (None, None)
            rows[name] = (
                *(name, s.subject, s.predicate, s.object, facts.nodes[s.object].label, s.rank, s.confidence),
                *(p.run, p.product, p.source, start, end, p.quote, p.prompt, p.schema, p.model),
            )
    return _table(_STATEMENT_COLUMNS, list(rows.values()))


def _table(columns: Mapping[str, pa.DataType], rows: list[tuple[Any, ...]]) -> pa.Table:
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    arrays = [pa.array(v, type=t) for v, t in zip(values, columns.values(), strict=True)]
    return pa.table(arrays, names=list(columns))


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """The seam: what DuckDB raises leaves as an ExtractorError that names the file."""
    try:
        yield
    except ExtractorError:
        raise
    except (duckdb.Error, pa.ArrowException, UnicodeEncodeError) as error:  # the last: a lone surrogate
        raise _explained(path, str(error)) from error


def _explained(path: Path, message: str) -> ExtractorError:
    if holder := re.search(r"lock is held in (.*?) \(PID (\d+)\)", message):
        return SinkError(
            f"{path}: process {holder[2]} ({Path(holder[1]).name}) is writing to this graph;"
            " wait until it ends and run the same command again"
        )
    if "different configuration" in message:
        return SinkError(f"{path}: this process has the graph open for something else; close that first")
    if "not a valid DuckDB" in message or "Is a directory" in message:
        return ConfigError(f"{path}: no DuckDB file; give another --graph")
    if "No such file or directory" in message:
        return ConfigError(f"{path}: its folder is not there; make it, or give another --graph")
    return SinkError(f"{path}: {_first_line(message)}; mend that, then run the same command again")


def _first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0]
