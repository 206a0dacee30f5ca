"""The store of record: one DuckDB file.

In: what runs say. Out: the tables of tables.py, for SQL. Each write is one transaction, which leaves ranks, clusters
and nodes settled: a process that dies leaves a graph as it was before or after. Knows nothing of run folders.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any, Self

import duckdb
import pyarrow as pa

from extractor.errors import ConfigError
from extractor.graph.schemas import GraphSchemas
from extractor.graph.statements import Facts, ProductFacts
from extractor.graph.stores import Change
from extractor.graph.stores.faults import first_line, interruptible, mapped
from extractor.graph.stores.labels import settle_nodes
from extractor.graph.stores.schemas import (
    forget_schemas,
    schemas_of,
    settle_functional,
    tell_schemas,
    wrong_schemas,
)
from extractor.graph.stores.settle import listings_of, settle, unsettled
from extractor.graph.stores.snapshot import attach_snapshot, is_snapshot
from extractor.graph.stores.tables import (
    KIND_OF_ID,
    STATEMENT_COLUMNS,
    listing_table,
    prepare,
    shared_facts,
    statement_table,
)
from extractor.schema_set import SchemaSet

# A merge streams, and a laptop does other things beside it: what does not fit goes to the disk, hardly slower.
# What is committed stands in the log beside the file; the file seldom takes it over, because that takes long.
_SETTINGS = {"threads": "2", "memory_limit": "128MB", "checkpoint_threshold": "128MB"}
# For questions that people ask.
_READING = {"memory_limit": "1GB"}
# For people's SQL: reads this graph and nothing else.
_CLOSED = "SET enable_external_access = false; SET lock_configuration = true"


# What a run said before and does not say now; ranks and reasons are derived and make no difference. `scope` of what
# follows is SQL: the statements of the run that may be among the new ones.
_FORGET = """
DELETE FROM statements AS old WHERE run = $run AND NOT EXISTS
    (FROM new_statements AS new WHERE new.id::UUID = old.id
     AND new.label = old.label AND new.confidence = old.confidence) AND {scope}
"""
_SAY = f"""
INSERT INTO statements SELECT id::UUID, {", ".join([*STATEMENT_COLUMNS][1:])}, '' FROM new_statements AS new
    ANTI JOIN (SELECT id FROM statements WHERE run = $run AND {{scope}}) AS old ON old.id = new.id::UUID
"""
_ALL = "true"
_OF_LISTINGS = "product IN (SELECT product FROM new_listings)"
_OF_NO_LISTING = "product = ''"
# What listings state something of is a listing, or stated of one.
_NAME = f"""
INSERT INTO nodes SELECT id, {KIND_OF_ID}, label FROM (
    SELECT object AS id, min(label) AS label FROM new_statements GROUP BY object
    UNION ALL SELECT 'product:' || product, title FROM new_listings
) AS new ANTI JOIN nodes AS old USING (id)
"""
# A run that speaks of these listings for the first time has nothing to forget, and looking for it takes long.
_ARE_LISTED = f"SELECT count(*) FROM listings WHERE run = $run AND {_OF_LISTINGS}"
# Whose words are the later ones goes by this date.
_HAS_ANOTHER_DATE = "SELECT count(*) FROM runs WHERE id = ? AND coalesce(manifest->>'created', '') <> ?"
_FORGET_LISTINGS = """
DELETE FROM listings AS old WHERE run = $run AND EXISTS
    (FROM new_listings AS new WHERE new.product = old.product
     AND (new.title <> old.title OR new.content_hash <> old.content_hash))
"""
_LIST = """
INSERT INTO listings FROM new_listings AS new
    WHERE NOT EXISTS (FROM listings AS old WHERE old.run = $run AND old.product = new.product)
