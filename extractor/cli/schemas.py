"""`extractor schemas list | show | check`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from extractor.cli.output import console

app = typer.Typer(help="Category schemas and the taxonomy under schemas/.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Ids with a schema file of their own; every other category inherits."""
    from extractor.schema import SchemaStore, default_folder

    for schema_id in SchemaStore(default_folder()).ids():
        typer.echo(schema_id)


@app.command()
def show(
    schema: Annotated[str, typer.Argument(help="Category id, such as footwear.shoes.sneakers.")],
) -> None:
    """The effective JSON Schema of a category, inherited attributes included."""
    from extractor.schema import SchemaStore, default_folder

    effective = SchemaStore(default_folder()).by_id(schema)
    typer.echo(json.dumps(effective.json_schema, indent=2, ensure_ascii=False))


@app.command()
def check() -> None:
    """Load the taxonomy, the units and every schema strictly. Exit 2 when one is wrong."""
    from extractor.schema import SchemaStore, default_folder
    from extractor.units import load_units

    store = SchemaStore(default_folder())
    problems = [*store.check(), *load_units(default_folder()).problems()]
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(2)
    console().print(f"{len(store.ids())} schemas, {len(store.taxonomy.leaves)} leaf categories, no problem")
