"""The command line: one module a command group, imported when the group is used by nobody but these.

Printing and exit codes live here and in __main__.py, nowhere else. People's output goes to stderr; stdout holds
what was asked for: one JSON object under --json.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from extractor import __version__
from extractor.cli import demo, evaluation, gate, graph, models, prompts, route, run, schemas


class Commands(TyperGroup):
    """All commands; Ctrl-C ends them cleanly, whatever Typer's version makes of it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("extractor: stopped; run the same command again to go on", err=True)
            raise typer.Exit(3) from None


app = typer.Typer(
    name="extractor",
    cls=Commands,
    help="A product feed goes in, a product knowledge graph that can be trusted comes out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """A product feed goes in, a product knowledge graph that can be trusted comes out."""


app.command("run")(run.run)
app.command("demo")(demo.demo)
models.add_to(app)
gate.add_to(evaluation.app)
app.add_typer(evaluation.app, name="eval")
app.add_typer(prompts.app, name="prompts")
app.add_typer(schemas.app, name="schemas")
app.add_typer(graph.app, name="graph")
app.add_typer(route.app, name="route")
