"""Cypher over a graph without a server: a projection into a Ladybug file, which can be thrown away.

In: a graph and a query. Out: rows. The projection has a node table a kind and a relation table a predicate, as
property_graph.py says. It stands in the cache and is made again when the graph's file changed; nothing is written
back. Needs the extra `cypher`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError, SinkError
from extractor.graph.nodes import KINDS
from extractor.graph.property_graph import NODES, PROPERTIES, RELATIONS
from extractor.graph.stores.duckdb import DuckDBStore

# A question of a person, on a laptop.
TIMEOUT_S = 60.0
_MEMORY_BYTES = 1 << 30
# DuckDB's types as Ladybug calls them.
_TYPES = {"VARCHAR": "STRING", "DOUBLE": "DOUBLE", "INTEGER": "INT32"}
# A projection that is opened read-only still reads and writes other files and loads code by these.
_OUTSIDE = {"copy", "load", "install", "uninstall", "export", "import", "attach", "detach", "use", "update"}
# Of what stands in quotes or a comment nothing is a word of the language.
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|/\*.*?\*/|//[^\n]*""", re.DOTALL)
_FILE = "graph.lbug"
_INTERNAL = {"_ID", "_SRC", "_DST"}


def ask(
    graph: Path, query: str, cache: Path, *, timeout_s: float = TIMEOUT_S
) -> tuple[list[str], list[list[Any]]]:
    """Column names and rows that a query gives.

    Args:
        graph: DuckDB file of the graph.
        query: One Cypher query that only reads, and only the graph.
        cache: Folder for projections.
        timeout_s: Seconds after which a query is ended.

    Raises:
        ConfigError: There is no such graph, the query is wrong or takes too long, or the extra is missing.
        SinkError: The projection cannot be written.
    """
    _check(query)
    if find_spec("ladybug") is None:
        raise ConfigError("cypher: ladybug is not installed; pip install 'product-graph-extractor[cypher]'")
    with _opened(_projected(graph, cache), read_only=True) as connection:
        connection.set_query_timeout(max(1, round(1000 * timeout_s)))
        try:
            result = connection.execute(query)
            return result.get_column_names(), [[_plain(value) for value in row] for row in result.get_all()]
        except RuntimeError as error:
            raise ConfigError(f"cypher: {_told(error, timeout_s)}") from error


def _check(query: str) -> None:
    bare = _QUOTED.sub(" ", query)
    words = {word.lower() for word in re.findall(r"[A-Za-z_]+", bare)}
    if outside := sorted(words & _OUTSIDE):
        raise ConfigError(
            f"cypher: {outside[0].upper()} reaches beyond the graph; leave it out, or put `backticks` around a name"
        )
    if ";" in bare.rstrip().removesuffix(";"):
        raise ConfigError("cypher: more than one query; ask them one by one")


def _told(error: RuntimeError, timeout_s: float) -> str:
    message = " ".join(str(error).split("\n", 1)[0].split())
    if message.startswith("Interrupted"):
        return f"no answer within {timeout_s:g} s; ask for less, or give more by --timeout"
    return f"{message}; correct the query"


def _plain(value: Any) -> Any:
    """A node or relation without the numbers that it has in the projection."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name not in _INTERNAL}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _projected(graph: Path, cache: Path) -> Path:
    """The file of the graph's projection, made unless it is there."""
    name = hashlib.blake2b(str(graph.resolve()).encode(), digest_size=16).hexdigest()
    with DuckDBStore(graph, read_only=True) as store:  # also says what is no graph
        folder = cache / "cypher" / f"{name}-{_state(graph)}"
        try:
            if not folder.exists():
                _make(store, folder)
                for old in set(folder.parent.glob(f"{name}-*")) - {folder}:
                    shutil.rmtree(old, ignore_errors=True)
        except (OSError, RuntimeError) as error:
            told = " ".join(str(error).split("\n", 1)[0].split())
            advice = "free space, or name another folder in EXTRACTOR_CACHE"
            raise SinkError(f"{folder.parent}: {told}; {advice}") from error
    return folder / _FILE


def _make(store: DuckDBStore, folder: Path) -> None:
    """The folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _project(store, Path(scratch))
        try:
            Path(scratch, "done").rename(folder)
        except OSError:
            if not folder.exists():  # another process was faster
                raise


def _state(graph: Path) -> str:
    """Changes when the graph's file does, or what DuckDB has not folded into it yet."""
    files = [path for path in (graph, graph.with_name(graph.name + ".wal")) if path.exists()]
    return "-".join(f"{path.stat().st_mtime_ns}-{path.stat().st_size}" for path in files)


def _project(graph: DuckDBStore, scratch: Path) -> None:
    done = scratch / "done"
    done.mkdir()
    with _opened(done / _FILE) as connection:
        for kind in KINDS.values():
            connection.execute(f"CREATE NODE TABLE `{kind}` (id STRING PRIMARY KEY, label STRING)")
            rows = scratch / f"{kind}.parquet"
            graph.copy_to_parquet(f"SELECT id, label FROM ({NODES.sql}) WHERE kind = '{kind}'", rows)
            connection.execute(f"COPY `{kind}` FROM {_text(str(rows))}")
        rows = scratch / "relations.parquet"
        graph.copy_to_parquet(_RELATIONS, rows)
        ends = graph.rows(f"SELECT DISTINCT predicate, from_kind, to_kind FROM ({_RELATIONS}) ORDER BY ALL")
        for predicate, pairs in groupby(ends, key=itemgetter("predicate")):
            _relate(connection, predicate, [(p["from_kind"], p["to_kind"]) for p in pairs], rows)


_RELATIONS = (
    f"SELECT r.*, s.kind AS from_kind, o.kind AS to_kind FROM ({RELATIONS.sql}) AS r"
    " JOIN nodes AS s ON s.id = r.subject JOIN nodes AS o ON o.id = r.object ORDER BY r.predicate"
)


def _relate(connection: Any, predicate: str, pairs: Sequence[tuple[str, str]], rows: Path) -> None:
    """A relation table for a predicate, between all kinds that it joins."""
    name = "`{}`".format(predicate.replace("`", "_"))
    ends = ", ".join(f"FROM `{one}` TO `{other}`" for one, other in pairs)
    columns = ", ".join(f"`{column}` {_TYPES[kind]}" for column, kind in PROPERTIES.items())
    connection.execute(f"CREATE REL TABLE {name} ({ends}, {columns})")
    wanted = ", ".join(f"`{column}`" for column in ("subject", "object", *PROPERTIES))
    for one, other in pairs:
        where = f"predicate = {_text(predicate)} AND from_kind = '{one}' AND to_kind = '{other}'"
        source = f"LOAD FROM {_text(str(rows))} WHERE {where} RETURN {wanted}"
        connection.execute(f"COPY {name} FROM ({source}) (from='{one}', to='{other}')")


def _text(text: str) -> str:
    return "'{}'".format(text.replace("\\", "\\\\").replace("'", "\\'"))


@contextmanager
def _opened(file: Path, *, read_only: bool = False) -> Iterator[Any]:
    import ladybug

    with (
        closing(ladybug.Database(file, read_only=read_only, buffer_pool_size=_MEMORY_BYTES)) as database,
        closing(ladybug.Connection(database)) as connection,
    ):
        yield connection
