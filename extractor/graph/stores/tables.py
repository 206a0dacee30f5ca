"""The tables of a DuckDB graph: how they are made and brought up to date.

No table but `runs` has an index. DuckDB lets only one process write, and a write never inserts a row that is
there, so ids stay unique without one; an index on random 128-bit ids would make the file several times larger
and has to fit in memory. Rows of one run lie together, so looking for what the run said before reads that
run's row groups only.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from extractor.errors import ConfigError
from extractor.graph.nodes import KINDS

# Raised when the tables change in a way that an older package cannot read.
FORMAT = 3
# The oldest that can be read as it is.
_READABLE = 2

# SQL for the kind that a node id says.
KIND_OF_ID = (
    "CASE split_part(id, ':', 1) "
    + " ".join(f"WHEN '{prefix}' THEN '{kind}'" for prefix, kind in KINDS.items())
    + " END"
)

_SINCE_2 = """
-- Listings that are one product, two or more of a spu; node ids. Derived: see settle.py.
CREATE TABLE members (spu VARCHAR NOT NULL, product VARCHAR NOT NULL);
-- Relation types with one true object at most. Derived: see schemas.py.
CREATE TABLE functional (predicate VARCHAR NOT NULL);
"""
_SINCE_3 = """
-- Which schemas a run was made with, and what they say (extractor/schema_set.py), once for all runs that have the same.
CREATE TABLE run_schemas (run VARCHAR NOT NULL, hash VARCHAR NOT NULL);
CREATE TABLE schemas (hash VARCHAR NOT NULL, content JSON NOT NULL);
"""

_TABLES = f"""
CREATE TABLE graph_format (version INTEGER NOT NULL);
INSERT INTO graph_format VALUES ({FORMAT});
-- merged_at is in UTC.
CREATE TABLE runs (id VARCHAR PRIMARY KEY, manifest JSON NOT NULL, merged_at TIMESTAMP NOT NULL);
-- One row for each run and product; what it says of the product stands in statements.
CREATE TABLE listings (
    run VARCHAR NOT NULL, product VARCHAR NOT NULL, title VARCHAR NOT NULL, content_hash VARCHAR NOT NULL
);
-- Derived from statements and listings: see labels.py.
CREATE TABLE nodes (id VARCHAR NOT NULL, kind VARCHAR NOT NULL, label VARCHAR NOT NULL);
-- label: how this statement spells its object. Spans count characters of title, newline, description.
-- rank and reason are derived, see settle.py; the reason says in words why a deprecated statement lost.
CREATE TABLE statements (
    id UUID NOT NULL, subject VARCHAR NOT NULL, predicate VARCHAR NOT NULL, object VARCHAR NOT NULL,
    label VARCHAR NOT NULL, rank VARCHAR NOT NULL, confidence DOUBLE NOT NULL,
    run VARCHAR NOT NULL, product VARCHAR NOT NULL, source VARCHAR NOT NULL,
    span_start INTEGER, span_end INTEGER, quote VARCHAR NOT NULL,
    prompt VARCHAR NOT NULL, schema VARCHAR NOT NULL, model VARCHAR NOT NULL,
    reason VARCHAR DEFAULT '' NOT NULL
);
CREATE VIEW edges AS
    SELECT subject, predicate, object, max(confidence) AS confidence, count(*) AS statements
    FROM statements WHERE rank <> 'deprecated' GROUP BY ALL;
{_SINCE_2}{_SINCE_3}"""

# Format -> SQL that makes the next one of it.
_MIGRATIONS = {
    1: f"""
ALTER TABLE statements ADD COLUMN reason VARCHAR DEFAULT '';
ALTER TABLE statements ALTER COLUMN reason SET NOT NULL;
{_SINCE_2}
UPDATE graph_format SET version = 2;
""",
    2: f"{_SINCE_3} UPDATE graph_format SET version = 3;",
}


def prepare(connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool) -> bool:
    """Make the tables of a new file, bring an older one up to date; refuse what is no graph, or newer.

    Args:
        connection: In a transaction.
        path: Of the file, for messages.
        read_only: An older one stays as it is, or is refused.

    Returns:
        Whether it was brought up to date: what is derived is to be settled then.

    Raises:
        ConfigError: It cannot be read by this package.
    """
    tables = {row[0] for row in connection.execute("SELECT name FROM (SHOW TABLES)").fetchall()}
    if not tables:
        connection.execute(_TABLES)
        return False
    if "graph_format" not in tables:
        raise ConfigError(f"{path}: a DuckDB file of something else; give another --graph")
    (version,) = connection.execute("SELECT version FROM graph_format").fetchone() or (FORMAT,)
    if version > FORMAT:
        raise ConfigError(f"{path}: made by a newer version of this package; upgrade to read it")
    if version < _READABLE and read_only:
        advice = f"`extractor graph merge RUN_DIR --graph {path}` brings it up to date"
        raise ConfigError(f"{path}: made by an older version of this package; {advice}")
    if read_only:
        if version < FORMAT:
            connection.execute(_SINCE_3.replace("CREATE TABLE", "CREATE TEMP TABLE"))
        return False
    for older in range(version, FORMAT):
        connection.execute(_MIGRATIONS[older])
    return bool(version < FORMAT)
