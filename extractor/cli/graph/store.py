"""`extractor graph merge | snapshot | stats | show | query | check | undo`.

In: command lines. Out: results on stdout, notes on stderr; errors leave as ExtractorError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Annotated, Any

import typer

from extractor.cli.graph.shared import (
    GraphFileOption,
    GraphOption,
    JsonOption,
    app,
    changing,
    jsonable,
    note,
    reading,
    say,
    say_json,
    say_table,
)

# Rows of a query that people are shown.
_SHOWN = 1000
# Characters of --json, which wait on the disk until the last row is known: bounds what an endless query may take.
_MOST = 500_000_000
_PART = 2**20


@app.command()
def merge(
    run_dirs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR", help="Folders of `extractor run`.")],
    graph: GraphFileOption,
    brands: Annotated[
        Path | None, typer.Option(help="Registry of brands (JSONL) to link to; none: as they are called.")
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Values below it are not stated.")
    ] = 0.5,
) -> None:
    """Merge runs into the graph.

    It is made when it is not there; merging again changes nothing.
    """
    from extractor.brands.link import Linker
    from extractor.brands.registry import load_registry
    from extractor.graph.merge import merge_runs
    from extractor.graph.stores import open_store

    linker = Linker(load_registry(brands)) if brands else None
    with open_store(graph) as store:
        merged = merge_runs(run_dirs, store, linker=linker, min_confidence=min_confidence)
    for run in merged:
        change = f"{run.change.added} statements added, {run.change.removed} removed"
        say(f"{run.run_id}: {run.outcomes} outcomes read, {change}")
        if run.half_written:
            note(f"{run.run_id}: a half-written last line is left out; `extractor run` again completes it")


@app.command()
def snapshot(
    out: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Of the snapshot; made when it is not there.")
    ],
    graph: GraphOption,
) -> None:
    """Copy the graph, to be read while it is being written.

    Parquet files, in place of the last snapshot. Read it with `--graph FOLDER`; its files are in
    FOLDER/current, always of one moment.
    """
    from extractor.graph.stores.snapshot import write_snapshot

    with reading(graph) as store:
        write_snapshot(store, out)
    say(str(out))


@app.command()
def stats(graph: GraphOption, as_json: JsonOption = False) -> None:
    """Count nodes by kind, statements and runs."""
    with reading(graph) as store:
        counts = store.stats()
    if as_json:
        return say_json(counts)
    rows = [*counts["nodes"].items(), ("statements", counts["statements"]), ("runs", counts["runs"])]
    say_table(["what", "count"], [(name, f"{count:,}") for name, count in rows])


@app.command()
def show(
    node: Annotated[str, typer.Argument(metavar="ID", help='Node id such as "brand:sony", or a product id.')],
    graph: GraphOption,
    as_json: JsonOption = False,
) -> None:
    """Show a node: what is said of it, and in which words."""
    from extractor.graph.show import describe

    with reading(graph) as store:
        described = describe(store, node)
    if as_json:
        return say_json(described)
    say(f"{described['label']}\n{described['kind']} {described['id']}")
    if described["category"]:
        say(" > ".join(described["category"]))
    if described["spu"]:
        say(f"one of the listings of {described['spu']}")
    if described["listings"]:
        say_table(["listing", "title"], [(row["id"], row["label"]) for row in described["listings"]])
        note(
            f"`extractor graph view {described['id']} --html FILE --graph {graph}` shows what they say together"
        )
    standing = [s for s in described["statements"] if not s["reason"]]
    if standing:
        columns = ["relation", "value", "quote", "source", "confidence", "run"]
        say_table(columns, [_statement_row(s) for s in standing])
    if overruled := [s for s in described["statements"] if s["reason"]]:
        say("overruled:")
        names = ["predicate", "label", "source", "run", "reason"]
        say_table(
            ["relation", "value", "source", "run", "because"], [[s[n] for n in names] for s in overruled]
        )
    if described["mentions"]:
        say(f"mentioned by {described['mentioned_by']:,}:")
        rows = [(m["predicate"], m["id"], m["label"]) for m in described["mentions"]]
        say_table(["relation", "by", "label"], rows)


def _statement_row(statement: dict[str, Any]) -> tuple[str, ...]:
    where = "" if statement["span"] is None else f" {statement['span'][0]}-{statement['span'][1]}"
    return (
        *(statement["predicate"], statement["label"], statement["quote"], f"{statement['source']}{where}"),
        *(f"{statement['confidence']:.2f}", statement["run"]),
    )


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; it can read nothing but the graph.")],
    graph: GraphOption,
    as_json: JsonOption = False,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that it may take.")] = 60.0,
) -> None:
    """Ask the graph in SQL.

    Tables nodes, statements, listings, runs, members, functional, schemas, run_schemas, and the view edges.

    Example: extractor graph query "SELECT label FROM nodes WHERE kind = 'Brand'" --graph G.duckdb
    """
    with reading(graph, closed=True) as store:
        columns, rows = store.query(sql, timeout)
        if as_json:
            return _say_rows(columns, rows)
        shown = list(islice(rows, _SHOWN))
        say_table(columns, [["" if v is None else str(v) for v in row] for row in shown])
        if len(shown) == _SHOWN and next(rows, None) is not None:
            note(f"only the first {_SHOWN:,} rows are shown; --json prints all")


def _say_rows(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    """One JSON object; none of it when an error shows at a late row, and few rows in memory at a time."""
    from extractor.journal.files import sink_errors

    with ExitStack() as stack:
        with sink_errors(Path(gettempdir())):
            spool = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
            _spool_rows(columns, rows, spool)
        while part := spool.read(_PART):
            typer.echo(part, nl=False)


def _spool_rows(columns: list[str], rows: Iterator[tuple[Any, ...]], spool: IO[str]) -> None:
    from extractor.errors import ConfigError

    size = spool.write(f'{{"columns": {json.dumps(columns, ensure_ascii=False)}, "rows": [')
    separator = ""
    for row in rows:
        values = [jsonable(value) for value in row]
        size += spool.write(separator + json.dumps(values, ensure_ascii=False, default=str))
        separator = ", "
        if size > _MOST:
            advice = "ask for less, or `extractor graph export --to parquet` and read that"
            raise ConfigError(f"query: its rows are more than {_MOST:,} characters; {advice}")
    spool.write("]}\n")
    spool.seek(0)


@app.command()
def check(graph: GraphOption) -> None:
    """Look for what should not be; exit code 1 when there is any."""
    from extractor.graph.check import problems

    with reading(graph) as store:
        found = list(problems(store))
    for problem in found:
        say(problem)
    if found:
        note(
            f"{graph}: something else or an older version wrote to it; merge its runs again, or into a new graph"
        )
        raise typer.Exit(1)
    note(f"{graph}: no problem found")


@app.command()
def undo(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="As in run.json and in the table runs.")],
    graph: GraphFileOption,
) -> None:
    """Take back a run: all that it said, and nothing else.

    Nodes that nothing mentions any more go with it.
    """
    with changing(graph) as store:
        change = store.undo(run_id)
    say(f"{run_id}: {change.removed} statements removed")
