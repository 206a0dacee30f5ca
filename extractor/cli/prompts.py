"""`extractor prompts list | show | render | check`."""

from __future__ import annotations

from typing import Annotated

import typer

from extractor.cli.output import console

app = typer.Typer(help="Prompt templates under prompts/.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Ids of all prompts."""
    from extractor.prompt import default_folder, list_prompts

    for prompt_id in list_prompts(default_folder()):
        typer.echo(prompt_id)


@app.command()
def show(prompt: Annotated[str, typer.Argument(help="Such as attributes@v1.")]) -> None:
    """One prompt as its file says it."""
    from extractor.prompt import default_folder, load_prompt

    template = load_prompt(prompt, default_folder())
    typer.echo((default_folder() / template.task / f"{template.version}.toml").read_text("utf-8"), nl=False)


@app.command()
def render(
    prompt: Annotated[str, typer.Argument(help="Such as attributes@v1.")],
    title: Annotated[str, typer.Option(help="Title of the listing.")],
    description: Annotated[str, typer.Option(help="Its description.")] = "",
    category: Annotated[str, typer.Option(help="Category id; unknown: base attributes only.")] = "unknown",
) -> None:
    """One attributes prompt filled in with a listing, as a model gets it."""
    from extractor.prompt import attributes_request_variables, default_folder, load_prompt
    from extractor.prompt import render as fill
    from extractor.records import Product
    from extractor.schema import SchemaStore
    from extractor.schema import default_folder as schemas_folder

    template = load_prompt(prompt, default_folder())
    store = SchemaStore(schemas_folder())
    path = store.taxonomy[category].path if category in store.taxonomy else ()
    text = Product(id="", title=title, description=description).text
    filled = fill(
        template, attributes_request_variables(store.for_category(category), path, text, template.form)
    )
    if isinstance(filled, str):
        typer.echo(filled)
    else:
        typer.echo("\n\n".join(f"--- {message.role}\n{message.content}" for message in filled))


@app.command()
def check() -> None:
    """Load every prompt; examples must validate and stand in their own text. Exit 2 when one does not."""
    from extractor.prompt import check_prompts, default_folder, list_prompts
    from extractor.schema import SchemaStore
    from extractor.schema import default_folder as schemas_folder

    problems = check_prompts(default_folder(), SchemaStore(schemas_folder()))
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(2)
    console().print(f"{len(list_prompts(default_folder()))} prompts, no problem")
