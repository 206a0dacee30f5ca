"""A graph is pushed to a server: afterwards the server says what the graph says.

In: a graph and a URL. Out: rows on the server, under the same ids. Knows no particular server.

Rows are cut into batches by a hash of their id. A batch is replaced in one transaction, which also leaves its digest
on the server; a batch whose digest is there already is not sent. So a push that broke off goes on where it was, a
graph that grew a little costs little, and nothing is there twice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby, product
from operator import itemgetter
from typing import Any, Protocol, cast
from urllib.parse import SplitResult, quote

from extractor.errors import ConfigError
from extractor.graph.stores.duckdb import DuckDBStore

# Scheme of a URL -> module with `connect`, and the extra that installs its driver.
_POSTGRES = ("extractor.graph.stores.postgres", "postgres")
_NEO4J = ("extractor.graph.stores.neo4j", "neo4j")
TARGETS = {
    **dict.fromkeys(("postgresql", "postgres"), _POSTGRES),
    **dict.fromkeys(("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"), _NEO4J),
}
# Where a password stands that is not in the URL; each driver's own variables count too.
PASSWORD = "EXTRACTOR_PUSH_PASSWORD"
# What to do when a server does not do its part.
FORBIDDEN = "grant that to the user, or push as another"
GO_ON = "mend that, then run the same command again to go on"
# A server that is silent for longer is given up.
TIMEOUT_S = 60.0
# A batch is cut in sixteen when it would have more rows than this on average.
BATCH_ROWS = 10_000
# Servers index so many hex digits of a row's hash; enough for some 600 million rows.
MAX_DIGITS = 4
_HEX = "0123456789abcdef"
# Digest of a batch without rows.
_EMPTY = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that a server keeps."""

    name: str
    # Column -> SQL for it in the graph.
    columns: Mapping[str, str]
    # What the rows are read from: a table of the graph, or a SELECT in brackets.
    source: str
    # Column whose hash says which batch a row is in.
    spread_by: str

    @property
    def sql(self) -> str:
        columns = ", ".join(f"{sql} AS {name}" for name, sql in self.columns.items())
        return f"SELECT {columns} FROM {self.source}"


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of a table whose hash begins with the same hex digits."""

    # Those digits, up to MAX_DIGITS; none: the batch is the table.
    prefix: str
    # Changes when a row does.
    digest: str
    # In the order of the table's columns.
    rows: Sequence[tuple[Any, ...]]


class Target(Protocol):
    """A server; errors of its driver leave as ExtractorError, without the password."""

    # In the order in which they are to be written.
    tables: Sequence[Table]

    def digests(self, table: Table) -> Mapping[str, str]:
        """Prefix -> digest of the batches that the server has."""

    def replace(self, table: Table, batch: Batch) -> int:
        """Make these all rows of their prefix, and their digest the only one for it, in one transaction.

        Returns:
            Rows that were removed because the batch does not have them.
        """


# URL and seconds -> the server, closed at the end.
Connect = Callable[[str, float], AbstractContextManager[Target]]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did."""

    # Rows of the batches that differed; the server may have had most of them.
    sent: int = 0
    removed: int = 0
    # Batches that the server did not have, and all.
    changed_batches: int = 0
    batches: int = 0

    def __add__(self, other: Pushed) -> Pushed:
        return Pushed(
            self.sent + other.sent,
            self.removed + other.removed,
            self.changed_batches + other.changed_batches,
            self.batches + other.batches,
        )


def push(
    graph: DuckDBStore, url: str, *, timeout_s: float = TIMEOUT_S, batch_rows: int = BATCH_ROWS
) -> Pushed:
    """Make a server say what the graph says.

    Args:
        graph: Where from.
        url: Its scheme is one of TARGETS; the password stands in it or in the environment.
        timeout_s: Seconds after which a silent server is given up.
        batch_rows: Rows of a batch, roughly; the same for all pushes to a server, else all is sent again.

    Raises:
        ConfigError: There is no such scheme, the driver is missing, or the server does not let us in.
        SinkError: The server failed; what was pushed stays, and the same push goes on from there.
    """
    with connect(url, timeout_s) as target:
        return sum((_push(graph, target, table, batch_rows) for table in target.tables), Pushed())


