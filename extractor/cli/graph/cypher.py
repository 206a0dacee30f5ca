"""`extractor graph cypher`.

In: a command line. Out: rows on stdout; errors leave as ExtractorError.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from extractor.cli.graph.shared import GraphOption, JsonOption, app, say_json, say_table


@app.command()
def cypher(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="One query; it can only read, and only the graph.")
    ],
    graph: GraphOption,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which the query is ended.")] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Ask the graph in Cypher.

    Nodes are of a kind, relations have the names of predicates. Its copy for Cypher is rebuilt when the graph changed.

    Example: extractor graph cypher "MATCH (p:Product)-[:has_brand]->(b) RETURN b.label, count(p)" --graph G.duckdb
    """
    from extractor.engines.cached import default_folder
    from extractor.graph.cypher import ask

    columns, rows = ask(graph, query, default_folder(), timeout_s=timeout)
    if as_json:
        return say_json({"columns": columns, "rows": rows})
    say_table(columns, [[_cell(value) for value in row] for row in rows])


def _cell(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else str(value)
