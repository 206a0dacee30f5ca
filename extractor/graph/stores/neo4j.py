"""Neo4j, and what else speaks Bolt, as a target of `graph push`.

In: batches of rows. Out: nodes with the labels Entity and their kind, relationships named after their predicate, one
a statement: see property_graph.py. Knows no graph. User and password come from the URL, or from EXTRACTOR_PUSH_PASSWORD
or NEO4J_USERNAME and NEO4J_PASSWORD; the URL's path is the name of the database.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import neo4j
from neo4j.exceptions import AuthError, ConfigurationError, DriverError, Forbidden, Neo4jError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from extractor.errors import ConfigError, ExtractorError, SinkError
from extractor.graph.property_graph import NODES, PROPERTIES, RELATIONS
from extractor.graph.push import FORBIDDEN, GO_ON, MAX_DIGITS, PASSWORD, Batch, Table, deadline, hidden, shown
from extractor.journal.files import batched

# Rows of one UNWIND.
_UNWOUND = 1_000
# Attempts at one transaction, while the server says that another may succeed.
_ATTEMPTS = 4
# Longest wait between two attempts, in seconds.
_LONGEST_WAIT_S = 5.0
_CONNECT_S = 10.0

_NO_URL = "--to: no URL of a server; write neo4j://user@host:7687/database"

T = TypeVar("T")

# What is not among these goes; last, when no relation leads there any more.
_IDS = Table("ids", {"id": "id"}, "nodes", "id")

# Each of them may be there already.
_PREPARE = (
    "CREATE CONSTRAINT entity_id IF NOT EXISTS FOR (n:Entity) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT push_batch_key IF NOT EXISTS FOR (b:PushBatch) REQUIRE b.key IS UNIQUE",
    "CREATE INDEX entity_batch IF NOT EXISTS FOR (n:Entity) ON (n.batch)",
)
# What the server has of a batch is read and compared here. To find out by MERGE and by `NOT id IN $ids` costs a server
# several times as much, and Neo4j's manual advises CREATE for what is known to be new (Driver manual, Performance).
_HELD_NODES = "MATCH (n:Entity) WHERE n.batch STARTS WITH $prefix RETURN n.id AS id, n.label AS label"
# As rows of RELATIONS: maps would take the driver twice as long.
_HELD_RELATIONS = (
    "MATCH (s:Entity)-[r]->(o:Entity) WHERE s.batch STARTS WITH $prefix"
    f" RETURN [s.id, type(r), o.id, {', '.join(f'r.{name}' for name in PROPERTIES)}] AS row"
)
_CREATE_NODES = "UNWIND $rows AS row CREATE (:Entity:%s {id: row.id, label: row.label, batch: row.batch})"
_RENAME_NODES = "UNWIND $rows AS row MATCH (n:Entity {id: row.id}) SET n.label = row.label"
_DELETE_NODES = "UNWIND $rows AS row MATCH (n:Entity {id: row.id}) DETACH DELETE n"
_CREATE_RELATIONS = (
    "UNWIND $rows AS row MATCH (s:Entity {id: row.subject}) MATCH (o:Entity {id: row.object})"
    " CREATE (s)-[r:%s]->(o) SET r = row.properties"
)
_RELATION = (
    "UNWIND $rows AS row MATCH (:Entity {id: row.subject})-[r {id: row.id}]->(:Entity {id: row.object})"
)
_CHANGE_RELATIONS = f"{_RELATION} SET r = row.properties"
_DELETE_RELATIONS = f"{_RELATION} DELETE r"
# Written first in its transaction: two pushes of one table then wait for each other, however each of them cuts it.
_LOCK = "MERGE (b:PushBatch {key: $table}) SET b.locked_for = $digest"
_RECORD = "MERGE (b:PushBatch {key: $key}) SET b.table = $table, b.prefix = $prefix, b.digest = $digest"
# Batches that were cut otherwise are no longer whole.
_FORGET = "MATCH (b:PushBatch {table: $table}) WHERE size(b.prefix) <> size($prefix) DELETE b"


@contextmanager
def connect(url: str, timeout_s: float) -> Iterator[Neo4jTarget]:
    """The server behind a URL, with the constraints that a push needs.

    Raises:
        ConfigError: The URL is wrong, or the server does not let us in.
        SinkError: The server cannot be reached.
    """
    # What it has to say leaves as an error; without a handler, Python would print it besides.
    logging.getLogger("neo4j").addHandler(logging.NullHandler())
    where, uri, auth, database = _parts(url)
    with (
        _mapped(where, auth[1]),
        neo4j.GraphDatabase.driver(
            uri,
            auth=auth,
            connection_timeout=min(_CONNECT_S, timeout_s),
            # Who accepts a connection and says nothing more is waited for in here.
            connection_acquisition_timeout=timeout_s,
            connection_write_timeout=timeout_s,
            user_agent="extractor graph push",
        ) as driver,
    ):
        target = Neo4jTarget(driver, database, where, auth[1], timeout_s)
        target.prepare()
        yield target


@dataclass(frozen=True, slots=True)
class Neo4jTarget:
    """An open driver; see `connect`."""

    _driver: neo4j.Driver
    # None: the server's default.
    _database: str | None
    # The server, for messages.
    _where: str
    # Kept out of messages.
    _password: str = field(repr=False)
    _timeout_s: float

    @property
    def tables(self) -> tuple[Table, ...]:
        return (NODES, RELATIONS, _IDS)

    def prepare(self) -> None:
        """Make constraints and index."""
        for statement in _PREPARE:  # a change of the schema wants a transaction of its own
            self._transact(partial(_ask, statement))

    def digests(self, table: Table) -> Mapping[str, str]:
        found = self._transact(
            lambda run: run(
                "MATCH (b:PushBatch {table: $table}) RETURN b.prefix AS prefix, b.digest AS digest",
                table=table.name,
            )
        )
        return {row["prefix"]: row["digest"] for row in found}

    def replace(self, table: Table, batch: Batch) -> int:
        write = {NODES.name: _write_nodes, RELATIONS.name: _replace_relations, _IDS.name: _remove_nodes}[
            table.name
        ]
        return self._transact(lambda run: _record(run, table, batch) + write(run, batch))

    def _transact(self, work: Callable[[_Run], T]) -> T:
        """Do it in one transaction; again, when the server says that this may help."""
        retrying = Retrying(
            retry=retry_if_exception(_may_succeed),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT_S),
            reraise=True,
        )
        with _mapped(self._where, self._password):
            done: T = retrying(self._once, work)
            return done

    def _once(self, work: Callable[[_Run], T]) -> T:
        with (
            deadline(self._timeout_s, self._driver.close),
            self._driver.session(database=self._database) as session,
            session.begin_transaction(timeout=self._timeout_s) as transaction,
        ):
            done = work(lambda query, **parameters: transaction.run(query, parameters).data())
            transaction.commit()
            return done


# Cypher and its parameters -> rows.
_Run = Callable[..., list[dict[str, Any]]]


def _ask(query: str, run: _Run) -> list[dict[str, Any]]:
    return run(query)


def _record(run: _Run, table: Table, batch: Batch) -> int:
    of_batch = {"table": table.name, "prefix": batch.prefix}
    run(_LOCK, table=table.name, digest=batch.digest)
    run(_RECORD, key=f"{table.name} {batch.prefix}", digest=batch.digest, **of_batch)
    run(_FORGET, **of_batch)
    return 0


def _write_nodes(run: _Run, batch: Batch) -> int:
    held = {row["id"]: row["label"] for row in run(_HELD_NODES, prefix=batch.prefix)}
    new = [row for row in batch.rows if row[0] not in held]
    for kind, nodes in _grouped(new, itemgetter(1)):
        rows = [{"id": row[0], "label": row[2], "batch": _batch_of(row[0])} for row in nodes]
        _unwind(run, _CREATE_NODES % _name(kind), rows)
    renamed = [{"id": row[0], "label": row[2]} for row in batch.rows if held.get(row[0], row[2]) != row[2]]
    _unwind(run, _RENAME_NODES, renamed)
    return 0


def _remove_nodes(run: _Run, batch: Batch) -> int:
    kept = {row[0] for row in batch.rows}
    gone = [{"id": row["id"]} for row in run(_HELD_NODES, prefix=batch.prefix) if row["id"] not in kept]
    _unwind(run, _DELETE_NODES, gone)
    return len(gone)


def _replace_relations(run: _Run, batch: Batch) -> int:
    found = run(_HELD_RELATIONS, prefix=batch.prefix)
    held = {_place(row): row for row in (tuple(each["row"]) for each in found)}
    wanted = {_place(row): row for row in batch.rows}
    gone = [row for place, row in held.items() if place not in wanted]
    _unwind(run, _DELETE_RELATIONS, map(_relation, gone))
    new = [row for place, row in wanted.items() if place not in held]
    for predicate, rows in _grouped(new, itemgetter(1)):
        _unwind(run, _CREATE_RELATIONS % _name(predicate), map(_relation, rows))
    changed = [row for place, row in wanted.items() if held.get(place, row) != row]
    _unwind(run, _CHANGE_RELATIONS, map(_relation, changed))
    return len(gone)


def _place(row: tuple[Any, ...]) -> tuple[str, str, str]:
    """What a relation is known by: both ends too, for who leaves one SPU for another keeps the id of that relation."""
    subject, _, target, name, *_ = row
    return subject, target, name


def _relation(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of RELATIONS as parameters; what is null is no property."""
    subject, _, target, *values = row
    properties = {name: value for name, value in zip(PROPERTIES, values, strict=True) if value is not None}
    return {"subject": subject, "object": target, "id": properties["id"], "properties": properties}