def connect(url: str, timeout_s: float) -> AbstractContextManager[Target]:
    """The server that a URL names."""
    scheme, is_url, _ = url.partition("://")
    if not is_url or scheme not in TARGETS:
        raise ConfigError(f"--to: no URL of a server; it begins with one of {', '.join(TARGETS)}, then ://")
    module, extra = TARGETS[scheme]
    try:
        found = import_module(module)
    except ImportError as error:
        needed = f"pip install 'product-graph-extractor[{extra}]'"
        raise ConfigError(f"--to {scheme}://: {error.name} is not installed; {needed}") from error
    return cast(Connect, found.connect)(url, timeout_s)


def shown(url: SplitResult) -> str:
    """A URL for messages: no user, no password, no options, which may hold one."""
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.hostname or ''}{port}{url.path}"


def hidden(text: str, password: str | None) -> str:
    """A driver's message without the password, as it is or as a URL has it."""
    for secret in {password, quote(password, safe="")} if password else ():
        # As a word: a password of one letter would show where that letter is gone.
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


@contextmanager
def deadline(seconds: float, cut: Callable[[], object]) -> Iterator[None]:
    """What takes longer ends in a TimeoutError: `cut` makes the waiting driver fail."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        cut()

    timer = threading.Timer(seconds, expire)
    timer.start()
    try:
        yield
    except Exception as error:
        if expired.is_set():
            raise TimeoutError(f"no answer within {seconds:g} s (--timeout gives more)") from error
        raise
    finally:
        timer.cancel()
        timer.join()


def _push(graph: DuckDBStore, target: Target, table: Table, batch_rows: int) -> Pushed:
    digits = _digits(graph, table, batch_rows)
    wanted, known = _digests(graph, table, digits), target.digests(table)
    prefixes = ["".join(prefix) for prefix in product(_HEX, repeat=digits)]
    due = [prefix for prefix in prefixes if wanted.get(prefix, _EMPTY) != known.get(prefix)]
    sent = removed = 0
    for prefix, rows in _rows(graph, table, due):
        removed += target.replace(table, Batch(prefix, wanted.get(prefix, _EMPTY), rows))
        sent += len(rows)
    return Pushed(sent, removed, len(due), len(prefixes))


def _digits(graph: DuckDBStore, table: Table, batch_rows: int) -> int:
    (count,) = graph.rows(f"SELECT count(*) AS n FROM {table.source}")
    digits = 0
    while count["n"] > batch_rows * 16**digits and digits < MAX_DIGITS:
        digits += 1
    return digits


def _digests(graph: DuckDBStore, table: Table, digits: int) -> dict[str, str]:
    rows = graph.rows(
        f"SELECT left({_hash(table)}, {digits}) AS prefix,"
        " format('{}-{}', count(*), bit_xor(md5_number(row_::VARCHAR))) AS digest"
        f" FROM ({table.sql}) AS row_ GROUP BY ALL"
    )
    return {row["prefix"]: row["digest"] for row in rows}


def _rows(
    graph: DuckDBStore, table: Table, prefixes: Sequence[str]
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Rows of each of these prefixes, in their order; one pass over the table, one batch in memory."""
    if not prefixes:
        return
    hashed = f"left({_hash(table)}, {len(prefixes[0])})"
    rows = graph.rows(
        f"SELECT {hashed} AS prefix_, * FROM ({table.sql}) WHERE list_contains(?, prefix_) ORDER BY prefix_",
        [list(prefixes)],
    )
    found = groupby((tuple(row.values()) for row in rows), key=itemgetter(0))
    prefix, group = next(found, (None, iter(())))
    for due in prefixes:
        if due == prefix:
            yield due, [row[1:] for row in group]
            prefix, group = next(found, (None, iter(())))
        else:
            yield due, []


def _hash(table: Table) -> str:
    return f"md5({table.spread_by}::VARCHAR)"
