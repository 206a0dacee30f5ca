"""A folder of CSV files for `neo4j-admin database import`, the header of each in a file of its own.

In: a graph. Out: nodes.csv, relationships.csv and their headers, as `graph push` would make them:

    neo4j-admin database import full --multiline-fields=true --nodes=nodes-header.csv,nodes.csv
        --relationships=relationships-header.csv,relationships.csv

Spreadsheets take a cell that begins with = + - @ or a tab or line break for a formula (OWASP, CSV injection). Such a
text has an apostrophe before it; so has one that begins with apostrophes before such a sign, so that taking one away
from what matches GUARDED gives the text back.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from extractor.graph.property_graph import NODES, PROPERTIES, RELATIONS
from extractor.graph.stores.duckdb import DuckDBStore

# With the signs' full-width forms, which some spreadsheets read as well.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_TYPES = {"DOUBLE": ":double", "INTEGER": ":int", "VARCHAR": ""}

_NODES = f"SELECT id, label, 'Entity;' || kind AS kind FROM ({NODES.sql}) ORDER BY id"
_RELATIONS = (
    f"SELECT subject, object, predicate, {', '.join(PROPERTIES)} FROM ({RELATIONS.sql}) ORDER BY subject, id"
)


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the four files into a new folder."""
    out.mkdir()
    _write(graph, out, "nodes", ["id:ID", "label", ":LABEL"], _NODES)
    properties = [name + _TYPES[kind] for name, kind in PROPERTIES.items()]
    _write(graph, out, "relationships", [":START_ID", ":END_ID", ":TYPE", *properties], _RELATIONS)


def _write(graph: DuckDBStore, out: Path, name: str, header: Sequence[str], sql: str) -> None:
    (out / f"{name}-header.csv").write_text(",".join(header) + "\n", encoding="utf-8")
    rows = graph.rows(sql)
    with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        while batch := list(islice(rows, 10_000)):
            writer.writerows([guarded(cell) for cell in row.values()] for row in batch)


def guarded(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