def _unwind(run: _Run, query: str, rows: Iterable[dict[str, Any]]) -> None:
    for some in batched(rows, _UNWOUND):
        run(query, rows=some)


def _grouped(rows: Sequence[T], key: Callable[[T], str]) -> Iterator[tuple[str, list[T]]]:
    """Cypher has labels and types in its text only, so each has a query of its own."""
    for name, group in groupby(sorted(rows, key=key), key=key):
        yield name, list(group)


def _batch_of(node_id: str) -> str:
    """All digits that a prefix may have, so that a batch finds its nodes however it was cut."""
    return hashlib.md5(node_id.encode(), usedforsecurity=False).hexdigest()[:MAX_DIGITS]


def _name(name: str) -> str:
    return "`{}`".format(name.replace("`", "``"))


def _parts(url: str) -> tuple[str, str, tuple[str, str], str | None]:
    """Server for messages, URI for the driver, user and password, database."""
    try:
        parts = urlsplit(url)
        where = shown(parts)
    except ValueError:  # the message may quote the URL, and so its password
        raise ConfigError(_NO_URL) from None
    user = unquote(parts.username or "") or os.environ.get("NEO4J_USERNAME", "neo4j")
    environment = os.environ.get(PASSWORD) or os.environ.get("NEO4J_PASSWORD", "")
    password = unquote(parts.password or "") or environment
    return where, _uri(parts), (user, password), unquote(parts.path.strip("/")) or None


