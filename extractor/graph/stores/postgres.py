"""PostgreSQL as a target of `graph push`: plain tables in a schema of their own.

In: batches of rows. Out: the tables of migrations/, brought up to date by numbered SQL files when somebody connects.
Knows no graph. The password comes from the URL, EXTRACTOR_PUSH_PASSWORD, PGPASSWORD or ~/.pgpass.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from extractor.errors import ConfigError, ExtractorError, SinkError
from extractor.graph.push import FORBIDDEN, GO_ON, MAX_DIGITS, PASSWORD, Batch, Table, deadline, hidden, shown

SCHEMA = "product_graph"
# Seconds to wait for a connection at most; libpq takes whole seconds, two or more.
_CONNECT_S = 10
# Of SCHEMA: one push at a time, known to the server as long as the connection lives.
_LOCK = 0x70726F64756374
_LOCK_WAIT = "3s"
# What is said when there is no getting in, before errors have a code.
_REFUSED = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "does not support SSL",
    "connection is bad: invalid",
)


def _columns(names: str) -> dict[str, str]:
    return {name: name for name in names.split()}


# The id as text: to make an object of each takes Python longer than the rest of the row.
_STATEMENT = {
    "id": "id::VARCHAR",
    **_columns(
        "subject predicate object label rank confidence run product source span_start span_end quote prompt schema"
        " model reason"
    ),
}
_TABLES = (
    Table("runs", {"id": "id", "manifest": "manifest::VARCHAR", "merged_at": "merged_at"}, "runs", "id"),
    Table("listings", _columns("product run title content_hash"), "listings", "product"),
    Table("nodes", _columns("id kind label"), "nodes", "id"),
    Table("members", _columns("product spu"), "members", "product"),
    Table("statements", _STATEMENT, "statements", "id"),
)
# Table -> columns that make up its key.
_KEYS = {"listings": ("product", "run"), "members": ("product",)}


@contextmanager
def connect(url: str, timeout_s: float) -> Iterator[PostgresTarget]:
    """The server behind a URL, its tables up to date and locked for this push.

    Raises:
        ConfigError: The URL is wrong, the server does not let us in, or SCHEMA is somebody else's.
        SinkError: The server cannot be reached, or another push is at it.
    """
    try:
        where = shown(urlsplit(url))
        given = conninfo_to_dict(url)
    except (ValueError, psycopg.ProgrammingError):  # the message quotes the URL, and so its password
        raise ConfigError("--to: no URL of a database; write postgresql://user@host:5432/database") from None
    password = str(given.get("password") or os.environ.get(PASSWORD) or "") or None
    with _mapped(where, password):
        options: dict[str, Any] = {
            "connect_timeout": math.ceil(min(_CONNECT_S, timeout_s)),
            "application_name": "extractor graph push",
        }
        connection = psycopg.connect(url, autocommit=True, password=password, **options)
    with connection:
        target = PostgresTarget(connection, where, password, timeout_s)
        target.prepare()
        yield target


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """An open connection; see `connect`."""

    _connection: psycopg.Connection[Any]
    # The server, for messages.
    _where: str
    # Kept out of messages.
    _password: str | None = field(repr=False)
    _timeout_s: float

    @property
    def tables(self) -> tuple[Table, ...]:
        return _TABLES

    def prepare(self) -> None:
        """Lock the schema and apply the migrations that it does not have yet."""
        with self._answering(), self._connection.transaction():
            self._lock()
            done, steps = self._version(), migrations()
            if done > len(steps):
                raise ConfigError(
                    f"{self._where}: schema {SCHEMA} is of a newer version of this package; upgrade it"
                )
            for number, step in enumerate(steps[done:], done + 1):
                self._connection.execute(step)
                self._connection.execute(f"INSERT INTO {SCHEMA}.migrations VALUES (%s, now())", [number])

    def _lock(self) -> None:
        """Keep others out until the connection ends, which the server may notice a little late."""
        self._connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_WAIT])
        try:
            self._connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        except psycopg.errors.LockNotAvailable:
            told = "another push is writing; wait until it ends, then run the same command again"
            raise SinkError(f"{self._where}: {told}") from None

    def _version(self) -> int:
        """Number of the last migration; what tells is made when it is not there."""
        found = self._connection.execute(
            "SELECT to_regnamespace(%s) IS NULL, to_regclass(%s) IS NULL", [SCHEMA, f"{SCHEMA}.migrations"]
        ).fetchone()
        if found and found[0]:
            self._connection.execute(f"CREATE SCHEMA {SCHEMA}")
            columns = "number INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL"
            self._connection.execute(f"CREATE TABLE {SCHEMA}.migrations ({columns})")
        elif found and found[1]:
            raise ConfigError(f"{self._where}: schema {SCHEMA} holds something else; give another database")
        row = self._connection.execute(f"SELECT coalesce(max(number), 0) FROM {SCHEMA}.migrations").fetchone()
        return int(row[0]) if row else 0

    def digests(self, table: Table) -> Mapping[str, str]:
        with self._answering():
            return dict(
                self._connection.execute(
                    f"SELECT prefix, digest FROM {SCHEMA}.push_batches WHERE of_table = %s", [table.name]
                )
            )

    def replace(self, table: Table, batch: Batch) -> int:
        with self._answering(), self._connection.transaction():
            self._stage(table, batch)
            removed = self._execute(_DELETE, table, [batch.prefix, batch.prefix]).rowcount
            self._execute(_UPSERT, table)
            self._record(table, batch)
        return removed

    def _stage(self, table: Table, batch: Batch) -> None:
        self._execute(
            "CREATE TEMP TABLE new ON COMMIT DROP AS SELECT {columns} FROM {table} WHERE false", table
        )
        with self._connection.cursor() as cursor, cursor.copy("COPY new FROM STDIN") as copy:
            for row in batch.rows:
                copy.write_row(row)

    def _record(self, table: Table, batch: Batch) -> None:
        """Note the digest; batches that were cut otherwise are no longer whole."""
        self._connection.execute(
            f"DELETE FROM {SCHEMA}.push_batches WHERE of_table = %s AND length(prefix) <> length(%s)",
            [table.name, batch.prefix],
        )
        self._connection.execute(
            f"INSERT INTO {SCHEMA}.push_batches VALUES (%s, %s, %s)"
            " ON CONFLICT (of_table, prefix) DO UPDATE SET digest = excluded.digest",
            [table.name, batch.prefix, batch.digest],
        )

    def _execute(
        self, template: str, table: Table, parameters: list[str] | None = None
    ) -> psycopg.Cursor[Any]:
        keys = _KEYS.get(table.name, ("id",))
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        parts = {
            "table": sql.Identifier(SCHEMA, table.name),
            "columns": columns,
            "excluded": sql.SQL(", ").join(sql.Identifier("excluded", name) for name in table.columns),
            "old": sql.SQL(", ").join(sql.Identifier("old", name) for name in table.columns),
            "key": sql.SQL(", ").join(map(sql.Identifier, keys)),
            "old_key": sql.SQL(", ").join(sql.Identifier("old", name) for name in keys),
            "new_key": sql.SQL(", ").join(sql.Identifier("new", name) for name in keys),
            "spread_by": sql.Identifier("old", table.spread_by),
            "digits": sql.Literal(MAX_DIGITS),
        }
        return self._connection.execute(sql.SQL(template).format(**parts), parameters)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with _mapped(self._where, self._password), deadline(self._timeout_s, self._cut):
            yield

    def _cut(self) -> None:
        """Hang up, which ends whatever waits for an answer."""
        # It may be closed just now.
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)


# The upper end of a prefix sorts behind all hex digits.
_DELETE = """
DELETE FROM {table} AS old
WHERE left(md5({spread_by}::text), {digits}) COLLATE "C" BETWEEN %s AND %s || 'g'
AND NOT EXISTS (SELECT FROM new WHERE ({new_key}) = ({old_key}))
"""
_UPSERT = """
INSERT INTO {table} AS old ({columns}) SELECT {columns} FROM new
ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW ({excluded})
WHERE ({old}) IS DISTINCT FROM ({excluded})
"""


def migrations() -> list[str]:
    """SQL of every migration, the first at place 0; their files are named by number."""
    folder = files("extractor.graph.stores") / "migrations"
    found = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return [file.read_text(encoding="utf-8") for file in found]


@contextmanager
def _mapped(where: str, password: str | None) -> Iterator[None]:
    """The seam: what the driver raises leaves as one line that names the server and never the password."""
    try:
        yield
    except ExtractorError:
        raise
    except (psycopg.Error, OSError) as error:
        told = hidden(str(error), password)
        raise _explained(where, told, getattr(error, "sqlstate", None)) from None


def _explained(where: str, message: str, code: str | None) -> ExtractorError:
    told = " ".join(message.strip().split("\n", 1)[0].split()) or "the connection broke"
    if code is None and any(refusal in told for refusal in _REFUSED):
        return ConfigError(f"{where}: {told}; correct the URL, or {PASSWORD} in the environment")
    if code == psycopg.errors.InsufficientPrivilege.sqlstate:
        return ConfigError(f"{where}: {told}; {FORBIDDEN}")
    return SinkError(f"{where}: {told}; {GO_ON}")
