"""`extractor schemas list | show | check | derive`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from extractor.cli.output import console, print_json

app = typer.Typer(help="Category schemas and the taxonomy that they belong to.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--schemas", help="Folder that schemas derive wrote; default: the shipped one.")
]


@app.command("list")
def list_(schemas: Folder = None) -> None:
    """Ids with a schema file of their own; every other category inherits."""
    from extractor.schema import SchemaStore, default_folder

    for schema_id in SchemaStore(schemas or default_folder()).ids():
        typer.echo(schema_id)


@app.command()
def show(
    schema: Annotated[str, typer.Argument(help="Category id, such as footwear.shoes.sneakers.")],
    schemas: Folder = None,
) -> None:
    """The effective JSON Schema of a category, inherited attributes included."""
    from extractor.schema import SchemaStore, default_folder

    effective = SchemaStore(schemas or default_folder()).by_id(schema)
    typer.echo(json.dumps(effective.json_schema, indent=2, ensure_ascii=False))


@app.command()
def check(schemas: Folder = None) -> None:
    """Load the taxonomy, the units and every schema strictly. Exit 2 when one is wrong."""
    from extractor.schema import SchemaStore, default_folder
    from extractor.units import load_units

    store = SchemaStore(schemas or default_folder())
    problems = [*store.check(), *load_units(default_folder()).problems()]
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(2)
    console().print(f"{len(store.ids())} schemas, {len(store.taxonomy.leaves)} leaf categories, no problem")


@app.command()
def derive(
    taxonomy: Annotated[
        Path, typer.Option(help="JSONL of categories: id, path, parent and attributes, a list of ids.")
    ],
    attributes: Annotated[
        Path, typer.Option(help="JSONL of attributes: id, name; values, functional, key where it has them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of schemas to write.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Make a taxonomy with attributes into schemas, one a category; extractor run --taxonomy OUT uses them."""
    from extractor.derive import derive_schemas

    derived = derive_schemas(taxonomy, attributes, out)
    if json:
        print_json(derived.to_json())
        return
    kept = f"; as base.json has them: {', '.join(derived.kept_from_base)}" if derived.kept_from_base else ""
    console().print(
        f"{derived.categories:,} schemas, {derived.leaves:,} of leaves; {derived.attributes:,} attributes,"
        f" at most {derived.most_attributes} of a category{kept}; use them with --taxonomy {derived.out_dir}",
        markup=False,
        soft_wrap=True,
    )
