"""`extractor graph features | compare | insights | coverage | view`: the answers people come for.

In: command lines. Out: results on stdout, notes on stderr; errors leave as ExtractorError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.graph.shared import GraphOption, JsonOption, app, note, reading, say, say_json, say_table

if TYPE_CHECKING:
    from extractor.graph.answers.coverage import AttributeCoverage
    from extractor.graph.answers.insights import Insight
    from extractor.graph.answers.said import SaidValue

# Rows of a to-do list that people are shown.
_SHOWN = 40
# Values of an attribute that are named in a cell.
_NAMED = 3
# Characters of a quote that are shown.
_QUOTE = 40

ThingArgument = Annotated[
    str, typer.Argument(metavar="ID", help='SPU or product, such as "spu:bb-1" or "bb-1".')
]


@app.command()
def features(
    graph: GraphOption,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder; kept up to date by later runs.")],
    as_json: JsonOption = False,
) -> None:
    """Write Parquet tables of products and their features, with numbers that never change their meaning."""
    from extractor.graph.answers.features import write_features

    with reading(graph) as store:
        done = write_features(store, out)
    if as_json:
        return say_json(done.to_json())
    say(f"{out}: {done.products:,} products, {done.features:,} features")
    written = ", ".join(done.written) or "nothing"
    note(f"{done.new_products:,} products and {done.new_features:,} features are new; written: {written}")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="SPU or product.")],
    b: Annotated[str, typer.Argument(metavar="B", help="SPU or product.")],
    graph: GraphOption,
    as_json: JsonOption = False,
) -> None:
    """Put two SPUs or products side by side: what is the same, what differs, what only one states."""
    from extractor.graph.answers.compare import STATUSES
    from extractor.graph.answers.compare import compare as ask

    with reading(graph) as store:
        compared = ask(store, a, b)
    if as_json:
        return say_json(compared.to_json())
    for name, thing in (("A", compared.a), ("B", compared.b)):
        listings = f", {len(thing.listings)} listings" if thing.kind == "SPU" else ""
        say(f"{name}: {thing.label} ({thing.id}{listings})")
    rows = [(each.attribute, each.status, _cell(each.a), _cell(each.b)) for each in compared.attributes]
    say_table(["attribute", "", "A", "B"], rows)
    say(", ".join(f"{compared.count(status)} {status}" for status in STATUSES))


def _cell(values: Iterable[SaidValue]) -> str:
    return "\n".join(_with_origin(value) for value in values)


def _with_origin(value: SaidValue) -> str:
    surest = value.evidence[0]
    quote = surest.quote if len(surest.quote) <= _QUOTE else f"{surest.quote[:_QUOTE]}…"
    words = f' "{quote}"' if quote else ""
    return f"{value.label}  ({value.confidence:.2f}, {surest.source}{words})"


@app.command()
def insights(
    category: Annotated[str, typer.Option(metavar="C", help="Category, with all that is below it.")],
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="A number in the feed, higher is better: sales.")
    ],
    graph: GraphOption,
    min_support: Annotated[int, typer.Option(min=1, help="Fewest products with a value, and without.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Say which attribute values go with top performers, against similar products that do worse."""
    from extractor.graph.answers.insights import insights as ask

    with reading(graph) as store:
        answer = ask(store, category, metric, min_support=min_support)
    if as_json:
        return say_json(answer.to_json())
    if answer.not_enough:
        return say(f"not enough data: {answer.not_enough}")
    found = [value for value in answer.values if value.found]
    if found:
        columns = [
            "attribute",
            "value",
            "products",
            "on top",
            "by chance",
            "lift",
            "95 %",
            "adj. p",
            "against",
        ]
        say_table(columns, map(_insight_row, found))
    else:
        say(f"no value goes with {metric} beyond chance")
    note(
        f"{answer.products:,} products of {answer.category.label} in {answer.strata:,} groups of one category and"
        f" price band, the best quarter of each on top; {len(answer.values):,} values tested, {answer.rare:,} too rare."
        " What goes with it need not cause it."
    )


def _insight_row(value: Insight) -> tuple[str, ...]:
    lift = value.lift
    return (
        *(value.attribute, value.label, f"{lift.products:,}", f"{lift.top:,}", f"{lift.expected:.1f}"),
        *(f"{lift.ratio:.2f}", f"{lift.low:.2f} to {lift.high:.2f}", _p(value.p_adjusted), value.against),
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@app.command()
def coverage(
    graph: GraphOption,
    category: Annotated[
        str | None, typer.Option(metavar="C", help="Category, with all that is below it; none: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what is to be done about attributes: missing, conflicting, unsure, and new values; the most first."""
    from extractor.graph.answers.coverage import coverage as ask

    with reading(graph) as store:
        found = ask(store, category)
    if as_json:
        return say_json(found.to_json())
    columns = ["category", "attribute", "filled", "of", "conflicting", "unsure", "new values"]
    stated = [row for row in found.attributes if row.filled]
    say_table(columns, map(_coverage_row, stated[:_SHOWN]))
    if len(stated) > _SHOWN:
        note(f"the first {_SHOWN} rows are shown of {len(stated):,}; --json prints all")
    if never := len(found.attributes) - len(stated):
        note(f"{never:,} attributes are stated by no product of their category; --json lists them")
    if found.unknown:
        say("stated, but in no schema of these categories:")
        rows = [(each.relation, f"{each.products:,}", _named(each.values)) for each in found.unknown[:_SHOWN]]
        say_table(["relation", "products", "values"], rows)


def _coverage_row(row: AttributeCoverage) -> tuple[str, ...]:
    counts = [f"{count:,}" if count else "" for count in (row.conflicting, row.unsure)]
    where = row.category.removeprefix("category:") or "(none)"
    return (where, row.attribute, f"{row.share:.0%}", f"{row.products:,}", *counts, _named(row.new_values))


def _named(values: Mapping[str, int]) -> str:
    """ "teal 12, mauve 3 and 4 more"."""
    named = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    rest = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(f"{value} {count:,}" for value, count in named[:_NAMED]) + rest


@app.command()
def view(
    name: ThingArgument,
    graph: GraphOption,
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="The page.")],
) -> None:
    """Write a page of an SPU or product: its values with their evidence, its listings, its competitors."""
    from extractor.graph.answers.view import write_view

    with reading(graph) as store:
        say(str(write_view(store, name, html)))
