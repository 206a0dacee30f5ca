"""`extractor demo`: all of the main job on a feed that ships, and what came of it.

In: nothing but where to write. Out: a run folder with its report, a graph whose listings are matched, and a page of
the product that most shops sell.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.output import console
from extractor.cli.run import execute

if TYPE_CHECKING:
    from extractor.config import RunConfig
    from extractor.graph.stores.duckdb import DuckDBStore
    from extractor.records import Outcome

DEFAULT = Path("runs/demo")
# Products that are shown.
_SHOWN = 3


def demo(
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder; default: runs/demo, or runs/demo-2 ... where an older one is there."),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm, server, transformers or scripted.")] = "auto",
) -> None:
    """Sample feed -> graph -> report, on the embedded model."""
    from extractor.graph.stores.duckdb import DuckDBStore

    settings = extract(out, engine) if out else extract_in_default(engine)
    assert settings.graph
    with DuckDBStore(settings.graph) as store:
        largest = match(store)
        show_graph(store)
        page = write_page_of(store, largest, settings.out / "product.html")
    show_products(settings.out, settings.min_confidence)
    tell(f"\nReport: {settings.out / 'report.html'}   graph: {settings.graph}")
    if page:
        tell(f"{largest}: {page}")


def extract_in_default(engine: str) -> RunConfig:
    """Into runs/demo, or the first of runs/demo-2 ... that is new or goes on: what is there is left alone."""
    from extractor.journal.manifest import OtherSettings

    out, number = DEFAULT, 1
    while True:
        try:
            return extract(out, engine)
        except OtherSettings:
            number += 1
            kept, out = out, DEFAULT.with_name(f"{DEFAULT.name}-{number}")
            tell(f"{kept}: of another version or engine, and kept; on to {out}")


def extract(out: Path, engine: str) -> RunConfig:
    """The sample feed into a run folder, and into a graph beside it."""
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
    return settings


def tell(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)


def match(store: DuckDBStore) -> str | None:
    """Say which listings are one product; the id of the SPU with most listings, if there is any."""
    from extractor.graph.match import match_graph
    from extractor.match.score import shipped_scorer

    found = match_graph(store, shipped_scorer()).resolution.clusters
    console().print(f"{sum(map(len, found))} listings are of {len(found)} products that several shops sell")
    return f"spu:{max(found, key=len)[0]}" if found else None


def write_page_of(store: DuckDBStore, spu: str | None, page: Path) -> Path | None:
    from extractor.graph.answers.view import write_view

    return write_view(store, spu, page) if spu else None


def show_graph(store: DuckDBStore) -> None:
    """A table of what the graph holds."""
    from rich.table import Table

    stats = store.stats()
    table = Table("kind", "nodes", title="What is in the graph", title_justify="left")
    for kind, count in stats["nodes"].items():
        table.add_row(kind, str(count))
    console().print(table, f"{stats['statements']} statements from {stats['runs']} run(s)")


def show_products(run_dir: Path, min_confidence: float) -> None:
    """The products of which most is known for sure, each value with the place it stands at."""
    from extractor.journal import read_outcomes

    best = sorted(read_outcomes(run_dir), key=lambda outcome: -sum(v.confidence**2 for v in outcome.values))
    for outcome in best[:_SHOWN]:
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
