"""`extractor run` and `extractor demo`."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extractor.cli.output import console, count_records, print_json, progress_bar

if TYPE_CHECKING:
    from extractor.brands.link import Linker
    from extractor.config import RunConfig
    from extractor.journal import Summary
    from extractor.records import Outcome

# Products that the demo shows.
SHOWN = 3


def add_to(app: typer.Typer) -> None:
    """Both commands stand at the top level."""
    app.command("run")(run)
    app.command("demo")(demo)


def run(
    feeds: Annotated[
        list[str] | None,
        typer.Argument(metavar="FEED...", help="JSONL, CSV, TSV (also .gz), Parquet; - is stdin."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; the same folder again goes on where it stopped.")
    ] = None,
    graph: Annotated[Path | None, typer.Option(help="DuckDB file to merge into at the end.")] = None,
    brands: Annotated[
        Path | None, typer.Option(help="Registry of brands (JSONL) that the graph's are linked to.")
    ] = None,
    schema: Annotated[str | None, typer.Option(help="Schema id for all products; auto: by category.")] = None,
    taxonomy: Annotated[
        Path | None, typer.Option(help="Taxonomy file, or a folder that schemas derive or route fit wrote.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Prompt for attributes, such as attributes@v1.")] = None,
    demonstrations: Annotated[
        Path | None,
        typer.Option(help="Labelled listings (gold lines); the prompt shows the most similar ones."),
    ] = None,
    votes: Annotated[
        int | None, typer.Option(help="Ask so often (1, 3 ... 9), attributes shuffled; the majority counts.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="propose-only, cascade or decode-all: who decides values.")
    ] = None,
    proposer: Annotated[Path | None, typer.Option(help="Folder of a span proposer of your own.")] = None,
    engine: Annotated[str | None, typer.Option(help="auto, vllm, server, transformers or scripted.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model folder or Hugging Face id; default: the embedded model.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Endpoint of engine server, such as http://127.0.0.1:8000/v1.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Read so many records at most.")] = None,
    map: Annotated[
        list[str] | None, typer.Option(help="FIELD=COLUMN, such as title=name; repeatable.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="jsonl, csv, tsv or parquet, where the name does not tell.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Products per engine call.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Values below it do not go into the graph; 0.5 if not given.")
    ] = None,
    max_reject_rate: Annotated[
        float | None, typer.Option(help="Exit 1 when a larger share is rejected.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with these settings; options win.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object on stdout.")
    ] = False,
) -> None:
    """Extract feeds into a run folder, and merge it into a graph."""
    from extractor.config import load_config, parse_mapping

    options: dict[str, Any] = {
        "feeds": tuple(feeds or ()),
        "out": out,
        "graph": graph,
        "brands": brands,
        "schema_id": schema,
        "taxonomy": taxonomy,
        "prompt": prompt,
        "demonstrations": demonstrations,
        "votes": votes,
        "policy": policy,
        "proposer": proposer,
        "engine": engine,
        "model": model,
        "base_url": base_url,
        "limit": limit,
        "mapping": parse_mapping(map) if map else None,
        "format": format,
        "batch_size": batch_size,
        "min_confidence": min_confidence,
        "max_reject_rate": max_reject_rate,
    }
    settings = load_config(config, options)
    summary = execute(settings)
    if json:
        print_json(asdict(summary))
    if rejects_too_many(settings, summary):
        raise typer.Exit(1)


def demo(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/demo"),
    engine: Annotated[str, typer.Option(help="auto, vllm, server, transformers or scripted.")] = "auto",
) -> None:
    """Sample feed -> graph -> report, on the embedded model."""
    from extractor.config import load_config
    from extractor.errors import ConfigError

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out.parent}: {error.strerror}; give another --out") from None
    feed = str(files("extractor") / "demo" / "feed.jsonl")
    graph = out.with_name(f"{out.name}.duckdb")
    settings = load_config(None, {"feeds": (feed,), "out": out, "graph": graph, "engine": engine})
    execute(settings)
    show_graph(graph)
    show_products(out, settings.min_confidence)
    console().print(f"\nReport: {out / 'report.html'}   graph: {graph}", markup=False, soft_wrap=True)


def execute(settings: RunConfig) -> Summary:
    """Run with a progress bar, write the report, merge into the graph, print the summary for people."""
    from extractor.graph.stores import open_store
    from extractor.report import write_report
    from extractor.run import check, run

    check(settings)
    # What cannot be read or written is told now, not after hours of work.
    linker = open_linker(settings.brands, settings.graph)
    if settings.graph:
        open_store(settings.graph).close()
    with progress_bar(count_records(settings.feeds, settings.limit)) as show:
        summary = run(settings, progress=show)
    report = write_report(settings.out)
    if settings.graph:
        merge_into(settings.graph, settings, linker)
    rejections = ", ".join(f"{count} {reason}" for reason, count in summary.rejections.items()) or "none"
    console().print(
        f"{summary.outcomes} products, {summary.values} values, {summary.products_per_s:.1f} products/s;"
        f" rejections: {rejections}; report: {report}",
        markup=False,
        soft_wrap=True,
    )
    return summary


def open_linker(brands: Path | None, graph: Path | None) -> Linker | None:
    """The registry of brands, ready to link; ConfigError when it is broken, or there is no graph to link in."""
    from extractor.brands.link import Linker
    from extractor.brands.registry import load_registry
    from extractor.errors import ConfigError

    if brands is None:
        return None
    if graph is None:
        raise ConfigError(f"--brands {brands}: brands are linked in the graph; give --graph as well")
    return Linker(load_registry(brands))


def merge_into(graph: Path, settings: RunConfig, linker: Linker | None) -> None:
    """Say what one run said."""
    from extractor.graph.merge import functional_relations, merge_runs, schema_relations
    from extractor.graph.stores import open_store

    with open_store(graph) as store:
        merge_runs(
            [settings.out],
            store,
            schema_relations(),
            functional=functional_relations(),
            linker=linker,
            min_confidence=settings.min_confidence,
        )


def rejects_too_many(settings: RunConfig, summary: Summary) -> bool:
    """Whether nothing came of a larger share of the products than is allowed; reads the whole journal for it."""
    from extractor.journal import read_outcomes
    from extractor.run import is_rejected

    if settings.max_reject_rate == 1:
        return False
    rejected = sum(map(is_rejected, read_outcomes(settings.out)))
    return rejected > settings.max_reject_rate * summary.outcomes


def show_graph(graph: Path) -> None:
    """A table of what the graph holds."""
    from rich.table import Table

    from extractor.graph.stores.duckdb import DuckDBStore

    with DuckDBStore(graph, read_only=True) as store:
        stats = store.stats()
    table = Table("kind", "nodes", title="What is in the graph", title_justify="left")
    for kind, count in stats["nodes"].items():
        table.add_row(kind, str(count))
    console().print(table, f"{stats['statements']} statements from {stats['runs']} run(s)")


def show_products(run_dir: Path, min_confidence: float) -> None:
    """The products of which most is known for sure, each value with the place it stands at."""
    from extractor.journal import read_outcomes

    best = sorted(read_outcomes(run_dir), key=lambda outcome: -sum(v.confidence**2 for v in outcome.values))
    for outcome in best[:SHOWN]:
        show_product(outcome, min_confidence)


def show_product(outcome: Outcome, min_confidence: float) -> None:
    from rich.markup import escape
    from rich.table import Table

    columns = ("attribute", "value", "as written", "span", "confidence")
    table = Table(*columns, title=escape(outcome.title), title_justify="left")
    sure = [value for value in outcome.values if value.confidence >= min_confidence]
    for value in sure:
        span = f"{value.span.start}-{value.span.end}" if value.span else value.how
        canonical = f"{value.canonical} {value.unit}" if value.unit else value.canonical
        cells = (value.attribute, canonical, value.surface, span, f"{value.confidence:.2f}")
        table.add_row(*map(escape, cells))
    category = " > ".join(outcome.category.path) or "unknown"
    console().print(
        "", table, escape(f"category: {category}; {len(outcome.values) - len(sure)} guesses left out")
    )
