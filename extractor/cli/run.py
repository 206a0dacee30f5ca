"""`extractor run`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extractor.cli.output import console, count_records, print_json, progress_bar

if TYPE_CHECKING:
    from extractor.brands.link import Linker
    from extractor.config import RunConfig
    from extractor.journal import Summary


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
    from extractor.graph.merge import merge_runs
    from extractor.graph.stores import open_store

    with open_store(graph) as store:
        merge_runs([settings.out], store, linker=linker, min_confidence=settings.min_confidence)


def rejects_too_many(settings: RunConfig, summary: Summary) -> bool:
    """Whether nothing came of a larger share of the products than is allowed; reads the whole journal for it."""
    from extractor.journal import read_outcomes
    from extractor.run import is_rejected

    if settings.max_reject_rate == 1:
        return False
    rejected = sum(map(is_rejected, read_outcomes(settings.out)))
    return rejected > settings.max_reject_rate * summary.outcomes
