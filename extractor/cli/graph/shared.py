"""What the graph commands share: their Typer app, their options, opening a graph and printing.

In: a path, text or rows. Out: a store open for reading; stdout for results, stderr for notes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from extractor.cli.output import harmless

if TYPE_CHECKING:
    from extractor.graph.stores.duckdb import DuckDBStore

# Columns of a row in a file or pipe, at most.
_WIDEST = 10_000
# Characters of the one line that the help has for a command.
_HELP = 70

# What people come for -> commands, in the order in which they are needed.
JOBS: Mapping[str, Sequence[str]] = {
    "Build": ("merge", "match", "match-fit", "check", "undo", "snapshot"),
    "Have the last word": ("assert", "retract"),
    "Read": ("stats", "show", "history", "diff", "query", "cypher"),
    "Answers": ("view", "compare", "coverage", "insights", "features"),
    "Take it elsewhere": ("export", "push"),
}


class _Jobs(TyperGroup):
    """Commands by job in the help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for job, names in JOBS.items():
            with formatter.section(job):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(_HELP)) for name in names])


app = typer.Typer(
    no_args_is_help=True, cls=_Jobs, help="The graph: build it, look at it, ask it, take it elsewhere."
)

GraphOption = Annotated[
    Path, typer.Option("--graph", help="DuckDB file of the graph; to read, also the folder of a snapshot.")
]
# Of commands that write.
GraphFileOption = Annotated[Path, typer.Option("--graph", help="DuckDB file of the graph.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def reading(graph: Path, *, closed: bool = False) -> closing[DuckDBStore]:
    """A graph to read from; `closed`: SQL can reach nothing else."""
    from extractor.graph.stores.duckdb import DuckDBStore

    return closing(DuckDBStore(graph, read_only=True, closed=closed))


def changing(graph: Path) -> closing[DuckDBStore]:
    """A graph that is there, to write to."""
    from extractor.errors import ConfigError
    from extractor.graph.stores.duckdb import DuckDBStore

    if not graph.exists():
        raise ConfigError(
            f"{graph}: no such graph; `extractor graph merge RUN_DIR --graph {graph}` makes one"
        )
    return closing(DuckDBStore(graph))


def say(text: str) -> None:
    typer.echo(harmless(text))


def note(text: str) -> None:
    typer.echo(harmless(text), err=True)


def say_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    console = Console()
    table = Table()
    for name in columns:
        table.add_column(Text(harmless(name)))
    for row in rows:
        table.add_row(*(Text(harmless(cell), overflow="fold") for cell in row))
    if not console.is_terminal:  # a file or pipe has no width: whole cells, one line a row
        console.width = _WIDEST
        console.width = console.measure(table).maximum
    console.print(table)


def jsonable(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