def _uri(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path="", fragment="").geturl()


def _may_succeed(error: BaseException) -> bool:
    return isinstance(error, DriverError | Neo4jError) and error.is_retryable()


@contextmanager
def _mapped(where: str, password: str) -> Iterator[None]:
    """The seam: what the driver raises leaves as one line that names the server and never the password."""
    try:
        yield
    except ExtractorError:
        raise
    except ConfigurationError:  # the message quotes the URL
        raise ConfigError(_NO_URL) from None
    except (DriverError, Neo4jError, OSError, ValueError) as error:
        told = hidden(_told(error), password)
        if isinstance(error, AuthError) or "Database.DatabaseNotFound" in (
            getattr(error, "code", None) or ""
        ):
            advice = f"correct the URL, or {PASSWORD} in the environment"
            raise ConfigError(f"{where}: {told}; {advice}") from None
        if isinstance(error, Forbidden):
            raise ConfigError(f"{where}: {told}; {FORBIDDEN}") from None
        raise SinkError(f"{where}: {told}; {GO_ON}") from None


def _told(error: BaseException) -> str:
    """In one line; of several routers that could not be had, what the first says."""
    if isinstance(error.__cause__, BaseExceptionGroup):
        return _told(error.__cause__.exceptions[0])
    return " ".join((getattr(error, "message", None) or str(error)).split())
