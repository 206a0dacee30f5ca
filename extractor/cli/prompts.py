"""`extractor prompts list | show | render | check | try | compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.evaluation import DATA, SUITES, Data, Suites
from extractor.cli.output import console, print_json, progress_bar

if TYPE_CHECKING:
    from extractor.engines import Engine
    from extractor.prompt import PromptTemplate

# As records.UNKNOWN_CATEGORY.
UNKNOWN = "unknown"

app = typer.Typer(help="Prompt templates under prompts/.", no_args_is_help=True)

Prompts = Annotated[
    Path | None,
    typer.Option("--prompts", help="Folder of your own prompts, which go before the shipped ones."),
]
Suite = Annotated[str, typer.Option(help="Such as oamine; see extractor eval list.")]
Seed = Annotated[int, typer.Option(help="Of the draw.")]
EngineName = Annotated[str, typer.Option("--engine", help="auto, vllm, server, transformers or scripted.")]
Model = Annotated[str | None, typer.Option(help="Model folder or Hugging Face id; default: embedded.")]
BaseUrl = Annotated[str | None, typer.Option(help="Endpoint of engine server.")]
Cache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Keep answers, and use those of earlier runs.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command("list")
def list_(prompts: Prompts = None) -> None:
    """Ids of all prompts."""
    from extractor.prompt import default_folder, list_prompts

    for prompt_id in list_prompts(prompts or default_folder()):
        typer.echo(prompt_id)


@app.command()
def show(
    prompt: Annotated[str, typer.Argument(help="Such as attributes@v1.")], prompts: Prompts = None
) -> None:
    """One prompt as its file says it."""
    from extractor.prompt import folder_of, load_prompt

    folder = folder_of(prompt, prompts)
    template = load_prompt(prompt, folder)
    typer.echo((folder / template.task / f"{template.version}.toml").read_text("utf-8"), nl=False)


@app.command()
def render(
    prompt: Annotated[str, typer.Argument(help="Such as attributes@v1.")],
    title: Annotated[str, typer.Option(help="Title of the listing.")],
    description: Annotated[str, typer.Option(help="Its description.")] = "",
    category: Annotated[str, typer.Option(help="Category id; unknown: base attributes only.")] = UNKNOWN,
    prompts: Prompts = None,
) -> None:
    """One attributes prompt filled in with a listing, as a model gets it."""
    from extractor.errors import ConfigError
    from extractor.prompt import folder_of, load_prompt
    from extractor.prompt import render as fill
    from extractor.prompt_variables import attributes_request_variables
    from extractor.records import Product
    from extractor.schema import SchemaStore
    from extractor.schema import default_folder as schemas_folder

    template = load_prompt(prompt, folder_of(prompt, prompts))
    if template.task != "attributes":
        raise ConfigError(f"{prompt}: a prompt for {template.task}; give one for attributes")
    store = SchemaStore(schemas_folder())
    if category != UNKNOWN and category not in store.taxonomy:
        raise ConfigError(
            f"--category {category}: taxonomy.jsonl has no such category; give an id that stands there"
        )
    path = store.taxonomy[category].path if category != UNKNOWN else ()
    text = Product(id="", title=title, description=description).text
    filled = fill(
        template, attributes_request_variables(store.for_category(category), path, text, template.form)
    )
    if isinstance(filled, str):
        typer.echo(filled)
    else:
        typer.echo("\n\n".join(f"--- {message.role}\n{message.content}" for message in filled))


@app.command()
def check(
    prompts: Prompts = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Count tokens as this model does; repeatable; default: the embedded model."),
    ] = None,
) -> None:
    """Load every prompt and count its tokens. Exit 2 when one is wrong.

    Examples must validate and stand in their own text. What engines cannot share between listings gives a warning.
    """
    from extractor.prompt import default_folder, list_prompts, load_prompt
    from extractor.prompt_check import check_prompts, prefix_warnings
    from extractor.schema import SchemaStore
    from extractor.schema import default_folder as schemas_folder

    folder, store = prompts or default_folder(), SchemaStore(schemas_folder())
    problems = check_prompts(folder, store)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(2)
    templates = [load_prompt(prompt_id, folder) for prompt_id in list_prompts(folder)]
    _show_tokens(templates, model or [None])
    warnings = [warning for template in templates for warning in prefix_warnings(template)]
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    console().print(f"{_number(templates, 'prompt')}, no problem, {_number(warnings, 'warning')}")


def _number(things: Sequence[object], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _show_tokens(templates: Sequence[PromptTemplate], models: Sequence[str | None]) -> None:
    """Tokens of a typical request, for every prompt that a model can read."""
    from extractor.cli.comparison import add_row, table
    from extractor.engines import load_model_info
    from extractor.errors import ConfigError
    from extractor.prompt_tokens import count_prompt_tokens, encoder
    from extractor.schema import SchemaStore, default_folder

    store = SchemaStore(default_folder())
    for model in models:
        try:
            info = load_model_info(model)
            encode = encoder(info)
        except ConfigError as error:
            if model:
                raise
            # A light installation checks prompts all the same.
            console().print(f"tokens not counted: {error}", markup=False, soft_wrap=True)
            continue
        title = f"{info.id}: prompt tokens of a typical listing"
        counts = table(title, "", "shared by all", "by its category", "its own", "together")
        for template in templates:
            if template.form == "text" or info.chat:
                found = count_prompt_tokens(template, store, encode)
                parts = (found.shared, found.category, found.listing, found.total)
                add_row(counts, template.id, *map(str, parts))
        if counts.row_count:
            console().print(counts)
        if not info.chat:
            console().print(f"{info.id} has no chat template: count chat prompts with --model", markup=False)


@app.command("try")
def try_(
    prompt: Annotated[str, typer.Argument(help="Such as attributes@v3 or v3.")],
    suite: Suite,
    against: Annotated[str, typer.Option(help="The prompt before, such as attributes@v2 or v2.")],
    sample: Annotated[int, typer.Option(help="Draw so many listings.")] = 20,
    seed: Seed = 0,
    prompts: Prompts = None,
    data: Data = DATA,
    suites: Suites = SUITES,
    engine: EngineName = "auto",
    model: Model = None,
    base_url: BaseUrl = None,
    cache: Cache = True,
    json: Json = False,
) -> None:
    """See what a prompt changes, listing by listing, beside the gold."""
    from tempfile import TemporaryDirectory

    from extractor.cli.trial import show_trial
    from extractor.evaluation.suite_file import load_suite
    from extractor.evaluation.trial import Pairing, compare_listings

    loaded = load_suite(suites, suite)
    opened = _open(engine, model, base_url, cache=cache)
    with TemporaryDirectory() as folder, progress_bar(sample) as bar:
        pairing = Pairing(loaded, data, Path(folder), sample=sample, seed=seed, prompts=prompts)
        trial = compare_listings(*pairing.run(_full_id(against), _full_id(prompt), lambda: opened, bar))
    if json:
        print_json(trial.to_json())
        return
    show_trial(trial)
    _tell_cost(opened)
    console().print(
        f"{len(trial.a.gold)} listings are a glimpse: extractor prompts compare tells progress from luck",
        soft_wrap=True,
    )


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help="The prompt before, such as attributes@v2 or v2.")],
    after: Annotated[str, typer.Argument(help="The prompt after, such as attributes@v3 or v3.")],
    suite: Suite,
    out: Annotated[Path, typer.Option(help="Keeps the runs; a second look at them costs nothing.")] = Path(
        "runs/prompts"
    ),
    html: Annotated[Path | None, typer.Option(help="The page; default: in --out.")] = None,
    sample: Annotated[int | None, typer.Option(help="Draw so many listings; all if not given.")] = None,
    seed: Seed = 0,
    prompts: Prompts = None,
    data: Data = DATA,
    suites: Suites = SUITES,
    engine: EngineName = "auto",
    model: Model = None,
    base_url: BaseUrl = None,
    cache: Cache = True,
    json: Json = False,
) -> None:
    """Run two prompts over a suite and say which is better, and whether that is more than noise."""
    from extractor.cli.comparison import show_comparison
    from extractor.evaluation.compare import compare as compare_runs
    from extractor.evaluation.pages import write_comparison
    from extractor.evaluation.suite_file import load_suite
    from extractor.evaluation.trial import Pairing
    from extractor.outputs import check_output_file

    if html:
        check_output_file(html, "--html")
    loaded = load_suite(suites, suite)
    opened = _open(engine, model, base_url, cache=cache)
    pairing = Pairing(loaded, data, out / suite, sample=sample, seed=seed, prompts=prompts)
    with progress_bar(sample) as bar:
        a, b = pairing.run(_full_id(before), _full_id(after), lambda: opened, bar)
    comparison = compare_runs(a, b)
    page = html or out / suite / f"{a.folder.name}-{b.folder.name}.html"
    write_comparison(comparison, a, b, page)
    if json:
        print_json({**comparison.to_json(), "html": str(page)})
        return
    show_comparison(comparison)
    _tell_cost(opened)
    console().print(f"page: {page}", markup=False, soft_wrap=True)


def _full_id(prompt: str) -> str:
    """ "v2" is "attributes@v2": what suites measure."""
    return prompt if "@" in prompt else f"attributes@{prompt}"


def _open(name: str, model: str | None, base_url: str | None, *, cache: bool) -> Engine:
    from extractor.engines.cached import open_cached
    from extractor.engines.lazy import open_lazily

    return (open_cached if cache else open_lazily)(name, model=model, base_url=base_url)


def _tell_cost(engine: Engine) -> None:
    """Whether the model had to work for it."""
    from extractor.engines.cached import CachedEngine

    if isinstance(engine, CachedEngine):
        kept = (
            f"{engine.hits:,} answers were kept from before" if engine.hits else "the runs were there already"
        )
        if engine.misses:
            console().print(f"{engine.misses:,} answers from the model, {engine.hits:,} kept from before")
        else:
            console().print(f"no model was started: {kept}")
