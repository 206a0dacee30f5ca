"""The store of record: one DuckDB file.

In: what runs say. Out: the tables of tables.py, for SQL. Each write is one transaction, which leaves ranks, clusters
and nodes settled: a process that dies leaves a graph as it was before or after. Knows nothing of run folders.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import duckdb

from extractor.errors import ConfigError
from extractor.graph.schemas import GraphSchemas
from extractor.graph.statements import Facts, ProductFacts
from extractor.graph.stores import Change
from extractor.graph.stores.arrow import BATCH, Batch, batches, statement_table
from extractor.graph.stores.faults import first_line, mapped
from extractor.graph.stores.labels import settle_nodes
from extractor.graph.stores.runs import add_run, drop_run, has_run, say_all, say_of_listings
from extractor.graph.stores.schemas import schemas_of, settle_functional, tell_schemas, wrong_schemas
from extractor.graph.stores.settle import listings_of, settle, unsettled
from extractor.graph.stores.snapshot import attach_snapshot, is_snapshot
from extractor.graph.stores.tables import prepare
from extractor.graph.stores.worker import Worker
from extractor.schema_set import SchemaSet

# A merge streams, and a laptop does other things beside it: what does not fit goes to the disk, hardly slower.
# What is committed stands in the log beside the file; the file seldom takes it over, because that takes long.
_SETTINGS = {"threads": "2", "memory_limit": "128MB", "checkpoint_threshold": "128MB"}
# For questions that people ask.
_READING = {"memory_limit": "1GB"}
# For people's SQL: reads this graph and nothing else.
_CLOSED = "SET enable_external_access = false; SET lock_configuration = true"

Result = TypeVar("Result")


class DuckDBStore:
    """A graph file, open for writing, or read-only for any number of processes at once."""

    def __init__(
        self, path: Path, *, read_only: bool = False, closed: bool = False, batch_statements: int = BATCH
    ) -> None:
        """Open a graph.

        Args:
            path: The file; made when it is not there, unless `read_only`. Or the folder of a snapshot, to read.
            read_only: Write nothing, and let others read.
            closed: SQL can reach no other file, and cannot change that.
            batch_statements: A transaction of a merge ends when it has so many statements.
        """
        self._path = path
        self._batch_statements = batch_statements
        if read_only and not path.exists():
            raise ConfigError(
                f"{path}: no such graph; `extractor graph merge RUN_DIR --graph {path}` makes one"
            )
        if not read_only and is_snapshot(path):
            raise ConfigError(f"{path}: a snapshot, to read only; give the graph that it was made of")
        with mapped(path):
            self._connection = _connected(path, read_only=read_only)
        self._worker = Worker(self._connection.interrupt)
        try:
            if closed:
                self._connection.execute(_CLOSED)
            self._write(lambda: self._prepare(read_only=read_only))
        except BaseException:
            self.close()
            raise

    def _prepare(self, *, read_only: bool) -> None:
        if prepare(self._connection, self._path, read_only=read_only):
            settle_functional(self._connection)
            self._settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._worker.close()
        self._connection.close()

    @property
    def path(self) -> Path:
        """Of the file, or of the folder of a snapshot."""
        return self._path

    # ---- reading

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[dict[str, Any]]:
        """Rows of a SELECT by column name; streamed."""
        with mapped(self._path), closing(self._connection.cursor()) as cursor:
            self._worker.call(partial(cursor.execute, sql, parameters), cursor.interrupt)
            names = [column[0] for column in cursor.description or ()]
            while batch := self._worker.call(partial(cursor.fetchmany, 10_000), cursor.interrupt):
                yield from (dict(zip(names, row, strict=True)) for row in batch)

    def query(self, sql: str, timeout_s: float | None = None) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Column names and rows of SQL that a person wrote: one SELECT.

        Args:
            sql: One statement.
            timeout_s: Seconds that it may take, all rows included; None: for ever.

        Raises:
            ConfigError: The SQL is wrong, would write, or takes too long.
        """
        rows = self._queried(sql, timeout_s)
        return list(next(rows)), rows

    def _queried(self, sql: str, timeout_s: float | None) -> Iterator[tuple[Any, ...]]:
        """The names, then the rows: an error may show at a row only."""
        left_s = _countdown(timeout_s)
        try:
            with closing(self._connection.cursor()) as cursor:
                ask = partial(cursor.execute, _one_select(cursor, sql))
                self._worker.call(ask, cursor.interrupt, left_s())
                yield tuple(column[0] for column in cursor.description or ())
                while batch := self._worker.call(
                    partial(cursor.fetchmany, 1_000), cursor.interrupt, left_s()
                ):
                    yield from batch
        except TimeoutError as error:
            raise ConfigError(
                f"query: not done after {timeout_s:g} s; ask for less or give more time"
            ) from error
        except duckdb.Error as error:
            raise ConfigError(f"query: {first_line(error)}; correct the SQL") from error

    def stats(self) -> dict[str, Any]:
        """Counts, as `graph stats --json` prints them."""
        kinds = self.rows("SELECT kind, count(*) AS n FROM nodes GROUP BY kind ORDER BY kind")
        (counts,) = self.rows(
            "SELECT (SELECT count(*) FROM statements) AS statements, (SELECT count(*) FROM runs) AS runs"
        )
        return {"nodes": {row["kind"]: row["n"] for row in kinds}, **counts}

    def schemas(self) -> GraphSchemas:
        """What attributes are, as the runs say."""
        return self._do(lambda: schemas_of(self._connection))

    def unsettled(self) -> list[str]:
        """Ids of statements with a wrong rank or reason, and of products in a wrong SPU."""
        return self._do(lambda: [*unsettled(self._connection)])

    def wrong_schemas(self) -> list[str]:
        """Hashes of schemas, and functional relations, that are not as the runs told them."""
        return self._do(lambda: [*wrong_schemas(self._connection)])

    def copy_to_parquet(self, sql: str, file: Path) -> None:
        """Write the rows of a SELECT to a new Parquet file."""
        self._copy(sql, file, "FORMAT parquet, COMPRESSION zstd")

    def copy_to_csv(self, sql: str, file: Path) -> None:
        """Write the rows of a SELECT to a new CSV file without a header; a null is nothing, an empty text is ""."""
        self._copy(sql, file, "FORMAT csv, HEADER false, NULLSTR ''")

    def _copy(self, sql: str, file: Path, form: str) -> None:
        name = str(file).replace("'", "''")
        with mapped(file):
            self._worker.call(lambda: self._connection.execute(f"COPY ({sql}) TO '{name}' ({form})"))

    # ---- writing

    def add_run(self, run_id: str, manifest: Mapping[str, Any], schemas: SchemaSet) -> None:
        self._write(lambda: self._add_run(run_id, manifest, schemas))

    def _add_run(self, run_id: str, manifest: Mapping[str, Any], schemas: SchemaSet) -> None:
        is_moved = add_run(self._connection, run_id, manifest)
        tell_schemas(self._connection, run_id, schemas)
        if settle_functional(self._connection):
            self._settle()
        elif is_moved:
            self._settle(listings_of(self._connection, run_id))

    def merge(self, run_id: str, facts: Iterable[ProductFacts]) -> Change:
        with mapped(self._path):
            made = batches(run_id, facts, self._batch_statements)
            changes = self._worker.each(partial(self._in_transaction, partial(self._merge, run_id)), made)
        return sum(changes, Change())

    def _merge(self, run_id: str, batch: Batch) -> Change:
        change = say_of_listings(self._connection, run_id, batch)
        # What is said of categories is of no listing, and a person may have taken it back.
        is_moved = settle(self._connection, ["", *batch.listings["product"].to_pylist()])
        if change.removed or is_moved:
            settle_nodes(self._connection)
        return change

    def state(
        self, run_id: str, manifest: Mapping[str, Any], facts: Facts, replacing: Collection[str] = ()
    ) -> Change:
        return self._write(lambda: self._state(run_id, manifest, facts, replacing))

    def _state(
        self, run_id: str, manifest: Mapping[str, Any], facts: Facts, replacing: Collection[str]
    ) -> Change:
        before = [listings_of(self._connection, run) for run in (run_id, *replacing)]
        removed = sum(drop_run(self._connection, run) for run in replacing)
        add_run(self._connection, run_id, manifest)
        change = say_all(self._connection, run_id, statement_table([facts]))
        self._settle(set[str]().union(*before, listings_of(self._connection, run_id)))
        return change + Change(removed=removed)

    def settle(self) -> None:
        self._write(lambda: settle_nodes(self._connection))

    def undo(self, run_id: str) -> Change:
        return self._write(lambda: self._undo(run_id))

    def _undo(self, run_id: str) -> Change:
        if not has_run(self._connection, run_id):
            look_up = f"extractor graph query 'SELECT id FROM runs' --graph {self._path}"
            raise ConfigError(
                f"{self._path}: no run {run_id!r}, it may be undone already; `{look_up}` lists those there are"
            )
        listings = listings_of(self._connection, run_id)
        removed = drop_run(self._connection, run_id)
        self._settle(listings)
        if settle_functional(self._connection):
            self._settle()
        return Change(removed=removed)

    def _settle(self, listings: Set[str] | None = None) -> None:
        settle(self._connection, listings)
        settle_nodes(self._connection)

    def _do(self, work: Callable[[], Result]) -> Result:
        with mapped(self._path):
            return self._worker.call(work)

    def _write(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, in one transaction."""
        return self._do(partial(self._in_transaction, work))

    def _in_transaction(self, work: Callable[..., Result], *arguments: Any) -> Result:
        self._connection.execute("BEGIN")
        try:
            result = work(*arguments)
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.TransactionException):  # a commit that failed has ended it
                self._connection.execute("ROLLBACK")
            raise
        return result


def _connected(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    settings = {**_SETTINGS, **(_READING if read_only else {})}
    if not is_snapshot(path):
        return duckdb.connect(str(path), read_only=read_only, config=settings)
    connection = duckdb.connect(config=settings)
    attach_snapshot(connection, path)
    return connection


def _countdown(timeout_s: float | None) -> Callable[[], float | None]:
    """How many of these seconds are left, each time it is asked."""
    if timeout_s is None:
        return lambda: None
    ends = time.monotonic() + timeout_s
    return lambda: max(0.0, ends - time.monotonic())


def _one_select(cursor: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = cursor.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError("query: only reads the graph; give one SELECT")
    return statements[0]
