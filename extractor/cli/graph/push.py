"""`extractor graph push`.

In: a command line. Out: what was done on stdout, notes on stderr; errors leave as ExtractorError.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from extractor.cli.graph.shared import GraphOption, JsonOption, app, reading, say, say_json


@app.command()
def push(
    graph: GraphOption,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="postgresql://user@host/database, or neo4j:// or bolt:// likewise."
        ),
    ],
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which a silent server is given up.")
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Bring a server (PostgreSQL, Neo4j) up to date with the graph.

    The same command again sends what is missing or new. What the runs' schemas say stays in the graph: the ranks that
    follow from it are sent.

    The password stands in the environment (EXTRACTOR_PUSH_PASSWORD, or PGPASSWORD, NEO4J_PASSWORD) or in the URL,
    where others on this machine see it in the list of processes. What others change on the server goes unnoticed:
    drop its schema product_graph, or delete its nodes Entity and PushBatch, and all is sent again.
    """
    from extractor.graph.push import push as send

    with reading(graph) as store:
        pushed = send(store, to, timeout_s=timeout)
    if as_json:
        return say_json(asdict(pushed))
    changed = f"{pushed.changed_batches:,} of {pushed.batches:,} batches were new or changed"
    say(f"{changed}: {pushed.sent:,} rows sent, {pushed.removed:,} removed")
