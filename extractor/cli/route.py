"""`extractor route fit`."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.output import console, print_json

if TYPE_CHECKING:
    from extractor.fitting import Fitted

app = typer.Typer(help="Categories: learn a shop's own.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group even while it has one command."""


@app.command()
def fit(
    examples: Annotated[
        list[str],
        typer.Option(
            help="Feed whose records state category_path, or a category's id as category; repeatable."
        ),
    ],
    taxonomy: Annotated[Path, typer.Option(help="Taxonomy file, or a folder that holds one.")],
    out: Annotated[Path, typer.Option(help="Folder for the router; may be the taxonomy's own.")],
    engine: Annotated[
        str | None,
        typer.Option(
            help="Compare this engine's model with the router where it is unsure; the better one decides."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of --engine; default: the embedded model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of engine server.")] = None,
    map: Annotated[
        list[str] | None, typer.Option(help="FIELD=COLUMN, such as category_path=aisle; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Learn from labelled listings where listings go in a taxonomy; extractor run --taxonomy OUT uses it."""
    from extractor.config import extractor_config, parse_mapping
    from extractor.engines import open_engine
    from extractor.errors import ConfigError
    from extractor.fitting import fit_folder

    if engine is None and (model or base_url):
        raise ConfigError("--model and --base-url are of an engine; name it with --engine, such as auto")
    config = extractor_config({"engine": engine, "model": model, "base_url": base_url})
    opened = open_engine(config.engine, model=model, base_url=base_url) if engine else None
    with closing(opened) if opened else nullcontext():
        fitted = fit_folder(
            examples, taxonomy, out, mapping=parse_mapping(map) if map else None, engine=opened
        )
    if json:
        print_json(fitted.to_json())
    else:
        _show(fitted)


def _show(fitted: Fitted) -> None:
    said = [f"{fitted.examples:,} examples, {fitted.categories:,} categories"]
    if found := fitted.validation:
        said.append(f"on {found.listings:,} left out: leaf {found.leaf:g} %, top category {found.top:g} %")
    else:
        said.append("too few to measure by; settings are the defaults")
    if asked := fitted.compared:
        said.append(
            f"of {asked.listings} unsure ones the router has {asked.router:g} %, the model {asked.model:g} % right:"
            f" the {'model' if asked.model_is_better else 'router'} decides"
        )
    said.append(f"use it with --taxonomy {fitted.out_dir}")
    console().print("; ".join(said), markup=False, soft_wrap=True)
