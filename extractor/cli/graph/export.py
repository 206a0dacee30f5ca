"""`extractor graph export`.

In: a command line. Out: where the export is on stdout; errors leave as ExtractorError.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extractor.cli.graph.shared import GraphOption, app, reading, say


@app.command()
def export(
    graph: GraphOption,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="A folder: parquet, neo4j-csv. A file: jsonld, nquads, graphml (with --around), brands, a registry.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="New file or folder.")],
    around: Annotated[
        str | None, typer.Option(metavar="ID", help="graphml: the node whose neighborhood is written.")
    ] = None,
    depth: Annotated[int, typer.Option(min=0, help="graphml: so many steps away from it.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
) -> None:
    """Write the graph as files for other tools.

    The file or folder appears whole or not at all.
    """
    from extractor.graph.exports import Neighborhood
    from extractor.graph.exports import export as write

    with reading(graph) as store:
        write(store, to, out, force=force, around=Neighborhood(around, depth) if around else None)
    say(str(out))