"""


class DuckDBStore:
    """A graph file, open for writing, or read-only for any number of processes at once."""

    def __init__(self, path: Path, *, read_only: bool = False, closed: bool = False) -> None:
        """Open a graph.

        Args:
            path: The file; made when it is not there, unless `read_only`. Or the folder of a snapshot, to read.
            read_only: Write nothing, and let others read.
            closed: SQL can reach no other file, and cannot change that.
        """
        self._path = path
        if read_only and not path.exists():
            raise ConfigError(
                f"{path}: no such graph; `extractor graph merge RUN_DIR --graph {path}` makes one"
            )
        if not read_only and is_snapshot(path):
            raise ConfigError(f"{path}: a snapshot, to read only; give the graph that it was made of")
        with mapped(path):
            self._connection = _connected(path, read_only=read_only)
        try:
            if closed:
                self._connection.execute(_CLOSED)
            with self._transaction():
                if prepare(self._connection, path, read_only=read_only):
                    settle_functional(self._connection)
                    self._settle()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def path(self) -> Path:
        """Of the file, or of the folder of a snapshot."""
        return self._path

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[dict[str, Any]]:
        """Rows of a SELECT by column name; streamed."""
        with mapped(self._path), closing(self._connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            while batch := cursor.fetchmany(10_000):
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
        try:
            with (
                interruptible(),
                closing(self._connection.cursor()) as cursor,
                _interrupted(cursor, timeout_s),
            ):
                cursor.execute(_one_select(cursor, sql))
                yield tuple(column[0] for column in cursor.description or ())
                while batch := cursor.fetchmany(1_000):
                    yield from batch
        except duckdb.InterruptException as error:
            raise ConfigError(
                f"query: not done after {timeout_s:g} s; ask for less or give more time"
            ) from error
        except duckdb.Error as error:
            raise ConfigError(f"query: {first_line(error)}; correct the SQL") from error

    def stats(self) -> dict[str, Any]:
        """Counts, as `graph stats --json` prints them."""
        kinds = self.rows("SELECT kind, count(*) AS n FROM nodes GROUP BY kind ORDER BY kind")
        return {
            "nodes": {row["kind"]: row["n"] for row in kinds},
            "statements": self._count("SELECT count(*) FROM statements"),
            "runs": self._count("SELECT count(*) FROM runs"),
        }

    def schemas(self) -> GraphSchemas:
        """What attributes are, as the runs say."""
        with mapped(self._path):
            return schemas_of(self._connection)

    def add_run(self, run_id: str, manifest: Mapping[str, Any], schemas: SchemaSet) -> None:
        with self._transaction():
            is_later = self._count(_HAS_ANOTHER_DATE, [run_id, str(manifest.get("created", ""))])
            self._add_run(run_id, manifest)
            tell_schemas(self._connection, run_id, schemas)
            if settle_functional(self._connection):
                self._settle()
            elif is_later:
                self._settle(listings_of(self._connection, run_id))

    def merge(self, run_id: str, batch: Sequence[ProductFacts]) -> Change:
        with self._transaction(), self._registered(_listed(run_id, batch)):
            removed, scope = 0, _OF_NO_LISTING
            if self._count(_ARE_LISTED, {"run": run_id}):
                removed = self._forget(run_id, _OF_LISTINGS)
                self._connection.execute(_FORGET_LISTINGS, {"run": run_id})
                scope = f"({_OF_LISTINGS} OR {_OF_NO_LISTING})"
            change = Change(self._say(run_id, scope), removed)
            self._connection.execute(_LIST, {"run": run_id})
            self._connection.execute(_NAME)
            # What is said of categories is of no listing, and a person may have taken it back.
            is_moved = settle(self._connection, ["", *(facts.product_id for facts in batch)])
            if change.removed or is_moved:
                settle_nodes(self._connection)
        return change

    def state(
        self, run_id: str, manifest: Mapping[str, Any], facts: Facts, replacing: Collection[str] = ()
    ) -> Change:
        with self._transaction(), self._registered({"new_statements": statement_table([facts])}):
            before = [listings_of(self._connection, run) for run in (run_id, *replacing)]
            removed = sum(map(self._drop, replacing))
            self._add_run(run_id, manifest)
            removed += self._forget(run_id, _ALL)
            change = Change(self._say(run_id, _ALL), removed)
            self._settle(set[str]().union(*before, listings_of(self._connection, run_id)))
        return change

    def settle(self) -> None:
        with self._transaction():
            settle_nodes(self._connection)

    def undo(self, run_id: str) -> Change:
        with self._transaction():
            if not self._count("SELECT count(*) FROM runs WHERE id = ?", [run_id]):
                look_up = f"extractor graph query 'SELECT id FROM runs' --graph {self._path}"
                raise ConfigError(f"{self._path}: no run {run_id!r}; `{look_up}` lists them")
            listings = listings_of(self._connection, run_id)
            removed = self._drop(run_id)
            self._settle(listings)
            if settle_functional(self._connection):
                self._settle()
        return Change(removed=removed)

    def _drop(self, run_id: str) -> int:
        """Remove a run and its statements; how many these were."""
        removed = self._count("DELETE FROM statements WHERE run = ?", [run_id])
        self._connection.execute("DELETE FROM listings WHERE run = ?", [run_id])
        self._connection.execute("DELETE FROM runs WHERE id = ?", [run_id])
        forget_schemas(self._connection, run_id)
        return removed

    def _settle(self, listings: Set[str] | None = None) -> None:
        settle(self._connection, listings)
        settle_nodes(self._connection)

    def _add_run(self, run_id: str, manifest: Mapping[str, Any]) -> None:
        self._connection.execute(
            "INSERT INTO runs VALUES (?, ?, now() AT TIME ZONE 'UTC') ON CONFLICT (id) DO UPDATE"
            " SET manifest = excluded.manifest, merged_at = excluded.merged_at"
            " WHERE manifest <> excluded.manifest",
            [run_id, json.dumps(manifest, sort_keys=True)],
        )

    def _forget(self, run_id: str, scope: str) -> int:
        """Remove what the run does not say any more; how many statements that are."""
        return self._count(_FORGET.format(scope=scope), {"run": run_id})

    def _say(self, run_id: str, scope: str) -> int:
        """Add what the run did not say before; how many statements that are."""
        return self._count(_SAY.format(scope=scope), {"run": run_id})

    def unsettled(self) -> Iterator[str]:
        """Ids of statements with a wrong rank or reason, and of products in a wrong SPU."""
        with mapped(self._path):
            yield from unsettled(self._connection)

    def wrong_schemas(self) -> Iterator[str]:
        """Hashes of schemas, and functional relations, that are not as the runs told them."""
        with mapped(self._path):
            yield from wrong_schemas(self._connection)

    def copy_to_parquet(self, sql: str, file: Path) -> None:
        """Write the rows of a SELECT to a new Parquet file."""
        self._copy(sql, file, "FORMAT parquet, COMPRESSION zstd")

    def copy_to_csv(self, sql: str, file: Path) -> None:
        """Write the rows of a SELECT to a new CSV file without a header; a null is nothing, an empty text is ""."""
        self._copy(sql, file, "FORMAT csv, HEADER false, NULLSTR ''")

    def _copy(self, sql: str, file: Path, form: str) -> None:
        name = str(file).replace("'", "''")
        with mapped(file):
            self._connection.execute(f"COPY ({sql}) TO '{name}' ({form})")

    def _count(self, sql: str, parameters: Any = ()) -> int:
        with mapped(self._path):
            row = self._connection.execute(sql, parameters).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with mapped(self._path):
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _registered(self, tables: Mapping[str, pa.Table]) -> Iterator[None]:
        """SQL can name them."""
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                self._connection.unregister(name)


def _listed(run_id: str, batch: Sequence[ProductFacts]) -> dict[str, pa.Table]:
    said: list[ProductFacts | Facts] = [*batch, shared_facts(batch)]
    return {"new_listings": listing_table(run_id, batch), "new_statements": statement_table(said)}


def _connected(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    settings = {**_SETTINGS, **(_READING if read_only else {})}
    if not is_snapshot(path):
        return duckdb.connect(str(path), read_only=read_only, config=settings)
    connection = duckdb.connect(config=settings)
    attach_snapshot(connection, path)
    return connection


def _one_select(cursor: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = cursor.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError("query: only reads the graph; give one SELECT")
    return statements[0]


@contextmanager
def _interrupted(cursor: duckdb.DuckDBPyConnection, timeout_s: float | None) -> Iterator[None]:
    """What the cursor does within ends with InterruptException when the time is over."""
    if timeout_s is None:
        yield
        return
    timer = Timer(timeout_s, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
