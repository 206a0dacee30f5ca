"""A folder of CSV files for `neo4j-admin database import`, the header of each in a file of its own.

In: a graph. Out: nodes.csv, relationships.csv and their headers:

    neo4j-admin database import full neo4j --multiline-fields=true --nodes=nodes-header.csv,nodes.csv
        --relationships=relationships-header.csv,relationships.csv

Headers and quoting are as in Neo4j's Operations Manual, Import header format; what is not set stands there unquoted and
empty, an empty text in quotes. The import makes what `graph push` would make, so that pushes keep it up to date.

Spreadsheets take a cell that begins with = + - @ or a tab or line break for a formula (OWASP, CSV injection). Such a
text has an apostrophe before it; so has one that begins with apostrophes before such a sign, so that taking one away
from what matches GUARDED gives the text back, as the first push does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from extractor.graph.property_graph import NODES, PROPERTIES, RELATIONS
from extractor.graph.push import MAX_DIGITS
from extractor.graph.stores.duckdb import DuckDBStore

# With the signs' full-width forms, which some spreadsheets read as well.
_SIGNS = r"[=+\-@\t\r\n＝＋－＠]"
GUARDED = re.compile(f"'+{_SIGNS}")
# Type in DuckDB -> the header's type.
_TYPES = {"DOUBLE": ":double", "INTEGER": ":int", "VARCHAR": ""}

# Header -> SQL for the column; by `batch` a push finds what it pushed.
_NODES = {
    "id:ID": "id",
    "label": "label",
    ":LABEL": "'Entity;' || kind",
    "batch": f"left(md5(id), {MAX_DIGITS})",
}
_RELATIONSHIPS = {
    ":START_ID": "subject",
    ":END_ID": "object",
    ":TYPE": "predicate",
    **{name + _TYPES[kind]: name for name, kind in PROPERTIES.items()},
}


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the four files into a new folder."""
    out.mkdir()
    _write(graph, out / "nodes", _NODES, f"({NODES.sql}) ORDER BY id")
    _write(graph, out / "relationships", _RELATIONSHIPS, f"({RELATIONS.sql}) ORDER BY subject, id")


def _write(graph: DuckDBStore, stem: Path, columns: Mapping[str, str], source: str) -> None:
    header = stem.with_name(f"{stem.name}-header.csv")
    header.write_text(",".join(columns) + "\n", encoding="utf-8")
    numbers = tuple(kind for kind in _TYPES.values() if kind)
    cells = [sql if name.endswith(numbers) else guarded(sql) for name, sql in columns.items()]
    graph.copy_to_csv(f"SELECT {', '.join(cells)} FROM {source}", stem.with_suffix(".csv"))


def guarded(text: str) -> str:
    """SQL for a cell that no spreadsheet takes for a formula, from SQL for its text."""
    return f"if(regexp_matches({text}, '^''*{_SIGNS}'), '''' || {text}, {text})"
